//! `/backchannel-logout`, `/frontchannel-logout` and logout messages at the callback: the provider ends
//! sessions.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;

use super::super::page::Cause;
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::{audit, read_body};
use crate::clock::Timestamp;
use crate::keys;
use crate::login::ConnectorEntry;
use crate::login::connector::{ConnectorError, LogoutMessageForm, LogoutNotice};
use crate::login::fields::Fields;
use crate::login::limits::Limited;
use crate::login::pending::PENDING_AGE_MAX_S;
use crate::login::ticket::CLOCK_DIFFERENCE_MAX;
use crate::request::{Body, BodyError};
use crate::store::{ConnectorId, LogoutTarget, StoreError};
use crate::telemetry::{AuditEvent, AuditRecord, LogLimiter};
use crate::text;
use crate::wording::Text;

/// The shortest lifetime of a logout mark, which refuses logins that began before it: as long as a login
/// may take. If people send bearer tokens, the mark is kept at least as long as those are valid.
const MARK_LIFETIME_MIN: Duration = Duration::from_secs(PENDING_AGE_MAX_S + 60);

/// `POST /backchannel-logout/{connector}`: a logout token, sent by the provider itself.
pub(super) async fn back_channel<B>(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if *context.head.method != Method::POST {
        return LoggedResponse::own_path("method", reply::method_not_allowed("POST"));
    }
    let Some(entry) = context.site.login.entry(via) else {
        return LoggedResponse::own_path(
            "no connector",
            reply::problem(context, Cause::NotFound, None),
        );
    };
    let form = read_body(body).await.and_then(|form| Fields::parse(&form));
    let token = form.as_ref().map(|form| form.one("logout_token"));
    let Some(Ok(Some(token))) = token else {
        return LoggedResponse::own_path(
            "no logout token",
            invalid_request("exactly one logout_token is required"),
        );
    };
    let notice = match entry.connector.logout() {
        Some(logout) => {
            logout
                .verify_logout_token(token, context.head.client_for_limits())
                .await
        }
        None => None,
    };
    match notice {
        None => LoggedResponse::own_path(
            "no back channel",
            reply::problem(context, Cause::NotFound, None),
        ),
        Some(Ok(notice)) => {
            let channel = LogoutChannel::Back(&notice);
            let ended = end_sessions(context, entry, &notice.target, channel).await;
            ended.map_or_else(|logged| *logged, |()| logout_done())
        }
        Some(Err(error)) => {
            audit::refused(context, Some(via), &error);
            match error {
                // The keys cannot be loaded, so the provider may send the token again.
                ConnectorError::Issuer(_) | ConnectorError::NoUsableResponse(_) => {
                    let response = reply::problem(context, Cause::ProviderUnreachable, None);
                    LoggedResponse::own_path("keys unavailable", response)
                }
                _ => LoggedResponse::own_path(
                    "logout token",
                    invalid_request("the logout token is not valid"),
                ),
            }
        }
    }
}

/// `GET /frontchannel-logout/{connector}`: the provider loads this URL in a frame. It ends only the
/// session that it names; cookies are ignored.
pub(super) async fn front_channel(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    query: &Fields,
) -> LoggedResponse {
    if let Err(logged) = super::require_get(context) {
        return *logged;
    }
    let entry = context.site.login.entry(via);
    let target = entry.and_then(|entry| entry.connector.logout()?.front_channel_session(query));
    match (entry, target) {
        (Some(entry), Some(target)) => {
            let ended = end_sessions(context, entry, &target, LogoutChannel::Front).await;
            ended.map_or_else(|logged| *logged, |()| logout_done())
        }
        _ => LoggedResponse::own_path(
            "no session named",
            invalid_request("the request names no session of this connector"),
        ),
    }
}

/// `POST` of a logout message to the callback URL. The form was read already; `connectors` are those of this
/// URL that accept such messages. The message names a session by its ticket, which is known to the connector
/// that redeemed it; for the others the session is an unknown one.
pub(super) async fn at_callback(
    context: &RequestContext<'_>,
    connectors: &[(&ConnectorId, LogoutMessageForm)],
    form: Option<&Fields>,
) -> LoggedResponse {
    let malformed = |why| LoggedResponse::own_path("logout message", invalid_request(why));
    let mut last = None;
    for (via, message_form) in connectors {
        let message = form.and_then(|form| form.one(message_form.field).ok().flatten());
        let Some(message) = message else {
            return malformed("exactly one logout message is required");
        };
        let Some(entry) = context.site.login.entry(via) else {
            continue;
        };
        let target = match entry.connector.logout() {
            Some(logout) => logout.read_logout_message(message),
            None => Ok(None),
        };
        match target {
            Ok(None) => {}
            Ok(Some(target)) => {
                let ended = end_sessions(context, entry, &target, LogoutChannel::Callback).await;
                last = Some(ended.map_or_else(|logged| *logged, |()| logout_done()));
            }
            Err(error) => {
                audit::refused(context, Some(via), &error);
                return malformed("the logout message is not valid");
            }
        }
    }
    last.unwrap_or_else(logout_done)
}

/// How a logout of the source arrives.
#[derive(Clone, Copy)]
enum LogoutChannel<'a> {
    /// In a signed message of the source itself.
    Back(&'a LogoutNotice),
    /// In a signed message, which the browser may carry.
    Single(&'a LogoutNotice),
    /// In a frame of the browser.
    Front,
    /// In a message to the callback URL, which is not signed.
    Callback,
}

impl<'a> LogoutChannel<'a> {
    fn notice(self) -> Option<&'a LogoutNotice> {
        match self {
            Self::Back(notice) | Self::Single(notice) => Some(notice),
            Self::Front | Self::Callback => None,
        }
    }

    fn name(self) -> Text {
        match self {
            Self::Back(_) => Text::fixed("back-channel logout", "后端通道退出"),
            Self::Front => Text::fixed("front-channel logout", "前端通道退出"),
            Self::Single(_) | Self::Callback => Text::fixed("single logout", "单点退出"),
        }
    }
}

pub(super) fn logout_done() -> LoggedResponse {
    let response = reply::text(StatusCode::OK, "text/plain; charset=utf-8", String::new());
    LoggedResponse::own_path("logout at the source", response)
}

/// Ends the sessions that a verified message names. An error is the response to the message.
pub(super) async fn apply_notice(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    notice: &LogoutNotice,
) -> Result<(), Box<LoggedResponse>> {
    let channel = LogoutChannel::Single(notice);
    end_sessions(context, entry, &notice.target, channel).await
}

async fn end_sessions(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LogoutTarget,
    channel: LogoutChannel<'_>,
) -> Result<(), Box<LoggedResponse>> {
    let ended = end_matching(context, entry, target, channel).await?;
    record_logout(context, entry, target, channel, ended);
    Ok(())
}

/// Ends the sessions that match; returns their number.
async fn end_matching(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LogoutTarget,
    channel: LogoutChannel<'_>,
) -> Result<usize, Box<LoggedResponse>> {
    let notice = channel.notice();
    let notice_key = notice.map(|notice| {
        let parts = [
            b"logout notice",
            entry.id.as_str().as_bytes(),
            notice.id.as_bytes(),
        ];
        keys::fingerprint(&parts)
    });
    let until = match mark_expiry(context, entry, target, channel).await {
        Ok(Some(until)) => notice.map_or(until, |notice| {
            let accepted_until = notice.accepted_until.plus(CLOCK_DIFFERENCE_MAX);
            until.max(accepted_until)
        }),
        Ok(None) => return Ok(0),
        Err(error) => return Err(Box::new(unavailable(context, entry, notice, &error))),
    };
    let sessions = &context.services.sessions;
    let ended = sessions
        .apply_provider_logout(&entry.id, target, notice_key.as_ref(), until)
        .await;
    match ended {
        Ok(Some(ended)) => Ok(ended),
        Ok(None) => Err(Box::new(LoggedResponse::own_path(
            "logout token repeated",
            invalid_request("the logout token was used before"),
        ))),
        Err(error) => Err(Box::new(unavailable(context, entry, notice, &error))),
    }
}

fn record_logout(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LogoutTarget,
    channel: LogoutChannel<'_>,
    ended: usize,
) {
    // Anybody can send an unsigned logout, so one that ends no session gets no audit entry.
    if channel.notice().is_none() && ended == 0 {
        return;
    }
    let name = channel.name();
    let reason = text!("{name}: {ended} sessions", "{name:#}：{ended} 个会话");
    context.services.telemetry.audit(&AuditRecord {
        connector: Some(entry.id.as_str()),
        subject: match target {
            LogoutTarget::SessionAndSubject { subject, .. } | LogoutTarget::Subject(subject) => {
                Some(subject.as_str())
            }
            LogoutTarget::Session(_)
            | LogoutTarget::Sessions(_)
            | LogoutTarget::SessionGroup(_) => None,
        },
        reason: Some(&reason),
        ..audit::new_record(context, AuditEvent::Revoked)
    });
}

/// The response to a logout that the store did not write.
fn unavailable(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    notice: Option<&LogoutNotice>,
    error: &StoreError,
) -> LoggedResponse {
    // Any browser can cause this log line.
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if notice.is_some() || LOG_LIMITER.allow() {
        tracing::error!(request_id = %context.id, connector = %entry.id, error = %crate::telemetry::error_chain(error), "a provider logout could not be stored");
    }
    LoggedResponse::own_path(
        "unavailable",
        reply::problem(context, Cause::StoreUnavailable, None),
    )
}

/// Until when a logout mark refuses logins and bearer tokens that began before it: as long as a
/// login may take or, where people send bearer tokens, as long as those are valid.
///
/// `None` if the rate limit refuses the mark of an unknown session. Without a limit any browser could fill
/// the store with such marks.
async fn mark_expiry(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LogoutTarget,
    channel: LogoutChannel<'_>,
) -> Result<Option<Timestamp>, StoreError> {
    if let (None, LogoutTarget::Session(sid)) = (channel.notice(), target) {
        let sessions = &context.services.sessions;
        let is_known = sessions.has_provider_session(&entry.id, sid).await;
        if !matches!(is_known, Ok(true)) && !may_record_mark(context, entry, channel) {
            return is_known.map(|_| None);
        }
    }
    let token_lifetime = context.site.gate.bearers.token_life_of(&entry.id);
    let lifetime = token_lifetime.map_or(MARK_LIFETIME_MIN, |token_lifetime| {
        token_lifetime.max(MARK_LIFETIME_MIN)
    });
    Ok(Some(context.head.received_at.plus(lifetime)))
}

/// Whether the rate limit allows a mark for an unknown session; logs when it does not.
fn may_record_mark(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    channel: LogoutChannel<'_>,
) -> bool {
    let client = context.head.client_for_limits();
    let Err(limited) = context.site.login.check_logout_limit(&entry.id, client) else {
        return true;
    };
    // Any browser can cause this line.
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if LOG_LIMITER.allow() {
        let too_many = match limited {
            Limited::Client => "of this client",
            Limited::All | Limited::Circuit | Limited::WrongPasswords { .. } => "of this connector",
        };
        let channel = channel.name().to_string();
        tracing::warn!(request_id = %context.id, connector = %entry.id, client = %context.head.client_ip, too_many, channel, "too many logouts of unknown sessions that nobody signed: this one is not remembered, so a pending login or a bearer token of its person may stay valid");
    }
    false
}

/// The error response of OpenID Connect Back-Channel Logout 1.0, §2.8.
pub(super) fn invalid_request(why: &str) -> Response<Body> {
    let problem = json!({ "error": "invalid_request", "error_description": why });
    reply::json(StatusCode::BAD_REQUEST, &problem)
}
