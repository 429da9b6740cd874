//! URLs in response headers that name the upstream are rewritten to the public URL.

use super::tls_setup::{TlsSetup, get_over_http_2};
use crate::raw_connection::RawConnection;
use crate::setup::Setup;
use crate::upstream::{
    Reply, Upstream, get_request, menshen_in_front_of, ok_with_headers, public_route,
};

/// An upstream that sends the header lines in `X-Want`, and its `host:port`.
async fn echoing_upstream() -> (Upstream, String) {
    let upstream = Upstream::start(|request| {
        let requested_lines = request.message.single_header("x-want").unwrap_or_default();
        let lines = requested_lines.replace('|', "\r\n");
        Reply::KeepAlive(ok_with_headers(&format!("{lines}\r\n"), ""))
    })
    .await;
    let upstream_authority = upstream.url().trim_start_matches("http://").to_owned();
    (upstream, upstream_authority)
}

/// The value that the client receives for a header that the upstream sends.
async fn rewritten(
    connection: &mut RawConnection<tokio::net::TcpStream>,
    name: &str,
    value: &str,
) -> String {
    connection
        .send(get_request("/", &format!("X-Want: {name}: {value}\r\n")))
        .await;
    let answer = connection.read_answer().await;
    assert_eq!(answer.status, 200);
    answer.header(name).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn location_headers_that_name_the_upstream_are_rewritten_to_the_public_url() {
    let (upstream, upstream_authority) = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "host_header = \"Legacy.internal\"").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for name in ["Location", "Content-Location"] {
        for (sent, expected) in [
            (
                format!("http://{upstream_authority}/login?a=b#c"),
                "/login?a=b#c",
            ),
            (format!("HTTP://{upstream_authority}"), "/"),
            (format!("http://{upstream_authority}?a"), "/?a"),
            ("http://legacy.internal/x".to_owned(), "/x"),
            ("http://legacy.internal:80/x".to_owned(), "/x"),
            ("https://LEGACY.internal/x".to_owned(), "/x"),
            // A browser interprets the text after two slashes as a host.
            (
                format!("http://{upstream_authority}//evil.test/x"),
                "http://up.test//evil.test/x",
            ),
            (
                format!("http://{upstream_authority}/\\evil.test"),
                "http://up.test/\\evil.test",
            ),
            // URLs of other hosts are unchanged.
            ("http://up.test/x".to_owned(), "http://up.test/x"),
            ("/x".to_owned(), "/x"),
            ("x".to_owned(), "x"),
            ("//legacy.internal/x".to_owned(), "//legacy.internal/x"),
            ("http://127.0.0.1:1/x".to_owned(), "http://127.0.0.1:1/x"),
            (
                "http://legacy.internal:81/x".to_owned(),
                "http://legacy.internal:81/x",
            ),
            (
                "http://legacy.internal.test/x".to_owned(),
                "http://legacy.internal.test/x",
            ),
            (
                format!("http://user@{upstream_authority}/x"),
                format!("http://user@{upstream_authority}/x").as_str(),
            ),
            (
                format!("https://{upstream_authority}.test/"),
                format!("https://{upstream_authority}.test/").as_str(),
            ),
            (
                format!("/go?to=http://{upstream_authority}/x"),
                format!("/go?to=http://{upstream_authority}/x").as_str(),
            ),
            (
                format!("ftp://{upstream_authority}/x"),
                format!("ftp://{upstream_authority}/x").as_str(),
            ),
        ] {
            assert_eq!(
                rewritten(&mut connection, name, &sent).await,
                expected,
                "{name}: {sent}"
            );
        }
    }
}

#[tokio::test]
async fn refresh_and_link_headers_that_name_the_upstream_are_rewritten() {
    let (upstream, upstream_authority) = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (name, sent, expected) in [
        (
            "Refresh",
            format!("5; url=http://{upstream_authority}/x"),
            "5; url=/x".to_owned(),
        ),
        (
            "Refresh",
            format!("0;URL='http://{upstream_authority}/x'"),
            "0;URL='/x'".to_owned(),
        ),
        (
            "Refresh",
            format!("0; url=\"http://{upstream_authority}/x\""),
            "0; url=\"/x\"".to_owned(),
        ),
        ("Refresh", "5".to_owned(), "5".to_owned()),
        (
            "Refresh",
            "5; url=http://else.test/x".to_owned(),
            "5; url=http://else.test/x".to_owned(),
        ),
        (
            "Link",
            format!(
                "<http://{upstream_authority}/a>; rel=\"next\", <http://else.test/b>; title=\"<http://{upstream_authority}/c>\", <http://{upstream_authority}/d>"
            ),
            format!(
                "</a>; rel=\"next\", <http://else.test/b>; title=\"<http://{upstream_authority}/c>\", </d>"
            ),
        ),
        ("Link", "<broken".to_owned(), "<broken".to_owned()),
    ] {
        assert_eq!(
            rewritten(&mut connection, name, &sent).await,
            expected,
            "{name}: {sent}"
        );
    }
    // Each of several headers is rewritten.
    let want =
        format!("Link: <http://{upstream_authority}/a>|Link: <http://{upstream_authority}/b>");
    connection
        .send(get_request("/", &format!("X-Want: {want}\r\n")))
        .await;
    let answer = connection.read_answer().await;
    assert_eq!(
        answer.header_values("link").collect::<Vec<_>>(),
        ["</a>", "</b>"]
    );
}

#[tokio::test]
async fn a_stripped_prefix_is_restored_in_every_header_with_a_url() {
    let (upstream, upstream_authority) = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "path = \"/app\"\nstrip_path = true").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (name, sent, expected) in [
        (
            "Location",
            format!("http://{upstream_authority}/x"),
            "/app/x",
        ),
        (
            "Location",
            format!("http://{upstream_authority}//x"),
            "/app//x",
        ),
        (
            "Location",
            "http://up.test/x".to_owned(),
            "http://up.test/app/x",
        ),
        ("Content-Location", "/x".to_owned(), "/app/x"),
        ("Refresh", "0; url=/x".to_owned(), "0; url=/app/x"),
        (
            "Link",
            "</a.css>; rel=preload, </app/b>".to_owned(),
            "</app/a.css>; rel=preload, </app/b>",
        ),
    ] {
        connection
            .send(get_request("/app/", &format!("X-Want: {name}: {sent}\r\n")))
            .await;
        assert_eq!(
            connection.read_answer().await.header(name),
            Some(expected),
            "{name}: {sent}"
        );
    }
}

#[tokio::test]
async fn urls_that_are_not_utf_8_are_rewritten_byte_for_byte() {
    for target in [&b"/\xe4\xbd\xa0"[..], b"/\xc4\xe3"] {
        let upstream = Upstream::start(move |request| {
            let host = request.message.single_header("host").unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLocation: http://{host}");
            Reply::KeepAlive([head.as_bytes(), target, b"\r\n\r\n"].concat())
        })
        .await;
        let menshen = menshen_in_front_of(upstream.url(), "host_header = \"upstream\"").await;
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/", "")).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(connection.read_bytes(1).await.unwrap());
        }
        let expected = [b"location: ", target, b"\r\n"].concat();
        let found = head.windows(expected.len()).any(|part| part == expected);
        assert!(found, "{}", String::from_utf8_lossy(&head));
    }
}

#[tokio::test]
async fn a_cookie_domain_of_the_upstream_is_removed() {
    let (upstream, _) = echoing_upstream().await;
    let menshen =
        menshen_in_front_of(upstream.url(), "host_header = \"oa.legacy.internal:81\"").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (sent, expected) in [
        ("a=1; Domain=127.0.0.1; Path=/x", "a=1; Path=/x"),
        ("a=1; path=/; domain=OA.legacy.internal", "a=1; path=/"),
        ("a=1;Domain=.oa.legacy.internal;Secure", "a=1;Secure"),
        ("a=1; Domain=.legacy.internal", "a=1"),
        ("domain=legacy.internal", "domain=legacy.internal"),
        (
            "a=domain=legacy.internal; Domain=up.test",
            "a=domain=legacy.internal; Domain=up.test",
        ),
        ("a=1; Domain=.test", "a=1; Domain=.test"),
        ("a=1; Domain=else.internal", "a=1; Domain=else.internal"),
        ("a=1; Domain=egacy.internal", "a=1; Domain=egacy.internal"),
        ("a=1; Domain=", "a=1; Domain="),
        ("a=1; Domain", "a=1; Domain"),
    ] {
        assert_eq!(
            rewritten(&mut connection, "Set-Cookie", sent).await,
            expected,
            "{sent}"
        );
    }
}

#[tokio::test]
async fn http_urls_of_the_public_host_become_https_for_https_clients() {
    let (upstream, upstream_authority) = echoing_upstream().await;
    let tls = TlsSetup::start(upstream.url(), "").await;
    let mut connection = tls.connect_http_1().await;
    for (sent, expected) in [
        ("http://up.test/x?a", "https://up.test/x?a"),
        ("http://UP.test:80/x", "https://up.test/x"),
        ("http://up.test:8080", "https://up.test/"),
        ("https://up.test/x", "https://up.test/x"),
        ("https://up.test:8443/x", "https://up.test:8443/x"),
        ("http://else.test/x", "http://else.test/x"),
        ("http://up.test.evil/x", "http://up.test.evil/x"),
        (
            &format!("http://{upstream_authority}//x"),
            "https://up.test//x",
        ),
    ] {
        for name in ["Location", "Content-Location"] {
            let want = format!("X-Want: {name}: {sent}\r\n");
            connection.send(get_request("/", &want)).await;
            assert_eq!(
                connection.read_answer().await.header(name),
                Some(expected),
                "{name}: {sent}"
            );
        }
    }
    let want = "X-Want: Refresh: 0; url=http://up.test/x|Link: <http://up.test/x>\r\n";
    connection.send(get_request("/", want)).await;
    let answer = connection.read_answer().await;
    assert_eq!(answer.header("refresh"), Some("0; url=https://up.test/x"));
    assert_eq!(answer.header("link"), Some("<https://up.test/x>"));
    // Over plain HTTP the scheme is unchanged.
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    let location = rewritten(&mut connection, "Location", "http://up.test/x").await;
    assert_eq!(location, "http://up.test/x");
}

#[tokio::test]
async fn urls_are_rewritten_over_http_2_too() {
    let upstream = Upstream::start(|request| {
        let host = request.message.single_header("host").unwrap_or_default();
        let lines = format!("Location: http://{host}:81/x\r\n");
        Reply::KeepAlive(ok_with_headers(&lines, ""))
    })
    .await;
    let tls = TlsSetup::start(upstream.url(), "").await;
    let response = get_over_http_2(&mut tls.connect_http_2().await, "/").await;
    assert_eq!(response.headers["location"], "https://up.test/x");
}

#[tokio::test]
async fn a_redirect_to_a_page_of_menshen_gets_no_prefix_of_the_route() {
    let (upstream, upstream_authority) = echoing_upstream().await;
    let route = public_route(upstream.url(), "path = '/app'\nstrip_path = true");
    for (server, own) in [("", "/.menshen"), ("prefix = '/oauth2'", "/oauth2")] {
        let menshen = Setup::default().server(server).routes(&route).start().await;
        let mut connection = RawConnection::open(menshen.address()).await;
        for (sent, expected) in [
            (
                format!("{own}/sign_out?rd=/app/"),
                format!("{own}/sign_out?rd=/app/"),
            ),
            (format!("{own}/start"), format!("{own}/start")),
            (
                format!("http://{upstream_authority}{own}/sign_in#a"),
                format!("{own}/sign_in#a"),
            ),
            (
                format!("http://up.test{own}/tokens"),
                format!("http://up.test{own}/tokens"),
            ),
            // An application may have pages of its own below a path of the same name.
            (format!("{own}/authorize"), format!("/app{own}/authorize")),
            (format!("{own}/sign_out/x"), format!("/app{own}/sign_out/x")),
            ("/sign_out".to_owned(), "/app/sign_out".to_owned()),
        ] {
            let request = get_request("/app/", &format!("X-Want: Location: {sent}\r\n"));
            connection.send(request).await;
            let answer = connection.read_answer().await;
            assert_eq!(answer.header("location"), Some(expected.as_str()), "{sent}");
        }
    }
}
