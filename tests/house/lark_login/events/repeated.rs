//! Deliveries that come again, or late.

use std::time::Duration;

use super::{all_handled, assert_refused, deliver, now, setup_with};
use crate::lark::{ContactChange, EventSealer, Lark, Person, event};
use crate::lark_login::{CONTACTS, cookie_of, person_path, setup};
use crate::setup::NO_LOGIN_LIMITS;
use crate::stores::TempDir;

#[tokio::test]
async fn a_replay_changes_nothing() {
    let (dir, lark) = (TempDir::new(), Lark::start().await.unwrap());
    // Only the event makes menshen ask.
    let lines = format!("{CONTACTS}\nrevalidate = \"0s\"");
    let one = setup_with(&lark, &lines).store(&dir.url()).start().await;
    cookie_of(&one, &lark, "zhangsan").await;
    let before = lark.calls(&person_path("zhangsan"));
    let changed = Person::new("zhangsan", "张三", &[]);
    let message = event(ContactChange::UserUpdated(&changed), now(&one));
    let sealed = EventSealer::default().seal(&message, now(&one));
    assert_eq!(deliver(&one, &sealed).await.status, 200);
    all_handled(&one.running).await;
    // The last time that Lark repeats it, to a process that has not seen it.
    one.advance(Duration::from_secs(8 * 3_600 - 1));
    let other = setup_with(&lark, &lines).store(&dir.url());
    let other = other.clock(&one.clock).start().await;
    assert_eq!(deliver(&other, &sealed).await.status, 200);
    all_handled(&other.running).await;
    assert_eq!(lark.calls(&person_path("zhangsan")), before + 1);
    // Later it is no event, also with another nonce.
    one.advance(Duration::from_secs(2));
    assert_refused(&deliver(&other, &sealed).await, "replayed");
    let late = now(&one) - Duration::from_secs(8 * 3_600 + 1);
    let message = event(ContactChange::UserUpdated(&changed), now(&one));
    let early = now(&one) + Duration::from_secs(8 * 3_600 + 1);
    for signed_at in [late, early] {
        let sealed = EventSealer::default().seal(&message, signed_at);
        assert_refused(&deliver(&other, &sealed).await, "signed at another time");
    }
    assert_eq!(lark.calls(&person_path("zhangsan")), before + 1);
}

#[tokio::test]
async fn the_time_of_a_delivery_may_differ_as_far_as_the_settings_say() {
    let lark = Lark::start().await.unwrap();
    let events = Lark::events_toml("fs") + "time_tolerance = \"5m\"\n";
    let tables = lark.connector_toml("fs", CONTACTS) + &events;
    let menshen = setup(&lark, "").tables(&format!("{tables}{NO_LOGIN_LIMITS}"));
    let menshen = menshen.start().await;
    let changed = Person::new("zhangsan", "张三", &[]);
    for (age_s, is_accepted) in [(299, true), (301, false)] {
        let message = event(ContactChange::UserUpdated(&changed), now(&menshen));
        let signed_at = now(&menshen) - Duration::from_secs(age_s);
        let sealed = EventSealer::default().seal(&message, signed_at);
        let answer = deliver(&menshen, &sealed).await;
        match is_accepted {
            true => assert_eq!(answer.status, 200, "{age_s}"),
            false => assert_refused(&answer, "too old"),
        }
    }
}
