//! `Api`: the WeCom API at `/cgi-bin/`, called with the application's token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use url::{Host, Url};

use super::super::DiscardedRecently;
use super::super::kit::app_token::{AppToken, IssuedToken};
pub(super) use super::super::kit::number::number;
use super::super::kit::web_url::below;
use super::errors::{ApiError, GET_TOKEN, refusal};
use crate::clock::Clock;
use crate::outbound::{Outbound, OutboundCall, OutboundError};
use crate::secret::Secret;

mod contacts;

pub(super) use contacts::TagHolders;

/// The lifetime of a token if WeCom sends none, in seconds.
const TOKEN_LIFETIME_S: i64 = 7200;

/// A successful response of WeCom, without its error code.
pub(super) type ResponseObject = Map<String, Value>;

/// The API client of one application.
#[derive(Debug)]
pub(super) struct Api {
    outbound: Outbound,
    base: Url,
    corp_id: String,
    secret: Secret<String>,
    token: AppToken,
    /// Whether this deployment of WeCom lacks `/cgi-bin/auth/*`.
    uses_old_paths: AtomicBool,
}

/// The person to whom a code belongs.
#[derive(Debug)]
pub(super) struct CodeOwner {
    /// The API call that redeemed the code.
    pub(super) call: &'static str,
    /// The userid of a member; absent for other people.
    pub(super) userid: Option<String>,
    /// The ticket for the fields that the member agreed to share.
    pub(super) user_ticket: Option<String>,
    /// The member's corporation, if WeCom sends it.
    pub(super) corp_id: Option<String>,
}

struct ApiCall<'a> {
    call: OutboundCall,
    query: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
    /// A value to redact from error messages; may be empty.
    redacted: &'a str,
}

impl Api {
    pub(super) fn new(
        outbound: Outbound,
        base: Url,
        corp_id: String,
        secret: Secret<String>,
        clock: Clock,
    ) -> Self {
        let token = AppToken::new("WeCom", GET_TOKEN, clock);
        Self {
            outbound,
            base,
            corp_id,
            secret,
            token,
            uses_old_paths: AtomicBool::new(false),
        }
    }

    /// The application's token; <https://developer.work.weixin.qq.com/document/path/91039>.
    pub(super) async fn token(&self) -> Result<Arc<Secret<String>>, ApiError> {
        self.token.get(|| self.request_token()).await
    }

    /// How long this token is used before it is replaced.
    pub(super) fn usable_for(&self, token: &Arc<Secret<String>>) -> Duration {
        self.token.usable_for(token)
    }

    /// Discards the current token if it is `rejected`.
    pub(super) fn discard_token(&self, rejected: &str) -> Result<(), DiscardedRecently> {
        self.token.discard(rejected)
    }

    /// Redeems a code of a web page, the client or a native app. Older deployments have only the older
    /// call. <https://developer.work.weixin.qq.com/document/path/96442>
    pub(super) async fn redeem(&self, code: &str) -> Result<CodeOwner, ApiError> {
        let query = [("code", code)];
        let api_call = |call| ApiCall {
            call: OutboundCall::once(call),
            query: &query,
            body: None,
            redacted: code,
        };
        let (new, old) = ("auth/getuserinfo", "user/getuserinfo");
        if !self.uses_old_paths.load(Ordering::Relaxed) {
            match self.call(api_call(new)).await {
                Err(error) if error.is_missing_call() => {}
                result => return result.map(|fields| code_owner(new, &fields)),
            }
        }
        let result = self.call(api_call(old)).await;
        if !matches!(&result, Err(error) if error.is_missing_call()) {
            self.uses_old_paths.store(true, Ordering::Relaxed);
        }
        result.map(|fields| code_owner(old, &fields))
    }

    /// Redeems a code of a mini program (`wx.qy.login`); discards the session key.
    /// <https://developer.work.weixin.qq.com/document/path/92423>
    pub(super) async fn redeem_mini_program(&self, code: &str) -> Result<CodeOwner, ApiError> {
        let call = "miniprogram/jscode2session";
        let query = [("js_code", code), ("grant_type", "authorization_code")];
        let fields = self
            .call(ApiCall {
                call: OutboundCall::once(call),
                query: &query,
                body: None,
                redacted: code,
            })
            .await?;
        Ok(code_owner(call, &fields))
    }

    /// The fields of a member; <https://developer.work.weixin.qq.com/document/path/96255>.
    pub(super) async fn member(&self, userid: &str) -> Result<ResponseObject, ApiError> {
        let query = [("userid", userid)];
        self.call(ApiCall {
            call: OutboundCall::repeatable("user/get"),
            query: &query,
            body: None,
            redacted: "",
        })
        .await
    }

    /// The fields that a member agreed to share; <https://developer.work.weixin.qq.com/document/path/96443>.
    pub(super) async fn shared_fields(
        &self,
        user_ticket: &str,
    ) -> Result<ResponseObject, ApiError> {
        let uses_old_paths = self.uses_old_paths.load(Ordering::Relaxed);
        let call = if uses_old_paths {
            "user/getuserdetail"
        } else {
            "auth/getuserdetail"
        };
        let body = json!({ "user_ticket": user_ticket });
        self.call(ApiCall {
            call: OutboundCall::repeatable(call),
            query: &[],
            body: Some(&body),
            redacted: user_ticket,
        })
        .await
    }

    /// The settings of the application; <https://developer.work.weixin.qq.com/document/path/90227>.
    pub(super) async fn agent(&self, agent_id: &str) -> Result<ResponseObject, ApiError> {
        let query = [("agentid", agent_id)];
        self.call(ApiCall {
            call: OutboundCall::repeatable("agent/get"),
            query: &query,
            body: None,
            redacted: "",
        })
        .await
    }

    /// Whether the secret is sent unencrypted to another machine.
    pub(super) fn sends_secret_unencrypted(&self) -> bool {
        let is_local = match self.base.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        self.base.scheme() != "https" && !is_local
    }

    async fn call(&self, api_call: ApiCall<'_>) -> Result<ResponseObject, ApiError> {
        self.call_over(&self.outbound, api_call).await
    }

    /// Makes a call. Repeats it once with a new token if WeCom rejects the token.
    async fn call_over(
        &self,
        outbound: &Outbound,
        api_call: ApiCall<'_>,
    ) -> Result<ResponseObject, ApiError> {
        let api_call = &api_call;
        let call = |token: Arc<Secret<String>>| async move {
            self.call_with_token(outbound, &token, api_call).await
        };
        self.token.call(|| self.request_token(), call).await
    }

    async fn call_with_token(
        &self,
        outbound: &Outbound,
        token: &Secret<String>,
        api_call: &ApiCall<'_>,
    ) -> Result<ResponseObject, ApiError> {
        let ApiCall {
            call,
            body,
            redacted,
            ..
        } = *api_call;
        let mut query = vec![("access_token", token.expose().as_str())];
        query.extend(api_call.query);
        let url = self.url(call.name());
        let result = match body {
            None => outbound.get_json(&url, &query, call).await,
            Some(body) => outbound.post_json(&url, &query, body, call).await,
        };
        without_error_code(
            call.name(),
            result.map_err(ApiError::NoUsableResponse)?,
            &[token.expose().as_str(), redacted],
        )
    }

    async fn request_token(&self) -> Result<IssuedToken, ApiError> {
        let secret = self.secret.expose().as_str();
        let query = [("corpid", self.corp_id.as_str()), ("corpsecret", secret)];
        let response = self
            .outbound
            .get_json(
                &self.url(GET_TOKEN),
                &query,
                OutboundCall::repeatable(GET_TOKEN),
            )
            .await?;
        let mut fields = without_error_code(GET_TOKEN, response, &[secret])?;
        let issued = IssuedToken::take(
            &mut fields,
            ["access_token", "expires_in"],
            TOKEN_LIFETIME_S,
        );
        issued.ok_or_else(|| incomplete(GET_TOKEN, "`access_token`"))
    }

    fn url(&self, call: &str) -> Url {
        below(&self.base, ["cgi-bin"].into_iter().chain(call.split('/')))
    }
}

/// The response without its error code. A missing code means success.
fn without_error_code(
    call: &'static str,
    response: Value,
    redacted: &[&str],
) -> Result<ResponseObject, ApiError> {
    let Value::Object(mut fields) = response else {
        return Err(incomplete(call, "an object"));
    };
    let message = fields.remove("errmsg");
    let code = match fields.remove("errcode") {
        None | Some(Value::Null) => 0,
        Some(code) => number(&code).ok_or_else(|| incomplete(call, "`errcode`"))?,
    };
    if code == 0 {
        return Ok(fields);
    }
    let message = message.as_ref().and_then(Value::as_str).unwrap_or_default();
    Err(ApiError::Refused(refusal(call, code, message, redacted)))
}

/// Reads the response of a call that redeemed a code. `user/getuserinfo` capitalizes its fields.
fn code_owner(call: &'static str, fields: &ResponseObject) -> CodeOwner {
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| fields.get(*name)?.as_str());
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    CodeOwner {
        call,
        userid: text(&["userid", "UserId"]),
        user_ticket: text(&["user_ticket"]),
        corp_id: text(&["corpid", "CorpId"]),
    }
}

fn incomplete(call: &'static str, missing: &'static str) -> ApiError {
    ApiError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}

#[cfg(test)]
mod tests;
