use super::*;

/// Longer than every head of these tests, except where a test sets another limit.
const HEAD_BYTES_MAX: usize = 1 << 16;

/// The transfer codings of the requests of a connection whose bytes arrive in pieces of this size.
fn codings(bytes: &[u8], piece_bytes: usize) -> Vec<TransferCoding> {
    let (mut reader, bodiless) = (HeadReader::new(HEAD_BYTES_MAX), AtomicU32::new(0));
    for piece in bytes.chunks(piece_bytes) {
        reader.parse_received(piece, &bodiless);
    }
    std::iter::from_fn(|| reader.next_coding(0)).collect()
}

#[test]
fn each_head_of_a_connection_is_found_after_the_body_before_it() {
    let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n\
        POST / HTTP/1.1\r\nContent-Length: 31\r\n\r\nTransfer-Encoding: chunked\r\n\r\n\n\
        \r\nPOST / HTTP/1.1\r\ntransfer-encoding:  Chunked \r\n\r\n\
        a;x=y\r\n0123456789\r\n0\r\nContent-Length: 7\r\n\r\n\
        POST / HTTP/1.1\nContent-Length:\t3\n\nabc\
        GET / HTTP/1.1\r\n\r\n";
    use TransferCoding::{Chunked, None};
    for piece_bytes in 1..bytes.len() {
        // The `Content-Length` of the third POST is not used, because its lines end without CR: the head
        // after it is not found.
        assert_eq!(
            codings(bytes, piece_bytes),
            [None, None, Chunked, None],
            "{piece_bytes}"
        );
    }
}

#[test]
fn a_head_that_two_parsers_may_read_differently_is_ambiguous() {
    let long = format!("Transfer-Encoding:{}chunked\r\n", " ".repeat(300));
    for lines in [
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\tchunked\r\n",
        "Transfer-Encoding: chunked\t\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nA: b\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\n",
        "A: b\nTransfer-Encoding: chunked\r\n",
        &long,
    ] {
        let bytes = format!("POST / HTTP/1.1\r\n{lines}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        for piece_bytes in [1, 2, 7, bytes.len()] {
            let found = codings(bytes.as_bytes(), piece_bytes);
            assert_eq!(found, [TransferCoding::Ambiguous], "{lines:?}");
        }
    }
}

#[test]
fn parsing_stops_at_a_body_with_malformed_chunks() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "0\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
    ] {
        let bytes = format!("{head}{body}{head}");
        assert_eq!(
            codings(bytes.as_bytes(), 5),
            [TransferCoding::Chunked],
            "{body:?}"
        );
    }
}

#[test]
fn requests_without_a_body_use_a_bounded_amount_of_memory() {
    // The codings of a few requests may wait for hyper, but not those of all 5,000.
    const CODINGS_MAX: usize = 20;
    let (mut reader, bodiless) = (HeadReader::new(HEAD_BYTES_MAX), AtomicU32::new(0));
    let head = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(2_000));
    for _ in 0..5_000 {
        reader.parse_received(head.as_bytes(), &bodiless);
        bodiless.fetch_add(1, Ordering::Relaxed);
        assert!(reader.unparsed.len() <= UNPARSED_BYTES_MAX);
        assert!(reader.codings.len() <= CODINGS_MAX);
    }
    let post = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    reader.parse_received(post, &bodiless);
    assert_eq!(
        reader.next_coding(bodiless.swap(0, Ordering::Relaxed)),
        Some(TransferCoding::Chunked)
    );
    // The same from a client whose lines end without CR.
    let (mut reader, bodiless) = (HeadReader::new(HEAD_BYTES_MAX), AtomicU32::new(0));
    for _ in 0..5_000 {
        reader.parse_received(b"GET / HTTP/1.1\n\n", &bodiless);
        bodiless.fetch_add(1, Ordering::Relaxed);
        assert!(reader.unparsed.len() <= UNPARSED_BYTES_MAX);
        assert!(reader.codings.len() <= CODINGS_MAX);
    }
    reader.parse_received(post, &bodiless);
    assert_eq!(
        reader.next_coding(bodiless.swap(0, Ordering::Relaxed)),
        Some(TransferCoding::Chunked)
    );
}

#[test]
fn bytes_that_hyper_has_read_are_not_replaced() {
    let (mut reader, bodiless) = (HeadReader::new(HEAD_BYTES_MAX), AtomicU32::new(0));
    // The line ends of this head are mixed, so where it ends is unknown: what follows is not rewritten.
    let first = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\nabcGET /a<";
    assert_eq!(reader.parse_received(first, &bodiless), None);
    assert_eq!(reader.next_coding(0), Some(TransferCoding::None));
    assert_eq!(
        reader.parse_received(b"b HTTP/1.1\r\n\r\n", &bodiless),
        None
    );
    // The request line after it is rewritten again.
    let replacement = reader
        .parse_received(b"GET /a<b HTTP/1.1\r\n\r\n", &bodiless)
        .unwrap();
    assert_eq!(replacement, b"GET /a%3Cb HTTP/1.1\r\n\r\n");
}

#[test]
fn a_request_line_that_arrives_in_pieces_is_held_back_until_it_is_complete() {
    let (mut reader, bodiless) = (HeadReader::new(16), AtomicU32::new(0));
    for piece in [&b"GET /"[..], b"<", b"\xb2"] {
        assert_eq!(reader.parse_received(piece, &bodiless).unwrap(), b"");
    }
    let replacement = reader
        .parse_received(b" HTTP/1.1\r\nA: b", &bodiless)
        .unwrap();
    assert_eq!(replacement, b"GET /%3C%B2 HTTP/1.1\r\nA: b");
    // A line that is too long is passed on unchanged: hyper refuses it.
    let (mut reader, bodiless) = (HeadReader::new(16), AtomicU32::new(0));
    assert_eq!(
        reader.parse_received(b"GET /<<<<<<", &bodiless).unwrap(),
        b""
    );
    let replacement = reader.parse_received(b"<<<<<<<", &bodiless).unwrap();
    assert_eq!(replacement, b"GET /<<<<<<<<<<<<<");
    assert_eq!(reader.parse_received(b"< HTTP/1.1\r\n", &bodiless), None);
    // The held-back bytes are passed on when the connection ends, or is no longer HTTP.
    for at_end in [true, false] {
        let (mut reader, bodiless) = (HeadReader::new(16), AtomicU32::new(0));
        assert_eq!(reader.parse_received(b"GET /<", &bodiless).unwrap(), b"");
        assert_eq!(reader.take_held_back(), b"");
        let held_back = if at_end {
            reader.take_held_back_at_end()
        } else {
            reader.stop();
            reader.take_held_back()
        };
        assert_eq!(held_back, b"GET /<");
        assert_eq!(reader.parse_received(b"< HTTP/1.1\r\n", &bodiless), None);
    }
}
