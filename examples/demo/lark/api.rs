//! The API, `/open-apis/*`: tokens, and who a token belongs to. The contacts are in `contacts`.

use std::collections::HashMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::contacts;
use super::errors::{ApiFailure, failure, missing_permission};
use super::people::{Permission, TENANT_KEY};
use super::state::{Redemption, State, TOKEN_LIFETIME};

/// The parts of a request that its response depends on.
pub(super) struct ApiRequest<'a> {
    pub(super) path: &'a str,
    pub(super) is_post: bool,
    /// A name may be repeated.
    pub(super) query: Vec<(String, String)>,
    /// The JSON or the form of the body; `null` without one.
    pub(super) body: Value,
    /// The token in the `Authorization` header.
    pub(super) token: &'a str,
    pub(super) now: SystemTime,
}

type Answer = Result<Value, ApiFailure>;

/// Responds to a request; `None` for an unknown path.
pub(super) fn answer(state: &mut State, request: &ApiRequest<'_>) -> Option<Answer> {
    let answered = match request.path {
        "/open-apis/authen/v2/oauth/token" | "/oauth/v3/token" => token(state, request),
        "/open-apis/authen/v1/user_info" => user_info(state, request),
        "/open-apis/auth/v3/tenant_access_token/internal" => {
            app_token(state, request, "tenant_access_token")
        }
        "/open-apis/auth/v3/app_access_token/internal" => {
            app_token(state, request, "app_access_token")
        }
        "/open-apis/authen/v1/access_token" | "/open-apis/authen/v1/oidc/access_token" => {
            old_token(state, request)
        }
        "/open-apis/tenant/v2/tenant/query" => tenant(state, request),
        path => contacts::answer(state, request, path.strip_prefix("/open-apis/contact/v3/")?)?,
    };
    Some(answered)
}

/// The data of a successful response.
pub(super) fn success(data: Value) -> Value {
    json!({ "code": 0, "msg": "success", "data": data })
}

impl ApiRequest<'_> {
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        let mut found = self.query.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }

    /// Requires the application's token and a permission.
    pub(super) fn authorize(
        &self,
        state: &State,
        permission: Permission,
    ) -> Result<(), ApiFailure> {
        state.app_of(self.token, self.now).map_err(failure)?;
        match state.has(permission) {
            true => Ok(()),
            false => Err(missing_permission(permission)),
        }
    }
}

/// `POST authen/v2/oauth/token`.
fn token(state: &mut State, request: &ApiRequest<'_>) -> Answer {
    state.last_token_request = request.body.clone();
    if !request.is_post {
        return Err(failure(20063));
    }
    let [grant_type, client_id, secret] =
        ["grant_type", "client_id", "client_secret"].map(|name| request.field(name));
    let (Some(grant_type), Some(client_id), Some(secret)) = (grant_type, client_id, secret) else {
        return Err(failure(20001));
    };
    if grant_type != "authorization_code" {
        return Err(failure(20036));
    }
    State::check_secret(client_id, secret).map_err(|code| match code {
        10003 => failure(20048),
        _ => failure(20002),
    })?;
    let redemption = Redemption {
        code: request.field("code").ok_or_else(|| failure(20001))?,
        app_id: client_id,
        redirect_uri: request.field("redirect_uri"),
        verifier: request.field("code_verifier"),
    };
    let user_id = state.redeem(&redemption, request.now).map_err(failure)?;
    let token = state.user_token(&user_id, request.now);
    Ok(json!({
        "code": 0,
        "access_token": token,
        "expires_in": TOKEN_LIFETIME.as_secs(),
        "token_type": "Bearer",
        "scope": "auth:user.id:read",
    }))
}

/// `POST authen/v1/access_token` and `POST authen/v1/oidc/access_token`, which the libraries of the vendor use.
fn old_token(state: &mut State, request: &ApiRequest<'_>) -> Answer {
    let app_id = state.app_of(request.token, request.now);
    let app_id = app_id.map_err(|_| failure(99_991_664))?.to_owned();
    let redemption = Redemption {
        code: request.field("code").ok_or_else(|| failure(20001))?,
        app_id: &app_id,
        redirect_uri: None,
        verifier: None,
    };
    let user_id = state.redeem(&redemption, request.now).map_err(failure)?;
    let token = state.user_token(&user_id, request.now);
    let mut data = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME.as_secs(),
    });
    if request.path.ends_with("v1/access_token") {
        let person = state.person(&user_id).ok_or_else(|| failure(20008))?;
        let info = person.user_info(|permission| state.has(permission));
        for (name, value) in info.as_object().into_iter().flatten() {
            data[name] = value.clone();
        }
    }
    Ok(success(data))
}

/// `GET authen/v1/user_info`.
fn user_info(state: &mut State, request: &ApiRequest<'_>) -> Answer {
    let person = state.person_of(request.token, request.now);
    let person = person.map_err(failure)?;
    Ok(success(
        person.user_info(|permission| state.has(permission)),
    ))
}

/// `POST auth/v3/tenant_access_token/internal` and the same for `app_access_token`.
fn app_token(state: &mut State, request: &ApiRequest<'_>, name: &str) -> Answer {
    let [app_id, secret] = ["app_id", "app_secret"].map(|name| request.field(name));
    let (Some(app_id), Some(secret)) = (app_id, secret) else {
        return Err(failure(10003));
    };
    State::check_secret(app_id, secret).map_err(failure)?;
    let (token, lifetime) = state.app_token(app_id, request.now);
    let mut answer = json!({ "code": 0, "msg": "ok", "expire": lifetime.as_secs() });
    // The answer about one of them has both.
    answer["tenant_access_token"] = json!(token);
    answer[name] = json!(token);
    Ok(answer)
}

/// `GET tenant/v2/tenant/query`.
fn tenant(state: &mut State, request: &ApiRequest<'_>) -> Answer {
    request.authorize(state, Permission::Tenant)?;
    Ok(success(json!({
        "tenant": {
            "name": "示例公司",
            "display_id": "F123456789",
            "tenant_tag": 0,
            "tenant_key": TENANT_KEY,
            "avatar": {},
        },
    })))
}

/// The parameters of a query or a form.
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// The same with one value for each name.
pub(super) fn map(text: &[u8]) -> HashMap<String, String> {
    pairs(text).into_iter().collect()
}
