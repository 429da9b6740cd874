//! `Shared`: what the acts of a schedule share, and how they tell what a node has acknowledged.

use std::sync::{Arc, Mutex};

use menshen::clock::Clock;
use menshen::store::{SessionKey, SessionRecord, StoreError};

use super::act::ActKind;
use super::database::Database;
use super::fixture::KnownSession;
use super::gated_store::Calls;
use super::node::Node;
use super::promises::Promises;

/// What acts share.
pub(super) struct Shared {
    pub(super) calls: Arc<Mutex<Calls>>,
    pub(super) promises: Mutex<Promises>,
    pub(super) nodes: Vec<Node>,
    pub(super) clock: Clock,
    /// The sessions of the sign-ins among the acts.
    pub(super) minted: Mutex<Vec<KnownSession>>,
    /// Whether calls fail.
    pub(super) may_fail: bool,
}

impl Shared {
    pub(super) fn database<T>(&self, read: impl FnOnce(&Database) -> T) -> T {
        read(&self.calls.lock().unwrap().database)
    }

    pub(super) fn sessions(&self, matches: impl Fn(&SessionRecord) -> bool) -> Vec<SessionKey> {
        self.database(|database| database.record.sessions(matches))
    }

    pub(super) fn add_session(&self, session: &KnownSession) {
        self.minted.lock().unwrap().push(session.clone());
    }

    /// An act that ends sessions has returned. If it failed, its node refuses them; other nodes do not know.
    pub(super) fn acknowledge_end(
        &self,
        node: usize,
        act: usize,
        (kind, matching): (&ActKind, Vec<SessionKey>),
        result: &Result<(), StoreError>,
    ) {
        let stored = self.database(|database| database.record.ended_by_act(act));
        let mut promises = self.promises.lock().unwrap();
        let why = format!("{kind:?} returned {result:?} there");
        if result.is_ok() {
            promises.end(node, stored, (&why, true));
        } else {
            promises.end(node, matching, (&why, false));
        }
    }

    pub(super) fn acknowledge_fields(&self, node: usize, act: usize) {
        if let Some(fields) = self.database(|database| database.record.fields_by_act(act)) {
            self.promises.lock().unwrap().update_fields(node, fields);
        }
    }

    /// A token refresh has ended. One that the database did not take has no version.
    pub(super) fn acknowledge_refresh(&self, node: usize) {
        let fields = self.database(|database| database.record.fields_by_refresh(node));
        if let Some(fields) = fields.filter(|_| !self.may_fail) {
            self.promises.lock().unwrap().update_fields(node, fields);
        }
    }

    pub(super) fn acknowledge_login(&self, node: usize, act: usize) {
        if let Some(login) = self.database(|database| database.record.login_by_act(act)) {
            self.promises.lock().unwrap().update_login(node, login);
        }
    }
}
