//! Which headers are forwarded, replaced or removed, and what `strip_path` changes.

use super::ok_upstream;
use crate::raw_connection::RawConnection;
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, get_request, menshen_in_front_of, ok_with_headers,
    post_request, public_route,
};
use crate::wire;

#[tokio::test]
async fn the_upstream_receives_the_configured_host_header() {
    for (line, expected) in [
        ("", UPSTREAM_HOST.to_owned()),
        ("host_header = \"client\"", UPSTREAM_HOST.to_owned()),
        (
            "host_header = \"legacy.internal:81\"",
            "legacy.internal:81".to_owned(),
        ),
        ("host_header = \"upstream\"", String::new()),
    ] {
        let upstream = ok_upstream().await;
        let menshen = menshen_in_front_of(upstream.url(), line).await;
        let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
        assert_eq!(answer.status, 200);
        let expected = match expected.as_str() {
            "" => upstream.url().trim_start_matches("http://").to_owned(),
            text => text.to_owned(),
        };
        assert_eq!(
            upstream.last_request().single_header("host"),
            Some(expected.as_str()),
            "{line}"
        );
        assert_eq!(
            upstream.last_request().single_header("x-forwarded-host"),
            Some(UPSTREAM_HOST),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_prefix_is_stripped_from_requests_and_restored_in_responses() {
    let upstream = Upstream::start(|request| {
        let location = request.message.single_header("x-want").unwrap_or("/").to_owned();
        Reply::KeepAlive(ok_with_headers(
            &format!("Location: {location}\r\nSet-Cookie: a=1; path=/x; HttpOnly\r\nSet-Cookie: b=2; Path=/\r\nSet-Cookie: c=3\r\n"),
            "",
        ))
    })
    .await;
    let upstream_authority = upstream.url().trim_start_matches("http://").to_owned();
    let menshen = menshen_in_front_of(upstream.url(), "path = \"/app\"\nstrip_path = true").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (target, stripped) in [
        ("/app", "/"),
        ("/app/", "/"),
        ("/app/a%2Fb?c=/app/d", "/a%2Fb?c=/app/d"),
        ("/app?x", "/?x"),
        ("/app//a", "//a"),
    ] {
        connection.send(get_request(target, "")).await;
        assert_eq!(connection.read_answer().await.status, 200, "{target}");
        let received = upstream.last_request();
        assert_eq!(received.target(), stripped, "{target}");
        assert_eq!(received.single_header("x-forwarded-prefix"), Some("/app"));
    }
    for (location, rewritten) in [
        ("/login", "/app/login".to_owned()),
        ("/app/login", "/app/login".to_owned()),
        ("login", "login".to_owned()),
        (
            "http://up.test/login",
            "http://up.test/app/login".to_owned(),
        ),
        (
            "http://else.test/login",
            "http://else.test/login".to_owned(),
        ),
        ("//else.test/login", "//else.test/login".to_owned()),
        (
            &format!("http://{upstream_authority}/login?a"),
            "/app/login?a".to_owned(),
        ),
    ] {
        connection
            .send(get_request("/app", &format!("X-Want: {location}\r\n")))
            .await;
        let answer = connection.read_answer().await;
        assert_eq!(
            answer.header("location"),
            Some(rewritten.as_str()),
            "{location}"
        );
        let cookies: Vec<_> = answer.header_values("set-cookie").collect();
        assert_eq!(
            cookies,
            ["a=1; Path=/app/x; HttpOnly", "b=2; Path=/app", "c=3"]
        );
    }
    // `/apple` is not below `/app`.
    connection.send(get_request("/apple", "")).await;
    assert_eq!(connection.read_answer().await.status, 404);
}

#[tokio::test]
async fn without_strip_path_nothing_is_rewritten_and_the_clients_prefix_header_is_removed() {
    let upstream = Upstream::start(|_| {
        Reply::KeepAlive(ok_with_headers(
            "Location: /login\r\nSet-Cookie: a=1; Path=/x\r\n",
            "",
        ))
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "path = \"/app\"").await;
    let request = get_request("/app/a", "X-Forwarded-Prefix: /evil\r\n");
    let answer = wire::send(menshen.address(), request.as_bytes()).await;
    assert_eq!(answer.header("location"), Some("/login"));
    assert_eq!(answer.header("set-cookie"), Some("a=1; Path=/x"));
    assert_eq!(upstream.last_request().target(), "/app/a");
    assert!(
        upstream
            .last_request()
            .header_values("x-forwarded-prefix")
            .is_empty()
    );
}

#[tokio::test]
async fn a_request_id_is_accepted_from_trusted_peers_only() {
    let is_generated = |id: &str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    for (trusted, sent, is_kept) in [
        (true, "abc-1_2.3", true),
        (true, "has space", false),
        (true, "quote\"", false),
        (true, &"x".repeat(129), false),
        (true, &"x".repeat(128), true),
        (false, "abc-1_2.3", false),
    ] {
        let upstream = ok_upstream().await;
        let server = if trusted {
            "trusted_proxies = [\"127.0.0.1\"]"
        } else {
            ""
        };
        let setup = crate::setup::Setup::default().routes(&public_route(upstream.url(), ""));
        let menshen = setup.server(server).start().await;
        let request = get_request("/", &format!("X-Request-Id: {sent}\r\n"));
        assert_eq!(
            wire::send(menshen.address(), request.as_bytes())
                .await
                .status,
            200
        );
        let last = upstream.last_request();
        let received = last.single_header("x-request-id").unwrap();
        assert!(
            if is_kept {
                received == sent
            } else {
                is_generated(received)
            },
            "{trusted} {sent}: {received}"
        );
        // An error page has a request ID by the same rule.
        let request = format!("GET / HTTP/1.1\r\nHost: no.test\r\nX-Request-Id: {sent}\r\n\r\n");
        let answer = wire::send(menshen.address(), request.as_bytes()).await;
        let id_in_page = answer.json()["request_id"].as_str().unwrap().to_owned();
        assert!(
            if is_kept {
                id_in_page == sent
            } else {
                is_generated(&id_in_page)
            },
            "{id_in_page}"
        );
    }
}

#[tokio::test]
async fn a_valid_trace_is_continued_and_an_invalid_one_replaced() {
    let upstream = ok_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (sent, continued, flags) in [
        (format!("00-{trace}-00f067aa0ba902b7-01"), true, "01"),
        (format!("00-{trace}-00f067aa0ba902b7-00"), true, "00"),
        (format!("00-{trace}-00f067aa0ba902b7-03"), true, "01"),
        (
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            false,
            "01",
        ),
        (format!("ff-{trace}-00f067aa0ba902b7-01"), false, "01"),
        (
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            false,
            "01",
        ),
        ("garbage".to_owned(), false, "01"),
    ] {
        let headers = format!("traceparent: {sent}\r\ntracestate: vendor=1\r\n");
        let answer = wire::send(menshen.address(), get_request("/", &headers).as_bytes()).await;
        assert_eq!(answer.status, 200);
        let received = upstream.last_request();
        let parts: Vec<_> = received
            .single_header("traceparent")
            .unwrap()
            .split('-')
            .collect();
        assert_eq!(
            (parts[0], parts[1].len(), parts[2].len()),
            ("00", 32, 16),
            "{sent}"
        );
        assert_eq!((parts[1] == trace, parts[3]), (continued, flags), "{sent}");
        assert_ne!(parts[2], "00f067aa0ba902b7", "menshen creates a new span");
        assert_eq!(
            received.single_header("tracestate").is_some(),
            continued,
            "{sent}"
        );
    }
}

#[tokio::test]
async fn hop_by_hop_headers_are_removed_in_both_directions() {
    let upstream = Upstream::start(|_| {
        Reply::KeepAlive(ok_with_headers(
            "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\nTrailer: X-T\r\n\
             Upgrade: h2c\r\nX-Stays: 1\r\nServer: legacy\r\n",
            "body",
        ))
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let headers = "Connection: X-Hop, close, X-Forwarded-For\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
                   Proxy-Authorization: Basic eA==\r\nProxy-Connection: x\r\nTE: gzip\r\n\
                   Trailer: X-T\r\nX-Stays: 1\r\nAuthorization: Bearer app\r\n";
    let answer = wire::send(menshen.address(), &post_request("/", headers, "body")).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
    let removed = [
        "x-hop",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "trailer",
        "upgrade",
        "proxy-authorization",
        "te",
    ];
    for name in removed {
        assert_eq!(answer.header(name), None, "{name} was returned");
        assert!(
            upstream.last_request().header_values(name).is_empty(),
            "{name} was forwarded"
        );
    }
    assert_eq!(answer.header("x-stays"), Some("1"));
    assert_eq!(answer.header("server"), Some("legacy"));
    let received = upstream.last_request();
    assert_eq!(received.single_header("x-stays"), Some("1"));
    // menshen sets its headers although the client lists them in `Connection`, and forwards the
    // credentials for the application.
    assert_eq!(received.single_header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.single_header("authorization"), Some("Bearer app"));
    assert!(
        received.header_values("connection").is_empty()
            || received.single_header("connection") == Some("keep-alive")
    );
}

#[tokio::test]
async fn request_trailers_never_become_headers() {
    let upstream = ok_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTE: trailers\r\nTrailer: X-Forwarded-User\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Forwarded-User: boss\r\n\r\n"
    );
    let answer = wire::send(menshen.address(), request.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.last_request().body, b"hi");
    assert!(
        upstream
            .last_request()
            .header_values("x-forwarded-user")
            .is_empty()
    );
}

#[tokio::test]
async fn response_headers_keep_their_number_order_and_bytes() {
    let upstream = Upstream::start(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\nX-GBK: \xd5\xc5\xc8\xfd\r\n".to_vec();
        for number in 0..50 {
            answer.extend_from_slice(format!("Set-Cookie: c{number}={number}\r\n").as_bytes());
        }
        answer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        Reply::KeepAlive(answer)
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/", "")).await;
    let answer = connection.read_answer().await;
    let cookies: Vec<_> = answer
        .header_values("set-cookie")
        .map(str::to_owned)
        .collect();
    let expected: Vec<_> = (0..50)
        .map(|number| format!("c{number}={number}"))
        .collect();
    assert_eq!(cookies, expected);
    assert!(answer.header("x-gbk").is_some());
}
