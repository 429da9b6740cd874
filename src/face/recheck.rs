//! Whether a request that was let in some time ago would still be let in.

use std::time::Duration;

use http::request::Parts;

use crate::clock::Timestamp;
use crate::request::bearer::IssuerId;
use crate::request::decide;
use crate::request::gate::Caller;
use crate::request::head::{Connection, Head};
use crate::request::policy::{Denial, Permit, Verdict};
use crate::site::live::LiveSite;
use crate::store::{SessionId, Subject};

/// How long a request goes on at most until it is recheck again, within the grace that sessions have
/// while the store is away.
const RECHECK_WITHIN: Duration = Duration::from_secs(60);

/// How long a request goes on while it cannot be found out whether it still may. A store or an
/// issuer that is restarted is back by then, and a session that was revoked meanwhile lives no
/// longer than this.
const UNKNOWN_MAX: Duration = Duration::from_secs(30);

/// How soon a request is recheck again when it could not be found out.
const UNKNOWN_RECHECK_WITHIN: Duration = Duration::from_secs(2);

/// A request that was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllowedRequest<'a> {
    pub(super) head: &'a Parts,
    pub(super) connection: &'a Connection,
    /// Whom the upstream was told of.
    pub(super) permit: &'a Permit,
}

/// A person's session, or a program.
#[derive(Debug, PartialEq, Eq)]
enum CallerId<'a> {
    Person(SessionId),
    Program(&'a IssuerId, &'a Subject),
}

/// What a request comes to when it is recheck again.
enum Recheck {
    /// It would be let in, until then unless something changes.
    Allowed(Option<Timestamp>),
    /// It cannot be found out.
    Unknown,
    Refused,
}

/// What becomes of a request that was recheck again.
enum NextCheck {
    /// It goes on, and is recheck again after so long.
    Continue(Duration),
    /// It could not be found out: it is recheck again after so long.
    Retry(Duration),
    End,
}

/// What was found out about a request before.
struct RecheckState {
    /// When its session or token ends.
    ends_at: Option<Timestamp>,
    /// Since when it cannot be found out.
    unknown_since: Option<Timestamp>,
}

/// Ready once the request would not be let in any more: revoked, expired, or not by the new site.
pub(super) async fn until_refused(live: &LiveSite, request: AllowedRequest<'_>) {
    let mut changes = live.services().sessions.changes();
    let mut reloads = live.subscribe_to_reloads();
    let mut state = RecheckState::of(request.permit);
    loop {
        let wait = match state.check(live, request).await {
            NextCheck::Continue(wait) | NextCheck::Retry(wait) => wait,
            NextCheck::End => return,
        };
        tokio::select! {
            _ = changes.changed() => {}
            _ = reloads.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Whether the request would be let in now. Where it cannot be found out, this asks again for a
/// while.
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
        let recheck = judge(live, request).await;
        let now = live.services().clock.now();
        let left =
            |end: Option<Timestamp>, max: Duration| end.map_or(max, |end| end.since(now).min(max));
        match recheck {
            Recheck::Allowed(ends_at) => {
                *self = Self {
                    ends_at,
                    unknown_since: None,
                };
                NextCheck::Continue(left(ends_at, RECHECK_WITHIN))
            }
            Recheck::Unknown => {
                let since = *self.unknown_since.get_or_insert(now);
                let grace = UNKNOWN_MAX.saturating_sub(now.since(since));
                match left(self.ends_at, grace) {
                    Duration::ZERO => NextCheck::End,
                    left => NextCheck::Retry(left.min(UNKNOWN_RECHECK_WITHIN)),
                }
            }
            Recheck::Refused => NextCheck::End,
        }
    }
}

async fn judge(live: &LiveSite, request: AllowedRequest<'_>) -> Recheck {
    let site = live.site();
    let now = live.services().clock.now();
    let Ok(head) = Head::parse(request.head, request.connection, site.parse_options(), now) else {
        return Recheck::Refused;
    };
    match decide(&site.routes, &site.gate, &head).await {
        // That the source should be asked before the next page is no refusal of this one.
        Verdict::Allow(permit) | Verdict::Reconfirm(permit) => {
            let (original, found) = (caller_id(request.permit), caller_id(&permit));
            if original.is_none() || original == found {
                return Recheck::Allowed(ends_at(&permit));
            }
            // A public route lets them pass as nobody, but the upstream still takes them for whom
            // it was told of. They are nobody there, too, while the store is away.
            match (found, site.gate.person(&head).await) {
                (None, Err(_)) => Recheck::Unknown,
                (_, Ok(_) | Err(_)) => Recheck::Refused,
            }
        }
        Verdict::Deny(
            Denial::IssuerUnavailable { .. }
            | Denial::TooManyTokens { .. }
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

/// When the session or the token of whoever was let in ends.
fn ends_at(permit: &Permit) -> Option<Timestamp> {
    match permit.caller() {
        Caller::Person(person) => Some(person.session.expires_at),
        Caller::Program(program) => program.certainly_expired_at(),
        Caller::Anonymous(_) => None,
    }
}
