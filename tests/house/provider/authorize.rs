//! The authorization endpoint. It shows no page: the person of the session, or the default user, is
//! redirected back at once.

use super::CLIENT_ID;
use super::server::{Reply, Request, escape, form, page, redirect};
use super::sessions::{Code, Grant, OpSession};
use super::state::{ReceivedRequest, Shared, State, random};

type Pairs = Vec<(String, String)>;

/// Answers an authorization request.
pub(super) fn answer(shared: &Shared, request: &Request) -> Reply {
    let received = &request.received;
    let state = &mut *shared.state();
    let known = received.parameter("client_id") == Some(CLIENT_ID);
    let Some(back) = received.parameter("redirect_uri").filter(|_| known) else {
        return page(400, "<p>invalid client or redirect_uri");
    };
    if let Some(nonce) = received.parameter("nonce") {
        state.secrets.push(nonce.to_owned());
    }
    let mut cookie = None;
    let mut pairs: Pairs = match grant_code(shared, state, request, &mut cookie) {
        Ok(code) => vec![("code".to_owned(), code)],
        Err(error) => vec![
            ("error".to_owned(), error.to_owned()),
            ("error_description".to_owned(), format!("simulated {error}")),
        ],
    };
    if let Some(value) = received.parameter("state") {
        pairs.push(("state".to_owned(), value.to_owned()));
    }
    if state.settings.sends_iss {
        pairs.push(("iss".to_owned(), shared.issuer.clone()));
    }
    let pairs = state.change_redirect_parameters(pairs);
    let mut reply = redirect_back(
        back,
        &pairs,
        received.parameter("response_mode") == Some("form_post"),
    );
    if let Some(cookie) = cookie {
        let line = format!("{}={cookie}; Path=/; HttpOnly", request.cookie_name);
        reply
            .headers_mut()
            .append("set-cookie", line.parse().unwrap());
    }
    reply
}

fn grant_code(
    shared: &Shared,
    state: &mut State,
    request: &Request,
    cookie: &mut Option<String>,
) -> Result<String, &'static str> {
    let received = &request.received;
    if received.parameter("response_type") != Some("code") {
        return Err("unsupported_response_type");
    }
    let scope = received.parameter("scope").unwrap_or_default();
    if !scope.split(' ').any(|one| one == "openid") {
        return Err("invalid_scope");
    }
    let challenge = received.parameter("code_challenge").map(str::to_owned);
    let s256 = received.parameter("code_challenge_method") == Some("S256");
    if state.settings.pkce && (challenge.is_none() || !s256) {
        return Err("invalid_request");
    }
    let session = session_for(shared, state, request, cookie)?;
    if state.person(&session.login).disabled {
        return Err("access_denied");
    }
    let code = state.new_secret();
    let grant = Grant {
        session,
        nonce: received.parameter("nonce").map(str::to_owned),
        scope: scope.to_owned(),
        revoked: false,
    };
    let entry = Code {
        grant,
        redirect_uri: received
            .parameter("redirect_uri")
            .unwrap_or_default()
            .to_owned(),
        challenge,
        issued_at: shared.clock.now(),
        redeemed: None,
    };
    state.codes.insert(code.clone(), entry);
    Ok(code)
}

/// The session that meets the demands of the request; starts one if needed.
fn session_for(
    shared: &Shared,
    state: &mut State,
    request: &Request,
    cookie: &mut Option<String>,
) -> Result<OpSession, &'static str> {
    let now = shared.clock.now();
    let received = &request.received;
    let current = request
        .cookie
        .as_ref()
        .and_then(|cookie| state.sessions.get(cookie))
        .cloned();
    let prompt = received.parameter("prompt").unwrap_or_default();
    let acr = acr_of(state, received);
    let hinted_login = received
        .parameter("login_hint")
        .and_then(|hint| login_of_hint(state, hint));
    let max_age = received
        .parameter("max_age")
        .and_then(|text| text.parse::<u64>().ok());
    let is_sufficient = current.as_ref().is_some_and(|session| {
        let is_recent =
            max_age.is_none_or(|most| now.since(session.authenticated_at).as_secs() <= most);
        let is_hinted_login = hinted_login
            .as_ref()
            .is_none_or(|login| *login == session.login);
        is_recent
            && is_hinted_login
            && acr.as_ref().is_none_or(|acr| *acr == session.acr)
            && prompt != "login"
    });
    match current {
        Some(session) if is_sufficient => Ok(session),
        _ if prompt == "none" => Err("login_required"),
        current => {
            let current_login = current.map(|session| session.login);
            let login = hinted_login
                .or(current_login)
                .unwrap_or_else(|| state.default_user.clone());
            let acr = acr.unwrap_or_else(|| state.settings.acrs[0].clone());
            let new = state.start_session(&login, now, &acr);
            let session = state.sessions[&new].clone();
            *cookie = Some(new);
            Ok(session)
        }
    }
}

/// The first requested authentication context that the provider supports; `None` if none was requested.
fn acr_of(state: &State, received: &ReceivedRequest) -> Option<String> {
    let requested = received.parameter("acr_values")?;
    let supported = requested
        .split(' ')
        .find(|acr| state.settings.acrs.iter().any(|one| one == acr));
    supported.map(str::to_owned)
}

/// The login name of a person with this login name or e-mail address.
fn login_of_hint(state: &State, hint: &str) -> Option<String> {
    let is = |email: Option<&serde_json::Value>| email.is_some_and(|email| email == hint);
    let mut people = state.people.iter();
    let found = people.find(|one| one.login == hint || is(one.claims.get("email")))?;
    Some(found.login.clone())
}

fn redirect_back(back: &str, pairs: &Pairs, by_post: bool) -> Reply {
    if by_post {
        let field = |(name, value): &(String, String)| {
            let (name, value) = (escape(name), escape(value));
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">")
        };
        let fields: String = pairs.iter().map(field).collect();
        let action = escape(back);
        return page(
            200,
            &format!(
                "<body onload=\"document.forms[0].submit()\">\
                 <form method=\"post\" action=\"{action}\">{fields}</form>"
            ),
        );
    }
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let joint = if back.contains('?') { '&' } else { '?' };
    redirect(302, &format!("{back}{joint}{}", form(&pairs)))
}

/// Ends the session of an ID token and redirects the browser (RP-Initiated Logout 1.0).
pub(super) fn end_session(shared: &Shared, request: &Request) -> Reply {
    let received = &request.received;
    let state = &mut *shared.state();
    let hint = received
        .parameter("id_token_hint")
        .and_then(|token| state.id_tokens.get(token))
        .cloned();
    let browser_session = request
        .cookie
        .as_ref()
        .and_then(|cookie| state.sessions.get(cookie));
    let Some(sid) = hint.or_else(|| browser_session.map(|session| session.sid.clone())) else {
        return page(400, "<p>nobody to sign out");
    };
    state.sessions.retain(|_, session| session.sid != sid);
    for grant in state
        .grants
        .iter_mut()
        .filter(|grant| grant.session.sid == sid)
    {
        grant.revoked = true;
    }
    match received.parameter("post_logout_redirect_uri") {
        None => page(200, "<p>signed out"),
        Some(to) => {
            let joint = if to.contains('?') { '&' } else { '?' };
            let state = received.parameter("state");
            let query = state.map(|state| format!("{joint}{}", form(&[("state", state)])));
            redirect(302, &format!("{to}{}", query.unwrap_or_default()))
        }
    }
}

/// The target of redirects that menshen must not follow.
pub(super) fn elsewhere() -> Reply {
    page(200, &format!("<p>{}", random()))
}
