//! `/console/connectors/_new` and `/console/connectors/ID`: the settings of a connector as a form.

use serde_json::{Value, json};

use super::*;
use crate::wecom::{AGENT_ID, CORP_ID, SECRET};
use crate::wire;

mod conflicts;
mod keys;
mod kinds;
mod locked;
mod logins;
mod problems;
mod secrets;

const LIST: &str = "/console/connectors";

/// A console whose file has no connector of its own.
fn empty_setup() -> Setup {
    setup().without_connector()
}

/// The settings of a connector as the admin API shows them, or the status of its answer.
async fn shown_by_api(menshen: &Menshen, id: &str) -> Result<Value, u16> {
    let request = format!(
        "GET /api/connectors/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Authorization: Bearer correct-horse-battery-staple\r\n\r\n"
    );
    let answer = wire::send(menshen.running.admin_address().unwrap(), request.as_bytes()).await;
    match answer.status {
        200 => Ok(answer.json()),
        status => Err(status),
    }
}

/// The part of a page with the control of a setting.
fn control<'h>(html: &'h str, name: &str) -> Option<&'h str> {
    let named = format!("name=\"{name}\"");
    let mut parts = html.split("<div class=\"setting\">").skip(1);
    parts.find(|part| part.contains(&named))
}

/// The value of a hidden control of the first form that has it.
fn hidden(html: &str, name: &str) -> String {
    let (_, rest) = html
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("{name}: {html}"));
    rest.split('"').next().unwrap().to_owned()
}

/// The fields of the form of a WeCom connector with the simulated WeCom.
fn wecom_fields(menshen: &Menshen) -> Vec<(&'static str, String)> {
    vec![
        ("kind", "wecom".to_owned()),
        ("enabled", "true".to_owned()),
        ("sync", "true".to_owned()),
        ("wecom.corp_id", CORP_ID.to_owned()),
        ("wecom.agent_id", AGENT_ID.to_string()),
        ("wecom.secret", SECRET.to_owned()),
        ("wecom.api_base", menshen.wecom.base_url()),
        ("wecom.authorize_url", menshen.wecom.authorize_url()),
        ("wecom.login_url", menshen.wecom.login_url()),
    ]
}

/// The fields with others in place of those with the same names.
fn with(
    fields: &[(&'static str, String)],
    others: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let kept = fields
        .iter()
        .filter(|(name, _)| others.iter().all(|(other, _)| other != name));
    let others = others
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    kept.cloned().chain(others).collect()
}

impl Visit {
    async fn post_form(&mut self, path: &str, fields: &[(&'static str, String)]) -> Answer {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.post(path, &fields).await
    }

    /// Saves a new connector, and requires that it is accepted.
    async fn make(&mut self, id: &'static str, fields: &[(&'static str, String)]) {
        let fields = with(fields, &[("id", id), ("action", "save")]);
        let answer = self.post_form(&format!("{LIST}/_new"), &fields).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let to = format!("{LIST}/{id}?done=saved");
        assert_eq!(answer.header("location"), Some(to.as_str()));
    }
}

#[tokio::test]
async fn the_list_leads_to_the_forms() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(&format!("{LIST}?lang=en")).await.text();
    assert!(html.contains("href=\"/console/connectors/_new\""), "{html}");
    assert!(html.contains("href=\"/console/connectors/corp\""), "{html}");
    let html = visit.get(&format!("{LIST}/_new")).await.text();
    assert!(
        html.contains("href=\"/console/connectors/_new?kind=oidc\""),
        "{html}"
    );
    for path in ["/_new?kind=nothing", "/none", "/corp/none", "/x%20y", "/"] {
        let answer = visit.get(&format!("{LIST}{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn every_id_of_a_connector_has_its_page() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let fields = with(&wecom_fields(&menshen), &[("auto_login", "never")]);
    let html = visit.get(&format!("{LIST}/new")).await.text();
    assert!(html.contains("_new?kind=oidc\""), "{html}");
    // Words that are also in paths.
    for id in ["new", "test", "mapping", "none", "-"] {
        visit.make(id, &fields).await;
        let page = format!("{LIST}/{id}");
        let html = visit.get(&page).await.text();
        assert!(html.contains(&format!("action=\"{page}\"")), "{id}: {html}");
        let etag = hidden(&html, "etag");
        let changed = with(
            &fields,
            &[("etag", &etag), ("enabled", ""), ("action", "save")],
        );
        let answer = visit.post_form(&page, &changed).await;
        assert_eq!(answer.status, 303, "{id}: {}", answer.text());
        let mapping = visit.get(&format!("{page}/mapping")).await;
        assert_eq!(mapping.status, 200, "{id}");
        assert_eq!(
            shown_by_api(&menshen, id).await.unwrap()["auto_login"],
            "never"
        );
    }
}

#[tokio::test]
async fn the_page_names_what_is_entered_at_the_source() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.get(&format!("{LIST}/_new?kind=wecom&lang=en")).await;
    let fields = with(
        &wecom_fields(&menshen),
        &[("callback_base", "http://login.sso.test:8080")],
    );
    visit.make("corp", &fields).await;
    let html = visit.get(&format!("{LIST}/corp")).await.text();
    for address in [
        "<code>http://login.sso.test:8080/.menshen/callback/corp</code>",
        "<code>login.sso.test:8080</code>",
        "<code>http://sso.test/.menshen/start?connector=corp</code>",
        "<code>http://sso.test/.menshen/events/corp</code>",
        "href=\"/console/connectors/corp/mapping\"",
    ] {
        assert!(html.contains(address), "{address}: {html}");
    }
    assert_eq!(html.matches("<h1").count(), 1);
}

#[tokio::test]
async fn the_buttons_change_the_state_of_a_connector() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    visit.make("corp", &wecom_fields(&menshen)).await;
    let page = format!("{LIST}/corp");
    let settings = || menshen.running.live().settings();
    let id = "corp".parse().unwrap();
    for (action, enabled, is_default) in [
        ("default", true, true),
        ("no-default", true, false),
        ("disable", false, false),
        ("enable", true, false),
    ] {
        let etag = match action {
            "enable" | "disable" => settings().connector(&id).unwrap().etag,
            _ => settings().login().etag,
        };
        let etag = etag.to_string();
        let html = visit.get(&page).await.text();
        assert!(html.contains(&format!("value=\"{action}\"")), "{action}");
        let answer = visit
            .post(&page, &[("action", action), ("etag", &etag)])
            .await;
        assert_eq!(answer.status, 303, "{action}: {}", answer.text());
        let info = settings().connector(&id).unwrap();
        assert_eq!(
            (info.enabled, info.is_default),
            (enabled, is_default),
            "{action}"
        );
    }
    // The first version counts no more.
    let stale = visit
        .post(&page, &[("action", "disable"), ("etag", "1")])
        .await;
    assert_eq!(stale.status, 409, "{}", stale.text());
    assert!(settings().connector(&id).unwrap().enabled);
    let etag = settings().connector(&id).unwrap().etag.to_string();
    let asked = visit
        .post(&page, &[("action", "delete"), ("etag", &etag)])
        .await;
    assert!(
        asked.text().contains("name=\"confirm\""),
        "{}",
        asked.text()
    );
    let unknown = visit
        .post(&page, &[("action", "explode"), ("etag", &etag)])
        .await;
    assert_eq!(unknown.status, 400);
    assert!(settings().connector(&id).is_some());
}
