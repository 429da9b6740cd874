use std::sync::Arc;

use http::header::{AUTHORIZATION, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use proptest::prelude::*;

use super::protected_headers::are_aliases;
use super::*;
use crate::request::fixture::{anonymous, permit_and_rewrite, route, rule, zhang};
use crate::request::gate::Caller;
use crate::request::route::{BasicAuth, HeaderEncoding, PathPrefix, Route};
use crate::secret::Secret;

const IDENTITY: [&str; 9] = [
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-name",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-menshen-assertion",
    "x-remote-user",
];

fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder()
        .uri(uri)
        .header("host", "oa.corp.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The request that an upstream parses, and the rewrite of its response.
fn sent_by(route: Route, caller: Caller, parts: Parts, trusted: bool) -> (Parts, ResponseRewrite) {
    let (_, request_rewrite) = permit_and_rewrite(&Arc::new(route), caller, &parts, trusted);
    let response_rewrite = request_rewrite.response_rewrite(&parts);
    let mut head = Vec::new();
    let upstream = HeaderValue::from_static("up.internal:80");
    let name = UpstreamOrigin {
        authority: &upstream,
        tls: false,
    };
    request_rewrite.write(
        &mut head,
        &parts,
        &response_rewrite,
        name,
        BodyLength::NoBody,
    );
    let mut lines = [httparse::EMPTY_HEADER; 100];
    let mut read = httparse::Request::new(&mut lines);
    assert_eq!(
        read.parse(&head),
        Ok(httparse::Status::Complete(head.len()))
    );
    let mut request = Request::builder()
        .method(read.method.unwrap())
        .uri(read.path.unwrap());
    for line in read.headers {
        request = request.header(line.name, line.value);
    }
    (request.body(()).unwrap().into_parts().0, response_rewrite)
}

fn sent(headers: &[(&str, &str)]) -> HeaderMap {
    sent_by(route(), anonymous(), parts("/", headers), false)
        .0
        .headers
}

fn with_own(own: &[(&'static str, &str)]) -> Route {
    let mut route = route();
    route.headers.custom = own
        .iter()
        .map(|(name, source)| (HeaderName::from_static(name), rule(source)))
        .collect();
    route
}

#[test]
fn identity_headers_are_set_and_those_of_the_client_removed() {
    let spoofed = parts(
        "/",
        &[("X-Forwarded-User", "root"), ("x_forwarded_user", "root")],
    );
    let (parts, _) = sent_by(route(), zhang(), spoofed, false);
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
    assert!(sent(&[]).get("x-forwarded-user").is_none());
}

#[test]
fn one_person_is_encoded_as_each_route_says() {
    use HeaderEncoding::{Base64, Percent, Rfc8187, Utf8};
    let caller = zhang();
    for _ in 0..2 {
        for (encoding, name) in [
            (Percent, "%E5%BC%A0%E4%B8%89"),
            (Utf8, "张三"),
            (Base64, "5byg5LiJ"),
            (Rfc8187, "UTF-8''%E5%BC%A0%E4%B8%89"),
        ] {
            let mut route = route();
            route.headers.encoding = encoding;
            let (parts, _) = sent_by(route, caller.clone(), parts("/", &[]), false);
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
    let headers = sent(&sent_headers);
    assert_eq!(headers["x-forwarded-for"], "10.0.0.9");
    assert_eq!(headers["x-real-ip"], "10.0.0.9");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], "oa.corp.example");
    assert_eq!(headers["x-forwarded-port"], "443");
    assert_ne!(headers["x-request-id"], "abc-1");
    assert!(!headers.contains_key("forwarded"));
    let trusted = sent_by(route(), anonymous(), parts("/", &sent_headers), true)
        .0
        .headers;
    assert_eq!(trusted["x-forwarded-for"], "192.0.2.7, 10.0.0.9");
    assert_eq!(trusted["x-real-ip"], "192.0.2.7");
    assert_eq!(trusted["x-request-id"], "abc-1");
    let odd = sent_by(
        route(),
        anonymous(),
        parts("/", &[("x-request-id", "a b")]),
        true,
    )
    .0
    .headers;
    assert_eq!(odd["x-request-id"].len(), 32);
}

#[test]
fn a_valid_trace_is_continued_and_a_broken_one_replaced() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let headers = sent(&[("traceparent", parent), ("tracestate", "a=b")]);
    let text = headers["traceparent"].to_str().unwrap();
    assert_eq!((&text[..36], &text[52..]), (&parent[..36], "-00"));
    assert_ne!(text, parent);
    assert_eq!(headers["tracestate"], "a=b");
    for broken in [
        "00-0-0-0",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "",
    ] {
        let headers = sent(&[("traceparent", broken), ("tracestate", "a=b")]);
        assert_eq!(headers["traceparent"].len(), 55);
        assert_ne!(headers["traceparent"], broken);
        assert!(!headers.contains_key("tracestate"), "{broken}");
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
    let headers = sent_by(route(), zhang(), parts("/", &sent_headers), false)
        .0
        .headers;
    for gone in [
        "x-custom",
        "keep-alive",
        "proxy-authorization",
        "transfer_encoding",
        "proxy",
        "x-original-url",
    ] {
        assert!(!headers.contains_key(gone), "{gone}");
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
    let sent_headers = parts(
        "/",
        &[
            ("x-original-url", "/a"),
            ("x-forwarded-user", "root"),
            ("connection", "close"),
            ("x-rewrite-url", "/b"),
        ],
    );
    let headers = sent_by(route, anonymous(), sent_headers, false).0.headers;
    assert_eq!(headers["x-original-url"], "/a");
    for gone in ["x-forwarded-user", "connection", "x-rewrite-url"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn method_overrides_are_removed_only_where_a_rule_reads_the_method() {
    let sent_headers = [("x-http-method-override", "DELETE")];
    assert!(sent(&sent_headers).contains_key("x-http-method-override"));
    let mut route = route();
    route.allow = Some(rule("request.method == 'GET'"));
    let headers = sent_by(route, anonymous(), parts("/", &sent_headers), false)
        .0
        .headers;
    assert!(!headers.contains_key("x-http-method-override"));
}

#[test]
fn custom_headers_are_set_or_absent() {
    let route = with_own(&[
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
    let sent_headers = parts(
        "/",
        &[
            ("x_remote.user", "root"),
            ("x-missing", "1"),
            ("x-null", "1"),
        ],
    );
    let headers = sent_by(route, zhang(), sent_headers, false).0.headers;
    assert_eq!(headers["x-remote-user"], "zhangsan");
    assert_eq!(headers["x-groups"], "%E8%B4%A2%E5%8A%A1%E9%83%A8,a%2Cb");
    assert_eq!(headers["x-number"], "2");
    assert_eq!(headers["x-forwarded-email"], "other@corp.example");
    assert_eq!(headers["host"], "oa.corp.example");
    assert_eq!(headers["x_forwarded_name"], "zhangsan");
    for gone in [
        "x-missing",
        "x-wrong",
        "x-null",
        "x_remote.user",
        "x-forwarded-name",
    ] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn authorization_is_forwarded_unless_the_route_sets_it() {
    let sent_headers = [("authorization", "Bearer theirs")];
    assert_eq!(sent(&sent_headers)["authorization"], "Bearer theirs");
    let mut route = route();
    let password = Secret::new("secret".to_owned());
    route.headers.basic_auth = Some(BasicAuth {
        user: rule("user.login"),
        password,
    });
    let headers = sent_by(route.clone(), zhang(), parts("/", &sent_headers), false)
        .0
        .headers;
    assert_eq!(headers[AUTHORIZATION], "Basic emhhbmdzYW46c2VjcmV0");
    let (_, request_rewrite) = permit_and_rewrite(
        &Arc::new(route.clone()),
        zhang(),
        &parts("/", &sent_headers),
        false,
    );
    let shown = format!("{request_rewrite:?}");
    assert!(!shown.contains("emhhbmdzYW4"), "{shown}");
    let headers = sent_by(route, anonymous(), parts("/", &sent_headers), false)
        .0
        .headers;
    assert!(!headers.contains_key(AUTHORIZATION));
}

#[test]
fn every_encoding_keeps_list_elements_apart() {
    use HeaderEncoding::{Base64, Percent, Rfc8187, Utf8};
    let one = |encoding, value| text(encoding, value).map(|value| value.as_bytes().to_vec());
    assert_eq!(one(Percent, "100%, \r\n ").unwrap(), b"100%25%2C %0D%0A%20");
    assert_eq!(
        one(Rfc8187, "张 三").unwrap(),
        b"UTF-8''%E5%BC%A0%20%E4%B8%89"
    );
    assert_eq!(one(Rfc8187, "plain").unwrap(), b"plain");
    assert_eq!(one(Rfc8187, "UTF-8''x").unwrap(), b"UTF-8''UTF-8%27%27x");
    assert_eq!(one(Utf8, "张三").unwrap(), "张三".as_bytes());
    assert_eq!(one(Utf8, "a\r\nb"), Err(EncodeError::Forbidden));
    assert_eq!(one(Base64, "张三").unwrap(), b"5byg5LiJ");
    assert_eq!(one(Base64, "a\0"), Err(EncodeError::Forbidden));
    assert_eq!(
        one(Percent, &"x".repeat(VALUE_BYTES_MAX + 1)),
        Err(EncodeError::TooLong)
    );
    let many = |encoding| {
        let (value, refused) = list(encoding, ["a,b", "", "c", "张"]);
        (
            String::from_utf8(value.unwrap().as_bytes().to_vec()).unwrap(),
            refused,
        )
    };
    assert_eq!(many(Percent), ("a%2Cb,c,%E5%BC%A0".to_owned(), 0));
    assert_eq!(
        many(Rfc8187),
        ("UTF-8''a%2Cb,c,UTF-8''%E5%BC%A0".to_owned(), 0)
    );
    assert_eq!(many(Utf8), ("c,张".to_owned(), 1));
    assert_eq!(many(Base64), ("YSUyQ2IsYyzlvKA=".to_owned(), 0));
    assert_eq!(list(Percent, []), (None, 0));
}

#[test]
fn own_cookies_are_removed_and_others_pass_byte_for_byte() {
    let cookie = |line: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_bytes(line).unwrap());
        let mut head = Vec::new();
        cookies::write_application_cookies(&mut head, &headers, &ProtectedHeaders::default());
        let line = head.strip_prefix(b"cookie: ");
        line.map(|line| line.strip_suffix(b"\r\n").unwrap().to_vec())
    };
    assert_eq!(
        cookie(b"a=b; menshen=x; c=\xd5\xc5 ").unwrap(),
        b"a=b; c=\xd5\xc5 "
    );
    assert_eq!(cookie(b"__Host-menshen=x;c=d").unwrap(), b"c=d");
    assert_eq!(cookie(b"menshen-flow-1=x; __SECURE-MENSHEN=y"), None);
    assert_eq!(cookie(b"a=1;;b;menshenx=2").unwrap(), b"a=1;;b;menshenx=2");
    assert_eq!(cookie(b"menshen"), None);
    assert_eq!(cookie(b" ; ;a=1; menshen=x;;b=2").unwrap(), b"a=1;;b=2");
    assert_eq!(cookie(b"; menshen=x; ; a=1;").unwrap(), b"a=1;");
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
    let left: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
    assert_eq!(left, ["a=menshen"]);
}

fn stripping() -> Route {
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
        let (parts, _) = sent_by(stripping(), anonymous(), parts(from, &[]), false);
        assert_eq!(parts.uri.to_string(), to);
        assert_eq!(parts.headers["x-forwarded-prefix"], "/app");
    }
    let (whole, _) = sent_by(
        route(),
        anonymous(),
        parts("https://oa.corp.example/a?b", &[]),
        false,
    );
    assert_eq!(whole.uri.to_string(), "/a?b");
}

#[test]
fn redirects_and_cookie_paths_get_the_prefix() {
    let (_, response_rewrite) = sent_by(stripping(), anonymous(), parts("/app/", &[]), false);
    let rewritten = |name: HeaderName, value: &'static str| {
        let mut parts = Response::new(()).into_parts().0;
        parts
            .headers
            .insert(name.clone(), HeaderValue::from_static(value));
        let authority = HeaderValue::from_static("10.0.0.5:8080");
        let (authority, tls) = (&authority, false);
        response_rewrite.apply(&mut parts, &UpstreamOrigin { authority, tls });
        parts.headers[name].to_str().unwrap().to_owned()
    };
    for (from, to) in [
        ("/login?a=b", "/app/login?a=b"),
        ("/app/login", "/app/login"),
        ("/apple", "/app/apple"),
        ("login", "login"),
        ("//other.example/x", "//other.example/x"),
        ("https://oa.corp.example/x", "https://oa.corp.example/app/x"),
        ("http://10.0.0.5:8080/x", "/app/x"),
        ("https://other.example/x", "https://other.example/x"),
    ] {
        assert_eq!(rewritten(LOCATION, from), to);
    }
    for (from, to) in [
        ("a=b; path=/; Secure", "a=b; Path=/app; Secure"),
        ("a=b; Path=/x", "a=b; Path=/app/x"),
        ("a=b; Path=/app/x", "a=b; Path=/app/x"),
        ("__Host-a=b; Path=/", "__Host-a=b; Path=/"),
        ("path=/x", "path=/x"),
    ] {
        assert_eq!(rewritten(SET_COOKIE, from), to);
    }
}

#[test]
fn hop_by_hop_headers_of_a_response_are_removed() {
    let (_, response_rewrite) = sent_by(route(), anonymous(), parts("/", &[]), false);
    let response = Response::builder()
        .header("connection", "x-private, keep-alive")
        .header("x-private", "1")
        .header("keep-alive", "timeout=5")
        .header("transfer-encoding", "chunked")
        .header("content-length", "5")
        .header("x-other", "2");
    let mut parts = response.body(()).unwrap().into_parts().0;
    let (authority, tls) = (&HeaderValue::from_static("a"), false);
    response_rewrite.apply(&mut parts, &UpstreamOrigin { authority, tls });
    let left: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["x-other"]);
}

#[test]
fn upgrades_to_http_and_tls_are_not_forwarded() {
    let asked = |protocol| {
        let sent_headers = [("connection", "keep-alive, Upgrade"), ("upgrade", protocol)];
        let (parts, response_rewrite) =
            sent_by(route(), anonymous(), parts("/", &sent_headers), false);
        assert_eq!(
            parts.headers.contains_key("upgrade"),
            response_rewrite.upgrade().is_some()
        );
        response_rewrite.upgrade().is_some()
    };
    assert!(asked("websocket") && asked("echo/1"));
    assert!(!asked("h2c") && !asked("HTTP/2.0") && !asked("TLS/1.2") && !asked("websocket, h2c"));
    let (parts, _) = sent_by(
        route(),
        anonymous(),
        parts("/", &[("upgrade", "websocket")]),
        false,
    );
    assert!(!parts.headers.contains_key("upgrade"));
}

/// Any alias of a name that a header can have.
fn alias(name: &'static str) -> impl Strategy<Value = String> {
    let each = name.bytes().map(|byte| match byte {
        b'-' => "[-_.!#$&'*+^`|~]".to_owned(),
        other => format!(
            "[{}{}]",
            char::from(other),
            char::from(other).to_ascii_uppercase()
        ),
    });
    proptest::string::string_regex(&each.collect::<String>()).unwrap()
}

proptest! {
    #[test]
    fn no_alias_of_an_identity_header_survives(
        alias in proptest::sample::select(&IDENTITY[..]).prop_flat_map(alias),
        copies in 1_usize..3,
    ) {
        let sent_headers = vec![(alias.as_str(), "root"); copies];
        let route = with_own(&[("x-remote-user", "user.login")]);
        let headers = sent_by(route, anonymous(), parts("/", &sent_headers), false).0.headers;
        prop_assert!(!headers.keys().any(|left| are_aliases(left.as_str().as_bytes(), alias.as_bytes())));
    }

    #[test]
    fn no_client_header_removes_an_identity_header(
        sent_headers in proptest::collection::vec(
            (
                prop_oneof![
                    Just("connection".to_owned()),
                    Just("cookie".to_owned()),
                    proptest::sample::select(&IDENTITY[..]).prop_flat_map(alias),
                    "[a-z][a-z_.-]{0,12}",
                ],
                prop_oneof![
                    "[ -~]{0,24}",
                    "(close|x-forwarded-user|X-Remote-User|host|,| ){0,6}",
                ],
            ),
            0..6,
        ),
    ) {
        let sent_headers: Vec<_> = sent_headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let sent_headers: Vec<_> = sent_headers.into_iter().filter(|(name, _)| *name != "host").collect();
        let route = with_own(&[("x-remote-user", "user.login")]);
        let headers = sent_by(route, zhang(), parts("/", &sent_headers), false).0.headers;
        for name in ["x-forwarded-user", "x-forwarded-preferred-username", "x-remote-user"] {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            prop_assert_eq!(values, vec!["zhangsan"]);
        }
        prop_assert_eq!(&headers["host"], "oa.corp.example");
        prop_assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
    }

    #[test]
    fn no_own_cookie_survives_any_bytes(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(&["menshen", "__Host-", "-flow-", "=", ";", " ", "\"", "a"][..])
                    .prop_map(|text| text.as_bytes().to_vec()),
                proptest::collection::vec(any::<u8>(), 0..3),
            ],
            0..16,
        ),
    ) {
        let line = pieces.concat();
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            let mut headers = HeaderMap::new();
            headers.append("cookie", value.clone());
            headers.append("cookie", value);
            let mut head = Vec::new();
            cookies::write_application_cookies(&mut head, &headers, &ProtectedHeaders::default());
            let left = head.strip_prefix(b"cookie: ").unwrap_or_default();
            for pair in left.split(|byte| *byte == b';') {
                let name = pair.split(|byte| *byte == b'=').next().unwrap();
                let name = String::from_utf8_lossy(name);
                prop_assert!(!crate::people::cookie::CookieSettings::is_default_name(&name));
            }
        }
    }

    #[test]
    fn no_encoded_value_has_a_line_end(value in any::<String>()) {
        use HeaderEncoding::{Base64, Percent, Rfc8187, Utf8};
        for encoding in [Percent, Utf8, Base64, Rfc8187] {
            let one = text(encoding, &value).ok();
            let many = list(encoding, [value.as_str(), "b"]).0;
            for written in one.into_iter().chain(many) {
                prop_assert!(!written.as_bytes().iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
            }
        }
    }
}
