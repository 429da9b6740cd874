//! Response heads: the number of lines, the reason phrase, and the error pages for invalid heads.

use crate::browser::navigation_lines;
use crate::raw_connection::RawConnection;
use crate::records::Records;
use crate::upstream::{Reply, Upstream, get_request, menshen_in_front_of};
use crate::wire;

/// The warning with this request ID.
fn logged_warning(log: &Records, request_id: &str) -> Option<serde_json::Value> {
    let text = log.text();
    let mut lines = text
        .lines()
        .filter(|connection| connection.contains(request_id));
    let warning = |connection: &&str| connection.contains("\"WARN\"");
    let connection = lines.find(warning)?;
    serde_json::from_str(connection).ok()
}

#[tokio::test]
async fn a_response_with_hundreds_of_header_lines_is_forwarded_completely() {
    let upstream = Upstream::start(|request| {
        let count: usize = request.message.target()[1..].parse().unwrap();
        let lines: String = (0..count)
            .map(|number| format!("Set-Cookie: c{number}={number}\r\n"))
            .collect();
        Reply::KeepAlive(
            format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 4\r\n\r\nfine").into_bytes(),
        )
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for count in [99, 100, 101, 300, 999] {
        connection.send(get_request(&format!("/{count}"), "")).await;
        let answer = connection.read_answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
        let cookies: Vec<_> = answer
            .header_values("set-cookie")
            .map(str::to_owned)
            .collect();
        let expected: Vec<_> = (0..count).map(|n| format!("c{n}={n}")).collect();
        assert_eq!(cookies, expected);
    }
    // With `Content-Length` the head has 1001 lines.
    connection.send(get_request("/1000", "")).await;
    assert_eq!(connection.read_answer().await.status, 502);
}

#[tokio::test]
async fn an_invalid_response_has_its_own_error_page_and_the_log_says_why() {
    let log = Records::process_log();
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1001));
    let answers = [
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP"),
        (long.as_str(), "65536 bytes"),
        (many.as_str(), "1000 header lines"),
        (
            "HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
            "invalid header name",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "several",
        ),
        ("HTTP/1.1 200 OK\r\nX-Half", "before the end"),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "did not request",
        ),
    ]
    .map(|(answer, reason)| (answer.to_owned(), reason));
    let sent = answers.clone();
    let upstream = Upstream::start(move |request| {
        let number: usize = request.message.target()[1..].parse().unwrap();
        Reply::Close(sent[number].0.clone().into_bytes())
    })
    .await;
    let upstream_authority = upstream.url().trim_start_matches("http://").to_owned();
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let html = navigation_lines();
    for (number, (answer, reason)) in answers.iter().enumerate() {
        let target = format!("/{number}");
        for (language, words) in [("en", "cannot be read"), ("zh-CN", "无法识别")] {
            let headers = format!("{html}Accept-Language: {language}\r\n");
            let page =
                wire::send(menshen.address(), get_request(&target, &headers).as_bytes()).await;
            assert_eq!(page.status, 502, "{answer:.99?}");
            assert!(
                page.text().contains(words),
                "{answer:.99?}: {}",
                page.text()
            );
            assert!(
                !page.text().contains(&upstream_authority),
                "the page must not reveal the upstream address"
            );
        }
        let response = wire::send(menshen.address(), get_request(&target, "").as_bytes()).await;
        assert_eq!(response.status, 502, "{answer:.99?}");
        let response = response.json();
        assert_eq!(response["type"], "urn:menshen:problem:upstream-unreadable");
        let id = response["request_id"].as_str().unwrap();
        let connection = logged_warning(log, id).expect("a warning");
        let text = connection.to_string();
        assert!(text.contains(&upstream_authority), "{text}");
        assert!(text.contains(reason), "{answer:.99?}: {text}");
    }
}

#[tokio::test]
async fn an_upstream_that_closes_without_a_response_is_reported_as_down() {
    let upstream = Upstream::start(|_| Reply::Close(Vec::new())).await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let response = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
    assert_eq!(response.status, 502);
    assert_eq!(response.json()["type"], "urn:menshen:problem:upstream-down");
}

#[tokio::test]
async fn the_reason_phrase_of_the_application_is_forwarded() {
    let status_lines = [
        (
            "HTTP/1.1 403 Invalid Requestor ID",
            "HTTP/1.1 403 Invalid Requestor ID",
        ),
        ("HTTP/1.1 200 Fine, thanks", "HTTP/1.1 200 Fine, thanks"),
        ("HTTP/1.0 404 Nope", "HTTP/1.1 404 Nope"),
        ("HTTP/1.1 599 Own Invention", "HTTP/1.1 599 Own Invention"),
        ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK"),
        ("HTTP/1.1 404 Not Found", "HTTP/1.1 404 Not Found"),
        // Without a reason phrase, the standard one is sent.
        ("HTTP/1.1 404 ", "HTTP/1.1 404 Not Found"),
        ("HTTP/1.1 404", "HTTP/1.1 404 Not Found"),
        // A phrase that is not ASCII has an unknown encoding.
        ("HTTP/1.1 404 没有", "HTTP/1.1 404 Not Found"),
    ];
    let upstream = Upstream::start(move |request| {
        let number: usize = request.message.target()[1..].parse().unwrap();
        let status_line = status_lines[number].0;
        Reply::Close(format!("{status_line}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for (number, (sent, expected)) in status_lines.iter().enumerate() {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection
            .send(get_request(&format!("/{number}"), ""))
            .await;
        let head = connection.read_head().await.expect("a response arrives");
        assert_eq!(head.start_line, *expected, "{sent}");
    }
}
