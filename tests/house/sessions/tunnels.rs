//! A WebSocket is closed when its request is no longer allowed; others stay open.

use std::net::SocketAddr;
use std::time::Duration;

use menshen::store::RevocationScope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{HOUR, account_and_sessions};
use crate::setup::{Menshen, ROUTES, Setup};
use crate::test_request::{TestRequest, session_cookie_of};

/// The client of an open WebSocket.
pub(crate) struct Socket(TcpStream);

impl Socket {
    pub(crate) async fn open(address: SocketAddr, path: &str, cookie: &str) -> Self {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: sso.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Cookie: menshen={cookie}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        Self(stream)
    }

    /// Whether the upstream echoes a message.
    pub(crate) async fn is_open(&mut self) -> bool {
        // A masked text frame; the mask is zero.
        let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
        if self.0.write_all(&frame).await.is_err() {
            return false;
        }
        let mut back = [0; 4];
        let read = self.0.read_exact(&mut back);
        let read = tokio::time::timeout(Duration::from_secs(60), read).await;
        read.expect("an end or an echo").is_ok() && back == [0x81, 2, b'h', b'i']
    }

    /// Reads until the connection ends, for at most a minute; returns the bytes.
    pub(crate) async fn read_to_end(mut self, what: &str) -> Vec<u8> {
        let mut said = Vec::new();
        let end = self.0.read_to_end(&mut said);
        let end = tokio::time::timeout(Duration::from_secs(60), end).await;
        // A reset ends the connection, too.
        let _ = end.unwrap_or_else(|_| panic!("{what}: still open"));
        said
    }
}

/// The close frame with status 1008.
pub(crate) const CLOSE_1008: [u8; 4] = [0x88, 0x02, 0x03, 0xf0];

async fn open_two_websockets(menshen: &Menshen) -> (Socket, Socket) {
    let zhang = session_cookie_of(menshen, "zhangsan").await;
    let li = session_cookie_of(menshen, "lisi").await;
    let mut sockets = (
        Socket::open(menshen.address(), "/ws", &zhang).await,
        Socket::open(menshen.address(), "/ws", &li).await,
    );
    assert!(sockets.0.is_open().await && sockets.1.is_open().await);
    sockets
}

#[tokio::test]
async fn a_websocket_is_closed_when_its_session_is_revoked_and_others_stay_open() {
    for at in 0..2 {
        let menshen = Menshen::new().await;
        let (zhang, mut li) = open_two_websockets(&menshen).await;
        let shared = menshen.running.live().services();
        let (account, stored) = account_and_sessions(&*shared.store, "zhangsan").await;
        let scope = [
            RevocationScope::Session(stored[0].key),
            RevocationScope::Account(account),
        ][at]
            .clone();
        shared.sessions.revoke(&scope).await.unwrap();
        assert_eq!(zhang.read_to_end("revoked").await, CLOSE_1008, "{scope:?}");
        assert!(li.is_open().await, "{scope:?}");
    }
}

#[tokio::test]
async fn all_websockets_are_closed_when_everyone_is_revoked() {
    let menshen = Menshen::new().await;
    let (zhang, li) = open_two_websockets(&menshen).await;
    let sessions = &menshen.running.live().services().sessions;
    sessions.revoke(&RevocationScope::Everyone).await.unwrap();
    zhang.read_to_end("zhangsan").await;
    li.read_to_end("lisi").await;
}

#[tokio::test]
async fn websockets_are_closed_when_menshen_stops() {
    let menshen = Menshen::new().await;
    let (zhang, li) = open_two_websockets(&menshen).await;
    menshen.running.live().shutdown().cancel();
    assert_eq!(zhang.read_to_end("zhangsan").await, CLOSE_1008);
    assert_eq!(li.read_to_end("lisi").await, CLOSE_1008);
}

#[tokio::test]
async fn a_websocket_is_closed_by_a_sign_out() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let socket = Socket::open(menshen.address(), "/ws", &cookie).await;
    let out = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating();
    assert_eq!(out.send(&menshen).await.status, 200);
    assert_eq!(socket.read_to_end("signed out").await, CLOSE_1008);
}

#[tokio::test]
async fn a_websocket_is_closed_when_its_session_expires() {
    let setup = Setup::default().session("lifetime = \"2s\"\nidle_timeout = \"2s\"");
    let menshen = setup.start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let mut socket = Socket::open(menshen.address(), "/ws", &cookie).await;
    assert!(socket.is_open().await);
    // Open connections are checked again after two seconds of real time.
    menshen.advance(HOUR);
    assert_eq!(socket.read_to_end("expired").await, CLOSE_1008);
}

#[tokio::test]
async fn a_websocket_is_closed_when_a_reload_removes_its_route_or_permission() {
    for routes in [
        "[[route]]\nname = 'other'\nhost = 'sso.test'\npath = '/other'\nupstream = ['{app}']\n",
        "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
         allow = \"user.login == 'lisi'\"\n",
    ] {
        let menshen = Menshen::new().await;
        let (zhang, mut li) = open_two_websockets(&menshen).await;
        menshen.reload(&Setup::default()).await.unwrap();
        assert!(
            li.is_open().await,
            "a reload that changes nothing ends nothing"
        );
        menshen
            .reload(&Setup::default().routes(routes))
            .await
            .unwrap();
        assert_eq!(zhang.read_to_end(routes).await, CLOSE_1008);
        if routes.contains("lisi") {
            assert!(li.is_open().await);
        } else {
            li.read_to_end(routes).await;
        }
    }
}

#[tokio::test]
async fn a_websocket_on_a_public_route_is_closed_when_its_session_is_revoked() {
    let public = "[[route]]\nname = 'ws'\nhost = 'sso.test'\npath = '/ws'\naccess = 'public'\n\
                  upstream = ['{app}']\n";
    let setup = Setup::default().routes(&format!("{ROUTES}{public}"));
    let menshen = setup.start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let mut zhang = Socket::open(menshen.address(), "/ws", &cookie).await;
    let mut stranger = Socket::open(menshen.address(), "/ws", "").await;
    assert!(zhang.is_open().await && stranger.is_open().await);
    let out = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating();
    assert_eq!(out.send(&menshen).await.status, 200);
    assert_eq!(zhang.read_to_end("signed out").await, CLOSE_1008);
    assert!(stranger.is_open().await);
}

#[tokio::test]
async fn a_websocket_without_a_session_is_refused() {
    let menshen = Menshen::new().await;
    let upgrade = TestRequest::get("/ws")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = upgrade.send(&menshen).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("upgrade"), None);
    assert_eq!(menshen.app.requests(), 0);
}
