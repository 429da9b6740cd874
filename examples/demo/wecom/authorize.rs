//! The login pages in the browser: choosing a person, consent, and the redirect back with a code.

use std::collections::HashMap;
use std::time::SystemTime;

use url::Url;

use super::super::simulated_http::PageResponse;
use super::pages::{self, Language};
use super::people::{App, CORP_ID, OUTSIDER};
use super::state::State;

/// The parameter with the person who scanned the code; the real page has no such parameter.
pub(super) const CHOICE: &str = "simulated_choice";
/// The parameter that says that the person refused.
pub(super) const REFUSAL: &str = "simulated_refusal";
/// The parameter that says that the person agreed to share personal fields.
pub(super) const CONSENT: &str = "simulated_consent";

/// The parts of a page request that its response depends on.
pub(super) struct PageRequest<'a> {
    /// The path and query as the browser sent them, for links to the same page.
    pub(super) address: &'a str,
    pub(super) query: HashMap<String, String>,
    pub(super) user_agent: &'a str,
    pub(super) accept_language: &'a str,
    pub(super) now: SystemTime,
}

/// The login in an ordinary browser (扫码登录), at the current or the older path.
pub(super) fn web_login(state: &mut State, request: &PageRequest<'_>) -> PageResponse {
    let language = request.language();
    if request
        .get("login_type")
        .is_some_and(|kind| kind != "CorpApp")
    {
        return error_page(language, "login_type 参数错误", "login_type is wrong");
    }
    if request.get("appid") != Some(CORP_ID) {
        return error_page(language, "appid 参数错误", "appid is wrong");
    }
    let agent_id = request.get("agentid").and_then(|text| text.parse().ok());
    let Some(app) = agent_id
        .and_then(|id| state.app(id))
        .filter(|app| app.enabled)
        .cloned()
    else {
        return error_page(language, "agentid 参数错误", "agentid is wrong");
    };
    let Some(target) = Target::read(request) else {
        return error_page(language, "redirect_uri 参数错误", "redirect_uri is wrong");
    };
    if !app.domains.contains(&target.host) {
        return wrong_host_page(
            language,
            (
                "redirect_uri 与配置的授权完成回调域名不一致",
                "The host of redirect_uri is not the registered callback host",
            ),
            &target.host,
        );
    }
    if request.get(REFUSAL).is_some() {
        return PageResponse::Redirect(target.redirect_address(None));
    }
    match request.get(CHOICE) {
        None => PageResponse::Page(pages::login(
            state,
            &app,
            &target.host,
            request.address,
            language,
        )),
        Some(userid) => code_after_scan(state, request, &app, &target, userid),
    }
}

/// The login inside the WeCom client (网页授权), which needs no confirmation unless personal fields are
/// requested.
pub(super) fn in_app_login(state: &mut State, request: &PageRequest<'_>) -> PageResponse {
    let language = request.language();
    // The real page checks the user agent in this way; every WeCom client sends it.
    if !request.user_agent.to_ascii_lowercase().contains("wxwork/") {
        return error_page(
            language,
            "请在企业微信客户端打开链接",
            "Open this link in the WeCom client",
        );
    }
    let scope = request.get("scope").unwrap_or_default();
    let requests_personal_fields = match scope {
        "snsapi_base" => false,
        "snsapi_privateinfo" | "snsapi_userinfo" => true,
        _ => return error_page(language, "scope 参数错误", "scope is wrong"),
    };
    if request.get("appid") != Some(CORP_ID) || request.get("response_type") != Some("code") {
        return error_page(
            language,
            "appid 或 response_type 参数错误",
            "appid or response_type is wrong",
        );
    }
    let state_text = request.get("state").unwrap_or_default();
    if state_text.len() > 128 || !state_text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return error_page(language, "state 参数错误", "state is wrong");
    }
    let Some(target) = Target::read(request) else {
        return error_page(language, "redirect_uri 参数错误", "redirect_uri is wrong");
    };
    // The host of any application of the corporation is accepted here; redeeming the code checks
    // its own.
    if !state
        .apps
        .iter()
        .any(|app| app.domains.contains(&target.host))
    {
        let what = (
            "redirect_uri需使用应用可信域名",
            "redirect_uri must use a trusted host of the application",
        );
        return wrong_host_page(language, what, &target.host);
    }
    let agent_id: Option<u64> = request.get("agentid").and_then(|text| text.parse().ok());
    let app = agent_id.and_then(|id| state.app(id)).cloned();
    if request.get("agentid").is_some() && app.is_none() {
        return error_page(language, "agentid 参数错误", "agentid is wrong");
    }
    if request.get(REFUSAL).is_some() {
        return PageResponse::Redirect(target.redirect_address(None));
    }
    let userid = state.phone_owner.clone();
    // Without an application there is nothing to consent to, so this is the silent scope.
    if let Some(app) = app.filter(|_| requests_personal_fields) {
        if !state.member(&userid).is_some_and(|member| member.visible) {
            return no_permission_page(language);
        }
        if request.get(CONSENT).is_none() {
            return PageResponse::Page(pages::consent(
                state,
                &app,
                &userid,
                request.address,
                language,
            ));
        }
    }
    let code = state.issue_code(
        &userid,
        agent_id,
        &target.host,
        requests_personal_fields,
        request.now,
    );
    PageResponse::Redirect(target.redirect_address(Some(&code)))
}

/// The host and port of a return URL as written; `None` if it is not an HTTP URL.
pub(super) fn host_as_written(address: &str) -> Option<String> {
    let rest = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A user name before `@` could make another host look like this one.
    if host.is_empty() || host.contains(['@', '\\']) || Url::parse(address).is_err() {
        return None;
    }
    Some(host.to_ascii_lowercase())
}

fn code_after_scan(
    state: &mut State,
    request: &PageRequest<'_>,
    app: &App,
    target: &Target,
    userid: &str,
) -> PageResponse {
    let language = request.language();
    // A person of a linked corporation is written `CorpId/userid` and is not in the contacts.
    if userid != OUTSIDER && !userid.contains('/') {
        match state.member(userid) {
            None => {
                return error_page(language, "成员不存在", "There is no such member");
            }
            Some(member) if !member.visible => return no_permission_page(language),
            Some(_) => {}
        }
    }
    let code = state.issue_code(userid, app.agent_id, &target.host, false, request.now);
    PageResponse::Redirect(target.redirect_address(Some(&code)))
}

fn error_page(language: Language, chinese: &str, english: &str) -> PageResponse {
    PageResponse::Page(pages::notice(language, language.pick(chinese, english), ""))
}

/// An error page that names the wrong host. The real page does not, but it helps developers.
fn wrong_host_page(
    language: Language,
    (chinese, english): (&str, &str),
    host: &str,
) -> PageResponse {
    let what = language.pick(chinese, english);
    let label = match language {
        Language::Chinese => "收到的域名：",
        Language::English => "The host is ",
    };
    PageResponse::Page(pages::notice(language, what, &format!("{label}{host}")))
}

fn no_permission_page(language: Language) -> PageResponse {
    let why = match language {
        Language::Chinese => "您不在该应用的可见范围内，请联系管理员。",
        Language::English => "You are outside the visible range of this application.",
    };
    let title = language.pick("无权限", "No permission");
    PageResponse::Page(pages::notice(language, title, why))
}

/// The return URL of a login.
struct Target {
    address: String,
    host: String,
    state: String,
}

impl Target {
    fn read(request: &PageRequest<'_>) -> Option<Self> {
        let address = request.get("redirect_uri")?;
        let host = host_as_written(address)?;
        let state = request.get("state").unwrap_or_default().to_owned();
        Some(Self {
            address: address.to_owned(),
            host,
            state,
        })
    }

    /// The return URL with `code`, if there is one, and `state`, even if it is empty.
    fn redirect_address(&self, code: Option<&str>) -> String {
        let mut parameters = url::form_urlencoded::Serializer::new(String::new());
        if let Some(code) = code {
            parameters.append_pair("code", code);
        }
        let parameters = parameters.append_pair("state", &self.state).finish();
        let (address, fragment) = match self.address.split_once('#') {
            Some((address, fragment)) => (address, format!("#{fragment}")),
            None => (self.address.as_str(), String::new()),
        };
        let separator = if address.contains('?') { '&' } else { '?' };
        format!("{address}{separator}{parameters}{fragment}")
    }
}

impl PageRequest<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// The language of `lang`, otherwise the one that the browser prefers.
    pub(super) fn language(&self) -> Language {
        let requested = self.get("lang").filter(|lang| !lang.is_empty());
        match requested.unwrap_or(self.accept_language) {
            lang if lang.starts_with("en") => Language::English,
            _ => Language::Chinese,
        }
    }
}
