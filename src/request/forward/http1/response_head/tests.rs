use super::*;

/// The head of the response to a GET request.
const FOR_GET: ExpectedHead = ExpectedHead {
    for_head_request: false,
    keeps_header_case: false,
};

fn parse_head(text: &str) -> Result<Option<HeadAndLength>, ResponseHeadError> {
    parse(&Bytes::copy_from_slice(text.as_bytes()), FOR_GET)
}

fn framing_of(lines: &str) -> Result<Framing, ResponseHeadError> {
    parse_head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).map(|head| head.unwrap().0.framing)
}

#[test]
fn the_head_determines_the_end_of_the_body() {
    for (lines, framing) in [
        ("", Framing::UntilClose),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("Content-Length: 007\r\n", Framing::Length(7)),
        (
            "Content-Length: 7\r\nContent-Length: 7\r\n",
            Framing::Length(7),
        ),
        ("Content-Length: 7, 7\r\n", Framing::Length(7)),
        (
            "Content-Length: 18446744073709551615\r\n",
            Framing::Length(u64::MAX),
        ),
        ("Transfer-Encoding: Chunked\r\n", Framing::Chunked),
    ] {
        assert_eq!(framing_of(lines), Ok(framing), "{lines:?}");
    }
}

#[test]
fn an_ambiguous_head_is_refused() {
    use ResponseHeadError::{ContentLength, LengthAndTransferEncoding, TransferEncoding};
    for (lines, why) in [
        ("Content-Length: 7\r\nContent-Length: 8\r\n", ContentLength),
        ("Content-Length: 7, 8\r\n", ContentLength),
        ("Content-Length: \r\n", ContentLength),
        ("Content-Length: 7,\r\n", ContentLength),
        ("Content-Length: +7\r\n", ContentLength),
        ("Content-Length: -7\r\n", ContentLength),
        ("Content-Length: 0x7\r\n", ContentLength),
        ("Content-Length: 7 7\r\n", ContentLength),
        ("Content-Length: 18446744073709551616\r\n", ContentLength),
        (
            "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
            LengthAndTransferEncoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
            LengthAndTransferEncoding,
        ),
        (
            "Content-Length: 7\r\nTransfer-Encoding: identity\r\n",
            LengthAndTransferEncoding,
        ),
        ("Transfer-Encoding: gzip\r\n", TransferEncoding),
        ("Transfer-Encoding: gzip, chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked, identity\r\n", TransferEncoding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            TransferEncoding,
        ),
        ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
        ("Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
        (
            "Transfer-Encoding: chunked\u{b}\r\n",
            ResponseHeadError::Syntax(httparse::Error::HeaderValue),
        ),
        ("Transfer-Encoding:\r\n", TransferEncoding),
    ] {
        assert_eq!(framing_of(lines), Err(why), "{lines:?}");
    }
    let http_1_0 = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse_head(http_1_0).unwrap_err(), TransferEncoding);
}

#[test]
fn an_invalid_head_is_refused() {
    for text in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 2000 High\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rContent-Length: 1\r\n\r\n",
    ] {
        assert!(parse_head(text).is_err(), "{text:?}");
    }
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "A: b\r\n".repeat(LINES_MAX + 1)
    );
    assert_eq!(
        parse_head(&many).unwrap_err(),
        ResponseHeadError::TooManyLines
    );
}

#[test]
fn responses_without_a_body_ignore_content_length() {
    for status in [
        "100 Continue",
        "101 Switching Protocols",
        "204 None",
        "304 Same",
    ] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 7\r\n\r\n");
        assert_eq!(
            parse_head(&text).unwrap().unwrap().0.framing,
            Framing::Empty,
            "{status}"
        );
    }
    let head = Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    let for_head_request = ExpectedHead {
        for_head_request: true,
        ..FOR_GET
    };
    assert_eq!(
        parse(&head, for_head_request).unwrap().unwrap().0.framing,
        Framing::Empty
    );
}

#[test]
fn a_connection_is_reusable_by_the_rules_of_its_http_version() {
    for (start, options, kept) in [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "Connection: foo, Close\r\n", false),
        (
            "HTTP/1.1",
            "Connection: keep-alive\r\nConnection: close\r\n",
            false,
        ),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
    ] {
        let text = format!("{start} 200 OK\r\n{options}Content-Length: 0\r\n\r\n");
        assert_eq!(
            parse_head(&text).unwrap().unwrap().0.allows_reuse,
            kept,
            "{text:?}"
        );
    }
}

#[test]
fn the_keep_alive_time_out_is_parsed() {
    for (lines, seconds) in [
        ("", None),
        ("Keep-Alive: timeout=5\r\n", Some(5)),
        ("keep-alive: max=100, Timeout = 7\r\n", Some(7)),
        ("Keep-Alive: timeout=9; max=1\r\n", Some(9)),
        ("Keep-Alive: timeout=0\r\n", Some(0)),
        (
            "Keep-Alive: timeout=8\r\nKeep-Alive: timeout=3\r\n",
            Some(3),
        ),
        ("Keep-Alive: max=100\r\n", None),
        ("Keep-Alive: timeout=\r\n", None),
        ("Keep-Alive: timeout=soon\r\n", None),
        ("Keep-Alive: timeout=-1\r\n", None),
        ("Keep-Alive: timeouts=1\r\n", None),
        ("X-Keep-Alive: timeout=1\r\n", None),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
        let keep_alive = parse_head(&text).unwrap().unwrap().0.keep_alive;
        assert_eq!(keep_alive, seconds.map(Duration::from_secs), "{lines:?}");
    }
}

#[test]
fn a_head_is_parsed_once_it_is_complete() {
    let text = "HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n\r\n";
    for end in 0..text.len() {
        assert!(parse_head(&text[..end]).unwrap().is_none(), "{end}");
    }
    let (head, bytes) = parse_head(&format!("{text}body")).unwrap().unwrap();
    assert_eq!(bytes, text.len());
    assert_eq!(head.headers.get_all("a").iter().count(), 2);
}
