//! The token endpoint: exchanges a code or a refresh token for tokens.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::super::ConnectorError;
use super::client::OAuthClient;
use super::error::{self, TokenEndpointError};
use crate::outbound::{JsonResponse, Outbound, OutboundCall, OutboundError};
use crate::people::provider_tokens::RefreshError;
use crate::secret::Secret;
use crate::wording::Text;

/// The maximum length of a response, in bytes.
const RESPONSE_BYTES_MAX: usize = 256 << 10;

/// The maximum length of an access or refresh token, in bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// The maximum length of an ID token, in bytes. It may contain many groups.
const ID_TOKEN_BYTES_MAX: usize = 128 << 10;

/// The maximum length of `scope`, in bytes.
const SCOPE_BYTES_MAX: usize = 4096;

/// The maximum lifetime of an access token; longer ones are reduced to it.
const LIFETIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// The calls, with their names in errors and logs.
const REDEEM: OutboundCall = OutboundCall::once("token");
const REFRESH: OutboundCall = OutboundCall::once("refresh");

#[derive(Clone, Copy, Debug)]
pub struct TokenEndpoint<'a> {
    pub outbound: &'a Outbound,
    pub url: &'a Url,
    /// The redirect URI, which is a parameter of the request and part of the remedies.
    pub callback: &'a Url,
    pub dialect: TokenEndpointDialect<'a>,
}

/// How a token endpoint deviates from RFC 6749.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenEndpointDialect<'a> {
    /// Whether a response may lack `token_type`; if it is present, it is checked.
    pub token_type_optional: bool,
    /// A JSON pointer to the object with the tokens; absent: the response itself.
    pub tokens_pointer: Option<&'a str>,
    /// Whether the request for a code has no `redirect_uri`, because the authorization request had none
    /// (RFC 6749 §4.1.3).
    pub omits_redirect_uri: bool,
}

/// The tokens of a successful response. `Debug` shows no token.
#[derive(Clone)]
pub struct TokenResponse {
    pub access: Secret<String>,
    /// The lifetime of the access token, if the provider sends it.
    pub expires_in: Option<Duration>,
    pub refresh: Option<Secret<String>>,
    /// The ID token, which is not verified yet.
    pub id_token: Option<Secret<String>>,
    /// The granted scopes, if the provider sends them.
    pub scope: Option<String>,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("expires_in", &self.expires_in)
            .field("refresh", &self.refresh.is_some())
            .field("id_token", &self.id_token.is_some())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl OAuthClient {
    /// Redeems a code (RFC 6749 §4.1.3), with the PKCE verifier if the request had a challenge.
    pub async fn redeem(
        &self,
        endpoint: TokenEndpoint<'_>,
        code: &str,
        verifier: Option<&str>,
    ) -> Result<TokenResponse, ConnectorError> {
        let mut form = vec![("grant_type", "authorization_code"), ("code", code)];
        if !endpoint.dialect.omits_redirect_uri {
            form.push(("redirect_uri", endpoint.callback.as_str()));
        }
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        let mut redacted = vec![code];
        redacted.extend(verifier);
        self.request_tokens(endpoint, &form, &redacted, REDEEM)
            .await
            .map_err(|error| error.at_redemption(endpoint.callback))
    }

    /// Redeems a refresh token (RFC 6749 §6). Not cancel-safe, because a provider may rotate the token:
    /// call it in a task of its own.
    pub async fn refresh(
        &self,
        endpoint: TokenEndpoint<'_>,
        refresh: &Secret<String>,
        scope: Option<&str>,
    ) -> Result<TokenResponse, RefreshError> {
        let refresh = refresh.expose();
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh)];
        form.extend(scope.map(|scope| ("scope", scope)));
        self.request_tokens(endpoint, &form, &[refresh], REFRESH)
            .await
            .map_err(|error| error.at_refresh(endpoint.callback))
    }

    async fn request_tokens(
        &self,
        endpoint: TokenEndpoint<'_>,
        form: &[(&str, &str)],
        redacted: &[&str],
        call: OutboundCall,
    ) -> Result<TokenResponse, TokenEndpointError> {
        let authentication = self.authentication(endpoint.url);
        let mut form = form.to_vec();
        form.extend(authentication.form());
        let outbound = endpoint.outbound.with_response_limit(RESPONSE_BYTES_MAX);
        let response = outbound
            .post_form(endpoint.url, &form, authentication.credentials(), call)
            .await
            .map_err(TokenEndpointError::NoUsableResponse)?;
        let mut redacted = redacted.to_vec();
        redacted.extend(authentication.secrets());
        // A Basic credential contains the secret only in encoded form.
        redacted.extend(self.secret());
        read_response(&response, endpoint.dialect, &redacted, call.name())
    }
}

/// Reads a response. An error code means an error with any status, because some providers send errors
/// with 200.
fn read_response(
    response: &JsonResponse,
    dialect: TokenEndpointDialect<'_>,
    redacted: &[&str],
    call: &'static str,
) -> Result<TokenResponse, TokenEndpointError> {
    let incomplete =
        |missing| TokenEndpointError::NoUsableResponse(OutboundError::Incomplete { call, missing });
    let body = response
        .body
        .as_object()
        .ok_or_else(|| incomplete("an object"))?;
    let tokens = match dialect.tokens_pointer {
        None => Some(body),
        Some(pointer) => response.body.pointer(pointer).and_then(Value::as_object),
    };
    let has_access_token = tokens.is_some_and(|tokens| tokens.contains_key("access_token"));
    let error = standard_error(body).or_else(|| numeric_error(body).filter(|_| !has_access_token));
    if let Some((error, description)) = error {
        let refusal = error::source_refusal(
            call,
            i64::from(response.status),
            &error,
            description,
            redacted,
        );
        return Err(TokenEndpointError::Refused { error, refusal });
    }
    let (status, content_type) = (
        response.status,
        Text::fixed("JSON without an error", "JSON 中没有 error"),
    );
    if !(200..300).contains(&status) {
        return Err(TokenEndpointError::NoUsableResponse(
            OutboundError::Status {
                call,
                status,
                content_type,
            },
        ));
    }
    let tokens = tokens.ok_or_else(|| incomplete("an object where `token_at` points"))?;
    read_tokens(tokens, dialect).map_err(incomplete)
}

/// The error code and description of a response as in RFC 6749.
fn standard_error(body: &Map<String, Value>) -> Option<(String, Option<&str>)> {
    let error = match body.get("error")? {
        Value::Null | Value::Bool(false) => return None,
        Value::String(error) if error.is_empty() => return None,
        Value::String(error) => truncated(error),
        other => truncated(&other.to_string()),
    };
    Some((
        error,
        first_text(body, &["error_description", "msg", "message"]),
    ))
}

/// The error code and message of providers that send a number.
fn numeric_error(body: &Map<String, Value>) -> Option<(String, Option<&str>)> {
    let number = ["code", "errcode"]
        .iter()
        .find_map(|name| body.get(*name))?;
    let number = number.as_i64().filter(|number| *number != 0)?;
    let message = first_text(body, &["msg", "message", "errmsg"]);
    Some((format!("code {number}"), message))
}

fn first_text<'a>(body: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| body.get(*name).and_then(Value::as_str))
}

fn truncated(error: &str) -> String {
    error.chars().take(super::ERROR_BYTES_MAX).collect()
}

fn read_tokens(
    tokens: &Map<String, Value>,
    dialect: TokenEndpointDialect<'_>,
) -> Result<TokenResponse, &'static str> {
    let access = token(tokens, "access_token", TOKEN_BYTES_MAX)
        .map_err(|()| "a valid `access_token`")?
        .ok_or("an `access_token`")?;
    match tokens.get("token_type") {
        None | Some(Value::Null) if dialect.token_type_optional => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        _ => return Err("`token_type` \"bearer\""),
    }
    let refresh =
        token(tokens, "refresh_token", TOKEN_BYTES_MAX).map_err(|()| "a valid `refresh_token`")?;
    let id_token =
        token(tokens, "id_token", ID_TOKEN_BYTES_MAX).map_err(|()| "a valid `id_token`")?;
    let scope = match tokens.get("scope") {
        Some(Value::String(scope)) if scope.len() <= SCOPE_BYTES_MAX => Some(scope.clone()),
        Some(Value::String(_)) => return Err("a `scope` of at most 4096 bytes"),
        _ => None,
    };
    let expires_in = lifetime(tokens.get("expires_in")).ok_or("a valid `expires_in`")?;
    Ok(TokenResponse {
        access,
        expires_in,
        refresh,
        id_token,
        scope,
    })
}

/// A token. It must be visible ASCII because it is sent in headers. Empty and null mean none.
fn token(
    tokens: &Map<String, Value>,
    name: &str,
    bytes_max: usize,
) -> Result<Option<Secret<String>>, ()> {
    match tokens.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text))
            if text.len() <= bytes_max && text.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(Some(Secret::new(text.clone())))
        }
        Some(_) => Err(()),
    }
}

/// The lifetime of a token: a number, or a string with one. 0 and null mean unknown, because some
/// providers use them for tokens without expiry. A negative or non-numeric lifetime is invalid, for
/// which this returns `None`.
fn lifetime(value: Option<&Value>) -> Option<Option<Duration>> {
    let seconds = match value {
        None | Some(Value::Null) => return Some(None),
        Some(Value::Number(number)) => number.as_f64()?,
        Some(Value::String(text)) if text.is_empty() => return Some(None),
        Some(Value::String(text)) if text.len() <= 20 => {
            let digits = text.trim();
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            digits.parse::<f64>().ok()?
        }
        Some(_) => return None,
    };
    if !seconds.is_finite() || seconds < 0.0 {
        return None;
    }
    let capped = Duration::from_secs_f64(seconds.min(LIFETIME_MAX.as_secs_f64()));
    Some(Some(capped).filter(|lifetime| *lifetime >= Duration::from_secs(1)))
}

#[cfg(test)]
mod tests;
