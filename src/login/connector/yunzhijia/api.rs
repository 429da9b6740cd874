//! `Api`: the API of Yunzhijia at `/gateway/`, called with the token of the application.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use url::Url;

use super::super::DiscardedRecently;
use super::super::kit::app_token::{AppToken, IssuedToken};
use super::super::kit::number::number;
use super::super::kit::web_url::below;
use super::errors::{ApiError, GET_TOKEN, refused};
use crate::clock::Clock;
use crate::outbound::{Outbound, OutboundCall, OutboundError};
use crate::secret::Secret;

mod contacts;

pub(super) use contacts::{GET_DEPARTMENTS, GET_MEMBERS, GET_PERSON, PAGE_SIZE};

/// The call that returns the person of a ticket.
pub(super) const ACQUIRE_CONTEXT: &str = "acquirecontext";

/// The lifetime of a token if Yunzhijia sends none, in seconds: the shorter one of its documents.
const TOKEN_LIFETIME_S: i64 = 6400;

/// The data of a successful response.
pub(super) type ResponseObject = Map<String, Value>;

/// The API client of one application.
#[derive(Debug)]
pub(super) struct Api {
    outbound: Outbound,
    base: Url,
    app: App,
    /// The team.
    eid: String,
    token: AppToken,
    clock: Clock,
}

/// The application.
#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) secret: Secret<String>,
}

impl Api {
    pub(super) fn new(outbound: Outbound, base: Url, app: App, eid: String, clock: Clock) -> Self {
        Self {
            outbound,
            base,
            app,
            eid,
            token: AppToken::new("Yunzhijia", GET_TOKEN, clock.clone()),
            clock,
        }
    }

    /// The application's token.
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

    /// The person of a ticket. A ticket is valid for an hour; `disposable` makes it valid once.
    pub(super) async fn acquire_context(&self, ticket: &str) -> Result<ResponseObject, ApiError> {
        let body = json!({ "appid": self.app.id, "ticket": ticket, "disposable": true });
        let body = &body;
        let call = |token: Arc<Secret<String>>| async move {
            let query = [("accessToken", token.expose().as_str())];
            let url = self.url(["gateway", "ticket", "user", ACQUIRE_CONTEXT]);
            let outbound_call = OutboundCall::once(ACQUIRE_CONTEXT);
            let response = self.outbound.post_json(&url, &query, body, outbound_call);
            let secret = self.app.secret.expose().as_str();
            let redacted = [token.expose().as_str(), ticket, secret];
            succeeded(ACQUIRE_CONTEXT, response.await?, &redacted)
        };
        object(
            ACQUIRE_CONTEXT,
            self.token.call(|| self.request_token(), call).await?,
        )
    }

    /// Requests a token. Yunzhijia refuses a timestamp that is more than three minutes off.
    async fn request_token(&self) -> Result<IssuedToken, ApiError> {
        let secret = self.app.secret.expose().as_str();
        let body = json!({
            "appId": self.app.id,
            "secret": secret,
            "timestamp": self.clock.now().unix_ms(),
            "scope": "app",
        });
        let url = self.url(["gateway", "oauth2", "token", GET_TOKEN]);
        let call = OutboundCall::repeatable(GET_TOKEN);
        let response = self.outbound.post_json(&url, &[], &body, call).await?;
        let mut data = object(GET_TOKEN, succeeded(GET_TOKEN, response, &[secret])?)?;
        let issued = IssuedToken::take(&mut data, ["accessToken", "expireIn"], TOKEN_LIFETIME_S);
        issued.ok_or_else(|| incomplete(GET_TOKEN, "`data.accessToken`"))
    }

    fn url(&self, path: [&str; 4]) -> Url {
        below(&self.base, path)
    }
}

/// The data of a response. Only `success` says whether a call succeeded: the HTTP status is 200 in any case,
/// and the `errorCode` of a success is 0 or 100.
fn succeeded(call: &'static str, response: Value, redacted: &[&str]) -> Result<Value, ApiError> {
    let Value::Object(mut response) = response else {
        return Err(incomplete(call, "an object"));
    };
    match response.get("success") {
        Some(Value::Bool(true)) => Ok(response.remove("data").unwrap_or_default()),
        Some(Value::Bool(false)) => {
            let code = response.get("errorCode").and_then(number).unwrap_or(0);
            let message = response.get("error").and_then(Value::as_str);
            let message = message.unwrap_or("no message");
            Err(refused(call, code, message, redacted))
        }
        _ => Err(incomplete(call, "`success`")),
    }
}

fn object(call: &'static str, data: Value) -> Result<ResponseObject, ApiError> {
    match data {
        Value::Object(data) => Ok(data),
        _ => Err(incomplete(call, "`data`")),
    }
}

fn incomplete(call: &'static str, missing: &'static str) -> ApiError {
    ApiError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}
