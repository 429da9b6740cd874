//! `Promises`: what each node must no longer show, and whether a request saw it.
//!
//! A node must not allow a session once it has acknowledged a revocation of it or has applied the entry of
//! the log, and must not show fields older than those that it acknowledged or showed, nor a login name older
//! than the one that it acknowledged or showed for the session. What counts is known when a request begins:
//! what happens during the request may or may not be seen.

use std::collections::{HashMap, HashSet};

use menshen::people::session::Person;
use menshen::store::{AccountId, SessionKey};

use super::database::IdentityKey;
use super::fixture::KnownSession;
use super::record::Record;

#[derive(Default)]
pub(super) struct Promises {
    nodes: Vec<NodePromises>,
    pub(super) allowed: usize,
    pub(super) refused: usize,
    /// The first promise that was broken.
    pub(super) broken: Option<String>,
}

#[derive(Default)]
struct NodePromises {
    ended: HashMap<SessionKey, Ended>,
    /// Sessions whose cookies no key of the node verifies.
    unverifiable: HashSet<SessionKey>,
    fields: HashMap<IdentityKey, u64>,
    logins: HashMap<AccountId, usize>,
    /// Another node may have changed the login name: sessions that were loaded before show the old one until
    /// the log is read.
    shown_logins: HashMap<SessionKey, usize>,
}

/// Why a session must not be allowed.
#[derive(Clone, Debug)]
struct Ended {
    why: String,
    /// Whether the database has the revocation, so that it outlives the process.
    is_stored: bool,
}

/// What a request may see, as known when it begins.
#[derive(Debug)]
pub(super) struct Expected {
    ended: Option<String>,
    fields: Option<u64>,
    login: Option<usize>,
}

impl Promises {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes: (0..nodes).map(|_| NodePromises::default()).collect(),
            ..Self::default()
        }
    }

    /// These sessions have ended on a node.
    pub(super) fn end(
        &mut self,
        node: usize,
        sessions: impl IntoIterator<Item = SessionKey>,
        (why, is_stored): (&str, bool),
    ) {
        for key in sessions {
            let why = why.to_owned();
            let ended = self.nodes[node].ended.entry(key);
            let ended = ended.or_insert(Ended { why, is_stored });
            ended.is_stored |= is_stored;
        }
    }

    /// The cookies of these sessions, and no others, can no longer be verified on a node.
    pub(super) fn set_unverifiable(&mut self, node: usize, sessions: HashSet<SessionKey>) {
        self.nodes[node].unverifiable = sessions;
    }

    /// The process of a node has lost its memory.
    pub(super) fn forget_unstored(&mut self, node: usize) {
        self.nodes[node].ended.retain(|_, ended| ended.is_stored);
    }

    /// A node has acknowledged this version of an identity's fields.
    pub(super) fn update_fields(&mut self, node: usize, (identity, version): (IdentityKey, u64)) {
        let known = self.nodes[node].fields.entry(identity).or_default();
        *known = version.max(*known);
    }

    /// A node has acknowledged the login name with this number.
    pub(super) fn update_login(&mut self, node: usize, (account, number): (AccountId, usize)) {
        let known = self.nodes[node].logins.entry(account).or_default();
        *known = number.max(*known);
    }

    /// A request with this session begins on a node.
    pub(super) fn begin(&self, node: usize, session: &KnownSession) -> Expected {
        let promises = &self.nodes[node];
        let ended = promises.ended.get(&session.key);
        let unverifiable = promises.unverifiable.contains(&session.key);
        Expected {
            ended: ended
                .map(|ended| ended.why.clone())
                .or_else(|| unverifiable.then(|| "its key is gone".to_owned())),
            fields: promises.fields.get(&session.identity).copied(),
            login: promises
                .logins
                .get(&session.account)
                .max(promises.shown_logins.get(&session.key))
                .copied(),
        }
    }

    /// A request has ended: it found this person, or none.
    pub(super) fn judge(
        &mut self,
        node: usize,
        session: &KnownSession,
        expected: &Expected,
        found: Option<&Person>,
        record: &Record,
    ) {
        let Some(person) = found else {
            self.refused += 1;
            return;
        };
        self.allowed += 1;
        if let Some(why) = &expected.ended {
            self.report(
                node,
                session,
                &format!("a session is allowed although {why}"),
            );
        }
        if person.session.key != session.key || person.session.account != session.account {
            self.report(node, session, "another session is found");
        }
        let fields = serde_json::to_string(&person.entitlements.fields).unwrap();
        let versions = record.versions_of(&session.identity, &fields);
        let oldest = expected.fields.unwrap_or(0);
        match versions.iter().find(|version| **version >= oldest) {
            Some(version) => self.update_fields(node, (session.identity.clone(), *version)),
            // Fields that the database did not take have no version.
            None if versions.is_empty() => {}
            None => {
                let what = format!("fields {versions:?} are shown instead of {oldest}: {fields}");
                self.report(node, session, &what);
            }
        }
        let (account, login) = (&session.account, &person.session.login);
        let oldest = expected.login.unwrap_or(0);
        let shown = record.login_numbers(account, login);
        match shown.into_iter().find(|number| *number >= oldest) {
            Some(number) => {
                let shown = &mut self.nodes[node].shown_logins;
                let last = shown.entry(session.key).or_default();
                *last = number.max(*last);
            }
            None => self.report(
                node,
                session,
                &format!("the old login name {login} is shown"),
            ),
        }
    }

    /// Records a broken promise.
    pub(super) fn report(&mut self, node: usize, session: &KnownSession, what: &str) {
        let (connector, subject) = &session.identity;
        let key = &session.key.as_bytes()[..2];
        let report = format!("node {node}, session {key:?} of {subject} by {connector}: {what}");
        self.broken.get_or_insert(report);
    }
}
