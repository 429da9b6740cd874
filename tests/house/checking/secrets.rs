//! The check endpoints, which clients can often reach, do not disclose the headers for the application
//! unless the route allows it.

use std::collections::BTreeMap;

use super::TRUST_LOOPBACK;
use super::faces::{Face, OriginalRequest};
use crate::ext_authz::{GRPC_ON_MAIN, check_request, grpc_client, parse_response};
use crate::setup::{Menshen, Setup};
use crate::test_request::session_cookie_of;

/// Route names, and lines with which the route sends further headers to its application.
const ROUTES_WITH_HEADERS: [(&str, &str); 6] = [
    (
        "basic",
        "basic_auth = { user = \"user.login\", password = \"one for all\" }",
    ),
    (
        "own",
        "headers = { X-Api-Key = \"'k3y'\", X-Remote-User = \"user.login\", \
         Authorization = \"'Key k3y'\" }",
    ),
    ("assertion", "assertion = true"),
    (
        "public",
        "access = \"public\"\nheaders = { X-Api-Key = \"'k3y'\" }",
    ),
    (
        "renamed",
        "headers = { X-Forwarded-User = \"'corp/' + user.login\", X-Api-Key = \"'k3y'\" }",
    ),
    (
        "programs",
        "access = \"rule\"\nallow = \"true\"\nassertion = true",
    ),
];

/// Headers that a client must not receive.
const SECRET_HEADERS: [&str; 4] = [
    "authorization",
    "x-api-key",
    "x-remote-user",
    "x-menshen-assertion",
];

/// Starts menshen with these routes, each with `more` lines.
async fn start_menshen(more: &str, ext_authz: &str) -> Menshen {
    let route = |(name, lines): (&str, &str)| {
        format!(
            "[[route]]\nname = \"{name}\"\nhost = \"sso.test\"\npath = \"/{name}\"\n\
             upstream = [\"{{app}}\"]\n{lines}\n{more}\n"
        )
    };
    let home = [("echo", "")];
    let routes: String = home
        .into_iter()
        .chain(ROUTES_WITH_HEADERS)
        .map(route)
        .collect();
    let setup = Setup::default().server(TRUST_LOOPBACK).routes(&routes);
    setup.tables(ext_authz).start().await
}

/// The check faces that clients may also reach.
fn check_faces() -> impl Iterator<Item = Face> {
    Face::ALL.into_iter().filter(|face| *face != Face::Proxy)
}

/// The headers with which a face allows a request.
async fn check_headers(
    menshen: &Menshen,
    face: Face,
    name: &str,
    cookie: &str,
) -> BTreeMap<String, String> {
    let original = OriginalRequest::get(&format!("/{name}"));
    let original = original.header("Cookie", &format!("menshen={cookie}"));
    let response = original.send_to(face, menshen.address()).await;
    assert!(
        response.answer.status < 300,
        "{face:?} {name}: {:?}",
        response.answer
    );
    response.answer.headers.into_iter().collect()
}

fn user_header(face: Face) -> &'static str {
    match face {
        Face::Auth | Face::ForwardAuth => "x-auth-request-user",
        Face::Envoy | Face::Grpc | Face::Proxy => "x-forwarded-user",
    }
}

#[tokio::test]
async fn a_visitor_at_the_check_paths_reads_no_application_headers() {
    let menshen = start_menshen("", GRPC_ON_MAIN).await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    for face in check_faces() {
        for (name, _) in ROUTES_WITH_HEADERS {
            let headers = check_headers(&menshen, face, name, &cookie).await;
            let read = SECRET_HEADERS
                .iter()
                .find(|secret| headers.contains_key(**secret));
            assert_eq!(read, None, "{face:?} {name}: {headers:?}");
            // The user name is disclosed, with the value that the route sends.
            let login = if name == "renamed" {
                "corp/lisi"
            } else {
                "lisi"
            };
            assert_eq!(headers[user_header(face)], login, "{face:?} {name}");
        }
    }
}

#[tokio::test]
async fn a_route_with_all_headers_discloses_them_on_checks() {
    let menshen = start_menshen("check_headers = \"all\"", GRPC_ON_MAIN).await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    for face in check_faces() {
        for (name, secrets) in [
            ("basic", &["authorization"][..]),
            ("own", &["x-api-key", "x-remote-user", "authorization"]),
            ("assertion", &["x-menshen-assertion"]),
            ("public", &["x-api-key"]),
            ("renamed", &["x-api-key"]),
        ] {
            let headers = check_headers(&menshen, face, name, &cookie).await;
            for secret in secrets {
                assert!(
                    headers.contains_key(*secret),
                    "{face:?} {name}: {headers:?}"
                );
            }
            let login = if name == "renamed" {
                "corp/lisi"
            } else {
                "lisi"
            };
            assert_eq!(headers[user_header(face)], login, "{face:?} {name}");
        }
    }
}

#[tokio::test]
async fn envoy_removes_forged_headers_that_the_check_does_not_set() {
    let menshen = start_menshen("", GRPC_ON_MAIN).await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    for face in [Face::Envoy, Face::Grpc] {
        let original = OriginalRequest::get("/own")
            .header("Cookie", &format!("menshen={cookie}"))
            .header("X-Api-Key", "mine")
            .header("Authorization", "Key mine");
        let answer = original.send_to(face, menshen.address()).await.answer;
        for name in ["x-api-key", "authorization", "x-remote-user"] {
            assert_eq!(answer.header(name), None, "{face:?}");
        }
        if face == Face::Envoy {
            let removed = answer.header("x-envoy-auth-headers-to-remove").unwrap();
            let removed: Vec<_> = removed.split(',').collect();
            for name in ["x-api-key", "authorization", "x-remote-user"] {
                assert!(removed.contains(&name), "{name}: {removed:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_grpc_listener_returns_all_headers() {
    let menshen = start_menshen("", "[ext_authz]\ngrpc_listen = \"127.0.0.1:0\"\n").await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let mut envoy = grpc_client(&menshen).await;
    for (name, secret) in [
        ("basic", "authorization"),
        ("own", "x-api-key"),
        ("assertion", "x-menshen-assertion"),
    ] {
        let question = check_request(&format!("/{name}")).session(&cookie);
        let result = parse_response(&envoy.check(&question.json()).await);
        assert!(result.set.contains_key(secret), "{name}: {result:?}");
    }
}
