//! Fetches the profile of a person: the profile endpoint, and further requests merged into it.

use futures_util::future::try_join_all;
use serde_json::{Map, Value};
use url::Url;

use super::super::grant;
use super::super::{ConnectorError, SourceRefusal};
use super::config::ProfileAuth;
use super::settings::ProviderSettings;
use crate::expression::{self, EvalError, Expression};
use crate::outbound::{self, Outbound, OutboundError};
use crate::people::profile::evaluate_over_profile;
use crate::secret::Secret;
use crate::store::{LinkField, Subject};
use crate::text;

/// The names of the requests in errors and logs.
const PROFILE: &str = "profile";
const PROFILES: &str = "profiles";

/// The most pages of a list. A longer list is an error, because a truncated one could change groups.
const PAGES_MAX: usize = 10;

/// The longest message in an error, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

pub(super) struct FetchedProfile {
    pub(super) subject: Subject,
    /// The profile that the mapping reads.
    pub(super) raw: Value,
    pub(super) verified_fields: Vec<(LinkField, String)>,
}

impl std::fmt::Debug for FetchedProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchedProfile")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Fetches the profile. Every request must succeed, because rules would decide wrongly without a part
/// of the profile.
pub(super) async fn fetch(
    outbound: &Outbound,
    settings: &ProviderSettings,
    access: &Secret<String>,
) -> Result<FetchedProfile, ConnectorError> {
    let client = ProfileClient {
        outbound,
        settings,
        access,
    };
    let further = settings.profiles.iter().map(|(name, url)| {
        let client = &client;
        async move { Ok((name.clone(), client.get(url, Some(name)).await?)) }
    });
    let profile = client.get(&settings.profile_url, None);
    let (profile, further) = futures_util::future::try_join(profile, try_join_all(further)).await?;
    let Value::Object(profile) = profile else {
        return Err(incomplete(PROFILE, "an object"));
    };
    read_profile(settings, profile, further)
}

/// Fetches the parts of a profile with one access token.
struct ProfileClient<'a> {
    outbound: &'a Outbound,
    settings: &'a ProviderSettings,
    access: &'a Secret<String>,
}

impl ProfileClient<'_> {
    /// Fetches a document, or all pages of a list. A list with as many items as `per_page` in the URL
    /// continues at `page=2`, as at GitHub, GitLab and Gitee.
    async fn get(&self, url: &Url, name: Option<&str>) -> Result<Value, ConnectorError> {
        let mut document = self.get_page(url, name).await?;
        let (Some(length), Some(items)) = (page_length(url), document.as_array_mut()) else {
            return Ok(document);
        };
        for number in 2..=PAGES_MAX {
            if items.len() < length * (number - 1) {
                return Ok(document);
            }
            let mut url = url.clone();
            let page = number.to_string();
            url.query_pairs_mut().append_pair("page", &page);
            match self.get_page(&url, name).await? {
                Value::Array(more) => items.extend(more),
                _ => return Err(incomplete(PROFILES, "a list on each page")),
            }
        }
        if items.len() < length * PAGES_MAX {
            return Ok(document);
        }
        Err(incomplete(PROFILES, "an end to its pages"))
    }

    async fn get_page(&self, url: &Url, name: Option<&str>) -> Result<Value, ConnectorError> {
        let call = if name.is_some() { PROFILES } else { PROFILE };
        let request = outbound::OutboundCall::repeatable(call);
        let response = match self.settings.profile_auth {
            ProfileAuth::Bearer => self.outbound.get_json_as(url, self.access, request).await,
            ProfileAuth::Query => {
                let token = [("access_token", self.access.expose().as_str())];
                self.outbound.get_json(url, &token, request).await
            }
        };
        let mut response = response.map_err(|error| request_failed(error, call, name))?;
        let Some(pointer) = &self.settings.profile_at else {
            return Ok(response);
        };
        if let Some(refusal) = error_in_body(&response, call, self.access) {
            return Err(misconfigured(refusal, name));
        }
        let part = response.pointer_mut(pointer).map(Value::take);
        part.filter(|part| !part.is_null())
            .ok_or_else(|| incomplete(call, "anything where `profile_at` points"))
    }
}

/// The page size of a list, if the URL has one.
fn page_length(url: &Url) -> Option<usize> {
    let (_, length) = url.query_pairs().find(|(name, _)| name == "per_page")?;
    length.parse().ok().filter(|length| *length > 0)
}

fn read_profile(
    settings: &ProviderSettings,
    mut profile: Map<String, Value>,
    further: Vec<(String, Value)>,
) -> Result<FetchedProfile, ConnectorError> {
    profile.extend(further);
    let raw = Value::Object(profile);
    let subject = match evaluate_over_profile(&settings.subject, &raw) {
        Ok(expression::Value::Text(text)) if !text.is_empty() => Some(text),
        Ok(expression::Value::Int(number)) => Some(number.to_string()),
        Ok(_) => None,
        Err(error) => return Err(expression_failed("subject", &error)),
    };
    let subject = subject
        .and_then(|text| Subject::try_from(text).ok())
        .ok_or_else(|| {
            invalid_profile("the value of `subject` is not a non-empty text or a number")
        })?;
    let email = match &settings.vouched_email {
        None => None,
        Some(expression) => verified_email(expression, &raw)?,
    };
    Ok(FetchedProfile {
        subject,
        raw,
        verified_fields: email
            .map(|email| (LinkField::Email, email))
            .into_iter()
            .collect(),
    })
}

/// The verified e-mail address. A value that is not a string with `@` is ignored.
fn verified_email(expression: &Expression, raw: &Value) -> Result<Option<String>, ConnectorError> {
    match evaluate_over_profile(expression, raw) {
        Ok(expression::Value::Text(text)) if text.contains('@') => Ok(Some(text)),
        Ok(_) | Err(EvalError::Missing { .. }) => Ok(None),
        Err(error) => Err(expression_failed("vouched_email", &error)),
    }
}

/// The error in a response with status 200, as providers with numeric error codes send it.
fn error_in_body(
    body: &Value,
    call: &'static str,
    access: &Secret<String>,
) -> Option<SourceRefusal> {
    let number = ["code", "errcode"]
        .iter()
        .find_map(|name| body.get(*name))?;
    let code = number.as_i64().filter(|number| *number != 0)?;
    let message = ["msg", "message", "errmsg"]
        .iter()
        .find_map(|name| body.get(*name)?.as_str())
        .unwrap_or("no message");
    Some(grant::source_refusal(
        call,
        code,
        message,
        None,
        &[access.expose()],
    ))
}

fn truncated(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE_CHARS_MAX)
        .collect()
}

/// The error of a failed profile request. If the provider refuses the request, most often a scope is
/// missing.
fn request_failed(error: OutboundError, call: &'static str, name: Option<&str>) -> ConnectorError {
    let OutboundError::Status {
        status,
        content_type,
        ..
    } = &error
    else {
        return ConnectorError::NoUsableResponse(error);
    };
    let refusal = SourceRefusal {
        call,
        code: i64::from(*status),
        message: format!("HTTP status {status} and {content_type}"),
    };
    match status {
        401 | 403 | 404 => misconfigured(refusal, name),
        429 => ConnectorError::Busy(refusal),
        _ => ConnectorError::NoUsableResponse(error),
    }
}

fn misconfigured(source: SourceRefusal, name: Option<&str>) -> ConnectorError {
    let key = name.map_or_else(
        || "profile_url".to_owned(),
        |name| format!("profiles.{name}"),
    );
    ConnectorError::Misconfigured {
        remedy: text!(
            "check that `{key}` is right, that `scopes` request what it needs, and that the provider \
            allows them to this `client_id`",
            "请检查 `{key}` 是否正确，`scopes` 是否包含它所需要的，以及认证源是否允许这个 `client_id` 使用它们"
        ),
        source,
    }
}

fn incomplete(call: &'static str, missing: &'static str) -> ConnectorError {
    ConnectorError::NoUsableResponse(OutboundError::Incomplete { call, missing })
}

fn expression_failed(key: &str, error: &EvalError) -> ConnectorError {
    invalid_profile(&truncated(&format!("`{key}` has no value: {error}")))
}

fn invalid_profile(why: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal {
        call: PROFILE,
        code: 0,
        message: why.to_owned(),
    })
}

#[cfg(test)]
mod tests;
