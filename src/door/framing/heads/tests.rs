use super::*;

/// What the heads of a connection say, when it arrives in pieces of a size.
fn codings(bytes: &[u8], at_once: usize) -> Vec<TransferCoding> {
    let (mut reader, none) = (HeadReader::new(1 << 16), AtomicU32::new(0));
    for piece in bytes.chunks(at_once) {
        reader.note(piece, &none);
    }
    std::iter::from_fn(|| reader.next(0)).collect()
}

#[test]
fn each_head_of_a_connection_is_found_behind_the_body_before_it() {
    let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n\
        POST / HTTP/1.1\r\nContent-Length: 31\r\n\r\nTransfer-Encoding: chunked\r\n\r\n\n\
        \r\nPOST / HTTP/1.1\r\ntransfer-encoding:  Chunked \r\n\r\n\
        a;x=y\r\n0123456789\r\n0\r\nContent-Length: 7\r\n\r\n\
        POST / HTTP/1.1\nContent-Length:\t3\n\nabc\
        GET / HTTP/1.1\r\n\r\n";
    use TransferCoding::{Chunked, None};
    for at_once in 1..bytes.len() {
        // A length in a head whose lines end oddly is not relied on.
        assert_eq!(
            codings(bytes, at_once),
            [None, None, Chunked, None],
            "{at_once}"
        );
    }
}

#[test]
fn a_head_that_two_could_read_in_two_ways_is_unclear() {
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
        for at_once in [1, 2, 7, bytes.len()] {
            let found = codings(bytes.as_bytes(), at_once);
            assert_eq!(found, [TransferCoding::Ambiguous], "{lines:?}");
        }
    }
}

#[test]
fn a_body_whose_chunks_are_odd_is_the_last_that_is_followed() {
    let next = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "0\n\r\n",
        "1 \r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "1;a\rb\r\na\r\n0\r\n\r\n",
    ] {
        let bytes = format!("{next}{body}{next}");
        assert_eq!(
            codings(bytes.as_bytes(), 5),
            [TransferCoding::Chunked],
            "{body:?}"
        );
    }
}

#[test]
fn requests_without_a_body_leave_nothing_behind() {
    let (mut reader, bodiless) = (HeadReader::new(1 << 16), AtomicU32::new(0));
    let head = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(2_000));
    for _ in 0..5_000 {
        reader.note(head.as_bytes(), &bodiless);
        bodiless.fetch_add(1, Ordering::Relaxed);
        assert!(reader.unparsed.len() <= UNPARSED_BYTES_MAX && reader.heads.len() < 20);
    }
    let post = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    reader.note(post, &bodiless);
    assert_eq!(
        reader.next(bodiless.swap(0, Ordering::Relaxed)),
        Some(TransferCoding::Chunked)
    );
    // The same from a client whose lines end oddly.
    let (mut reader, bodiless) = (HeadReader::new(1 << 16), AtomicU32::new(0));
    for _ in 0..5_000 {
        reader.note(b"GET / HTTP/1.1\n\n", &bodiless);
        bodiless.fetch_add(1, Ordering::Relaxed);
        assert!(reader.unparsed.len() <= UNPARSED_BYTES_MAX && reader.heads.len() < 5_000);
    }
    reader.note(post, &bodiless);
    assert_eq!(
        reader.next(bodiless.swap(0, Ordering::Relaxed)),
        Some(TransferCoding::Chunked)
    );
}

#[test]
fn what_hyper_was_given_already_is_never_given_again() {
    let (mut reader, none) = (HeadReader::new(1 << 16), AtomicU32::new(0));
    // A head that ends oddly hides where it ends: what follows is given as it comes.
    let first = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\nabcGET /a<";
    assert_eq!(reader.note(first, &none), None);
    assert_eq!(reader.next(0), Some(TransferCoding::None));
    assert_eq!(reader.note(b"b HTTP/1.1\r\n\r\n", &none), None);
    // The next request line is followed again.
    let given = reader.note(b"GET /a<b HTTP/1.1\r\n\r\n", &none).unwrap();
    assert_eq!(given, b"GET /a%3Cb HTTP/1.1\r\n\r\n");
}

#[test]
fn a_request_line_in_pieces_is_given_once_it_is_whole() {
    let (mut reader, none) = (HeadReader::new(16), AtomicU32::new(0));
    for piece in [&b"GET /"[..], b"<", b"\xb2"] {
        assert_eq!(reader.note(piece, &none).unwrap(), b"");
    }
    let given = reader.note(b" HTTP/1.1\r\nA: b", &none).unwrap();
    assert_eq!(given, b"GET /%3C%B2 HTTP/1.1\r\nA: b");
    // One that is too long is given as it is: hyper refuses it.
    let (mut reader, none) = (HeadReader::new(16), AtomicU32::new(0));
    assert_eq!(reader.note(b"GET /<<<<<<", &none).unwrap(), b"");
    let given = reader.note(b"<<<<<<<", &none).unwrap();
    assert_eq!(given, b"GET /<<<<<<<<<<<<<");
    assert_eq!(reader.note(b"< HTTP/1.1\r\n", &none), None);
    // What was held back goes on when the connection ends, or is no HTTP any more.
    for at_end in [true, false] {
        let (mut reader, none) = (HeadReader::new(16), AtomicU32::new(0));
        assert_eq!(reader.note(b"GET /<", &none).unwrap(), b"");
        assert_eq!(reader.release(false), b"");
        if !at_end {
            reader.stop();
        }
        assert_eq!(reader.release(at_end), b"GET /<");
        assert_eq!(reader.note(b"< HTTP/1.1\r\n", &none), None);
    }
}
