//! An open tunnel (WebSocket) stays open as long as its request would still be allowed.

use std::future::Future;
use std::sync::Arc;

use http::Request;
use http::request::Parts;

use super::House;
use crate::request::bearer::IssuerId;
use crate::request::decide;
use crate::request::forward::Tunnel;
use crate::request::gate::Caller;
use crate::request::head::{Connection, Head};
use crate::request::headers::RequestId;
use crate::request::policy::{Permit, Verdict};
use crate::store::{SessionId, Subject};

/// The request that opened a tunnel, to be judged again.
#[derive(Debug)]
pub(super) struct Again {
    head: Parts,
    /// Whom the upstream was told of.
    who: Option<Who>,
}

/// A person's session, or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Person(SessionId),
    Program(IssuerId, Subject),
}

impl Again {
    pub(super) fn of(parts: &Parts, permit: &Permit) -> Self {
        let mut copy = Request::new(()).into_parts().0;
        copy.method = parts.method.clone();
        copy.uri = parts.uri.clone();
        copy.headers = parts.headers.clone();
        Self {
            head: copy,
            who: who(permit),
        }
    }
}

impl Default for Again {
    /// A head that is never allowed: it names no host.
    fn default() -> Self {
        Self {
            head: Request::new(()).into_parts().0,
            who: None,
        }
    }
}

/// Lets a tunnel run in a task of its own until either side ends it, or it is no longer allowed.
pub(super) fn keep(
    house: &Arc<House>,
    tunnel: Tunnel,
    again: Again,
    connection: Arc<Connection>,
    id: &RequestId,
) {
    let id = id.clone();
    let house = Arc::clone(house);
    tokio::spawn(async move {
        let _open = house.shared.telemetry.tunnel();
        let end = tunnel.run(over(&house, &again, &connection)).await;
        tracing::debug!(request_id = %id, ?end, "a tunnel ended");
    });
}

/// Ready once the request would not be allowed any more: revoked, expired, or not by the new site.
fn over<'a>(
    house: &'a Arc<House>,
    again: &'a Again,
    connection: &'a Connection,
) -> impl Future<Output = ()> + Send + 'a {
    let mut changes = house.shared.sessions.changes();
    let mut reloads = house.reloads.subscribe();
    async move {
        loop {
            let Some(left) = still_allowed(house, again, connection).await else {
                return;
            };
            tokio::select! {
                _ = changes.changed() => {}
                _ = reloads.changed() => {}
                () = house.closing.cancelled() => return,
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}

/// How long the request may go on before it must be judged again; nothing when it is over.
async fn still_allowed(
    house: &House,
    again: &Again,
    connection: &Connection,
) -> Option<std::time::Duration> {
    /// A store that is away is asked again soon, within the grace that sessions have anyway.
    const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);
    let site = house.site();
    let now = house.shared.clock.now();
    let cookie = site.cookies.session_name();
    let head = Head::of(&again.head, connection, &site.trust, cookie, now).ok()?;
    match decide(&site.routes, &site.gate, &head).await {
        // A public route would let them pass as nobody, but the upstream still takes them for whom
        // it was told of.
        Verdict::Allow(permit) if again.who.is_some() && who(&permit) != again.who => None,
        Verdict::Allow(permit) => Some(match permit.caller() {
            Caller::Person(person) => person.session.expires_at.since(now).min(ASK_AGAIN),
            Caller::Program(program) => {
                let left = program.over_at().map(|end| end.since(now));
                left.map_or(ASK_AGAIN, |left| left.min(ASK_AGAIN))
            }
            Caller::Nobody(_) => ASK_AGAIN,
        }),
        Verdict::Login(_) | Verdict::Deny(_) => None,
    }
}

fn who(permit: &Permit) -> Option<Who> {
    match permit.caller() {
        Caller::Person(person) => Some(Who::Person(person.session.public_id)),
        Caller::Program(program) => {
            let (issuer, subject) = (program.issuer.clone(), program.subject.clone());
            Some(Who::Program(issuer, subject))
        }
        Caller::Nobody(_) => None,
    }
}
