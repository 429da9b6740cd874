//! Open responses and uploads end when their request is no longer allowed.

use std::net::SocketAddr;
use std::time::Duration;

use menshen::store::RevocationScope;
use tokio::net::{TcpListener, TcpStream};

use super::{HOUR, account_and_sessions};
use crate::frames::{END_STREAM, Frames, HTTP2_WITHOUT_TLS, TRUST_ONLY_ANOTHER_HOST};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, ROUTES, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::upstream::{accept, bind_listener, ok};

/// Starts menshen with a short recheck interval, and the upstream behind `/slow`.
async fn start_menshen(session: &str) -> (Menshen, TcpListener) {
    let socket = bind_listener().await;
    let menshen = setup(&socket, session, "").start().await;
    (menshen, socket)
}

pub(super) fn setup(socket: &TcpListener, session: &str, lines: &str) -> Setup {
    let slow = format!(
        "[[route]]\nname = 'slow'\nhost = 'sso.test'\npath = '/slow'\n\
         upstream = ['http://{}']\n{lines}",
        socket.local_addr().unwrap()
    );
    Setup::default()
        .routes(&format!("{ROUTES}{slow}"))
        .session(session)
        .server(&format!(
            "{TRUST_ONLY_ANOTHER_HOST}limits.judged_again_after = \"50ms\"\n"
        ))
        .tables(HTTP2_WITHOUT_TLS)
        .access_log()
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";

/// Opens an event stream; returns the client's and the upstream's connection.
async fn open_events(
    menshen: &Menshen,
    socket: &TcpListener,
    cookie: &str,
) -> (RawConnection<TcpStream>, RawConnection<TcpStream>) {
    open_events_at(menshen.address(), socket, cookie).await
}

pub(super) async fn open_events_at(
    menshen: SocketAddr,
    socket: &TcpListener,
    cookie: &str,
) -> (RawConnection<TcpStream>, RawConnection<TcpStream>) {
    let mut client = RawConnection::open(menshen).await;
    let ask = TestRequest::get("/slow").session(cookie).to_bytes();
    client.send(ask).await;
    let mut upstream = accept(socket).await;
    upstream.read_request().await.unwrap();
    upstream.send(EVENTS).await;
    assert_eq!(client.read_answer_head().await.status, 200);
    upstream.send("2\r\n1\n\r\n").await;
    assert_eq!(client.read_chunk().await.unwrap(), b"1\n");
    (client, upstream)
}

pub(super) async fn assert_continues(
    client: &mut RawConnection<TcpStream>,
    upstream: &mut RawConnection<TcpStream>,
) {
    upstream.send("3\r\nyes\r\n").await;
    assert_eq!(client.read_chunk().await.unwrap(), b"yes");
}

/// Asserts that the response is truncated and the upstream's connection is closed.
pub(super) async fn assert_cut_off(
    mut client: RawConnection<TcpStream>,
    mut upstream: RawConnection<TcpStream>,
) {
    let rest = client.read_to_end().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the response looks complete");
    assert!(upstream.read_to_end().await.is_empty());
}

async fn account(menshen: &Menshen, login: &str) -> menshen::store::AccountId {
    let store = &menshen.running.live().services().store;
    let login = login.parse().unwrap();
    store.account_by_login(&login).await.unwrap().unwrap().id
}

async fn revoke(menshen: &Menshen, scope: &RevocationScope) {
    let sessions = &menshen.running.live().services().sessions;
    sessions.revoke(scope).await.unwrap();
}

#[tokio::test]
async fn an_event_stream_ends_when_its_session_is_revoked_and_others_continue() {
    let (menshen, socket) = start_menshen("").await;
    let [zhang, li] = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
    ];
    let mut lis = open_events(&menshen, &socket, &li).await;
    for at in 0..3 {
        let zhang = match at {
            0 => zhang.clone(),
            _ => session_cookie_of(&menshen, "zhangsan").await,
        };
        // One stream is idle, the other receives more events.
        let silent = open_events(&menshen, &socket, &zhang).await;
        let mut talking = open_events(&menshen, &socket, &zhang).await;
        assert_continues(&mut talking.0, &mut talking.1).await;
        match at {
            0 => {
                let out = TestRequest::get("/.menshen/sign_out")
                    .session(&zhang)
                    .navigating();
                assert_eq!(out.send(&menshen).await.status, 200);
            }
            1 => {
                let store = &menshen.running.live().services().store;
                let (_, sessions) = account_and_sessions(&**store, "zhangsan").await;
                for session in sessions {
                    revoke(&menshen, &RevocationScope::Session(session.key)).await;
                }
            }
            _ => {
                revoke(
                    &menshen,
                    &RevocationScope::Account(account(&menshen, "zhangsan").await),
                )
                .await
            }
        }
        assert_cut_off(silent.0, silent.1).await;
        assert_cut_off(talking.0, talking.1).await;
        assert_continues(&mut lis.0, &mut lis.1).await;
    }
    revoke(&menshen, &RevocationScope::Everyone).await;
    assert_cut_off(lis.0, lis.1).await;
    menshen.running.live().services().telemetry.flush();
    let text = menshen.records.text();
    let ended: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        // A response body that menshen ended.
        .filter(|line: &serde_json::Value| line["ended"] == "answer")
        .collect();
    assert_eq!(ended.len(), 7);
    for line in &ended {
        assert_eq!(line["target"], "menshen::access");
        assert_eq!(line["route"], "slow");
        assert_eq!(line["reason"], "no longer allowed");
        let same = |id: &str| text.matches(id).count();
        assert_eq!(same(line["request_id"].as_str().unwrap()), 2);
    }
    assert_eq!(ended[6]["login"], "lisi");
}

#[tokio::test]
async fn a_long_download_ends_with_its_session_over_http_1_and_http_2() {
    let (menshen, socket) = start_menshen("").await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf";
    let mut client = RawConnection::open(menshen.address()).await;
    let ask = TestRequest::get("/slow").session(&cookie).to_bytes();
    client.send(ask).await;
    let mut upstream = accept(&socket).await;
    upstream.read_request().await.unwrap();
    upstream.send(head).await;
    assert_eq!(client.read_answer_head().await.status, 200);
    let mut streams = Frames::open(menshen.address(), 1 << 20).await;
    let cookie_header = format!("menshen={cookie}");
    let asked = ("GET", "sso.test", "/slow");
    streams
        .send_request(1, END_STREAM, asked, &[("cookie", &cookie_header)])
        .await;
    let mut second = accept(&socket).await;
    second.read_request().await.unwrap();
    second.send(head).await;
    assert_eq!(
        streams.next_of_stream(1).await.unwrap().flags & END_STREAM,
        0
    );
    revoke(&menshen, &RevocationScope::Everyone).await;
    assert_eq!(client.read_to_end().await, b"half");
    streams.body_bytes_before_reset(1).await;
    assert!(upstream.read_to_end().await.is_empty() && second.read_to_end().await.is_empty());
}

#[tokio::test]
async fn an_event_stream_ends_when_its_session_expires() {
    let (menshen, socket) = start_menshen("lifetime = \"2s\"\nidle_timeout = \"2s\"").await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let (client, upstream) = open_events(&menshen, &socket, &cookie).await;
    menshen.advance(HOUR);
    assert_cut_off(client, upstream).await;
}

#[tokio::test]
async fn a_reload_ends_only_the_streams_that_it_no_longer_allows() {
    let (menshen, socket) = start_menshen("").await;
    let [zhang, li] = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
    ];
    let zhangs = open_events(&menshen, &socket, &zhang).await;
    let mut lis = open_events(&menshen, &socket, &li).await;
    menshen.reload(&setup(&socket, "", "")).await.unwrap();
    assert_continues(&mut lis.0, &mut lis.1).await;
    let text = format!(
        "[[route]]\nname = 'slow'\nhost = 'sso.test'\npath = '/slow'\n\
         upstream = ['http://{}']\nallow = \"user.login == 'lisi'\"\n",
        socket.local_addr().unwrap()
    );
    menshen
        .reload(&setup(&socket, "", "").routes(&text))
        .await
        .unwrap();
    assert_cut_off(zhangs.0, zhangs.1).await;
    assert_continues(&mut lis.0, &mut lis.1).await;
}

#[tokio::test]
async fn an_upload_ends_with_its_session() {
    let (menshen, socket) = start_menshen("").await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let mut client = RawConnection::open(menshen.address()).await;
    client
        .send(format!(
            "POST /slow HTTP/1.1\r\nHost: sso.test\r\nCookie: menshen={cookie}\r\n\
             Content-Length: 1000\r\n\r\nhalf"
        ))
        .await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    assert_eq!(upstream.read_bytes(4).await.unwrap(), b"half");
    revoke(&menshen, &RevocationScope::Everyone).await;
    assert_eq!(client.read_answer().await.status, 401);
    assert!(upstream.read_to_end().await.is_empty());
    menshen.running.live().services().telemetry.flush();
    let text = menshen.records.text();
    assert!(text.contains("\"reason\":\"no longer allowed\""), "{text}");
}

#[tokio::test]
async fn a_response_that_arrives_after_the_end_of_its_session_is_not_delivered() {
    let (menshen, socket) = start_menshen("").await;
    let [zhang, li] = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
    ];
    let mut waiting = Vec::new();
    for cookie in [&zhang, &li] {
        let mut client = RawConnection::open(menshen.address()).await;
        let ask = TestRequest::get("/slow").session(cookie).to_bytes();
        client.send(ask).await;
        let mut upstream = accept(&socket).await;
        upstream.read_request().await.unwrap();
        waiting.push((client, upstream));
    }
    revoke(
        &menshen,
        &RevocationScope::Account(account(&menshen, "zhangsan").await),
    )
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for ((client, upstream), status) in waiting.iter_mut().zip([401, 200]) {
        upstream.send(ok("the figures of the quarter")).await;
        let answer = client.read_answer().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.text().contains("figures"), status == 200);
    }
}
