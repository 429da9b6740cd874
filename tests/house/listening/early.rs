//! A response that is sent before the request body ends reaches the client.

use crate::frames::{
    DATA, END_STREAM, Frames, HEADERS, HTTP2_WITHOUT_TLS, RST_STREAM, TRUST_ONLY_ANOTHER_HOST,
};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::upstream::{UPSTREAM_HOST, accept, bind_listener, ok, public_route};

/// The response of an application that does not read the body.
const REFUSED: &str = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n";

/// A public route, a route that needs a session, and one with a small limit for bodies.
async fn start_menshen(url: &str) -> Menshen {
    let routes = format!(
        "{}[[route]]\nname = \"small\"\nhost = \"{UPSTREAM_HOST}\"\npath = \"/small\"\naccess = \"public\"\n\
         upstream = [\"{url}\"]\n[route.limits]\nbody_bytes_max = 10\n\
         [[route]]\nname = \"in\"\nhost = \"{UPSTREAM_HOST}\"\npath = \"/in\"\nupstream = [\"{url}\"]\n",
        public_route(url, "")
    );
    let setup = Setup::default()
        .server(TRUST_ONLY_ANOTHER_HOST)
        .tables(HTTP2_WITHOUT_TLS);
    setup.routes(&routes).start().await
}

#[tokio::test]
async fn over_http_2_no_stream_is_reset_while_its_client_still_sends() {
    let socket = bind_listener().await;
    let menshen = start_menshen(&format!("http://{}", socket.local_addr().unwrap())).await;
    for path in ["/in", "/small", "/", "/.menshen/x"] {
        for length in [&[][..], &[("content-length", "50000")]] {
            if path == "/small" && length.is_empty() {
                // Without a length the request is not refused before the body.
                continue;
            }
            let mut client = Frames::open(menshen.address(), 1 << 20).await;
            client
                .send_request(1, 0, ("POST", UPSTREAM_HOST, path), length)
                .await;
            if path == "/" {
                let mut upstream = accept(&socket).await;
                upstream.read_head().await.unwrap();
                upstream.send(REFUSED).await;
            }
            let (mut header_frames, mut ended) = (0, false);
            while !ended {
                let frame = client
                    .next_of_stream(1)
                    .await
                    .expect("the connection stays");
                assert_ne!(frame.kind, RST_STREAM, "{path} {length:?}");
                header_frames += usize::from(frame.kind == HEADERS);
                ended = frame.flags & END_STREAM != 0;
            }
            assert_eq!(header_frames, 1, "{path}");
            // The client sends the body after the response, and the stream ends without a reset.
            for piece in vec![b'x'; 50_000].chunks(16_000) {
                client.send(DATA, 0, 1, piece).await;
            }
            client.send(DATA, END_STREAM, 1, &[]).await;
            client.get(3, UPSTREAM_HOST, "/.menshen/ping").await;
            loop {
                let frame = client.next().await.expect("the connection stays");
                assert_ne!(frame.kind, RST_STREAM, "{path} {length:?}: {frame:?}");
                if frame.stream == 3 && frame.flags & END_STREAM != 0 {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn over_http_1_the_connection_stays_open_while_the_client_sends() {
    let socket = bind_listener().await;
    let menshen = start_menshen(&format!("http://{}", socket.local_addr().unwrap())).await;
    let body = vec![b'x'; 2_000_000];
    for (path, status) in [
        ("/in", 401),
        ("/small", 413),
        ("/", 413),
        ("/.menshen/x", 404),
    ] {
        let mut connection = RawConnection::open(menshen.address()).await;
        let length = body.len();
        connection
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: {length}\r\n\r\n"
            ))
            .await;
        if path == "/" {
            let mut upstream = accept(&socket).await;
            upstream.read_head().await.unwrap();
            upstream.send(REFUSED).await;
        }
        assert_eq!(connection.read_answer().await.status, status, "{path}");
        connection.send(&body).await;
        connection
            .send(format!(
                "GET /.menshen/ping HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"
            ))
            .await;
        assert_eq!(connection.read_answer().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_none_after_the_response() {
    let menshen = start_menshen("http://127.0.0.1:9").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(format!(
            "POST /in HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.read_answer_head().await.status, 401);
}

#[tokio::test]
async fn a_client_that_never_stops_sending_is_disconnected() {
    let menshen = start_menshen("http://127.0.0.1:9").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(format!(
            "POST /in HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 1000000000\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.read_answer().await.status, 401);
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while connection.try_send(&piece).await.is_ok() {
        sent += 1;
        assert!(sent < 200, "menshen reads the body without a limit");
    }
}

#[tokio::test]
async fn a_body_that_the_application_reads_still_arrives() {
    let socket = bind_listener().await;
    let menshen = start_menshen(&format!("http://{}", socket.local_addr().unwrap())).await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 4\r\n\r\nbody"
        ))
        .await;
    let mut upstream = accept(&socket).await;
    assert_eq!(upstream.read_request().await.unwrap().body, b"body");
    upstream.send(ok("fine")).await;
    assert_eq!(connection.read_answer().await.text(), "fine");
}
