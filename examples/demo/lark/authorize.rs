//! The login page in the browser: choosing a person, and the redirect back with a code.

use std::collections::HashMap;
use std::time::SystemTime;

use super::super::simulated_http::PageResponse;
use super::pages;
use super::people::{APP_ID, OTHER_APP_ID};
use super::state::{CodeRequest, State};

/// The parameter with the person who confirmed; the real page has no such parameter.
pub(super) const CHOICE: &str = "simulated_choice";
/// The parameter that says that the person refused.
pub(super) const REFUSAL: &str = "simulated_refusal";

/// The parts of a page request that its response depends on.
pub(super) struct PageRequest<'a> {
    /// The path and query as the browser sent them, for links to the same page.
    pub(super) address: &'a str,
    pub(super) query: HashMap<String, String>,
    pub(super) user_agent: &'a str,
    pub(super) now: SystemTime,
}

/// `GET authen/v1/authorize`.
pub(super) fn login(state: &mut State, request: &PageRequest<'_>) -> PageResponse {
    let get = |name: &str| request.query.get(name).map(String::as_str);
    let Some(app_id) = get("client_id").filter(|id| [APP_ID, OTHER_APP_ID].contains(id)) else {
        return PageResponse::Page(pages::notice(
            "错误码：20048",
            "应用不存在，请检查 client_id",
        ));
    };
    if get("response_type") != Some("code") {
        return PageResponse::Page(pages::notice("错误码：20001", "response_type 不正确"));
    }
    let redirect_uri = get("redirect_uri").unwrap_or_default();
    if !state
        .redirects
        .iter()
        .any(|address| address == redirect_uri)
    {
        return PageResponse::Page(pages::notice(
            "错误码：20029",
            "重定向 URL 有误，请联系应用管理员",
        ));
    }
    let challenge = get("code_challenge");
    if challenge.is_some() && get("code_challenge_method") != Some("S256") {
        return PageResponse::Page(pages::notice(
            "错误码：20001",
            "code_challenge_method 不正确",
        ));
    }
    let back = |parameters: &[(&str, &str)]| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        if let Some(state) = get("state") {
            query.append_pair("state", state);
        }
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        PageResponse::Redirect(format!("{redirect_uri}{separator}{}", query.finish()))
    };
    if get(REFUSAL).is_some() {
        return back(&[("error", "access_denied")]);
    }
    let is_client = request.user_agent.contains("Lark/") || request.user_agent.contains("Feishu");
    let user_id = match get(CHOICE) {
        Some(user_id) => user_id.to_owned(),
        // Inside the client nobody is asked, unless the application wants it.
        None if is_client && get("prompt") != Some("consent") => state.client_owner.clone(),
        None => return PageResponse::Page(pages::login(state, redirect_uri, request.address)),
    };
    let code = state.issue_code(
        CodeRequest {
            user_id: &user_id,
            app_id,
            redirect_uri: Some(redirect_uri),
            challenge,
        },
        request.now,
    );
    back(&[("code", &code)])
}
