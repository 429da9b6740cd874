//! A WebSocket server (RFC 6455) that echoes every frame.

use std::io;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The value that RFC 6455, section 1.3, appends to the client's key.
const HANDSHAKE_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The maximum frame size; a larger frame closes the connection.
const FRAME_BYTES_MAX: usize = 1 << 16;
/// The idle time-out.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// The opcodes of control frames (RFC 6455 5.5).
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Accepts an upgrade and echoes in a task of `sockets`; any other request gets status 426.
pub(super) fn upgrade(
    mut request: Request<Incoming>,
    sockets: &mut JoinSet<()>,
) -> Response<Full<Bytes>> {
    while sockets.try_join_next().is_some() {}
    let key = request
        .headers()
        .get(SEC_WEBSOCKET_KEY)
        .map(|key| key.as_bytes().to_vec());
    let upgrade = request.headers().get(UPGRADE);
    let (Some(key), true) = (
        key,
        upgrade.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket")),
    ) else {
        let mut response = Response::new(Full::from("WebSocket only\n"));
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        response
            .headers_mut()
            .insert(UPGRADE, HeaderValue::from_static("websocket"));
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    };
    let upgraded = hyper::upgrade::on(&mut request);
    sockets.spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            // The client disconnected or violated the protocol; there is no one to report it to.
            let _ = echo(TokioIo::new(upgraded)).await;
        }
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(
        SEC_WEBSOCKET_ACCEPT,
        HeaderValue::from_str(&accept_key(&key)).expect("base64 is a header value"),
    );
    response
}

/// The `Sec-WebSocket-Accept` value for a client's key.
fn accept_key(key: &[u8]) -> String {
    let proof = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        &[key, HANDSHAKE_GUID.as_bytes()].concat(),
    );
    STANDARD.encode(proof)
}

async fn echo(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let (first, data) = timeout(IDLE_MAX, read_frame(&mut socket)).await??;
        match first & 0x0f {
            PING => write_frame(&mut socket, first & 0xf0 | PONG, &data).await?,
            PONG => {}
            CLOSE => {
                write_frame(&mut socket, first, &data).await?;
                return socket.shutdown().await;
            }
            _ => write_frame(&mut socket, first, &data).await?,
        }
    }
}

/// Reads a frame: its first byte (flags and opcode) and its unmasked data.
async fn read_frame(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let first = socket.read_u8().await?;
    let second = socket.read_u8().await?;
    let length = match second & 0x7f {
        126 => usize::from(socket.read_u16().await?),
        127 => usize::try_from(socket.read_u64().await?).unwrap_or(usize::MAX),
        short => usize::from(short),
    };
    if second & 0x80 == 0 || length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut mask = [0; 4];
    socket.read_exact(&mut mask).await?;
    let mut data = vec![0; length];
    socket.read_exact(&mut data).await?;
    for (byte, key) in data.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    Ok((first, data))
}

async fn write_frame(
    socket: &mut (impl AsyncWrite + Unpin),
    first: u8,
    data: &[u8],
) -> io::Result<()> {
    let mut frame = vec![first];
    match (u8::try_from(data.len()), u16::try_from(data.len())) {
        (Ok(short @ ..=125), _) => frame.push(short),
        (_, Ok(middle)) => {
            frame.push(126);
            frame.extend(middle.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((data.len() as u64).to_be_bytes());
        }
    }
    frame.extend(data);
    socket.write_all(&frame).await?;
    socket.flush().await
}
