//! Events of WeCom: who may send them, and what follows when WeCom confirms them.

mod deliveries;
mod departures;
mod nodes;
mod refused_records;
mod revalidation;
mod senders;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::test_request::TestRequest;
use crate::wecom::{ContactChange, EVENT_AES_KEY, EVENT_TOKEN, EventSealer, SealedEvent};
use crate::wire::Answer;

/// The API call that asks WeCom about a member.
const MEMBER: &str = "/cgi-bin/user/get";

/// A setup whose connector takes events; `more` are lines of its events table.
fn setup_with(more: &str) -> Setup {
    Setup::default().tables(&format!(
        "[connector.corp.wecom.events]\ntoken = \"{EVENT_TOKEN}\"\n\
         encoding_aes_key = \"{EVENT_AES_KEY}\"\n{more}\n{NO_LOGIN_LIMITS}"
    ))
}

fn setup() -> Setup {
    setup_with("")
}

/// The time of menshen's clock.
fn now(menshen: &Menshen) -> SystemTime {
    let ms = u64::try_from(menshen.clock.now().unix_ms()).unwrap();
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// The event of a change, sealed now.
fn event(menshen: &Menshen, change: ContactChange<'_>) -> SealedEvent {
    let now = now(menshen);
    EventSealer::default().seal(&change.message(now), now)
}

fn post(query: &str, body: &str) -> TestRequest {
    TestRequest::get(&format!("/.menshen/events/corp?{query}"))
        .method("POST")
        .header("Content-Type", "text/xml")
        .header("Content-Length", &body.len().to_string())
        .body(body.as_bytes())
}

async fn deliver(menshen: &Menshen, event: &SealedEvent) -> Answer {
    post(&event.query, &event.body).send(menshen).await
}

/// Delivers the event of a change, which menshen accepts.
async fn report(menshen: &Menshen, change: ContactChange<'_>) {
    let answer = deliver(menshen, &event(menshen, change)).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
}

/// Waits until every accepted event is handled.
async fn all_handled(menshen: &Menshen) {
    let site = menshen.running.live().site();
    let left = site.login.events().drain(Duration::from_secs(60)).await;
    assert_eq!(left, 0, "events that are not handled");
}
