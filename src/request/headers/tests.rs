use std::sync::Arc;

use http::header::{AUTHORIZATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use super::*;
use crate::request::fixture::{Sender, anonymous, permit_and_rewrite, route, rule, zhang};
use crate::request::gate::Caller;
use crate::request::route::{BasicAuth, HeaderEncoding, PathPrefix, Route};
use crate::secret::Secret;

mod properties;
mod responses;

fn request_parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder()
        .uri(uri)
        .header("host", "oa.corp.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The request that an upstream parses, and the rewrite of its response.
fn forwarded(route: Route, caller: Caller, parts: Parts) -> (Parts, ResponseRewrite) {
    forwarded_from(Sender::Client, route, caller, parts)
}

fn forwarded_from(
    sender: Sender,
    route: Route,
    caller: Caller,
    parts: Parts,
) -> (Parts, ResponseRewrite) {
    let (_, request_rewrite) = permit_and_rewrite(&Arc::new(route), caller, &parts, sender);
    let response_rewrite = request_rewrite.response_rewrite(&parts);
    let mut head = Vec::new();
    let upstream = HeaderValue::from_static("up.internal:80");
    let origin = UpstreamOrigin {
        authority: &upstream,
        tls: false,
    };
    request_rewrite.write(
        &mut head,
        &parts,
        &response_rewrite,
        origin,
        BodyLength::NoBody,
    );
    let mut lines = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut lines);
    assert_eq!(
        parsed.parse(&head),
        Ok(httparse::Status::Complete(head.len()))
    );
    let mut request = Request::builder()
        .method(parsed.method.unwrap())
        .uri(parsed.path.unwrap());
    for line in parsed.headers {
        request = request.header(line.name, line.value);
    }
    (request.body(()).unwrap().into_parts().0, response_rewrite)
}

/// The headers that the upstream of a public route receives from an anonymous client.
fn forwarded_headers(headers: &[(&str, &str)]) -> HeaderMap {
    forwarded(route(), anonymous(), request_parts("/", headers))
        .0
        .headers
}

fn route_with_custom_headers(custom: &[(&'static str, &str)]) -> Route {
    let mut route = route();
    route.headers.custom = custom
        .iter()
        .map(|(name, source)| (HeaderName::from_static(name), rule(source)))
        .collect();
    route
}

#[test]
fn identity_headers_are_set_and_those_of_the_client_removed() {
    let spoofed = request_parts(
        "/",
        &[("X-Forwarded-User", "root"), ("x_forwarded_user", "root")],
    );
    let (parts, _) = forwarded(route(), zhang(), spoofed);
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-forwarded-user"), Some("zhangsan"));
    assert_eq!(header("x-forwarded-preferred-username"), Some("zhangsan"));
    assert_eq!(header("x-forwarded-name"), Some("%E5%BC%A0%E4%B8%89"));
    assert_eq!(header("x-forwarded-email"), Some("zs@corp.example"));
    assert_eq!(
        header("x-forwarded-groups"),
        Some("%E8%B4%A2%E5%8A%A1%E9%83%A8,a%2Cb")
    );
    assert_eq!(header("x_forwarded_user"), None);
    assert!(forwarded_headers(&[]).get("x-forwarded-user").is_none());
}

#[test]
fn the_route_determines_how_a_person_is_encoded() {
    use HeaderEncoding::{Base64, Percent, Rfc8187, Utf8};
    let caller = zhang();
    // The second round uses the cached encodings.
    for _ in 0..2 {
        for (encoding, name) in [
            (Percent, "%E5%BC%A0%E4%B8%89"),
            (Utf8, "张三"),
            (Base64, "5byg5LiJ"),
            (Rfc8187, "UTF-8''%E5%BC%A0%E4%B8%89"),
        ] {
            let mut route = route();
            route.headers.encoding = encoding;
            let (parts, _) = forwarded(route, caller.clone(), request_parts("/", &[]));
            assert_eq!(
                parts.headers["x-forwarded-name"].as_bytes(),
                name.as_bytes()
            );
            assert!(parts.headers.contains_key("x-forwarded-groups"));
        }
    }
}

#[test]
fn forwarding_headers_are_replaced_unless_a_trusted_peer_sent_them() {
    let sent_headers = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-request-id", "abc-1"),
        ("forwarded", "for=x"),
    ];
    let headers = forwarded_headers(&sent_headers);
    assert_eq!(headers["x-forwarded-for"], "10.0.0.9");
    assert_eq!(headers["x-real-ip"], "10.0.0.9");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "oa.corp.example");
    assert_eq!(headers["x-forwarded-port"], "443");
    assert_ne!(headers["x-request-id"], "abc-1");
    assert!(!headers.contains_key("forwarded"));
    let trusted = forwarded_from(
        Sender::TrustedProxy,
        route(),
        anonymous(),
        request_parts("/", &sent_headers),
    )
    .0
    .headers;
    assert_eq!(trusted["x-forwarded-for"], "192.0.2.7, 10.0.0.9");
    assert_eq!(trusted["x-real-ip"], "192.0.2.7");
    assert_eq!(trusted["x-request-id"], "abc-1");
    let with_invalid_id = forwarded_from(
        Sender::TrustedProxy,
        route(),
        anonymous(),
        request_parts("/", &[("x-request-id", "a b")]),
    )
    .0
    .headers;
    assert_eq!(with_invalid_id["x-request-id"].len(), 32);
}

#[test]
fn a_valid_trace_is_continued_and_an_invalid_one_replaced() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let headers = forwarded_headers(&[("traceparent", parent), ("tracestate", "a=b")]);
    let text = headers["traceparent"].to_str().unwrap();
    // The trace ID and the flags are kept, and the span ID between them is new.
    assert_eq!((&text[..36], &text[52..]), (&parent[..36], "-00"));
    assert_ne!(text, parent);
    assert_eq!(headers["tracestate"], "a=b");
    for invalid in [
        "00-0-0-0",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "",
    ] {
        let headers = forwarded_headers(&[("traceparent", invalid), ("tracestate", "a=b")]);
        assert_eq!(headers["traceparent"].len(), 55);
        assert_ne!(headers["traceparent"], invalid);
        assert!(!headers.contains_key("tracestate"), "{invalid}");
    }
}

#[test]
fn hop_by_hop_headers_are_removed_and_connection_cannot_remove_identity_headers() {
    let sent_headers = [
        (
            "connection",
            "close, X-Custom, x-forwarded-user, X-Forwarded-For, host",
        ),
        ("x-custom", "1"),
        ("keep-alive", "5"),
        ("te", "gzip, trailers"),
        ("proxy-authorization", "Basic eA=="),
        ("transfer_encoding", "chunked"),
        ("proxy", "evil"),
        ("x-original-url", "/admin"),
        ("accept", "text/html"),
    ];
    let headers = forwarded(route(), zhang(), request_parts("/", &sent_headers))
        .0
        .headers;
    for removed in [
        "x-custom",
        "keep-alive",
        "proxy-authorization",
        "transfer_encoding",
        "proxy",
        "x-original-url",
    ] {
        assert!(!headers.contains_key(removed), "{removed}");
    }
    assert_eq!(headers["accept"], "text/html");
    assert_eq!(headers["x-forwarded-user"], "zhangsan");
    assert_eq!(headers["host"], "oa.corp.example");
    assert_eq!(
        (&headers["connection"], &headers["te"]),
        (
            &HeaderValue::from_static("te"),
            &HeaderValue::from_static("trailers")
        )
    );
}

#[test]
fn pass_headers_never_passes_identity_headers() {
    let mut route = route();
    route.headers.pass = ["x-original-url", "x-forwarded-user", "connection"]
        .map(HeaderName::from_static)
        .to_vec();
    let sent_headers = request_parts(
        "/",
        &[
            ("x-original-url", "/a"),
            ("x-forwarded-user", "root"),
            ("connection", "close"),
            ("x-rewrite-url", "/b"),
        ],
    );
    let headers = forwarded(route, anonymous(), sent_headers).0.headers;
    assert_eq!(headers["x-original-url"], "/a");
    for removed in ["x-forwarded-user", "connection", "x-rewrite-url"] {
        assert!(!headers.contains_key(removed), "{removed}");
    }
}

#[test]
fn method_overrides_are_removed_only_where_a_rule_reads_the_method() {
    let sent_headers = [("x-http-method-override", "DELETE")];
    assert!(forwarded_headers(&sent_headers).contains_key("x-http-method-override"));
    let mut route = route();
    route.allow = Some(rule("request.method == 'GET'"));
    let headers = forwarded(route, anonymous(), request_parts("/", &sent_headers))
        .0
        .headers;
    assert!(!headers.contains_key("x-http-method-override"));
}

#[test]
fn custom_headers_are_set_or_absent() {
    let route = route_with_custom_headers(&[
        ("x-remote-user", "user.login"),
        ("x-groups", "user.groups"),
        ("x-number", "1 + 1"),
        ("x-missing", "user.attributes.badge"),
        ("x-wrong", "user.login + 1"),
        ("x-null", "null"),
        ("x-forwarded-email", "'other@corp.example'"),
        ("x_forwarded_name", "user.login"),
        ("host", "'evil'"),
    ]);
    let sent_headers = request_parts(
        "/",
        &[
            ("x_remote.user", "root"),
            ("x-missing", "1"),
            ("x-null", "1"),
        ],
    );
    let headers = forwarded(route, zhang(), sent_headers).0.headers;
    assert_eq!(headers["x-remote-user"], "zhangsan");
    assert_eq!(headers["x-groups"], "%E8%B4%A2%E5%8A%A1%E9%83%A8,a%2Cb");
    assert_eq!(headers["x-number"], "2");
    assert_eq!(headers["x-forwarded-email"], "other@corp.example");
    assert_eq!(headers["host"], "oa.corp.example");
    assert_eq!(headers["x_forwarded_name"], "zhangsan");
    for removed in [
        "x-missing",
        "x-wrong",
        "x-null",
        "x_remote.user",
        "x-forwarded-name",
    ] {
        assert!(!headers.contains_key(removed), "{removed}");
    }
}

#[test]
fn authorization_is_forwarded_unless_the_route_sets_it() {
    let sent_headers = [("authorization", "Bearer theirs")];
    assert_eq!(
        forwarded_headers(&sent_headers)["authorization"],
        "Bearer theirs"
    );
    let mut route = route();
    let password = Secret::new("secret".to_owned());
    route.headers.basic_auth = Some(BasicAuth {
        user: rule("user.login"),
        password,
    });
    let headers = forwarded(route.clone(), zhang(), request_parts("/", &sent_headers))
        .0
        .headers;
    assert_eq!(headers[AUTHORIZATION], "Basic emhhbmdzYW46c2VjcmV0");
    let (_, request_rewrite) = permit_and_rewrite(
        &Arc::new(route.clone()),
        zhang(),
        &request_parts("/", &sent_headers),
        Sender::Client,
    );
    let shown = format!("{request_rewrite:?}");
    assert!(!shown.contains("emhhbmdzYW4"), "{shown}");
    let headers = forwarded(route, anonymous(), request_parts("/", &sent_headers))
        .0
        .headers;
    assert!(!headers.contains_key(AUTHORIZATION));
}

#[test]
fn every_encoding_expresses_or_refuses_a_text_and_keeps_list_elements_apart() {
    use HeaderEncoding::{Base64, Percent, Rfc8187, Utf8};
    let encode_one =
        |encoding, value| encode_text(encoding, value).map(|value| value.as_bytes().to_vec());
    assert_eq!(
        encode_one(Percent, "100%, \r\n ").unwrap(),
        b"100%25%2C %0D%0A%20"
    );
    assert_eq!(
        encode_one(Rfc8187, "张 三").unwrap(),
        b"UTF-8''%E5%BC%A0%20%E4%B8%89"
    );
    assert_eq!(encode_one(Rfc8187, "plain").unwrap(), b"plain");
    assert_eq!(
        encode_one(Rfc8187, "UTF-8''x").unwrap(),
        b"UTF-8''UTF-8%27%27x"
    );
    assert_eq!(encode_one(Utf8, "张三").unwrap(), "张三".as_bytes());
    assert_eq!(encode_one(Utf8, "a\r\nb"), Err(EncodeError::Forbidden));
    assert_eq!(encode_one(Base64, "张三").unwrap(), b"5byg5LiJ");
    assert_eq!(encode_one(Base64, "a\0"), Err(EncodeError::Forbidden));
    assert_eq!(
        encode_one(Percent, &"x".repeat(VALUE_BYTES_MAX + 1)),
        Err(EncodeError::TooLong)
    );
    let encode_many = |encoding| {
        let (value, refused) = encode_list(encoding, ["a,b", "", "c", "张"]);
        (
            String::from_utf8(value.unwrap().as_bytes().to_vec()).unwrap(),
            refused,
        )
    };
    assert_eq!(encode_many(Percent), ("a%2Cb,c,%E5%BC%A0".to_owned(), 0));
    assert_eq!(
        encode_many(Rfc8187),
        ("UTF-8''a%2Cb,c,UTF-8''%E5%BC%A0".to_owned(), 0)
    );
    assert_eq!(encode_many(Utf8), ("c,张".to_owned(), 1));
    assert_eq!(encode_many(Base64), ("YSUyQ2IsYyzlvKA=".to_owned(), 0));
    assert_eq!(encode_list(Percent, []), (None, 0));
}

#[test]
fn own_cookies_are_removed_and_others_pass_byte_for_byte() {
    let without_own = |line: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_bytes(line).unwrap());
        let mut head = Vec::new();
        cookies::write_application_cookies(&mut head, &headers, &ProtectedHeaders::default());
        let line = head.strip_prefix(b"cookie: ");
        line.map(|line| line.strip_suffix(b"\r\n").unwrap().to_vec())
    };
    assert_eq!(
        without_own(b"a=b; menshen=x; c=\xd5\xc5 ").unwrap(),
        b"a=b; c=\xd5\xc5 "
    );
    assert_eq!(without_own(b"__Host-menshen=x;c=d").unwrap(), b"c=d");
    assert_eq!(without_own(b"menshen-flow-1=x; __SECURE-MENSHEN=y"), None);
    assert_eq!(
        without_own(b"a=1;;b;menshenx=2").unwrap(),
        b"a=1;;b;menshenx=2"
    );
    assert_eq!(without_own(b"menshen"), None);
    assert_eq!(
        without_own(b" ; ;a=1; menshen=x;;b=2").unwrap(),
        b"a=1;;b=2"
    );
    assert_eq!(without_own(b"; menshen=x; ; a=1;").unwrap(), b"a=1;");
}

#[test]
fn an_upstream_cannot_set_own_cookies() {
    let mut headers = HeaderMap::new();
    for value in [
        "menshen=x",
        " __host-MENSHEN = x; Path=/",
        "=menshen=x",
        "== menshen=x",
        "a=menshen",
    ] {
        headers.append(SET_COOKIE, HeaderValue::from_static(value));
    }
    cookies::remove_own_set_cookies(&mut headers, None);
    let remaining: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
    assert_eq!(remaining, ["a=menshen"]);
}

/// A route below `/app/` that removes this prefix.
fn route_that_strips_app() -> Route {
    let path = PathPrefix::try_from("/app/".to_owned()).unwrap();
    Route {
        path,
        strip_path: true,
        ..route()
    }
}

#[test]
fn a_prefix_is_removed_and_the_rest_unchanged() {
    for (from, to) in [
        ("/app/a%2fb?x=%zz&y", "/a%2fb?x=%zz&y"),
        ("/app/", "/"),
        ("/app/a//b;c", "/a//b;c"),
    ] {
        let (parts, _) = forwarded(
            route_that_strips_app(),
            anonymous(),
            request_parts(from, &[]),
        );
        assert_eq!(parts.uri.to_string(), to);
        assert_eq!(parts.headers["x-forwarded-prefix"], "/app");
    }
    let (unchanged, _) = forwarded(
        route(),
        anonymous(),
        request_parts("https://oa.corp.example/a?b", &[]),
    );
    assert_eq!(unchanged.uri.to_string(), "/a?b");
}
