//! Syncs on a schedule, and after events.

use std::time::Duration;

use super::*;
use crate::sessions::eventually;
use crate::setup::run;
use crate::stores::TempDir;
use crate::wecom::{ContactChange, EVENT_AES_KEY, EVENT_TOKEN, EventSealer};

fn scheduled() -> Setup {
    let events = format!(
        "[connector.corp.wecom.events]\ntoken = \"{EVENT_TOKEN}\"\n\
         encoding_aes_key = \"{EVENT_AES_KEY}\"\n{NO_LOGIN_LIMITS}"
    );
    Setup::default()
        .wecom("sync_every = \"1h\"\nsync_brake = 100")
        .tables(&events)
}

async fn is_known(menshen: &Menshen, login: &str) -> bool {
    account(menshen, login).await.is_some()
}

async fn report(menshen: &Menshen, change: ContactChange<'_>) {
    let ms = u64::try_from(menshen.clock.now().unix_ms()).unwrap();
    let now = std::time::UNIX_EPOCH + Duration::from_millis(ms);
    let event = EventSealer::default().seal(&change.message(now), now);
    let post = TestRequest::get(&format!("/.menshen/events/corp?{}", event.query))
        .method("POST")
        .header("Content-Type", "text/xml")
        .header("Content-Length", &event.body.len().to_string())
        .body(event.body.as_bytes());
    assert_eq!(post.send(menshen).await.status, 200);
}

#[tokio::test]
async fn everything_is_synced_at_the_start_and_after_each_interval() {
    let setup = scheduled().wecom("sync_every = \"2s\"\nsync_brake = 100");
    let menshen = setup.start().await;
    eventually("synced", async || is_known(&menshen, "lisi").await).await;
    menshen
        .wecom
        .member("newcomer", |one| one.department = vec![2]);
    eventually("synced", async || {
        // menshen's clock says when the interval is over.
        menshen.advance(Duration::from_secs(3));
        is_known(&menshen, "newcomer").await
    })
    .await;
}

#[tokio::test]
async fn nodes_share_the_schedule() {
    let dir = TempDir::new();
    let menshen = scheduled().store(&dir.url()).start().await;
    eventually("synced", async || {
        let login = menshen.running.live().site().login.clone();
        login.sync_status(&corp()).unwrap().last.is_some()
    })
    .await;
    let before = menshen.wecom.calls(MEMBERS);
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let text = text.replace("\"1h\"", "\"2s\"");
    let other = run(&text, &menshen.clock).await;
    // The other node looks several times whether a sync is due.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let login = other.live().site().login.clone();
    assert!(login.sync_status(&corp()).unwrap().last.is_none());
    assert_eq!(menshen.wecom.calls(MEMBERS), before);
    eventually("synced", async || {
        menshen.advance(Duration::from_secs(3600));
        menshen.wecom.calls(MEMBERS) > before
    })
    .await;
}

#[tokio::test]
async fn without_a_schedule_nothing_is_synced_by_itself() {
    let setup = scheduled().wecom("");
    let menshen = setup.start().await;
    report(&menshen, ContactChange::UserCreated("lisi")).await;
    let site = menshen.running.live().site();
    let left = site.login.events().drain(Duration::from_secs(60)).await;
    assert_eq!(left, 0);
    assert_eq!(menshen.wecom.calls(MEMBERS), 0);
    assert!(!is_known(&menshen, "lisi").await);
}

#[tokio::test]
async fn what_an_event_names_is_read_again() {
    let menshen = scheduled().start().await;
    eventually("synced", async || is_known(&menshen, "lisi").await).await;
    menshen
        .wecom
        .member("newcomer", |one| one.department = vec![2]);
    report(&menshen, ContactChange::UserCreated("newcomer")).await;
    eventually("created", async || is_known(&menshen, "newcomer").await).await;
    let before = menshen.wecom.calls(MEMBERS);
    menshen.wecom.departments(|all| {
        all.iter_mut().find(|one| one.id == 5).unwrap().name = "基础平台".to_owned();
    });
    report(&menshen, ContactChange::DepartmentUpdated(5)).await;
    eventually("renamed", async || {
        logins_in_department(&menshen, "基础平台").await == ["zhangsan"]
    })
    .await;
    assert_eq!(menshen.wecom.calls(MEMBERS), before + 2, "with 运行组");
    menshen.wecom.set_status("lisi", 2);
    report(&menshen, ContactChange::UserUpdated("lisi")).await;
    eventually("closed", async || is_closed(&menshen, "lisi").await).await;
    menshen.wecom.set_status("lisi", 1);
    menshen.advance(Duration::from_secs(1));
    report(&menshen, ContactChange::UserUpdated("lisi")).await;
    eventually("open", async || !is_closed(&menshen, "lisi").await).await;
}
