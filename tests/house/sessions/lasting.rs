//! An answer that goes on, and an upload, live as long as their request would still be allowed.

use std::net::SocketAddr;
use std::time::Duration;

use menshen::store::RevocationScope;
use tokio::net::{TcpListener, TcpStream};

use super::HOUR;
use crate::asking::{Ask, signed_in};
use crate::frames::{END_STREAM, Frames, NOBODY_TRUSTED, PLAIN_HTTP2};
use crate::house::{House, Plan, ROUTES};
use crate::line::Line;
use crate::upstream::{accept, listener, ok};

/// A house whose answers last from the first moment on, and the upstream behind `/slow`.
async fn house(session: &str) -> (House, TcpListener) {
    let socket = listener().await;
    let house = plan(&socket, session, "").start().await;
    (house, socket)
}

pub(super) fn plan(socket: &TcpListener, session: &str, lines: &str) -> Plan {
    let slow = format!(
        "[[route]]\nname = 'slow'\nhost = 'sso.test'\npath = '/slow'\n\
         upstream = ['http://{}']\n{lines}",
        socket.local_addr().unwrap()
    );
    Plan::default()
        .routes(&format!("{ROUTES}{slow}"))
        .session(session)
        .server(&format!(
            "{NOBODY_TRUSTED}limits.judged_again_after = \"50ms\"\n"
        ))
        .more(PLAIN_HTTP2)
        .access_log()
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";

/// A stream of events that has begun, from both ends.
async fn events(
    house: &House,
    socket: &TcpListener,
    cookie: &str,
) -> (Line<TcpStream>, Line<TcpStream>) {
    events_at(house.address(), socket, cookie).await
}

pub(super) async fn events_at(
    house: SocketAddr,
    socket: &TcpListener,
    cookie: &str,
) -> (Line<TcpStream>, Line<TcpStream>) {
    let mut client = Line::open(house).await;
    let ask = Ask::get("/slow").session(cookie).on_the_wire();
    client.send(ask).await;
    let mut upstream = accept(socket).await;
    upstream.request().await.unwrap();
    upstream.send(EVENTS).await;
    assert_eq!(client.answer_head().await.status, 200);
    upstream.send("2\r\n1\n\r\n").await;
    assert_eq!(client.chunk().await.unwrap(), b"1\n");
    (client, upstream)
}

pub(super) async fn goes_on(client: &mut Line<TcpStream>, upstream: &mut Line<TcpStream>) {
    upstream.send("3\r\nyes\r\n").await;
    assert_eq!(client.chunk().await.unwrap(), b"yes");
}

/// It ends without an end, and the upstream's connection is closed.
pub(super) async fn is_cut_off(mut client: Line<TcpStream>, mut upstream: Line<TcpStream>) {
    let rest = client.rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks whole");
    assert!(upstream.rest().await.is_empty());
}

async fn account(house: &House, login: &str) -> menshen::store::AccountId {
    let store = &house.running.live().shared().store;
    let login = login.parse().unwrap();
    store.account_by_login(&login).await.unwrap().unwrap().id
}

async fn revoke(house: &House, scope: &RevocationScope) {
    let sessions = &house.running.live().shared().sessions;
    sessions.revoke(scope).await.unwrap();
}

#[tokio::test]
async fn an_event_stream_ends_when_its_session_is_revoked_and_the_others_go_on() {
    let (house, socket) = house("").await;
    let [zhang, li] = [
        signed_in(&house, "zhangsan").await,
        signed_in(&house, "lisi").await,
    ];
    let mut lis = events(&house, &socket, &li).await;
    for at in 0..3 {
        let zhang = match at {
            0 => zhang.clone(),
            _ => signed_in(&house, "zhangsan").await,
        };
        // One of them says nothing more, the other goes on.
        let silent = events(&house, &socket, &zhang).await;
        let mut talking = events(&house, &socket, &zhang).await;
        goes_on(&mut talking.0, &mut talking.1).await;
        match at {
            0 => {
                let out = Ask::get("/.menshen/sign_out").session(&zhang).navigating();
                assert_eq!(out.of(&house).await.status, 200);
            }
            1 => {
                let account = account(&house, "zhangsan").await;
                let store = &house.running.live().shared().store;
                let sessions = store.sessions(Some(&account), 9).await.unwrap();
                for session in sessions {
                    revoke(&house, &RevocationScope::Session(session.key)).await;
                }
            }
            _ => {
                revoke(
                    &house,
                    &RevocationScope::Account(account(&house, "zhangsan").await),
                )
                .await
            }
        }
        is_cut_off(silent.0, silent.1).await;
        is_cut_off(talking.0, talking.1).await;
        goes_on(&mut lis.0, &mut lis.1).await;
    }
    revoke(&house, &RevocationScope::Everyone).await;
    is_cut_off(lis.0, lis.1).await;
    house.running.live().shared().telemetry.flush();
    let text = house.records.text();
    let ended: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
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
async fn a_long_download_ends_when_its_session_does_over_either_version() {
    let (house, socket) = house("").await;
    let cookie = signed_in(&house, "zhangsan").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf";
    let mut client = Line::open(house.address()).await;
    let ask = Ask::get("/slow").session(&cookie).on_the_wire();
    client.send(ask).await;
    let mut upstream = accept(&socket).await;
    upstream.request().await.unwrap();
    upstream.send(head).await;
    assert_eq!(client.answer_head().await.status, 200);
    let mut streams = Frames::open(house.address(), 1 << 20).await;
    let cookie_header = format!("menshen={cookie}");
    let asked = ("GET", "sso.test", "/slow");
    streams
        .ask(1, END_STREAM, asked, &[("cookie", &cookie_header)])
        .await;
    let mut second = accept(&socket).await;
    second.request().await.unwrap();
    second.send(head).await;
    assert_eq!(streams.next_of(1).await.unwrap().flags & END_STREAM, 0);
    revoke(&house, &RevocationScope::Everyone).await;
    assert_eq!(client.rest().await, b"half");
    streams.reset(1).await;
    assert!(upstream.rest().await.is_empty() && second.rest().await.is_empty());
}

#[tokio::test]
async fn an_event_stream_ends_when_its_session_expires() {
    let (house, socket) = house("lifetime = \"2s\"\nidle_timeout = \"2s\"").await;
    let cookie = signed_in(&house, "zhangsan").await;
    let (client, upstream) = events(&house, &socket, &cookie).await;
    house.advance(HOUR);
    is_cut_off(client, upstream).await;
}

#[tokio::test]
async fn a_reload_ends_what_it_no_longer_lets_pass_and_nothing_else() {
    let (house, socket) = house("").await;
    let [zhang, li] = [
        signed_in(&house, "zhangsan").await,
        signed_in(&house, "lisi").await,
    ];
    let zhangs = events(&house, &socket, &zhang).await;
    let mut lis = events(&house, &socket, &li).await;
    house.reload(&plan(&socket, "", "")).await.unwrap();
    goes_on(&mut lis.0, &mut lis.1).await;
    let text = format!(
        "[[route]]\nname = 'slow'\nhost = 'sso.test'\npath = '/slow'\n\
         upstream = ['http://{}']\nallow = \"user.login == 'lisi'\"\n",
        socket.local_addr().unwrap()
    );
    house
        .reload(&plan(&socket, "", "").routes(&text))
        .await
        .unwrap();
    is_cut_off(zhangs.0, zhangs.1).await;
    goes_on(&mut lis.0, &mut lis.1).await;
}

#[tokio::test]
async fn an_upload_ends_when_its_session_does() {
    let (house, socket) = house("").await;
    let cookie = signed_in(&house, "zhangsan").await;
    let mut client = Line::open(house.address()).await;
    client
        .send(format!(
            "POST /slow HTTP/1.1\r\nHost: sso.test\r\nCookie: menshen={cookie}\r\n\
             Content-Length: 1000\r\n\r\nhalf"
        ))
        .await;
    let mut upstream = accept(&socket).await;
    upstream.head().await.unwrap();
    assert_eq!(upstream.bytes(4).await.unwrap(), b"half");
    revoke(&house, &RevocationScope::Everyone).await;
    assert_eq!(client.answer().await.status, 401);
    assert!(upstream.rest().await.is_empty());
    house.running.live().shared().telemetry.flush();
    let text = house.records.text();
    assert!(text.contains("\"reason\":\"no longer allowed\""), "{text}");
}

#[tokio::test]
async fn an_answer_that_comes_after_its_session_is_over_is_not_delivered() {
    let (house, socket) = house("").await;
    let [zhang, li] = [
        signed_in(&house, "zhangsan").await,
        signed_in(&house, "lisi").await,
    ];
    let mut waiting = Vec::new();
    for cookie in [&zhang, &li] {
        let mut client = Line::open(house.address()).await;
        let ask = Ask::get("/slow").session(cookie).on_the_wire();
        client.send(ask).await;
        let mut upstream = accept(&socket).await;
        upstream.request().await.unwrap();
        waiting.push((client, upstream));
    }
    revoke(
        &house,
        &RevocationScope::Account(account(&house, "zhangsan").await),
    )
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for ((client, upstream), status) in waiting.iter_mut().zip([401, 200]) {
        upstream.send(ok("the figures of the quarter")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.text().contains("figures"), status == 200);
    }
}
