//! Several nodes share one store: what one of them learns about a person holds on the others.

use std::net::SocketAddr;
use std::time::Duration;

use menshen::run::Running;

use super::{all_handled, event, post, setup};
use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL, run};
use crate::stores::TempDir;
use crate::test_request::{TestRequest, repeat_until, session_cookie_of};
use crate::wecom::ContactChange;

const OTHERS: u32 = 5;
const FINANCE: u32 = 2;

async fn start(dir: &TempDir) -> (Menshen, Running) {
    let menshen = setup().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    (menshen, other)
}

fn set_department(menshen: &Menshen, department: u32) {
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![department]);
}

/// Sends the event of a change to a node, and waits until it is handled.
async fn report_to(menshen: &Menshen, node: &Running) {
    menshen.advance(Duration::from_secs(1));
    let sealed = event(menshen, ContactChange::UserUpdated("zhangsan"));
    let request = post(&sealed.query, &sealed.body);
    assert_eq!(request.send_to(node.addresses()[0]).await.status, 200);
    let site = node.live().site();
    let left = site.login.events().drain(Duration::from_secs(60)).await;
    assert_eq!(left, 0);
}

async fn all_answer(request: &TestRequest, nodes: [SocketAddr; 2], status: u16) {
    for node in nodes {
        repeat_until(request, node, |answer| answer.status == status).await;
    }
}

#[tokio::test]
async fn a_change_that_is_reported_to_one_node_holds_on_every_node() {
    let dir = TempDir::new();
    let (menshen, other) = start(&dir).await;
    let nodes = [menshen.address(), other.addresses()[0]];
    set_department(&menshen, FINANCE);
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    all_answer(&finance, nodes, 200).await;
    set_department(&menshen, OTHERS);
    report_to(&menshen, &menshen.running).await;
    all_answer(&finance, nodes, 403).await;
    // What one node gives, the other takes, although it may not know of it yet.
    set_department(&menshen, FINANCE);
    report_to(&menshen, &other).await;
    set_department(&menshen, OTHERS);
    report_to(&menshen, &menshen.running).await;
    all_answer(&finance, nodes, 403).await;
    all_handled(&menshen).await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let third = run(&text, &menshen.clock).await;
    let answer = finance.send_to(third.addresses()[0]).await;
    assert_eq!(answer.status, 403, "nor does the database have it");
}

#[tokio::test]
async fn another_login_of_the_person_changes_the_sessions_of_every_node() {
    let dir = TempDir::new();
    let (menshen, other) = start(&dir).await;
    let nodes = [menshen.address(), other.addresses()[0]];
    set_department(&menshen, FINANCE);
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    all_answer(&finance, nodes, 200).await;
    set_department(&menshen, OTHERS);
    let mut browser = Browser::at(nodes[1]);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    all_answer(&finance, nodes, 403).await;
}
