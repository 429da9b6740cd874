//! Truncated responses: the received part is forwarded, the client can detect the truncation, and the
//! log and the access line report it.

use serde_json::Value;

use super::tls_setup::{TlsSetup, get_over_http_2};
use crate::raw_connection::RawConnection;
use crate::records::Records;
use crate::upstream::{Reply, Upstream, get_request, menshen_in_front_of, wait_until};

/// The truncated response for a target, and the part of its body that it contains.
fn truncated_response(target: &str) -> (Vec<u8>, &'static str) {
    let long = "x".repeat(300_000);
    let (answer, body) = match target {
        "/length" => ("Content-Length: 20\r\n\r\nhi", "hi"),
        "/nothing" => ("Content-Length: 20\r\n\r\n", ""),
        "/chunked" => ("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "hi"),
        "/chunk" => ("Transfer-Encoding: chunked\r\n\r\n5\r\nhi", "hi"),
        "/bad" => ("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n", "hi"),
        "/long" => {
            let head = "HTTP/1.1 200 OK\r\nX-Kept: yes\r\nContent-Length: 400000\r\n\r\n";
            return (format!("{head}{long}").into_bytes(), "");
        }
        other => panic!("{other}"),
    };
    let head = "HTTP/1.1 200 OK\r\nX-Kept: yes\r\n";
    (format!("{head}{answer}").into_bytes(), body)
}

const TRUNCATIONS: [&str; 5] = ["/length", "/nothing", "/chunked", "/chunk", "/bad"];

async fn truncating_upstream() -> Upstream {
    Upstream::start(|request| Reply::Close(truncated_response(request.message.target()).0)).await
}

/// The access lines of a path.
fn access_lines(records: &Records, path: &str) -> Vec<Value> {
    let text = records.text();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["target"] == "menshen::access" && line["path"] == path)
        .collect()
}

/// The warning with this request ID.
fn warning(log: &Records, id: &str) -> Option<Value> {
    let text = log.text();
    let line = text
        .lines()
        .find(|line| line.contains(id) && line.contains("\"WARN\""))?;
    serde_json::from_str(line).ok()
}

async fn assert_logged_as_truncated(
    setup: &TlsSetup,
    log: &Records,
    path: &str,
    count: usize,
    upstream_authority: &str,
) {
    let telemetry = &setup.menshen.running.live().services().telemetry;
    let lines = || {
        telemetry.flush();
        access_lines(&setup.menshen.records, path)
    };
    wait_until("all access lines are written", || lines().len() >= count).await;
    for line in lines() {
        assert_eq!(
            (&line["status"], &line["cut"]),
            (&200.into(), &"upstream".into()),
            "{line}"
        );
        assert_eq!(line["upstream"], upstream_authority, "{line}");
        let warning = warning(log, line["request_id"].as_str().unwrap()).expect("a warning");
        let text = warning.to_string();
        assert!(text.contains(upstream_authority), "{text}");
        assert!(
            text.contains("closed before the end") || text.contains("chunk"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_received_part_of_a_truncated_response_is_forwarded_over_http_1() {
    let log = Records::process_log();
    let upstream = truncating_upstream().await;
    let upstream_authority = upstream.url().trim_start_matches("http://");
    let setup = TlsSetup::start(upstream.url(), "").await;
    for path in TRUNCATIONS {
        let body = truncated_response(path).1;
        for _ in 0..10 {
            let mut connection = setup.connect_http_1().await;
            connection.send(get_request(path, "")).await;
            let head = connection.read_answer_head().await;
            assert_eq!(head.status, 200, "{path}");
            assert_eq!(head.header("x-kept"), Some("yes"), "{path}");
            // The connection ends without a last chunk.
            let rest = String::from_utf8(connection.read_to_end().await).unwrap();
            assert!(rest.contains(body), "{path}: {rest:?}");
            assert!(!rest.contains("0\r\n\r\n"), "{path}: {rest:?}");
        }
        assert_logged_as_truncated(&setup, log, path, 10, upstream_authority).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_received_part_of_a_truncated_response_is_forwarded_over_http_2() {
    let log = Records::process_log();
    let upstream = truncating_upstream().await;
    let upstream_authority = upstream.url().trim_start_matches("http://");
    let setup = TlsSetup::start(upstream.url(), "").await;
    let mut client = setup.connect_http_2().await;
    for path in TRUNCATIONS {
        let body = truncated_response(path).1;
        for _ in 0..10 {
            let response = get_over_http_2(&mut client, path).await;
            assert_eq!(response.status, 200, "{path}");
            assert_eq!(response.headers["x-kept"], "yes", "{path}");
            assert_eq!(response.body, body.as_bytes(), "{path}");
            assert!(!response.is_complete, "{path} looks complete");
        }
        assert_logged_as_truncated(&setup, log, path, 10, upstream_authority).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_received_byte_of_a_long_truncated_response_is_forwarded() {
    let upstream = truncating_upstream().await;
    let setup = TlsSetup::start(upstream.url(), "").await;
    let mut connection = setup.connect_http_1().await;
    connection.send(get_request("/long", "")).await;
    assert_eq!(connection.read_answer_head().await.status, 200);
    assert_eq!(connection.read_to_end().await.len(), 300_000);
    let response = get_over_http_2(&mut setup.connect_http_2().await, "/long").await;
    assert_eq!(
        (response.body.len(), response.is_complete),
        (300_000, false)
    );
    // The same without TLS.
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/long", "")).await;
    assert_eq!(connection.read_answer_head().await.status, 200);
    assert_eq!(connection.read_to_end().await.len(), 300_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_response_is_not_logged_as_cut() {
    let upstream = Upstream::start(|request| {
        let whole = match request.message.target() {
            "/chunked" => "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned(),
            "/close" => "\r\nhi".to_owned(),
            "/empty" => "Content-Length: 0\r\n\r\n".to_owned(),
            _ => format!("Content-Length: 300000\r\n\r\n{}", "x".repeat(300_000)),
        };
        Reply::Close(format!("HTTP/1.1 200 OK\r\n{whole}").into_bytes())
    })
    .await;
    let setup = TlsSetup::start(upstream.url(), "").await;
    let telemetry = &setup.menshen.running.live().services().telemetry;
    for (path, bytes) in [
        ("/chunked", 2),
        ("/close", 2),
        ("/empty", 0),
        ("/long", 300_000),
    ] {
        let mut connection = setup.connect_http_1().await;
        connection.send(get_request(path, "")).await;
        assert_eq!(connection.read_answer().await.body.len(), bytes);
        let response = get_over_http_2(&mut setup.connect_http_2().await, path).await;
        assert_eq!((response.body.len(), response.is_complete), (bytes, true));
        let lines = || {
            telemetry.flush();
            access_lines(&setup.menshen.records, path)
        };
        wait_until("both access lines are written", || lines().len() == 2).await;
        for line in lines() {
            assert_eq!(line["bytes"], bytes, "{line}");
            assert!(line.get("cut").is_none(), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_distinguishes_a_client_that_disconnects_from_an_upstream_that_does() {
    let upstream = Upstream::start(|_| {
        Reply::HoldOpen(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi".to_vec())
    })
    .await;
    let setup = TlsSetup::start(upstream.url(), "").await;
    let mut connection = setup.connect_http_1().await;
    connection.send(get_request("/left", "")).await;
    assert_eq!(connection.read_answer_head().await.status, 200);
    let telemetry = &setup.menshen.running.live().services().telemetry;
    let lines = || {
        telemetry.flush();
        access_lines(&setup.menshen.records, "/left")
    };
    assert!(lines().is_empty(), "the response has not ended");
    drop(connection);
    wait_until("its access line is written", || !lines().is_empty()).await;
    assert_eq!(lines()[0]["cut"], "client");
}
