//! Request smuggling: an ambiguous request is refused, or forwarded in an unambiguous form.

use super::ok_upstream;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::upstream::{UPSTREAM_HOST, Upstream, public_route};

/// A hidden request; if an upstream receives it, smuggling succeeded.
const HIDDEN_REQUEST: &str =
    "GET /in/smuggled HTTP/1.1\r\nHost: up.test\r\nX-Forwarded-User: boss\r\n\r\n";

/// A protected route, which the hidden request is for.
const PROTECTED: &str =
    "[[route]]\nname = \"in\"\nhost = \"up.test\"\npath = \"/in\"\nupstream = [\"{app}\"]";

/// Sends bytes and returns the statuses of all responses.
async fn statuses(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u16> {
    let mut connection = RawConnection::open(address).await;
    let _ = connection.try_send(bytes).await;
    let mut statuses = Vec::new();
    while let Some(answer) = connection.try_read_answer().await {
        statuses.push(answer.status);
    }
    statuses
}

/// An instance of menshen with short time-outs.
async fn menshen_with_short_limits(upstream: &Upstream) -> Menshen {
    let routes = public_route(
        upstream.url(),
        &format!("limits.idle = \"200ms\"\n{PROTECTED}"),
    );
    let limits = "limits.keep_alive = \"200ms\"\nlimits.header_read = \"200ms\"";
    Setup::default()
        .routes(&routes)
        .server(limits)
        .start()
        .await
}

/// Asserts that the requests at the upstream are unambiguous by RFC 9112.
fn assert_unambiguous(what: &str, upstream: &Upstream) {
    for received in upstream.received() {
        let message = received.message;
        let (length, coding) = (
            message.header_values("content-length"),
            message.header_values("transfer-encoding"),
        );
        assert!(length.len() + coding.len() <= 1, "{what:?}: {message:?}");
        assert!(
            length
                .iter()
                .all(|value| value.bytes().all(|b| b.is_ascii_digit())),
            "{what:?}: {message:?}"
        );
        assert!(
            coding.iter().all(|value| *value == "chunked"),
            "{what:?}: {message:?}"
        );
        assert!(
            !message.start_line.contains("smuggled"),
            "{what:?} forwarded the hidden request"
        );
        for (name, value) in &message.headers {
            let normalized = name.replace('_', "-").to_ascii_lowercase();
            let is_framing = ["content-length", "transfer-encoding"].contains(&normalized.as_str());
            assert!(
                !is_framing || name.eq_ignore_ascii_case(&normalized),
                "{what:?}: {name}"
            );
            assert!(
                !value.bytes().any(|b| b < b' ' && b != b'\t'),
                "{what:?}: {value:?}"
            );
        }
    }
}

/// Header lines, the bytes after the head, and whether menshen must refuse the request.
fn two_lengths() -> Vec<(String, String, bool)> {
    let hidden_bytes = HIDDEN_REQUEST.len();
    let refused = |head: String, body: String| (head, body, true);
    let accepted = |head: String, body: String| (head, body, false);
    let chunks = || format!("0\r\n\r\n{HIDDEN_REQUEST}");
    let length = |text: &str| {
        refused(
            format!("Content-Length: {text}\r\n"),
            HIDDEN_REQUEST.to_owned(),
        )
    };
    let coding = |text: &str| {
        refused(
            format!("Transfer-Encoding: {text}\r\nContent-Length: 5\r\n"),
            chunks(),
        )
    };
    vec![
        refused(
            format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
                hidden_bytes + 5
            ),
            chunks(),
        ),
        refused(
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n".to_owned(),
            chunks(),
        ),
        refused(
            format!("Content-Length: 0\r\nContent-Length: {hidden_bytes}\r\n"),
            HIDDEN_REQUEST.to_owned(),
        ),
        length(&format!("0, {hidden_bytes}")),
        length("+0"),
        length("-1"),
        length("0x0"),
        length("0 0"),
        length("18446744073709551617"),
        coding("xchunked"),
        coding("chunked, identity"),
        coding("chunked\r\nTransfer-Encoding: identity"),
        coding("\"chunked\""),
        coding("gzip"),
        refused(
            format!("Content-Length : {hidden_bytes}\r\n"),
            HIDDEN_REQUEST.to_owned(),
        ),
        refused(
            format!("Content-Length\t: {hidden_bytes}\r\n"),
            HIDDEN_REQUEST.to_owned(),
        ),
        refused(
            format!("X: y\r\n Content-Length: {hidden_bytes}\r\n"),
            HIDDEN_REQUEST.to_owned(),
        ),
        refused("Transfer-Encoding : chunked\r\n".to_owned(), chunks()),
        refused("Transfer-Encoding:\r\n chunked\r\n".to_owned(), chunks()),
        accepted(
            "Content_Length: 0\r\nTransfer_Encoding: chunked\r\n".to_owned(),
            chunks(),
        ),
    ]
}

#[tokio::test]
async fn a_request_with_two_body_lengths_is_refused_or_made_unambiguous() {
    for (head, body, must_refuse) in two_lengths() {
        let upstream = ok_upstream().await;
        let menshen = menshen_with_short_limits(&upstream).await;
        let request = format!("POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{head}\r\n{body}");
        let statuses = statuses(menshen.address(), request.as_bytes()).await;
        assert_unambiguous(&head, &upstream);
        assert_eq!(
            menshen.app.requests(),
            0,
            "{head:?} reached the protected route"
        );
        if must_refuse {
            assert!(
                statuses.first().is_some_and(|s| *s == 400),
                "{head:?}: {statuses:?}"
            );
            assert!(
                upstream.received().is_empty(),
                "{head:?}: {:?}",
                upstream.received()
            );
        }
    }
}

#[tokio::test]
async fn invalid_chunks_never_complete_a_request() {
    for chunks in [
        "5;ext\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "\r\n",
        "zz\r\n",
        "5\r\nhel",
    ] {
        let upstream = ok_upstream().await;
        let menshen = menshen_with_short_limits(&upstream).await;
        let head = "Transfer-Encoding: chunked";
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{head}\r\n\r\n{chunks}{HIDDEN_REQUEST}"
        );
        let statuses = statuses(menshen.address(), request.as_bytes()).await;
        assert!(!statuses.contains(&200), "{chunks:?}: {statuses:?}");
        assert!(
            upstream.received().is_empty(),
            "{chunks:?}: {:?}",
            upstream.received()
        );
        assert_eq!(menshen.app.requests(), 0);
    }
}

#[tokio::test]
async fn invalid_request_heads_are_refused() {
    let upstream = ok_upstream().await;
    let menshen = menshen_with_short_limits(&upstream).await;
    for request in [
        format!("GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nHost: other.test\r\n\r\n"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: \r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: up.test, other.test\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: up.test/../\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: user@up.test\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: up.test:99999\r\n\r\n".to_owned(),
        "GET http://other.test/ HTTP/1.1\r\nHost: up.test\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nX: a\0b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nX: a\rb\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n: empty\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nX Y: z\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nX: a\r\n folded\r\n\r\n"),
        format!("GET /\0 HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("GET /a b HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("GET /in/../../a HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("GET /%2e%2e/in HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("GET / HTTP/9.9\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("GET / HTTP/1.1 X\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("G(T / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("GET in HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
        format!("* / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 1, 1\r\n\r\nx"),
    ] {
        let statuses = statuses(menshen.address(), request.as_bytes()).await;
        let refused = statuses.first().is_some_and(|status| *status == 400);
        assert!(refused, "{request:?}: {statuses:?}");
        assert!(
            upstream.received().is_empty(),
            "{request:?}: {:?}",
            upstream.last_request()
        );
    }
    // The absolute form is accepted if it agrees with `Host`.
    let request =
        format!("GET http://{UPSTREAM_HOST}/a?b HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n");
    assert_eq!(statuses(menshen.address(), request.as_bytes()).await, [200]);
    assert_eq!(upstream.last_request().start_line, "GET /a?b HTTP/1.1");
}

#[tokio::test]
async fn an_http_1_0_request_is_served_and_its_connection_closed() {
    let upstream = ok_upstream().await;
    let menshen = menshen_with_short_limits(&upstream).await;
    let request = format!("GET / HTTP/1.0\r\nHost: {UPSTREAM_HOST}\r\n\r\n{HIDDEN_REQUEST}");
    assert_eq!(statuses(menshen.address(), request.as_bytes()).await, [200]);
    assert_eq!(upstream.last_request().start_line, "GET / HTTP/1.1");
    // HTTP/1.0 has no transfer codings, so the end of the body is ambiguous.
    let head =
        format!("POST / HTTP/1.0\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let statuses = statuses(
        menshen.address(),
        format!("{head}0\r\n\r\n{HIDDEN_REQUEST}").as_bytes(),
    )
    .await;
    assert!(
        statuses.len() <= 1 && statuses.first().is_some_and(|s| *s == 400),
        "{statuses:?}"
    );
    assert_unambiguous("HTTP/1.0", &upstream);
    assert_eq!(upstream.received().len(), 1);
}
