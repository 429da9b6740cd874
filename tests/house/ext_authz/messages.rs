//! Builds check requests and parses check responses.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A `CheckRequest` as Envoy sends it.
#[derive(Clone, Debug)]
pub(crate) struct GrpcCheck {
    http: Value,
    route: Option<String>,
}

/// A check of a GET on the login host, from 192.0.2.7.
pub(crate) fn check_request(path: &str) -> GrpcCheck {
    GrpcCheck {
        http: json!({
            "method": "GET", "path": path, "host": "sso.test", "scheme": "http",
            "headers": { ":authority": "sso.test", ":method": "GET" },
        }),
        route: None,
    }
}

impl GrpcCheck {
    fn set(mut self, key: &str, value: &str) -> Self {
        self.http[key] = json!(value);
        self
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.set("host", host)
    }

    pub(crate) fn method(self, method: &str) -> Self {
        self.set("method", method)
    }

    pub(crate) fn scheme(self, scheme: &str) -> Self {
        self.set("scheme", scheme)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.http["headers"][name.to_ascii_lowercase()] = json!(value);
        self
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        let add = |ask: Self, (name, value): &(&str, &str)| ask.header(name, value);
        headers.iter().fold(self, add)
    }

    /// Adds the session cookie of a site on plain HTTP.
    pub(crate) fn session(self, cookie: &str) -> Self {
        self.header("cookie", &format!("menshen={cookie}"))
    }

    /// Names the route to decide on.
    pub(crate) fn route(self, name: &str) -> Self {
        let route = Some(name.to_owned());
        Self { route, ..self }
    }

    /// The `CheckRequest` as JSON.
    pub(crate) fn json(&self) -> Value {
        let source = json!({ "address": { "socket_address": { "address": "192.0.2.7" } } });
        let mut check = json!({
            "attributes": { "source": source, "request": { "http": self.http } },
        });
        if let Some(route) = &self.route {
            check["attributes"]["context_extensions"] = json!({ "route": route });
        }
        check
    }
}

/// Encodes a length-delimited field of a protocol buffer.
pub(crate) fn protobuf_field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(content);
    bytes
}

/// A parsed `CheckResponse`.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckResult {
    /// The gRPC code; 0 allows the request.
    pub(crate) code: i64,
    /// The HTTP status for the client, if the request is refused.
    pub(crate) http: Option<i64>,
    /// The headers to set in the request, or those of the refusal.
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) removed: Vec<String>,
    /// The headers to add to the application's response.
    pub(crate) to_client: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl CheckResult {
    pub(crate) fn reason(&self) -> &str {
        self.set.get("x-menshen-reason").map_or("", String::as_str)
    }
}

/// Parses the JSON of a `CheckResponse`. Exactly one of the two responses must be present, and it
/// must match the code.
pub(crate) fn parse_response(answer: &Value) -> CheckResult {
    let code = answer["status"]["code"].as_i64().unwrap_or(0);
    assert!(answer.get("status").is_some(), "{answer}");
    let headers = |options: &Value| {
        let options = options.as_array().into_iter().flatten();
        let pairs = options.map(|option| {
            let header = &option["header"];
            let value = header["value"].as_str().unwrap_or("");
            (header["key"].as_str().unwrap().to_owned(), value.to_owned())
        });
        pairs.collect()
    };
    match (answer.get("ok_response"), answer.get("denied_response")) {
        (Some(ok), None) => {
            assert_eq!(code, 0, "{answer}");
            let removed = ok["headers_to_remove"].as_array().into_iter().flatten();
            CheckResult {
                code,
                set: headers(&ok["headers"]),
                removed: removed
                    .map(|name| name.as_str().unwrap().to_owned())
                    .collect(),
                to_client: headers(&ok["response_headers_to_add"]),
                ..CheckResult::default()
            }
        }
        (None, Some(denied)) => {
            assert_ne!(code, 0, "{answer}");
            assert!(answer.get("dynamic_metadata").is_none(), "{answer}");
            CheckResult {
                code,
                http: Some(status(&denied["status"]["code"])),
                set: headers(&denied["headers"]),
                body: denied["body"].as_str().unwrap_or("").to_owned(),
                ..CheckResult::default()
            }
        }
        _ => panic!("one response: {answer}"),
    }
}

fn status(code: &Value) -> i64 {
    match code.as_str() {
        Some("Found") => 302,
        Some("Unauthorized") => 401,
        Some("Forbidden") => 403,
        Some("ServiceUnavailable") => 503,
        Some(other) => panic!("{other}"),
        None => code.as_i64().unwrap(),
    }
}
