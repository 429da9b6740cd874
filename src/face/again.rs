//! Whether a request that was let in some time ago would still be let in.

use std::time::Duration;

use http::request::Parts;

use crate::request::bearer::IssuerId;
use crate::request::decide;
use crate::request::gate::Caller;
use crate::request::head::{Connection, Head};
use crate::request::policy::{Permit, Verdict};
use crate::site::live::Live;
use crate::store::{SessionId, Subject};

/// A request that was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct LetIn<'a> {
    pub(super) head: &'a Parts,
    pub(super) connection: &'a Connection,
    /// Whom the upstream was told of.
    pub(super) who: Option<&'a Who>,
}

/// A person's session, or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Person(SessionId),
    Program(IssuerId, Subject),
}

impl Who {
    pub(super) fn of(permit: &Permit) -> Option<Self> {
        match permit.caller() {
            Caller::Person(person) => Some(Self::Person(person.session.public_id)),
            Caller::Program(program) => {
                let (issuer, subject) = (program.issuer.clone(), program.subject.clone());
                Some(Self::Program(issuer, subject))
            }
            Caller::Nobody(_) => None,
        }
    }
}

/// Ready once the request would not be let in any more: revoked, expired, or not by the new site.
pub(super) async fn over(live: &Live, request: LetIn<'_>) {
    let mut changes = live.shared().sessions.changes();
    let mut reloads = live.reloads();
    while let Some(left) = still_allowed(live, request).await {
        tokio::select! {
            _ = changes.changed() => {}
            _ = reloads.changed() => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// How long the request may go on before it must be judged again; nothing when it is over.
pub(super) async fn still_allowed(live: &Live, request: LetIn<'_>) -> Option<Duration> {
    /// A store that is away is asked again soon, within the grace that sessions have anyway.
    const ASK_AGAIN: Duration = Duration::from_secs(60);
    let site = live.site();
    let now = live.shared().clock.now();
    let head = Head::of(request.head, request.connection, site.reading(), now).ok()?;
    match decide(&site.routes, &site.gate, &head).await {
        // A public route would let them pass as nobody, but the upstream still takes them for whom
        // it was told of.
        Verdict::Allow(permit)
            if request.who.is_some() && Who::of(&permit).as_ref() != request.who =>
        {
            None
        }
        Verdict::Allow(permit) => Some(match permit.caller() {
            Caller::Person(person) => person.session.expires_at.since(now).min(ASK_AGAIN),
            Caller::Program(program) => {
                let left = program.over_at().map(|end| end.since(now));
                left.map_or(ASK_AGAIN, |left| left.min(ASK_AGAIN))
            }
            Caller::Nobody(_) => ASK_AGAIN,
        }),
        Verdict::Reconfirm(_) | Verdict::Login(_) | Verdict::Deny(_) => None,
    }
}
