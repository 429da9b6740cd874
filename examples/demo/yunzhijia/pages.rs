//! The pages: the QR code, on which a click stands for the scan, the workbench of the app, and the console.

use std::collections::HashMap;
use std::time::SystemTime;

use url::Url;

use super::super::simulated_http::PageResponse;
use super::people::{APP_ID, Person};
use super::state::State;

pub(super) const SCAN_PATH: &str = "/opencloud/openthird/qrconnet";
pub(super) const WORKBENCH_PATH: &str = "/workbench";
/// The path of the management console.
pub(super) const CONSOLE_PATH: &str = "/console";
/// The path to which its buttons post an `openid`.
pub(super) const DISMISS_PATH: &str = "/console/dismiss";

/// The parameter with the person who scans the code or opens the application.
pub(super) const CHOICE: &str = "simulated_choice";

/// The QR page, or the redirect after the scan.
pub(super) fn scan(
    state: &mut State,
    address: &str,
    query: &HashMap<String, String>,
    now: SystemTime,
) -> PageResponse {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let back = Url::parse(text("redirect_uri"));
    let (Ok(mut back), APP_ID) = (back, text("appid")) else {
        return PageResponse::Page(page("应用不存在，或 redirect_uri 不是地址"));
    };
    let Some(openid) = query.get(CHOICE) else {
        return PageResponse::Page(page(&list(state, &format!("{address}&"))));
    };
    let ticket = state.issue_ticket(openid, now);
    back.query_pairs_mut()
        .append_pair("ticket", &ticket)
        .append_pair("appId", APP_ID)
        .append_pair("state", text("state"));
    PageResponse::Redirect(back.into())
}

/// The workbench, or the redirect to the home address of the application.
pub(super) fn workbench(
    state: &mut State,
    query: &HashMap<String, String>,
    now: SystemTime,
) -> PageResponse {
    let Some(openid) = query.get(CHOICE) else {
        return PageResponse::Page(page(&list(state, &format!("{WORKBENCH_PATH}?"))));
    };
    let ticket = state.issue_ticket(openid, now);
    let separator = if state.home.contains('?') { '&' } else { '?' };
    PageResponse::Redirect(format!("{}{separator}ticket={ticket}", state.home))
}

/// The management console: the people who are in the team, each with a button that dismisses them.
pub(super) fn console(state: &State) -> PageResponse {
    let people = state.people.iter().filter(|person| !person.has_left);
    let people = people.map(|Person { openid, name, .. }| {
        format!(
            "<li><form method=\"post\" action=\"{DISMISS_PATH}\">{name} <button name=\"openid\" \
             value=\"{openid}\" data-dismiss=\"{openid}\">办理离职</button></form>",
            openid = escape(openid),
            name = escape(name),
        )
    });
    let people = people.collect::<String>();
    PageResponse::Page(page(&format!("<h2>成员管理</h2><ul>{people}</ul>")))
}

/// Marks a person as gone, and returns to the console.
pub(super) fn dismiss(state: &mut State, openid: Option<&str>) -> PageResponse {
    let people = state.people.iter_mut();
    for person in people.filter(|person| Some(person.openid.as_str()) == openid) {
        person.has_left = true;
    }
    PageResponse::Redirect(CONSOLE_PATH.to_owned())
}

fn list(state: &State, address: &str) -> String {
    let people = state.people.iter().map(|person| {
        let href = format!("{address}{CHOICE}={}", person.openid);
        format!(
            "<li><a href=\"{}\" data-openid=\"{}\">{}</a>",
            escape(&href),
            escape(&person.openid),
            escape(&person.name)
        )
    });
    format!("<ul>{}</ul>", people.collect::<String>())
}

fn page(body: &str) -> String {
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>云之家（模拟）</title><h1>云之家</h1>{body}"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}
