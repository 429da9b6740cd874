//! A WebSocket lives as long as its request would still be allowed, and the others stay.

use std::net::SocketAddr;
use std::time::Duration;

use menshen::store::RevocationScope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::HOUR;
use crate::setup::{Menshen, ROUTES, Setup};
use crate::test_request::{TestRequest, session_cookie_of};

/// A client's end of a WebSocket.
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

    /// Whether a word comes back.
    pub(crate) async fn echoes(&mut self) -> bool {
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

    /// Waits for the end, for 15 s at most; what was said before it.
    pub(crate) async fn ends(mut self, what: &str) -> Vec<u8> {
        let mut said = Vec::new();
        let end = self.0.read_to_end(&mut said);
        let end = tokio::time::timeout(Duration::from_secs(60), end).await;
        // A reset is an end, too.
        let _ = end.unwrap_or_else(|_| panic!("{what}: still open"));
        said
    }
}

/// The close frame with status 1008.
pub(crate) const GOODBYE: [u8; 4] = [0x88, 0x02, 0x03, 0xf0];

async fn two(menshen: &Menshen) -> (Socket, Socket) {
    let zhang = session_cookie_of(menshen, "zhangsan").await;
    let li = session_cookie_of(menshen, "lisi").await;
    let mut sockets = (
        Socket::open(menshen.address(), "/ws", &zhang).await,
        Socket::open(menshen.address(), "/ws", &li).await,
    );
    assert!(sockets.0.echoes().await && sockets.1.echoes().await);
    sockets
}

#[tokio::test]
async fn it_is_closed_when_its_session_is_revoked_and_the_others_stay() {
    for at in 0..2 {
        let menshen = Menshen::new().await;
        let (zhang, mut li) = two(&menshen).await;
        let shared = menshen.running.live().services();
        let login = "zhangsan".parse().unwrap();
        let account = shared
            .store
            .account_by_login(&login)
            .await
            .unwrap()
            .unwrap()
            .id;
        let sessions = shared.store.sessions(Some(&account), 1).await.unwrap();
        let scope = [
            RevocationScope::Session(sessions[0].key),
            RevocationScope::Account(account),
        ][at]
            .clone();
        shared.sessions.revoke(&scope).await.unwrap();
        assert_eq!(zhang.ends("revoked").await, GOODBYE, "{scope:?}");
        assert!(li.echoes().await, "{scope:?}");
    }
}

#[tokio::test]
async fn all_are_closed_when_everyone_is_revoked() {
    let menshen = Menshen::new().await;
    let (zhang, li) = two(&menshen).await;
    let sessions = &menshen.running.live().services().sessions;
    sessions.revoke(&RevocationScope::Everyone).await.unwrap();
    zhang.ends("zhangsan").await;
    li.ends("lisi").await;
}

#[tokio::test]
async fn it_is_closed_by_a_sign_out() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let socket = Socket::open(menshen.address(), "/ws", &cookie).await;
    let out = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating();
    assert_eq!(out.send(&menshen).await.status, 200);
    assert_eq!(socket.ends("signed out").await, GOODBYE);
}

#[tokio::test]
async fn it_is_closed_when_its_session_expires() {
    let setup = Setup::default().session("lifetime = \"2s\"\nidle_timeout = \"2s\"");
    let menshen = setup.start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let mut socket = Socket::open(menshen.address(), "/ws", &cookie).await;
    assert!(socket.echoes().await);
    // The door looks again when two seconds of the real time are over.
    menshen.advance(HOUR);
    assert_eq!(socket.ends("expired").await, GOODBYE);
}

#[tokio::test]
async fn it_is_closed_when_a_reload_takes_its_route_or_its_right_away() {
    for routes in [
        "[[route]]\nname = 'other'\nhost = 'sso.test'\npath = '/other'\nupstream = ['{app}']\n",
        "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
         allow = \"user.login == 'lisi'\"\n",
    ] {
        let menshen = Menshen::new().await;
        let (zhang, mut li) = two(&menshen).await;
        menshen.reload(&Setup::default()).await.unwrap();
        assert!(
            li.echoes().await,
            "a reload that changes nothing ends nothing"
        );
        menshen
            .reload(&Setup::default().routes(routes))
            .await
            .unwrap();
        assert_eq!(zhang.ends(routes).await, GOODBYE);
        if routes.contains("lisi") {
            assert!(li.echoes().await);
        } else {
            li.ends(routes).await;
        }
    }
}

#[tokio::test]
async fn one_on_a_public_route_is_closed_too_when_the_person_it_was_opened_for_is_revoked() {
    let public = "[[route]]\nname = 'ws'\nhost = 'sso.test'\npath = '/ws'\naccess = 'public'\n\
                  upstream = ['{app}']\n";
    let setup = Setup::default().routes(&format!("{ROUTES}{public}"));
    let menshen = setup.start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let mut zhang = Socket::open(menshen.address(), "/ws", &cookie).await;
    let mut stranger = Socket::open(menshen.address(), "/ws", "").await;
    assert!(zhang.echoes().await && stranger.echoes().await);
    let out = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating();
    assert_eq!(out.send(&menshen).await.status, 200);
    assert_eq!(zhang.ends("signed out").await, GOODBYE);
    assert!(stranger.echoes().await);
}

#[tokio::test]
async fn nobody_opens_one_without_a_session() {
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
