//! A provider that misbehaves: each time nobody comes in, the person gets a page with its cause,
//! the operator the reason, and nobody what is secret. Beside each no stands its yes: the same login
//! as soon as the provider behaves.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use menshen::face::page::Cause;

use crate::browser::{Browser, Page};
use crate::provider::{Misbehavior, Provider};
use crate::setup::Menshen;

mod back;
mod endpoints;
mod metadata;
mod mixed_up;
mod refreshed;
mod secrets;
mod signatures;
mod tokens;

/// One misbehaviour and what must come of it.
struct Row {
    what: &'static str,
    /// Bends the provider, before anybody asked it anything.
    bend: Box<dyn Fn(&Provider)>,
    cause: Cause,
    /// What the audit line must say.
    says: &'static str,
}

/// A row that bends in one way.
fn row(what: &'static str, how: Misbehavior, cause: Cause, says: &'static str) -> Row {
    by(
        what,
        move |provider| provider.misbehave(how.clone()),
        cause,
        says,
    )
}

/// A row that bends as it likes.
fn by(
    what: &'static str,
    bend: impl Fn(&Provider) + 'static,
    cause: Cause,
    says: &'static str,
) -> Row {
    Row {
        what,
        bend: Box::new(bend),
        cause,
        says,
    }
}

/// The status of a page.
fn status(cause: Cause) -> u16 {
    match cause {
        Cause::BadAnswer => 400,
        Cause::LoginDeclined | Cause::NoLogin | Cause::OutOfRange => 403,
        Cause::SourceBusy => 503,
        Cause::SourceMisconfigured | Cause::SourceUnreachable | Cause::StaleTwice => 502,
        other => panic!("no row ends at {other:?}"),
    }
}

/// Every row is refused, on a Chinese and on an English page in turn, and the login that follows
/// is fine. A row that fails does not keep the others from being tried.
async fn all_refused(algorithm: Algorithm, rows: Vec<Row>) {
    let mut failed = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, algorithm).await;
        let menshen = provider.setup("").start().await;
        let language = if at % 2 == 0 { "zh-CN" } else { "en" };
        let tried = AssertUnwindSafe(refused(&provider, &menshen, &row, language));
        if tried.catch_unwind().await.is_err() {
            failed.push(row.what);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

async fn refused(provider: &Provider, menshen: &Menshen, row: &Row, language: &str) {
    let what = row.what;
    (row.bend)(provider);
    let mut browser = speaking(menshen, language);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    is_refusal(menshen, &browser, &page, row, language);
    assert_eq!(
        provider.calls("elsewhere"),
        0,
        "{what}: a redirect was followed"
    );
    provider.behave();
    // Whoever gave no answer is left alone for two seconds.
    menshen.advance(Duration::from_secs(3));
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{what}: {}", page.answer.text());
    assert_eq!(
        page.answer.echoed("x-forwarded-user"),
        ["zhangsan"],
        "{what}"
    );
    let told = menshen.records.text();
    for secret in provider.secrets() {
        assert!(!told.contains(&secret), "{what}: a record tells {secret}");
    }
}

/// A browser of somebody who reads this language.
fn speaking(menshen: &Menshen, language: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    browser
        .extra
        .push(("Accept-Language".to_owned(), language.to_owned()));
    browser
}

fn is_refusal(menshen: &Menshen, browser: &Browser, page: &Page, row: &Row, language: &str) {
    let Row {
        what, cause, says, ..
    } = row;
    let html = page.answer.text();
    assert_eq!(
        (page.answer.status, page.cause()),
        (status(*cause), Some(*cause)),
        "{what}: {} {}\n{:?}",
        page.url,
        words(page),
        menshen.audit().last()
    );
    assert_eq!(
        html.contains("lang=\"zh"),
        language.starts_with("zh"),
        "{what}"
    );
    assert!(html.contains("/.menshen/sign_in"), "{what}: no way on");
    let waits = page.answer.header("retry-after").is_some();
    assert_eq!(waits, page.answer.status == 503, "{what}");
    assert!(browser.cookie("menshen").is_none(), "{what}: a session");
    let audit = menshen.audit();
    let last = audit
        .last()
        .unwrap_or_else(|| panic!("{what}: no audit line"));
    let (event, error) = (&last["event"], last["error"].as_str().unwrap_or_default());
    assert_eq!(
        (event.as_str(), &last["connector"]),
        (Some("refused"), &"keycloak".into())
    );
    assert!(error.contains(says), "{what}: {error}");
    assert!(
        error.len() < 1500 && !error.contains(['\r', '\n']),
        "{what}: {error}"
    );
    // The reason is the operator's; the page says it in a person's words. Chance may have spelled a
    // short reason in the id of the request.
    let id = last["request_id"].as_str().unwrap();
    assert!(html.contains(id), "{what}: {id}");
    let html = html.replace(id, "");
    assert!(!html.contains(says), "{what}: {}", words(page));
    assert!(!html.contains("simulated"), "{what}: {}", words(page));
}

/// What a page says to its reader, without its dress.
fn words(page: &Page) -> String {
    let html = page.answer.text();
    let main = html
        .split_once("<main")
        .map(|(_, rest)| rest.split("</main>").next());
    main.flatten().unwrap_or(&html).to_owned()
}
