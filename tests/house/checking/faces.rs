//! Sends one request to any face and converts the response to a verdict and an identity.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::ext_authz::{GrpcClient, parse_response, protobuf_field};
use crate::mirror;
use crate::test_request::TestRequest;
use crate::wire::Answer;

/// A protocol over which menshen decides about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// menshen as the proxy.
    Proxy,
    /// nginx `auth_request`.
    Auth,
    /// Traefik ForwardAuth and Caddy forward_auth.
    ForwardAuth,
    /// Envoy's ext_authz over HTTP.
    Envoy,
    /// Envoy's ext_authz over gRPC.
    Grpc,
}

impl Face {
    pub(crate) const ALL: [Self; 5] = [
        Self::Proxy,
        Self::Auth,
        Self::ForwardAuth,
        Self::Envoy,
        Self::Grpc,
    ];

    /// Whether the face can redirect a person to the login.
    pub(crate) fn can_redirect(self) -> bool {
        self != Self::Auth
    }
}

/// A request as a client would send it.
#[derive(Clone, Debug)]
pub(crate) struct OriginalRequest {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) client: &'static str,
    /// The route that Envoy names over gRPC.
    pub(crate) route: Option<&'static str>,
}

impl OriginalRequest {
    pub(crate) fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            host: "sso.test".to_owned(),
            target: target.as_bytes().to_vec(),
            headers: Vec::new(),
            client: "192.0.2.7",
            route: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn method(self, method: &str) -> Self {
        let method = method.to_owned();
        Self { method, ..self }
    }

    pub(crate) fn route(self, name: &'static str) -> Self {
        let route = Some(name);
        Self { route, ..self }
    }

    fn http_request(&self, face: Face) -> TestRequest {
        let mut request = match face {
            Face::Proxy | Face::Grpc => TestRequest::with_target(&self.target)
                .method(&self.method)
                .host(&self.host)
                .header("X-Forwarded-Proto", "http"),
            Face::Auth => TestRequest::get("/.menshen/auth")
                .host(&self.host)
                .bytes("X-Forwarded-Uri", &self.target)
                .header("X-Original-Method", &self.method)
                .header("X-Forwarded-Proto", "http"),
            Face::ForwardAuth => TestRequest::get("/.menshen/forward-auth?ignored=query")
                .host("menshen.internal:9")
                .bytes("X-Forwarded-Uri", &self.target)
                .header("X-Forwarded-Host", &self.host)
                .header("X-Forwarded-Method", &self.method)
                .header("X-Forwarded-Proto", "http"),
            Face::Envoy => {
                let target = [b"/.menshen/ext_authz", self.target.as_slice()].concat();
                TestRequest::with_target(&target)
                    .method(&self.method)
                    .host(&self.host)
            }
        };
        request = request.header("X-Forwarded-For", self.client);
        for (name, value) in &self.headers {
            request = request.bytes(name, value);
        }
        request
    }

    /// The `CheckRequest` as Envoy encodes it when it sends raw headers.
    fn grpc_message(&self) -> Vec<u8> {
        let pair = |(name, value): &(String, Vec<u8>)| {
            let name = name.to_ascii_lowercase();
            protobuf_field(
                1,
                &[protobuf_field(1, name.as_bytes()), protobuf_field(3, value)].concat(),
            )
        };
        let headers: Vec<u8> = self.headers.iter().flat_map(pair).collect();
        let http = [
            protobuf_field(2, self.method.as_bytes()),
            protobuf_field(4, &self.target),
            protobuf_field(5, self.host.as_bytes()),
            protobuf_field(6, b"http"),
            protobuf_field(13, &headers),
        ];
        let address = protobuf_field(
            1,
            &protobuf_field(1, &protobuf_field(2, self.client.as_bytes())),
        );
        let request = protobuf_field(4, &protobuf_field(2, &http.concat()));
        let named = self.route.map(|name| {
            let pair = [
                protobuf_field(1, b"route"),
                protobuf_field(2, name.as_bytes()),
            ];
            protobuf_field(10, &pair.concat())
        });
        let attributes = [
            protobuf_field(1, &address),
            request,
            named.unwrap_or_default(),
        ];
        protobuf_field(1, &attributes.concat())
    }

    /// Sends the request over gRPC and returns what Envoy would respond to the client.
    async fn send_grpc(&self, at: SocketAddr) -> Answer {
        let result = parse_response(
            &GrpcClient::connect(at)
                .await
                .check_bytes(&self.grpc_message())
                .await,
        );
        Answer {
            status: result
                .http
                .map_or(200, |status| u16::try_from(status).unwrap()),
            headers: result.set.into_iter().collect(),
            body: result.body.into_bytes(),
        }
    }

    /// Sends the request to a face and reads the result.
    pub(crate) async fn send_to(&self, face: Face, at: SocketAddr) -> FaceResponse {
        let answer = match face {
            Face::Grpc => self.send_grpc(at).await,
            Face::Proxy | Face::Auth | Face::ForwardAuth | Face::Envoy => {
                self.http_request(face).send_to(at).await
            }
        };
        let verdict = verdict(face, &answer);
        assert!(
            verdict == Verdict::Allow || !carries_identity(&answer),
            "{face:?} {answer:?}"
        );
        let identity = match verdict {
            Verdict::Allow => identity(face, &answer),
            _ => BTreeMap::new(),
        };
        FaceResponse {
            verdict,
            identity,
            answer,
        }
    }
}

/// The verdict that a response expresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    /// A login is needed.
    Login,
    /// The bearer token is not valid.
    Unauthorized,
    Deny,
    /// A temporary failure.
    Unavailable,
}

#[derive(Debug)]
pub(crate) struct FaceResponse {
    pub(crate) verdict: Verdict,
    /// The identity headers, under the names that the proxy face uses.
    pub(crate) identity: BTreeMap<String, String>,
    pub(crate) answer: Answer,
}

fn verdict(face: Face, answer: &Answer) -> Verdict {
    let bearer = answer.header("www-authenticate").unwrap_or_default();
    let reason = answer.header("x-menshen-reason").unwrap_or_default();
    match (face, answer.status) {
        (Face::Proxy | Face::ForwardAuth | Face::Envoy | Face::Grpc, 200) | (Face::Auth, 202) => {
            Verdict::Allow
        }
        (_, 401) if bearer.contains("error=") => Verdict::Unauthorized,
        (Face::ForwardAuth | Face::Envoy | Face::Grpc, _) if reason == "unused-token" => {
            Verdict::Deny
        }
        (_, 401) | (Face::Proxy | Face::Envoy | Face::Grpc, 302) | (Face::ForwardAuth, 303) => {
            Verdict::Login
        }
        (Face::Envoy, 403) if reason == "unavailable" => Verdict::Unavailable,
        (Face::Proxy, 400 | 404) | (_, 403) => Verdict::Deny,
        (Face::Proxy | Face::Auth | Face::ForwardAuth | Face::Grpc, 503) => {
            assert!(answer.header("retry-after").is_some(), "{face:?}");
            Verdict::Unavailable
        }
        _ => panic!("{face:?} never sends this response: {answer:?}"),
    }
}

fn carries_identity(answer: &Answer) -> bool {
    let names = [
        "x-auth-request-user",
        "x-forwarded-user",
        "x-remote-user",
        "x-auth-request-groups",
    ];
    names.iter().any(|name| answer.header(name).is_some())
}

fn identity(face: Face, answer: &Answer) -> BTreeMap<String, String> {
    let pairs: Vec<(String, String)> = match face {
        Face::Proxy => mirror::received_headers(answer),
        Face::Auth | Face::ForwardAuth | Face::Envoy | Face::Grpc => answer.headers.clone(),
    };
    let is_identity = |name: &str| {
        let hop_headers = [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-forwarded-port",
        ];
        (name.starts_with("x-forwarded-") && !hop_headers.contains(&name))
            || name == "x-remote-user"
            || name == "x-menshen-assertion"
    };
    let mut identity = BTreeMap::new();
    for (name, value) in pairs {
        let name = name
            .to_lowercase()
            .replace("x-auth-request-", "x-forwarded-");
        if is_identity(&name) {
            let before = identity.insert(name.clone(), value);
            assert!(before.is_none(), "{face:?} sends {name} twice");
        }
    }
    identity
}
