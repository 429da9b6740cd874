//! A provider that misbehaves: the login is refused with a page for its cause, the audit log has the
//! reason, and neither contains a secret. Each test also shows that the same login succeeds when the
//! provider behaves.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use menshen::face::page::Cause;

use crate::browser::{Browser, Page};
use crate::provider::{Misbehavior, Provider};
use crate::setup::Menshen;

mod callback_parameters;
mod endpoints;
mod metadata;
mod mixed_up;
mod refreshed;
mod secrets;
mod signatures;
mod tokens;

/// One misbehavior and its expected result.
struct Row {
    what: &'static str,
    /// Makes the provider misbehave, before its first request.
    misbehave: Box<dyn Fn(&Provider)>,
    cause: Cause,
    /// A part of the error in the audit record.
    logged_error: &'static str,
}

/// A row with one [`Misbehavior`].
fn row(what: &'static str, how: Misbehavior, cause: Cause, logged_error: &'static str) -> Row {
    row_with(
        what,
        move |provider| provider.misbehave(how.clone()),
        cause,
        logged_error,
    )
}

/// A row with any change of the provider.
fn row_with(
    what: &'static str,
    misbehave: impl Fn(&Provider) + 'static,
    cause: Cause,
    logged_error: &'static str,
) -> Row {
    Row {
        what,
        misbehave: Box::new(misbehave),
        cause,
        logged_error,
    }
}

/// The HTTP status of the page for a cause.
fn status(cause: Cause) -> u16 {
    match cause {
        Cause::InvalidProviderResponse => 400,
        Cause::LoginDeclined | Cause::NoLoginName | Cause::NotVisibleToApp => 403,
        Cause::ProviderBusy => 503,
        Cause::ProviderMisconfigured | Cause::ProviderUnreachable | Cause::CodeRejectedTwice => 502,
        other => panic!("no row expects {other:?}"),
    }
}

/// Checks that every row is refused, on a Chinese or an English page in turn, and that the next login
/// succeeds. All rows are tried, even if one fails.
async fn assert_all_refused(algorithm: Algorithm, rows: Vec<Row>) {
    let mut failed = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, algorithm).await;
        let menshen = provider.setup("").start().await;
        let language = if at % 2 == 0 { "zh-CN" } else { "en" };
        let attempt = AssertUnwindSafe(assert_refused_then_accepted(
            &provider, &menshen, &row, language,
        ));
        if attempt.catch_unwind().await.is_err() {
            failed.push(row.what);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

async fn assert_refused_then_accepted(
    provider: &Provider,
    menshen: &Menshen,
    row: &Row,
    language: &str,
) {
    let what = row.what;
    (row.misbehave)(provider);
    let mut browser = browser_with_language(menshen, language);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_refusal_page(menshen, &browser, &page, row, language);
    assert_eq!(
        provider.calls("elsewhere"),
        0,
        "{what}: a redirect was followed"
    );
    provider.behave();
    // The back-off after a call without a response is two seconds.
    menshen.advance(Duration::from_secs(3));
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{what}: {}", page.answer.text());
    assert_eq!(
        page.answer.echoed("x-forwarded-user"),
        ["zhangsan"],
        "{what}"
    );
    let records = menshen.records.text();
    for secret in provider.secrets() {
        assert!(
            !records.contains(&secret),
            "{what}: a record contains {secret}"
        );
    }
}

/// A browser whose `Accept-Language` is `language`.
fn browser_with_language(menshen: &Menshen, language: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    browser
        .extra_headers
        .push(("Accept-Language".to_owned(), language.to_owned()));
    browser
}

fn assert_refusal_page(
    menshen: &Menshen,
    browser: &Browser,
    page: &Page,
    row: &Row,
    language: &str,
) {
    let Row {
        what,
        cause,
        logged_error,
        ..
    } = row;
    let html = page.answer.text();
    assert_eq!(
        (page.answer.status, page.cause()),
        (status(*cause), Some(*cause)),
        "{what}: {} {}\n{:?}",
        page.url,
        main_part(page),
        menshen.audit().last()
    );
    assert_eq!(
        html.contains("lang=\"zh"),
        language.starts_with("zh"),
        "{what}"
    );
    assert!(
        html.contains("/.menshen/sign_in"),
        "{what}: no link to sign in again"
    );
    let has_retry_after = page.answer.header("retry-after").is_some();
    assert_eq!(has_retry_after, page.answer.status == 503, "{what}");
    assert!(browser.cookie("menshen").is_none(), "{what}: a session");
    let audit = menshen.audit();
    let last = audit
        .last()
        .unwrap_or_else(|| panic!("{what}: no audit record"));
    let (event, error) = (&last["event"], last["error"].as_str().unwrap_or_default());
    assert_eq!(
        (event.as_str(), &last["connector"]),
        (Some("refused"), &"keycloak".into())
    );
    assert!(error.contains(logged_error), "{what}: {error}");
    assert!(
        error.len() < 1500 && !error.contains(['\r', '\n']),
        "{what}: {error}"
    );
    // The page does not show the reason that is in the audit record. The request ID may contain a short reason by
    // chance, so it is removed first.
    let id = last["request_id"].as_str().unwrap();
    assert!(html.contains(id), "{what}: {id}");
    let html = html.replace(id, "");
    assert!(!html.contains(logged_error), "{what}: {}", main_part(page));
    assert!(!html.contains("simulated"), "{what}: {}", main_part(page));
}

/// The main part of a page.
fn main_part(page: &Page) -> String {
    let html = page.answer.text();
    let main = html
        .split_once("<main")
        .map(|(_, rest)| rest.split("</main>").next());
    main.flatten().unwrap_or(&html).to_owned()
}
