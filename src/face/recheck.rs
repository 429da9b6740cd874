//! Decides again about requests that are still running: open streams, uploads and tunnels.

use std::time::Duration;

use http::request::Parts;

use crate::clock::Timestamp;
use crate::request::access_token::AccessTokenError;
use crate::request::bearer::IssuerId;
use crate::request::decide;
use crate::request::gate::Caller;
use crate::request::head::{Connection, Head};
use crate::request::policy::{Denial, Permit, Verdict};
use crate::site::live::LiveSite;
use crate::store::{SessionId, Subject};

/// The longest time between two rechecks. It is shorter than the default of `store_outage_grace`, for
/// which sessions stay valid while the store is down.
const RECHECK_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// How long a request continues while its verdict is unknown. A store or issuer can restart within this
/// time, and a session revoked meanwhile is used no longer than this.
const UNKNOWN_MAX: Duration = Duration::from_secs(30);

/// The time between two rechecks while the verdict is unknown.
const UNKNOWN_RETRY_INTERVAL_MAX: Duration = Duration::from_secs(2);

/// A request that was allowed and is still running.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllowedRequest<'a> {
    pub(super) parts: &'a Parts,
    pub(super) connection: &'a Connection,
    /// Contains the caller whose identity the upstream received.
    pub(super) permit: &'a Permit,
}

#[derive(Debug, PartialEq, Eq)]
enum CallerId<'a> {
    Person(SessionId),
    Program(&'a IssuerId, &'a Subject),
}

/// The result of deciding again.
enum Recheck {
    /// Still allowed; the session or token ends at this time.
    Allowed(Option<Timestamp>),
    /// The store or an issuer did not answer.
    Unknown,
    Refused,
}

/// What to do after a recheck.
enum NextCheck {
    /// The request continues; recheck it after this time.
    Continue(Duration),
    /// The verdict is unknown; recheck after this time.
    Retry(Duration),
    /// The request ends.
    End,
}

/// The results of earlier rechecks.
struct RecheckState {
    /// When the session or token ends.
    ends_at: Option<Timestamp>,
    /// When the verdict became unknown.
    unknown_since: Option<Timestamp>,
}

/// Completes when the request is no longer allowed: its session was revoked or expired, or a new
/// configuration refuses it.
pub(super) async fn until_refused(live: &LiveSite, request: AllowedRequest<'_>) {
    let mut session_changes = live.services().sessions.changes();
    let mut reloads = live.subscribe_to_reloads();
    let mut state = RecheckState::of(request.permit);
    loop {
        let wait = match state.check(live, request).await {
            NextCheck::Continue(wait) | NextCheck::Retry(wait) => wait,
            NextCheck::End => return,
        };
        tokio::select! {
            _ = session_changes.changed() => {}
            _ = reloads.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Whether the request is allowed now. While the verdict is unknown, this retries for
/// [`UNKNOWN_MAX`].
pub(super) async fn is_still_allowed(live: &LiveSite, request: AllowedRequest<'_>) -> bool {
    let mut state = RecheckState::of(request.permit);
    loop {
        match state.check(live, request).await {
            NextCheck::Continue(_) => return true,
            NextCheck::Retry(wait) => tokio::time::sleep(wait).await,
            NextCheck::End => return false,
        }
    }
}

impl RecheckState {
    fn of(permit: &Permit) -> Self {
        Self {
            ends_at: ends_at(permit),
            unknown_since: None,
        }
    }

    async fn check(&mut self, live: &LiveSite, request: AllowedRequest<'_>) -> NextCheck {
        let recheck = decide_again(live, request).await;
        let now = live.services().clock.now();
        let time_until =
            |end: Option<Timestamp>, max: Duration| end.map_or(max, |end| end.since(now).min(max));
        match recheck {
            Recheck::Allowed(ends_at) => {
                *self = Self {
                    ends_at,
                    unknown_since: None,
                };
                NextCheck::Continue(time_until(ends_at, RECHECK_INTERVAL_MAX))
            }
            Recheck::Unknown => {
                let since = *self.unknown_since.get_or_insert(now);
                let grace = UNKNOWN_MAX.saturating_sub(now.since(since));
                match time_until(self.ends_at, grace) {
                    Duration::ZERO => NextCheck::End,
                    left => NextCheck::Retry(left.min(UNKNOWN_RETRY_INTERVAL_MAX)),
                }
            }
            Recheck::Refused => NextCheck::End,
        }
    }
}

async fn decide_again(live: &LiveSite, request: AllowedRequest<'_>) -> Recheck {
    let site = live.site();
    let now = live.services().clock.now();
    let Ok(head) = Head::parse(request.parts, request.connection, site.parse_options(), now) else {
        return Recheck::Refused;
    };
    match decide(&site.routes, &site.gate, &head).await {
        // `Reconfirm` concerns the next page, not this request.
        Verdict::Allow(permit) | Verdict::Reconfirm(permit) => {
            let (original, current) = (caller_id(request.permit), caller_id(&permit));
            if original.is_none() || original == current {
                return Recheck::Allowed(ends_at(&permit));
            }
            // The route allows another caller, but the upstream received the identity of the original
            // one. On a public route a store outage also makes the caller anonymous.
            match (current, site.gate.person(&head).await) {
                (None, Err(_)) => Recheck::Unknown,
                (_, Ok(_) | Err(_)) => Recheck::Refused,
            }
        }
        Verdict::Deny(
            Denial::IssuerUnavailable { .. }
            | Denial::TooManyTokens { .. }
            | Denial::AccessToken {
                why: AccessTokenError::TooMany,
                ..
            }
            | Denial::Unavailable { .. },
        ) => Recheck::Unknown,
        Verdict::Login(_) | Verdict::Deny(_) => Recheck::Refused,
    }
}

fn caller_id(permit: &Permit) -> Option<CallerId<'_>> {
    match permit.caller() {
        Caller::Person(person) => Some(CallerId::Person(person.session.public_id)),
        Caller::Program(program) => Some(CallerId::Program(&program.issuer, &program.subject)),
        Caller::Anonymous(_) => None,
    }
}

/// When the caller's session or token ends.
fn ends_at(permit: &Permit) -> Option<Timestamp> {
    match permit.caller() {
        Caller::Person(person) => Some(person.session.expires_at),
        Caller::Program(program) => program.certainly_expired_at(),
        Caller::Anonymous(_) => None,
    }
}
