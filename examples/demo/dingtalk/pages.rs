//! The pages of the simulated DingTalk: the login page for browsers, the console, and the library for pages in
//! the client.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use url::Url;

use super::super::simulated_http::PageResponse;
use super::people::{APP_KEY, CORP_ID, OTHER_CORP_ID, STRANGER};
use super::state::{CodeKind, State};

pub(super) const LOGIN_PATH: &str = "/oauth2/auth";
pub(super) const JSAPI_PATH: &str = "/dingtalk-jsapi/dingtalk.open.js";
pub(super) const CONSOLE_PATH: &str = "/console";
pub(super) const DISMISS_PATH: &str = "/console/dismiss";

/// The parameter with the person who scanned the code; the real page has no such parameter.
pub(super) const CHOICE: &str = "simulated_choice";
/// The parameter with the organisation that the person chose.
pub(super) const ORGANISATION: &str = "simulated_organisation";
/// The parameter that says that the person refused.
pub(super) const REFUSAL: &str = "simulated_refusal";

/// The login in a browser.
pub(super) fn login(
    state: &mut State,
    address: &str,
    query: &HashMap<String, String>,
    now: SystemTime,
) -> PageResponse {
    let get = |name: &str| query.get(name).map_or("", String::as_str);
    let scopes: Vec<_> = get("scope").split(' ').collect();
    let asks_for_organisation = scopes.contains(&"corpid");
    let redirect = Url::parse(get("redirect_uri"));
    let is_registered = state
        .redirect_urls
        .iter()
        .any(|url| url == get("redirect_uri"));
    let wrong = match redirect {
        _ if get("client_id") != APP_KEY => "client_id 不存在",
        _ if get("response_type") != "code" => "response_type 参数错误",
        _ if !scopes.contains(&"openid") => "scope 参数错误",
        Ok(_) if is_registered => "",
        _ => "url参数错误：回调地址未在应用中登记",
    };
    let mut back = match redirect {
        Ok(back) if wrong.is_empty() => back,
        _ => return PageResponse::Page(page(wrong, "")),
    };
    if query.contains_key(REFUSAL) {
        back.query_pairs_mut()
            .append_pair("error", "access_denied")
            .append_pair("state", get("state"));
        return PageResponse::Redirect(back.into());
    }
    let Some(userid) = query.get(CHOICE) else {
        return PageResponse::Page(people(state, address));
    };
    let chosen = query.get(ORGANISATION).cloned();
    let own = match userid == STRANGER {
        true => OTHER_CORP_ID,
        false => CORP_ID,
    };
    let corp_id = chosen.unwrap_or_else(|| own.to_owned());
    let kind = CodeKind::Web(asks_for_organisation.then_some(corp_id));
    let code = state.issue_code(kind, userid, now);
    for parameter in state.code_parameters {
        back.query_pairs_mut().append_pair(parameter, &code);
    }
    back.query_pairs_mut().append_pair("state", get("state"));
    PageResponse::Redirect(back.into())
}

/// The page with the people who may scan the code.
fn people(state: &State, address: &str) -> String {
    let mut list = String::new();
    let stranger = (STRANGER, "别的公司的人");
    let members = state.members.iter();
    let members = members.map(|one| (one.userid.as_str(), one.name.as_str()));
    for (userid, name) in members.chain([stranger]) {
        let link = escape(&with_parameter(address, CHOICE, userid));
        let (userid, name) = (escape(userid), escape(name));
        write!(
            list,
            r#"<li><a href="{link}" data-userid="{userid}">{name} <small>{userid}</small></a></li>"#
        )
        .expect("writing to a string does not fail");
    }
    let refuse = escape(&with_parameter(address, REFUSAL, "1"));
    let body = format!(r#"<ul>{list}</ul><p><a data-refuse href="{refuse}">拒绝 · Refuse</a></p>"#);
    page("钉钉登录：扫码的是谁？ · Who is scanning?", &body)
}

/// The console with a button for each member that dismisses them.
pub(super) fn console(state: &State) -> String {
    let mut list = String::new();
    for member in &state.members {
        let (userid, name) = (escape(&member.userid), escape(&member.name));
        write!(list, r#"<li><form method="post" action="{DISMISS_PATH}">{name} <small>{userid}</small> <button name="userid" value="{userid}">办理离职 · Dismiss</button></form></li>"#)
            .expect("writing to a string does not fail");
    }
    page("钉钉管理后台 · Console", &format!("<ul>{list}</ul>"))
}

/// The library for a page in the client: it has a code of the phone's owner.
pub(super) fn jsapi(state: &mut State, now: SystemTime) -> String {
    let owner = state.phone_owner.clone();
    let code = state.issue_code(CodeKind::InApp, &owner, now);
    format!(
        "window.dd = {{ ready: function (call) {{ call(); }}, runtime: {{ permission: {{ requestAuthCode: \
         function (options) {{ if (options.corpId === \"{CORP_ID}\") {{ options.onSuccess({{ code: \
         \"{code}\" }}); }} else {{ options.onFail({{ errorCode: 3 }}); }} }} }} }} }};\n"
    )
}

fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        r#"<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<style>body{{font:16px/1.6 system-ui,sans-serif;max-width:560px;margin:6vh auto;padding:0 16px}}
li{{margin:8px 0}}small{{color:#667}}</style></head><body>
<p>模拟 · Simulated：这不是钉钉，只是演示和测试用的替身。</p><h1>{title}</h1>{body}</body></html>"#
    )
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

/// Adds a query parameter to a URL or path.
pub(super) fn with_parameter(address: &str, name: &str, value: &str) -> String {
    let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    format!("{address}&{name}={value}")
}
