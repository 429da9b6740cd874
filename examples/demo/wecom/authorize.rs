//! The pages a browser is sent to: who is it, may the application know, and back with a code.

use std::collections::HashMap;
use std::time::SystemTime;

use url::Url;

use super::pages::{self, Language};
use super::people::{App, CORP_ID, OUTSIDER};
use super::state::State;

/// The parameter that tells the simulation who scanned; the real page has none like it.
pub(super) const CHOICE: &str = "simulated_choice";
/// The parameter that tells the simulation that the person refused.
pub(super) const REFUSAL: &str = "simulated_refusal";
/// The parameter that tells the simulation that the person agreed to show personal fields.
pub(super) const CONSENT: &str = "simulated_consent";

/// What the browser gets.
pub(super) enum Shown {
    /// A page.
    Page(String),
    /// Back to the application.
    Back(String),
}

/// One visit as far as an answer depends on it.
pub(super) struct Visit<'a> {
    /// Path and query as the browser sent them, for links to the same page.
    pub(super) address: &'a str,
    pub(super) query: HashMap<String, String>,
    pub(super) user_agent: &'a str,
    pub(super) accept_language: &'a str,
    pub(super) now: SystemTime,
}

/// The login of an ordinary browser (扫码登录), by the new address or the old one.
pub(super) fn web_login(state: &mut State, visit: &Visit<'_>) -> Shown {
    let language = visit.language();
    if visit
        .get("login_type")
        .is_some_and(|kind| kind != "CorpApp")
    {
        return wrong(language, "login_type 参数错误");
    }
    if visit.get("appid") != Some(CORP_ID) {
        return wrong(language, "appid 参数错误");
    }
    let agent_id = visit.get("agentid").and_then(|text| text.parse().ok());
    let Some(app) = agent_id
        .and_then(|id| state.app(id))
        .filter(|app| app.enabled)
        .cloned()
    else {
        return wrong(language, "agentid 参数错误");
    };
    let Some(target) = Target::read(visit) else {
        return wrong(language, "redirect_uri 参数错误");
    };
    if !app.domains.contains(&target.host) {
        return wrong_host(
            language,
            "redirect_uri 与配置的授权完成回调域名不一致",
            &target.host,
        );
    }
    if visit.get(REFUSAL).is_some() {
        return Shown::Back(target.back(None));
    }
    match visit.get(CHOICE) {
        None => Shown::Page(pages::login(
            state,
            &app,
            &target.host,
            visit.address,
            language,
        )),
        Some(who) => scanned(state, visit, &app, &target, who),
    }
}

/// The login inside the WeCom client (网页授权), which asks nobody unless personal fields are wanted.
pub(super) fn in_app_login(state: &mut State, visit: &Visit<'_>) -> Shown {
    let language = visit.language();
    // The rule of the vendor's own scripts; every one of its clients says this.
    if !visit.user_agent.to_ascii_lowercase().contains("wxwork/") {
        return Shown::Page(pages::notice(language, "请在企业微信客户端打开链接", ""));
    }
    let scope = visit.get("scope").unwrap_or_default();
    let private = match scope {
        "snsapi_base" => false,
        "snsapi_privateinfo" | "snsapi_userinfo" => true,
        _ => return wrong(language, "scope 参数错误"),
    };
    if visit.get("appid") != Some(CORP_ID) || visit.get("response_type") != Some("code") {
        return wrong(language, "appid 或 response_type 参数错误");
    }
    let state_text = visit.get("state").unwrap_or_default();
    if state_text.len() > 128 || !state_text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return wrong(language, "state 参数错误");
    }
    let Some(target) = Target::read(visit) else {
        return wrong(language, "redirect_uri 参数错误");
    };
    // Any application of the corporation lets it pass here; the redemption looks at its own.
    if !state
        .apps
        .iter()
        .any(|app| app.domains.contains(&target.host))
    {
        return wrong_host(language, "redirect_uri需使用应用可信域名", &target.host);
    }
    let agent_id: Option<u64> = visit.get("agentid").and_then(|text| text.parse().ok());
    let app = agent_id.and_then(|id| state.app(id)).cloned();
    if visit.get("agentid").is_some() && app.is_none() {
        return wrong(language, "agentid 参数错误");
    }
    if visit.get(REFUSAL).is_some() {
        return Shown::Back(target.back(None));
    }
    let who = state.phone.clone();
    // Without an application nobody can consent to it; this is the silent scope then.
    if let Some(app) = app.filter(|_| private) {
        if !state.member(&who).is_some_and(|one| one.visible) {
            return no_permission(language);
        }
        if visit.get(CONSENT).is_none() {
            return Shown::Page(pages::consent(state, &app, &who, visit.address, language));
        }
    }
    let code = state.issue_code(&who, agent_id, &target.host, private, visit.now);
    Shown::Back(target.back(Some(&code)))
}

/// The host of a return address as written, port and all; `None` when it is no http address.
pub(super) fn host_as_written(address: &str) -> Option<String> {
    let rest = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A name before `@` would make the rest of the host look like ours to a careless reader.
    if host.is_empty() || host.contains(['@', '\\']) || Url::parse(address).is_err() {
        return None;
    }
    Some(host.to_ascii_lowercase())
}

fn scanned(state: &mut State, visit: &Visit<'_>, app: &App, target: &Target, who: &str) -> Shown {
    let language = visit.language();
    // Somebody of a linked corporation is written `CorpId/userid` and is in no contacts of ours.
    if who != OUTSIDER && !who.contains('/') {
        match state.member(who) {
            None => return wrong(language, "成员不存在"),
            Some(member) if !member.visible => return no_permission(language),
            Some(_) => {}
        }
    }
    let code = state.issue_code(who, app.agent_id, &target.host, false, visit.now);
    Shown::Back(target.back(Some(&code)))
}

fn wrong(language: Language, what: &str) -> Shown {
    Shown::Page(pages::notice(language, what, ""))
}

/// The real page does not say which host it was asked for; a developer wants to know.
fn wrong_host(language: Language, what: &str, host: &str) -> Shown {
    let asked = match language {
        Language::Chinese => "收到的域名：",
        Language::English => "It was asked for ",
    };
    Shown::Page(pages::notice(language, what, &format!("{asked}{host}")))
}

fn no_permission(language: Language) -> Shown {
    let why = match language {
        Language::Chinese => "你不在该应用的可见范围内，请联系管理员。",
        Language::English => "You are outside the visible range of this application.",
    };
    Shown::Page(pages::notice(language, "无权限", why))
}

/// Where the browser goes back to.
struct Target {
    address: String,
    host: String,
    state: String,
}

impl Target {
    fn read(visit: &Visit<'_>) -> Option<Self> {
        let address = visit.get("redirect_uri")?;
        let host = host_as_written(address)?;
        let state = visit.get("state").unwrap_or_default().to_owned();
        Some(Self {
            address: address.to_owned(),
            host,
            state,
        })
    }

    /// The return address with `code`, when there is one, and `state`, even when it is empty.
    fn back(&self, code: Option<&str>) -> String {
        let mut answer = url::form_urlencoded::Serializer::new(String::new());
        if let Some(code) = code {
            answer.append_pair("code", code);
        }
        let answer = answer.append_pair("state", &self.state).finish();
        let (address, fragment) = match self.address.split_once('#') {
            Some((address, fragment)) => (address, format!("#{fragment}")),
            None => (self.address.as_str(), String::new()),
        };
        let joint = if address.contains('?') { '&' } else { '?' };
        format!("{address}{joint}{answer}{fragment}")
    }
}

impl Visit<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// `lang`, else Chinese; only the old login page ever looked at what the browser prefers.
    fn language(&self) -> Language {
        let preferred = match self.address.starts_with("/wwopen/") {
            true => self.accept_language,
            false => "zh",
        };
        let asked = self.get("lang").filter(|lang| !lang.is_empty());
        match asked.unwrap_or(preferred) {
            lang if lang.starts_with("en") => Language::English,
            _ => Language::Chinese,
        }
    }
}
