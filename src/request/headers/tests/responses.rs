//! Rewrites of responses.

use http::Response;
use http::header::LOCATION;

use super::*;

#[test]
fn redirects_and_cookie_paths_get_the_prefix() {
    let (_, response_rewrite) = forwarded(
        route_that_strips_app(),
        anonymous(),
        request_parts("/app/", &[]),
    );
    let rewrite = |name: HeaderName, value: &'static str| {
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
        ("/.menshen/sign_out?rd=/", "/.menshen/sign_out?rd=/"),
        ("/.menshen/tokens", "/.menshen/tokens"),
        ("http://10.0.0.5:8080/.menshen/start#a", "/.menshen/start#a"),
        ("/.menshen/other", "/app/.menshen/other"),
        ("/.menshen/sign_outs", "/app/.menshen/sign_outs"),
        ("/.menshensign_out", "/app/.menshensign_out"),
        ("/sign_out", "/app/sign_out"),
    ] {
        assert_eq!(rewrite(LOCATION, from), to);
    }
    for (from, to) in [
        ("a=b; path=/; Secure", "a=b; Path=/app; Secure"),
        ("a=b; Path=/x", "a=b; Path=/app/x"),
        ("a=b; Path=/app/x", "a=b; Path=/app/x"),
        ("__Host-a=b; Path=/", "__Host-a=b; Path=/"),
        ("path=/x", "path=/x"),
    ] {
        assert_eq!(rewrite(SET_COOKIE, from), to);
    }
}

#[test]
fn hop_by_hop_headers_of_a_response_are_removed() {
    let (_, response_rewrite) = forwarded(route(), anonymous(), request_parts("/", &[]));
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
    let remaining: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(remaining, ["x-other"]);
}

#[test]
fn upgrades_to_http_and_tls_are_not_forwarded() {
    let is_forwarded = |protocol| {
        let sent_headers = [("connection", "keep-alive, Upgrade"), ("upgrade", protocol)];
        let (parts, response_rewrite) =
            forwarded(route(), anonymous(), request_parts("/", &sent_headers));
        assert_eq!(
            parts.headers.contains_key("upgrade"),
            response_rewrite.upgrade().is_some()
        );
        response_rewrite.upgrade().is_some()
    };
    assert!(is_forwarded("websocket") && is_forwarded("echo/1"));
    assert!(
        !is_forwarded("h2c")
            && !is_forwarded("HTTP/2.0")
            && !is_forwarded("TLS/1.2")
            && !is_forwarded("websocket, h2c")
    );
    let (parts, _) = forwarded(
        route(),
        anonymous(),
        request_parts("/", &[("upgrade", "websocket")]),
    );
    assert!(!parts.headers.contains_key("upgrade"));
}
