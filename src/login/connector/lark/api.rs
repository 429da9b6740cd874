//! `Api`: the API of Lark, called with the application's token or that of a person;
//! <https://open.feishu.cn/document/server-docs/api-call-guide/calling-process/overview>.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use url::Url;

use super::super::kit::app_token::{AppToken, IssuedToken, take_token};
use super::super::kit::web_url::below;
use super::errors::{ApiError, INVALID_CODE, TENANT_TOKEN, refusal};
use crate::clock::Clock;
use crate::outbound::{
    AcceptedStatus, JsonRequest, Outbound, OutboundCall, OutboundError, RequestToken,
};
use crate::secret::Secret;

mod contacts;

pub(super) use contacts::{BATCH_MAX, ContactScope, Page};

/// The lifetime of the application's token if Lark sends none, in seconds.
const TOKEN_LIFETIME_S: i64 = 7200;

/// The call that names the tenant of the application.
pub(super) const TENANT_QUERY: &str = "tenant/query";

/// An object in a response of Lark.
pub(super) type Object = Map<String, Value>;

/// The API client of one application.
#[derive(Debug)]
pub(super) struct Api {
    outbound: Outbound,
    base: Url,
    token_url: Url,
    app: App,
    token: AppToken,
}

/// The application.
#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) secret: Secret<String>,
}

/// An authorization code, and what belongs to it.
#[derive(Clone, Copy)]
pub(super) struct CodeGrant<'a> {
    pub(super) code: &'a str,
    pub(super) redirect_uri: Option<&'a str>,
    /// The PKCE verifier.
    pub(super) verifier: Option<&'a str>,
}

/// The tenant of the application.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) key: String,
    pub(super) name: String,
}

struct ApiCall<'a> {
    call: OutboundCall,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
}

impl Api {
    pub(super) fn new(
        outbound: Outbound,
        base: Url,
        token_url: Url,
        app: App,
        clock: Clock,
    ) -> Self {
        Self {
            outbound,
            base,
            token_url,
            app,
            token: AppToken::new("Lark", TENANT_TOKEN, clock),
        }
    }

    pub(super) fn app_id(&self) -> &str {
        &self.app.id
    }

    /// Redeems a code for the token of its person;
    /// <https://open.feishu.cn/document/authentication-management/access-token/get-user-access-token>.
    pub(super) async fn redeem(&self, grant: &CodeGrant<'_>) -> Result<Secret<String>, ApiError> {
        let call = OutboundCall::once("oauth/token");
        let secret = self.app.secret.expose();
        let mut body = json!({
            "grant_type": "authorization_code",
            "client_id": self.app.id,
            "client_secret": secret,
            "code": grant.code,
        });
        let optional = [
            ("redirect_uri", grant.redirect_uri),
            ("code_verifier", grant.verifier),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                body[name] = Value::from(value);
            }
        }
        let request = JsonRequest::post(&self.token_url, body);
        let response = self.send(request, call).await?;
        let redacted = [secret, grant.code, grant.verifier.unwrap_or_default()];
        let mut fields = successful(call.name(), response, &redacted)?;
        take_token(&mut fields, "access_token")
            .ok_or_else(|| incomplete(call.name(), "`access_token`"))
    }

    /// The person to whom a token belongs;
    /// <https://open.feishu.cn/document/server-docs/authentication-management/login-state-management/get>.
    pub(super) async fn user_info(&self, token: &Secret<String>) -> Result<Object, ApiError> {
        let call = ApiCall {
            call: OutboundCall::repeatable("authen/user_info"),
            path: &["authen", "v1", "user_info"],
            query: &[],
        };
        self.call_with_token(token, &call).await
    }

    /// The tenant to which the application belongs;
    /// <https://open.feishu.cn/document/server-docs/tenant-v2/query>.
    pub(super) async fn tenant(&self) -> Result<Tenant, ApiError> {
        let call = TENANT_QUERY;
        let mut data = self
            .call(ApiCall {
                call: OutboundCall::repeatable(call),
                path: &["tenant", "v2", "tenant", "query"],
                query: &[],
            })
            .await?;
        let tenant = object(&mut data, "tenant").ok_or_else(|| incomplete(call, "`tenant`"))?;
        let text = |name: &str| tenant.get(name).and_then(Value::as_str).unwrap_or_default();
        let key = text("tenant_key");
        if !super::config::is_identifier(key) {
            return Err(incomplete(call, "`tenant_key`"));
        }
        Ok(Tenant {
            key: key.to_owned(),
            name: text("name").to_owned(),
        })
    }

    /// Makes a call with the application's token. Repeats it once with a new token if Lark rejects the
    /// token.
    async fn call(&self, call: ApiCall<'_>) -> Result<Object, ApiError> {
        let call = &call;
        let attempt =
            |token: Arc<Secret<String>>| async move { self.call_with_token(&token, call).await };
        self.token.call(|| self.request_token(), attempt).await
    }

    async fn call_with_token(
        &self,
        token: &Secret<String>,
        call: &ApiCall<'_>,
    ) -> Result<Object, ApiError> {
        let name = call.call.name();
        let url = self.url(call.path);
        let request = JsonRequest::get(&url).with_query(call.query);
        let request = request.with_token(RequestToken::Bearer(token));
        let response = self.send(request, call.call).await?;
        let mut fields = successful(name, response, &[token.expose()])?;
        object(&mut fields, "data").ok_or_else(|| incomplete(name, "`data`"))
    }

    /// The application's token, to see whether Lark accepts the secret.
    pub(super) async fn check_secret(&self) -> Result<(), ApiError> {
        self.token.get(|| self.request_token()).await.map(drop)
    }

    /// Requests the application's token for its tenant;
    /// <https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal>.
    async fn request_token(&self) -> Result<IssuedToken, ApiError> {
        let secret = self.app.secret.expose();
        let body = json!({ "app_id": self.app.id, "app_secret": secret });
        let url = self.url(&["auth", "v3", "tenant_access_token", "internal"]);
        let call = OutboundCall::repeatable(TENANT_TOKEN);
        let response = self.send(JsonRequest::post(&url, body), call).await?;
        let mut fields = successful(TENANT_TOKEN, response, &[secret])?;
        let issued = IssuedToken::take(
            &mut fields,
            ["tenant_access_token", "expire"],
            TOKEN_LIFETIME_S,
        );
        issued.ok_or_else(|| incomplete(TENANT_TOKEN, "`tenant_access_token`"))
    }

    /// The JSON of a response with any status.
    async fn send(
        &self,
        request: JsonRequest<'_>,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        let sent = self.outbound.send_json(request, AcceptedStatus::Any, call);
        Ok(sent.await?.body)
    }

    fn url(&self, path: &[&str]) -> Url {
        below(
            &self.base,
            ["open-apis"].into_iter().chain(path.iter().copied()),
        )
    }
}

fn object(fields: &mut Object, name: &str) -> Option<Object> {
    match fields.remove(name) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// The fields of a response whose code is 0. A token endpoint may send only `error`, as in RFC 6749 §5.2.
fn successful(call: &'static str, response: Value, redacted: &[&str]) -> Result<Object, ApiError> {
    let Value::Object(fields) = response else {
        return Err(incomplete(call, "an object"));
    };
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| fields.get(*name)?.as_str());
        found.filter(|text| !text.is_empty())
    };
    let code = match fields.get("code") {
        Some(code) => code.as_i64().ok_or_else(|| incomplete(call, "`code`"))?,
        None => match text(&["error"]) {
            Some("invalid_grant") => INVALID_CODE,
            Some(_) => -1,
            None => return Err(incomplete(call, "`code`")),
        },
    };
    if code == 0 {
        return Ok(fields);
    }
    let message = text(&["msg", "error_description", "error"]).unwrap_or_default();
    Err(ApiError::Refused(refusal(call, code, message, redacted)))
}

fn incomplete(call: &'static str, missing: &'static str) -> ApiError {
    ApiError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_says_whether_a_call_succeeded() {
        let read = |value: Value| successful("x", value, &["hunter2"]);
        assert!(read(json!({ "code": 0, "msg": "success" })).is_ok());
        for (value, code) in [
            (json!({ "code": 20003, "error": "invalid_grant" }), 20003),
            (json!({ "error": "invalid_grant" }), 20003),
            (
                json!({ "error": "server_error", "error_description": "x" }),
                -1,
            ),
        ] {
            assert_eq!(
                read(value.clone()).unwrap_err().code(),
                Some(code),
                "{value}"
            );
        }
        for value in [
            json!([]),
            json!({}),
            json!({ "code": "0" }),
            json!({ "access_token": "u-1" }),
        ] {
            assert_eq!(read(value.clone()).unwrap_err().code(), None, "{value}");
        }
        let error = read(json!({ "code": 1, "msg": "no hunter2" })).unwrap_err();
        assert_eq!(error.to_string(), "x answered 1: no …");
    }
}
