//! Whether a request that was let in some time ago would still be let in.

use std::time::Duration;

use http::request::Parts;

use crate::clock::Timestamp;
use crate::request::bearer::IssuerId;
use crate::request::decide;
use crate::request::gate::Caller;
use crate::request::head::{Connection, Head};
use crate::request::policy::{Denial, Permit, Verdict};
use crate::site::live::Live;
use crate::store::{SessionId, Subject};

/// How long a request goes on at most until it is judged again, within the grace that sessions have
/// while the store is away.
const JUDGED_AGAIN_WITHIN: Duration = Duration::from_secs(60);

/// How long a request goes on while it cannot be found out whether it still may. A store or an
/// issuer that is restarted is back by then, and a session that was revoked meanwhile lives no
/// longer than this.
const UNKNOWN_MAX: Duration = Duration::from_secs(30);

/// How soon a request is judged again when it could not be found out.
const UNKNOWN_JUDGED_AGAIN_WITHIN: Duration = Duration::from_secs(2);

/// A request that was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct LetIn<'a> {
    pub(super) head: &'a Parts,
    pub(super) connection: &'a Connection,
    /// Whom the upstream was told of.
    pub(super) permit: &'a Permit,
}

/// A person's session, or a program.
#[derive(Debug, PartialEq, Eq)]
enum Who<'a> {
    Person(SessionId),
    Program(&'a IssuerId, &'a Subject),
}

/// What a request comes to when it is judged again.
enum Judged {
    /// It would be let in, until then unless something changes.
    LetIn(Option<Timestamp>),
    /// It cannot be found out.
    Unknown,
    Refused,
}

/// What becomes of a request that was judged again.
enum Next {
    /// It goes on, and is judged again after so long.
    GoesOn(Duration),
    /// It could not be found out: it is judged again after so long.
    Unknown(Duration),
    IsOver,
}

/// What was found out about a request before.
struct Known {
    /// When its session or token ends.
    ends_at: Option<Timestamp>,
    /// Since when it cannot be found out.
    unknown_since: Option<Timestamp>,
}

/// Ready once the request would not be let in any more: revoked, expired, or not by the new site.
pub(super) async fn over(live: &Live, request: LetIn<'_>) {
    let mut changes = live.shared().sessions.changes();
    let mut reloads = live.reloads();
    let mut known = Known::of(request.permit);
    loop {
        let wait = match known.judge_again(live, request).await {
            Next::GoesOn(wait) | Next::Unknown(wait) => wait,
            Next::IsOver => return,
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
pub(super) async fn is_let_in(live: &Live, request: LetIn<'_>) -> bool {
    let mut known = Known::of(request.permit);
    loop {
        match known.judge_again(live, request).await {
            Next::GoesOn(_) => return true,
            Next::Unknown(wait) => tokio::time::sleep(wait).await,
            Next::IsOver => return false,
        }
    }
}

impl Known {
    fn of(permit: &Permit) -> Self {
        Self {
            ends_at: ends_at(permit),
            unknown_since: None,
        }
    }

    async fn judge_again(&mut self, live: &Live, request: LetIn<'_>) -> Next {
        let judged = judge(live, request).await;
        let now = live.shared().clock.now();
        let left =
            |end: Option<Timestamp>, max: Duration| end.map_or(max, |end| end.since(now).min(max));
        match judged {
            Judged::LetIn(ends_at) => {
                *self = Self {
                    ends_at,
                    unknown_since: None,
                };
                Next::GoesOn(left(ends_at, JUDGED_AGAIN_WITHIN))
            }
            Judged::Unknown => {
                let since = *self.unknown_since.get_or_insert(now);
                let grace = UNKNOWN_MAX.saturating_sub(now.since(since));
                match left(self.ends_at, grace) {
                    Duration::ZERO => Next::IsOver,
                    left => Next::Unknown(left.min(UNKNOWN_JUDGED_AGAIN_WITHIN)),
                }
            }
            Judged::Refused => Next::IsOver,
        }
    }
}

async fn judge(live: &Live, request: LetIn<'_>) -> Judged {
    let site = live.site();
    let now = live.shared().clock.now();
    let Ok(head) = Head::of(request.head, request.connection, site.reading(), now) else {
        return Judged::Refused;
    };
    match decide(&site.routes, &site.gate, &head).await {
        // That the source should be asked before the next page is no refusal of this one.
        Verdict::Allow(permit) | Verdict::Reconfirm(permit) => {
            let (original, found) = (who(request.permit), who(&permit));
            if original.is_none() || original == found {
                return Judged::LetIn(ends_at(&permit));
            }
            // A public route lets them pass as nobody, but the upstream still takes them for whom
            // it was told of. They are nobody there, too, while the store is away.
            match (found, site.gate.person(&head).await) {
                (None, Err(_)) => Judged::Unknown,
                (_, Ok(_) | Err(_)) => Judged::Refused,
            }
        }
        Verdict::Deny(
            Denial::IssuerAway { .. } | Denial::TooManyTokens { .. } | Denial::Unavailable { .. },
        ) => Judged::Unknown,
        Verdict::Login(_) | Verdict::Deny(_) => Judged::Refused,
    }
}

fn who(permit: &Permit) -> Option<Who<'_>> {
    match permit.caller() {
        Caller::Person(person) => Some(Who::Person(person.session.public_id)),
        Caller::Program(program) => Some(Who::Program(&program.issuer, &program.subject)),
        Caller::Nobody(_) => None,
    }
}

/// When the session or the token of whoever was let in ends.
fn ends_at(permit: &Permit) -> Option<Timestamp> {
    match permit.caller() {
        Caller::Person(person) => Some(person.session.expires_at),
        Caller::Program(program) => program.over_at(),
        Caller::Nobody(_) => None,
    }
}
