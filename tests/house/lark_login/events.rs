//! Events of Lark: who may send them, and what follows when Lark confirms them.

mod repeated;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use menshen::run::Running;
use serde_json::{Value, json};

use super::{
    CONTACTS, account_is_closed, assert_signed_in, cookie_of, person_path, setup, sign_in,
};
use crate::lark::{
    ContactChange, DeliveredEvent, EventSealer, Lark, OTHER_APP_ID, OTHER_TENANT_KEY, Person,
    VERIFICATION_TOKEN, event,
};
use crate::logging_in::OWN_PAGES;
use crate::sessions::eventually;
use crate::sessions::tunnels::{CLOSE_1008, Socket};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::test_request::TestRequest;
use crate::wire::Answer;

/// A change of a person at Lark.
type Change = fn(&mut Person);

/// A menshen that takes events of Lark.
async fn start(lark: &Lark) -> Menshen {
    setup_with(lark, CONTACTS).start().await
}

pub(super) fn setup_with(lark: &Lark, lines: &str) -> Setup {
    let tables = lark.connector_toml("fs", lines) + &Lark::events_toml("fs");
    setup(lark, "").tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
}

/// The time of menshen's clock.
pub(super) fn now(menshen: &Menshen) -> SystemTime {
    let ms = u64::try_from(menshen.clock.now().unix_ms()).unwrap();
    UNIX_EPOCH + Duration::from_millis(ms)
}

async fn deliver(menshen: &Menshen, delivered: &DeliveredEvent) -> Answer {
    deliver_to(menshen.address(), delivered).await
}

/// Delivers an event to a node.
pub(super) async fn deliver_to(node: SocketAddr, delivered: &DeliveredEvent) -> Answer {
    let headers: Vec<_> = delivered
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    TestRequest::get("/.menshen/events/fs")
        .method("POST")
        .header("Content-Type", "application/json; charset=utf-8")
        .header("Content-Length", &delivered.body.len().to_string())
        .headers(&headers)
        .body(delivered.body.as_bytes())
        .send_to(node)
        .await
}

/// Delivers the event of a change, which menshen accepts and handles.
async fn report(menshen: &Menshen, change: ContactChange<'_>) {
    let message = event(change, now(menshen));
    let sealed = EventSealer::default().seal(&message, now(menshen));
    let answer = deliver(menshen, &sealed).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    all_handled(&menshen.running).await;
}

/// Waits until every accepted event is handled.
pub(super) async fn all_handled(running: &Running) {
    let site = running.live().site();
    let left = site.login.events().drain(Duration::from_secs(60)).await;
    assert_eq!(left, 0, "events that are not handled");
}

async fn status(menshen: &Menshen, cookie: &str) -> u16 {
    let ask = TestRequest::get("/echo").session(cookie);
    ask.send(menshen).await.status
}

/// Every refusal looks the same, so that nobody learns what was wrong.
fn assert_refused(answer: &Answer, what: &str) {
    let text = answer.text();
    assert_eq!(
        (answer.status, text.as_str()),
        (403, "the request is not valid\n"),
        "{what}"
    );
}

fn verification(token: &str) -> Value {
    json!({ "type": "url_verification", "challenge": "ajls384kdjx98XX", "token": token })
}

#[tokio::test]
async fn the_url_is_verified_by_the_token_alone_and_with_a_signature_too() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    let sealer = EventSealer::default();
    let sealed = sealer.seal(&verification(VERIFICATION_TOKEN), now(&menshen));
    let unsigned = DeliveredEvent {
        headers: Vec::new(),
        ..sealed.clone()
    };
    for delivered in [&sealed, &unsigned] {
        let answer = deliver(&menshen, delivered).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!({ "challenge": "ajls384kdjx98XX" }));
    }
    for token in ["", "another"] {
        let sealed = sealer.seal(&verification(token), now(&menshen));
        assert_refused(&deliver(&menshen, &sealed).await, token);
    }
    let mut long = verification(VERIFICATION_TOKEN);
    long["challenge"] = json!("x".repeat(257));
    let sealed = sealer.seal(&long, now(&menshen));
    assert_eq!(deliver(&menshen, &sealed).await.status, 400);
    let get = TestRequest::get("/.menshen/events/fs").send(&menshen).await;
    assert_eq!(get.status, 400);
}

#[tokio::test]
async fn only_lark_can_send_events() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    lark.delete_person("zhangsan");
    let at = now(&menshen);
    let message = event(ContactChange::UserDeleted("zhangsan"), at);
    let sealed = EventSealer::default().seal(&message, at);
    let with = |edit: &dyn Fn(&mut DeliveredEvent)| {
        let mut sealed = sealed.clone();
        edit(&mut sealed);
        sealed
    };
    let other_key = EventSealer {
        encrypt_key: Some("another key of nobody".to_owned()),
    };
    let plain = EventSealer { encrypt_key: None };
    let changed = |pointer: &str, value: &str| {
        let mut message = message.clone();
        *message.pointer_mut(pointer).unwrap() = json!(value);
        EventSealer::default().seal(&message, at)
    };
    for (delivered, what) in [
        (with(&|it| it.headers.clear()), "no signature"),
        (with(&|it| it.headers.truncate(1)), "no time"),
        (
            with(&|it| it.headers[0].1 = "0".repeat(64)),
            "wrong signature",
        ),
        (with(&|it| it.headers[1].1 = "1".to_owned()), "another time"),
        (
            with(&|it| it.headers[2].1 = "x".to_owned()),
            "another nonce",
        ),
        (with(&|it| it.body.push(' ')), "another body"),
        (
            with(&|it| {
                let twice = it.headers[0].clone();
                it.headers.push(twice);
            }),
            "two signatures",
        ),
        (other_key.seal(&message, at), "another key"),
        (plain.seal(&message, at), "not encrypted"),
        (
            EventSealer::default().sign(message.to_string(), at),
            "signed and not encrypted",
        ),
        (
            EventSealer::default().sign(json!({ "encrypt": "AAAA" }).to_string(), at),
            "no message inside",
        ),
        (changed("/header/token", "another"), "another token"),
        (
            changed("/header/app_id", OTHER_APP_ID),
            "another application",
        ),
    ] {
        assert_refused(&deliver(&menshen, &delivered).await, what);
    }
    for body in ["", "no JSON", "[]"] {
        let delivered = EventSealer::default().sign(body.to_owned(), at);
        assert_eq!(deliver(&menshen, &delivered).await.status, 400, "{body}");
    }
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, &cookie).await, 200, "nothing was believed");
    assert_eq!(deliver(&menshen, &sealed).await.status, 200);
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, &cookie).await, 401);
}

#[tokio::test]
async fn whoever_leaves_loses_open_connections_within_a_second() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    let zhang = cookie_of(&menshen, &lark, "zhangsan").await;
    let li = cookie_of(&menshen, &lark, "lisi").await;
    let mut open = Socket::open(menshen.address(), "/ws", &zhang).await;
    assert!(open.is_open().await);
    lark.delete_person("zhangsan");
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    assert_eq!(open.read_to_end("deleted").await, CLOSE_1008);
    assert_eq!(status(&menshen, &zhang).await, 401);
    assert_eq!(status(&menshen, &li).await, 200);
    assert!(account_is_closed(&menshen, "zhangsan").await);
    assert!(!account_is_closed(&menshen, "lisi").await);
    let audit = menshen.audit();
    let closed = audit.iter().find(|line| line["event"] == "closed").unwrap();
    assert_eq!(
        (&closed["login"], &closed["connector"]),
        (&json!("zhangsan"), &json!("fs"))
    );
}

#[tokio::test]
async fn a_status_that_ends_the_membership_ends_the_sessions() {
    let cases: [(&str, Change, u16, bool); 4] = [
        ("resigned", |one| one.is_resigned = true, 401, true),
        ("exited", |one| one.is_exited = true, 401, true),
        ("frozen", |one| one.is_frozen = true, 401, false),
        ("renamed", |one| one.name = "张叁".to_owned(), 200, false),
    ];
    for (what, edit, expected, closes) in cases {
        let lark = Lark::start().await.unwrap();
        let menshen = start(&lark).await;
        let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
        lark.person("zhangsan", edit);
        let mut changed = Person::new("zhangsan", "张三", &[]);
        edit(&mut changed);
        report(&menshen, ContactChange::UserUpdated(&changed)).await;
        assert_eq!(status(&menshen, &cookie).await, expected, "{what}");
        assert_eq!(
            account_is_closed(&menshen, "zhangsan").await,
            closes,
            "{what}"
        );
        if what == "frozen" {
            // Who is active again signs in as before.
            lark.person("zhangsan", |one| one.is_frozen = false);
            menshen.advance(Duration::from_secs(1));
            assert_signed_in(&sign_in(&menshen, &lark, "zhangsan").await.1, "zhangsan");
        }
    }
}

#[tokio::test]
async fn what_lark_says_when_asked_counts_and_not_the_event() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    let before = lark.calls(&person_path("zhangsan"));
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    let mut changed = Person::new("zhangsan", "张三", &[]);
    changed.is_resigned = true;
    report(&menshen, ContactChange::UserUpdated(&changed)).await;
    assert_eq!(lark.calls(&person_path("zhangsan")), before + 2);
    assert_eq!(status(&menshen, &cookie).await, 200);
    assert!(!account_is_closed(&menshen, "zhangsan").await);
    // A person who is not visible loses the sessions, and the account stays open.
    lark.set_unknown_person_code(41050);
    lark.delete_person("zhangsan");
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    assert_eq!(status(&menshen, &cookie).await, 401);
    assert!(!account_is_closed(&menshen, "zhangsan").await);
}

#[tokio::test]
async fn a_doubled_event_is_handled_once() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    cookie_of(&menshen, &lark, "zhangsan").await;
    let before = lark.calls(&person_path("zhangsan"));
    let changed = Person::new("zhangsan", "张三", &[]);
    let message = event(ContactChange::UserUpdated(&changed), now(&menshen));
    for _ in 0..3 {
        // Lark encrypts each delivery anew.
        let sealed = EventSealer::default().seal(&message, now(&menshen));
        assert_eq!(deliver(&menshen, &sealed).await.status, 200);
        all_handled(&menshen.running).await;
        menshen.advance(Duration::from_secs(60));
    }
    assert_eq!(lark.calls(&person_path("zhangsan")), before + 1);
    report(&menshen, ContactChange::UserUpdated(&changed)).await;
    assert_eq!(lark.calls(&person_path("zhangsan")), before + 2);
}

#[tokio::test]
async fn events_of_other_tenants_and_other_kinds_change_nothing() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    lark.delete_person("zhangsan");
    let before = lark.calls(&person_path("zhangsan"));
    let message = event(ContactChange::UserDeleted("zhangsan"), now(&menshen));
    for (pointer, value) in [
        ("/header/tenant_key", OTHER_TENANT_KEY),
        ("/header/event_type", "im.message.receive_v1"),
    ] {
        let mut message = message.clone();
        *message.pointer_mut(pointer).unwrap() = json!(value);
        let sealed = EventSealer::default().seal(&message, now(&menshen));
        assert_eq!(deliver(&menshen, &sealed).await.status, 200, "{value}");
        all_handled(&menshen.running).await;
    }
    let mut message = message.clone();
    message["event"] = json!({});
    let sealed = EventSealer::default().seal(&message, now(&menshen));
    assert_eq!(deliver(&menshen, &sealed).await.status, 400, "no person");
    assert_eq!(lark.calls(&person_path("zhangsan")), before);
    assert_eq!(status(&menshen, &cookie).await, 200);
}

#[tokio::test]
async fn a_changed_department_has_its_new_name_at_the_next_request_after_the_event() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    let cookie = cookie_of(&menshen, &lark, "lisi").await;
    lark.departments(|all| all[0].name = "财务与法务部".to_owned());
    report(&menshen, ContactChange::DepartmentUpdated("od-finance")).await;
    let info = format!(
        "{}/userinfo",
        OWN_PAGES.trim_start_matches("http://sso.test")
    );
    eventually("the new name", async || {
        let answer = TestRequest::get(&info)
            .session(&cookie)
            .send(&menshen)
            .await;
        answer.json()["departments"] == json!(["财务与法务部"])
    })
    .await;
}

#[tokio::test]
async fn without_an_encrypt_key_the_token_proves_the_sender() {
    let lark = Lark::start().await.unwrap();
    let events =
        format!("[connector.fs.lark.events]\nverification_token = \"{VERIFICATION_TOKEN}\"\n");
    let tables = lark.connector_toml("fs", CONTACTS) + &events;
    let menshen = setup(&lark, "").tables(&format!("{tables}{NO_LOGIN_LIMITS}"));
    let menshen = menshen.start().await;
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    lark.delete_person("zhangsan");
    let (at, plain) = (now(&menshen), EventSealer { encrypt_key: None });
    let message = event(ContactChange::UserDeleted("zhangsan"), at);
    let sealed = EventSealer::default().seal(&message, at);
    assert_refused(&deliver(&menshen, &sealed).await, "encrypted");
    let mut wrong = message.clone();
    wrong["header"]["token"] = json!("another");
    assert_refused(&deliver(&menshen, &plain.seal(&wrong, at)).await, "token");
    assert_eq!(status(&menshen, &cookie).await, 200);
    assert_eq!(
        deliver(&menshen, &plain.seal(&message, at)).await.status,
        200
    );
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, &cookie).await, 401);
}

#[tokio::test]
async fn without_the_table_events_is_no_address() {
    let lark = Lark::start().await.unwrap();
    let menshen = super::start(&lark, CONTACTS).await;
    let message = event(ContactChange::UserDeleted("zhangsan"), now(&menshen));
    let sealed = EventSealer::default().seal(&message, now(&menshen));
    assert_eq!(deliver(&menshen, &sealed).await.status, 404);
}

#[tokio::test]
async fn a_deletion_is_accepted_at_once_and_handled_when_lark_is_back() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark).await;
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    lark.delete_person("zhangsan");
    let path = person_path("zhangsan");
    lark.fail(&path, 40003, usize::MAX);
    let before = lark.calls(&path);
    let message = event(ContactChange::UserDeleted("zhangsan"), now(&menshen));
    let sealed = EventSealer::default().seal(&message, now(&menshen));
    assert_eq!(deliver(&menshen, &sealed).await.status, 200);
    eventually("asked", async || lark.calls(&path) > before).await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    lark.clear_faults(&path);
    eventually("out", async || status(&menshen, &cookie).await == 401).await;
    all_handled(&menshen.running).await;
    assert!(account_is_closed(&menshen, "zhangsan").await);
}
