//! Builds `CheckResponse` messages.

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;

use super::wire::{
    self, CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpStatus, ListValue,
    OkHttpResponse, Status, Struct, StructField, Value,
};
use crate::request::Body;
use crate::request::gate::Caller;
use crate::request::headers::{HeaderChanges, RequestId};
use crate::request::policy::Permit;

/// The gRPC status codes in use.
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// Values of `append_action`: add a header, or replace it.
const APPEND: i32 = 0;
const OVERWRITE: i32 = 2;

/// The usual size of a response, so that its bytes need one allocation.
const CAPACITY_BYTES: usize = 2048;

/// The response to an allowed request: header changes, the caller's identity, and a renewed session
/// cookie.
pub(super) fn ok_response(
    permit: &Permit,
    changes: &HeaderChanges,
    cookie: Option<&str>,
    id: &RequestId,
) -> CheckResponse {
    let mut buffer = SharedBuffer::default();
    let added = changes.added().iter();
    let headers = added.map(|(name, value)| buffer.header_option(name, value, OVERWRITE));
    let headers = headers.collect();
    let removed = changes.removed().iter();
    let headers_to_remove = removed.map(|name| buffer.bytes(name.as_str().as_bytes()));
    let headers_to_remove = headers_to_remove.collect();
    let mut response_headers_to_add = Vec::new();
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(cookie).ok()) {
        // Shared caches must not store a response that sets a session cookie.
        let private = HeaderValue::from_static("private, no-cache");
        response_headers_to_add.push(buffer.header_option(&CACHE_CONTROL, &private, OVERWRITE));
        response_headers_to_add.push(buffer.header_option(&SET_COOKIE, &cookie, APPEND));
    }
    CheckResponse {
        status: Some(Status { code: OK }),
        ok_response: Some(OkHttpResponse {
            headers,
            headers_to_remove,
            response_headers_to_add,
        }),
        dynamic_metadata: Some(buffer.identity(permit, id)),
        ..CheckResponse::default()
    }
}

/// The response to a refused request: what Envoy sends to the client.
pub(super) async fn denied_response(response: Response<Body>) -> CheckResponse {
    let (parts, body) = response.into_parts();
    let code = match parts.status {
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        redirect if redirect.is_redirection() => UNAUTHENTICATED,
        _ => PERMISSION_DENIED,
    };
    // menshen's own bodies are complete in memory; after an error the refusal has no body.
    let body = body.collect().await;
    let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let mut buffer = SharedBuffer::default();
    let headers = parts.headers.iter();
    // Envoy sets Content-Length itself.
    let headers = headers.filter(|(name, _)| *name != CONTENT_LENGTH);
    // Repeated names, such as Set-Cookie, are adjacent.
    let mut previous = None;
    let headers = headers.map(|(name, value)| {
        let is_repeated = previous.replace(name) == Some(name);
        let action = if is_repeated { APPEND } else { OVERWRITE };
        buffer.header_option(name, value, action)
    });
    CheckResponse {
        status: Some(Status { code }),
        denied_response: Some(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: parts.status.as_u16().into(),
            }),
            headers: headers.collect(),
            body,
        }),
        ..CheckResponse::default()
    }
}

/// One buffer for all bytes of a response, so that most responses need one allocation.
struct SharedBuffer(BytesMut);

impl Default for SharedBuffer {
    fn default() -> Self {
        Self(BytesMut::with_capacity(CAPACITY_BYTES))
    }
}

impl SharedBuffer {
    fn bytes(&mut self, bytes: &[u8]) -> Bytes {
        self.0.extend_from_slice(bytes);
        self.0.split().freeze()
    }

    fn header_option(
        &mut self,
        name: &HeaderName,
        value: &HeaderValue,
        append_action: i32,
    ) -> HeaderValueOption {
        let bytes = self.bytes(value.as_bytes());
        let (value, raw_value) = match std::str::from_utf8(&bytes) {
            Ok(_) => (bytes, Bytes::new()),
            Err(_) => (Bytes::new(), bytes),
        };
        HeaderValueOption {
            header: Some(wire::HeaderValue {
                key: self.bytes(name.as_str().as_bytes()),
                value,
                raw_value,
            }),
            append_action,
        }
    }

    /// The caller's identity as dynamic metadata for later filters; never a token.
    fn identity(&mut self, permit: &Permit, id: &RequestId) -> Struct {
        let mut fields = Vec::with_capacity(7);
        let mut add = |key: &'static str, value| fields.push(StructField::new(key, value));
        match permit.caller() {
            Caller::Anonymous(_) => {}
            Caller::Person(person) => {
                let session = &person.session;
                add("login", self.text(session.login.as_str()));
                add("account", self.text(&session.account.to_string()));
                add("session", self.text(&session.public_id.to_string()));
                add("connector", self.text(session.via.as_str()));
                let groups = person.entitlements.fields.groups.iter();
                let values = groups.map(|group| self.text(group)).collect();
                let list = Some(ListValue { values });
                add("groups", Value { text: None, list });
            }
            Caller::Program(program) => {
                add("issuer", self.text(program.issuer.as_str()));
                add("subject", self.text(program.subject.as_str()));
            }
        }
        add("route", self.text(permit.route().name.as_str()));
        add("request_id", self.text(id.as_str()));
        Struct { fields }
    }

    fn text(&mut self, text: &str) -> Value {
        Value {
            text: Some(self.bytes(text.as_bytes())),
            list: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn both_cookies_of_a_denied_response_reach_the_client() {
        let body = Full::new(Bytes::from_static(b"no")).map_err(|never| match never {});
        let response = Response::builder()
            .status(302)
            .header("set-cookie", "a=1")
            .header("location", "/x")
            .header("set-cookie", "b=2")
            .body(Body::new(body));
        let answer = denied_response(response.unwrap()).await;
        let denied = answer.denied_response.unwrap();
        let options: Vec<_> = denied
            .headers
            .iter()
            .map(|option| {
                let header = option.header.clone().unwrap();
                (header.key, header.value, option.append_action)
            })
            .collect();
        let option = |name, value, action| (Bytes::from(name), Bytes::from(value), action);
        assert_eq!(
            options,
            [
                option("set-cookie", "a=1", OVERWRITE),
                option("set-cookie", "b=2", APPEND),
                option("location", "/x", OVERWRITE),
            ]
        );
        assert_eq!(
            (answer.status.unwrap().code, &denied.body[..]),
            (16, &b"no"[..])
        );
    }
}
