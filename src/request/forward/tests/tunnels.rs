//! Tunnels: forwarding, stopping, idle time-out.

use super::*;

/// A WebSocket handshake of a client.
const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Starts an upstream that upgrades to `protocol`, sends `early` with its response, and echoes. Returns its
/// port.
async fn start_upgrading_server(protocol: &'static str, early: &'static str) -> u16 {
    start_server(move |_, mut stream| async move {
        let head = read_head_in_lower_case(&mut stream).await.unwrap();
        assert!(head.contains("connection: upgrade\r\n"), "{head}");
        assert!(
            head.contains("sec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n"),
            "{head}"
        );
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n\
             sec-websocket-accept: x\r\n\r\n{early}"
        );
        write(&mut stream, &answer).await;
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

#[tokio::test]
async fn a_tunnel_forwards_bytes_in_both_directions_until_it_is_stopped() {
    let upstream = start_upgrading_server("websocket", "\u{1}\u{2}hi").await;
    let (port, stop) = start_proxy(forwarder(vec![http_upstream(upstream)]), route()).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    write(&mut client, HANDSHAKE).await;
    let head = read_head_in_lower_case(&mut client).await.unwrap();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: x\r\n") && head.contains("upgrade: websocket"));
    let mut early = [0; 4];
    client.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"\x01\x02hi");
    client.write_all(b"\x81\x03abc").await.unwrap();
    let mut back = [0; 5];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"\x81\x03abc");
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x88\x02\x03\xf0");
}

#[tokio::test]
async fn a_tunnel_that_is_stopped_within_a_frame_is_closed_without_a_close_frame() {
    let upstream = start_upgrading_server("websocket", "\u{1}\u{9}half").await;
    let (port, stop) = start_proxy(forwarder(vec![http_upstream(upstream)]), route()).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    write(&mut client, HANDSHAKE).await;
    read_head_in_lower_case(&mut client).await.unwrap();
    let mut early = [0; 6];
    client.read_exact(&mut early).await.unwrap();
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn an_idle_tunnel_ends_and_a_closed_side_closes_the_other() {
    for route in [route_with_short_timeouts(), route()] {
        // With the short idle time-out the client sends nothing, otherwise it closes its side.
        let is_silent = route.limits.idle == SHORT_TIMEOUT;
        let upstream = start_upgrading_server("websocket", "").await;
        let (port, _stop) = start_proxy(forwarder(vec![http_upstream(upstream)]), route).await;
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        write(&mut client, HANDSHAKE).await;
        read_head_in_lower_case(&mut client).await.unwrap();
        if !is_silent {
            client.shutdown().await.unwrap();
        }
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn an_unrequested_upgrade_is_an_invalid_response() {
    let upstream = start_upgrading_server("h2c", "").await;
    let (port, _stop) = start_proxy(forwarder(vec![http_upstream(upstream)]), route()).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    write(&mut client, HANDSHAKE).await;
    assert!(
        read_head_in_lower_case(&mut client)
            .await
            .unwrap()
            .starts_with("http/1.1 502")
    );
    let port = start_server(|_, mut stream| async move {
        read_head_in_lower_case(&mut stream).await;
        write(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        )
        .await;
    })
    .await;
    let body = Empty::<Bytes>::new();
    let request = Request::get("/").header("host", "a").body(body).unwrap();
    let result = send(&forwarder(vec![http_upstream(port)]), route(), request).await;
    assert!(
        matches!(result, Err(ForwardError::InvalidResponse(_))),
        "{result:?}"
    );
}
