//! The data of the simulated Yunzhijia: people, departments, tickets and the tokens of the application.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;

use super::people::{Department, Person, sample_departments, sample_people};

/// How long tokens and tickets are valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(6400);
const TICKET_LIFETIME: Duration = Duration::from_secs(3600);

pub(super) enum Fault {
    Hang,
    Answer {
        status: u16,
        body: Bytes,
        times: usize,
    },
}

pub(super) struct State {
    pub(super) people: Vec<Person>,
    pub(super) departments: Vec<Department>,
    /// The home address of the application.
    pub(super) home: String,
    /// The tokens of the application by scope, and when they expire.
    pub(super) tokens: HashMap<String, (String, SystemTime)>,
    tickets: HashMap<String, (String, SystemTime)>,
    pub(super) faults: HashMap<String, Fault>,
    pub(super) is_down: bool,
    pub(super) bodies: BTreeMap<String, Vec<Value>>,
    pub(super) issued: Vec<String>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            people: sample_people(),
            departments: sample_departments(),
            home: String::new(),
            tokens: HashMap::new(),
            tickets: HashMap::new(),
            faults: HashMap::new(),
            is_down: false,
            bodies: BTreeMap::new(),
            issued: Vec::new(),
        }
    }

    /// The token of a scope: the same one within its lifetime, as Yunzhijia documents it.
    pub(super) fn token(&mut self, scope: &str, now: SystemTime) -> (String, u64) {
        let valid = self.tokens.remove(scope).filter(|(_, until)| *until > now);
        let (token, until) = valid.unwrap_or_else(|| {
            let token = self.issue("token");
            (token, now + TOKEN_LIFETIME)
        });
        let left = until.duration_since(now).unwrap_or_default();
        self.tokens.insert(scope.to_owned(), (token.clone(), until));
        (token, left.as_secs())
    }

    /// The scope of a valid token.
    pub(super) fn scope_of(&self, token: &str, now: SystemTime) -> Option<String> {
        let is_this =
            |(_, (known, until)): &(&String, &(String, SystemTime))| known == token && *until > now;
        let found = self.tokens.iter().find(is_this)?;
        Some(found.0.clone())
    }

    pub(super) fn issue_ticket(&mut self, openid: &str, now: SystemTime) -> String {
        let ticket = self.issue("ticket");
        let until = now + TICKET_LIFETIME;
        self.tickets
            .insert(ticket.clone(), (openid.to_owned(), until));
        ticket
    }

    /// The person of a ticket, which stays valid unless it is disposable.
    pub(super) fn redeem(
        &mut self,
        ticket: &str,
        is_disposable: bool,
        now: SystemTime,
    ) -> Option<Person> {
        let (openid, until) = self.tickets.get(ticket)?.clone();
        if is_disposable {
            self.tickets.remove(ticket);
        }
        let person = self.people.iter().find(|one| one.openid == openid);
        person.filter(|_| until > now).cloned()
    }

    /// The fault for a request for a path, if there is one.
    pub(super) fn fault(&mut self, path: &str) -> Option<Fault> {
        let fault = self.faults.get_mut(path)?;
        let current = match fault {
            Fault::Hang => return Some(Fault::Hang),
            Fault::Answer {
                status,
                body,
                times,
            } => {
                *times = times.saturating_sub(1);
                let left = *times;
                let answer = Fault::Answer {
                    status: *status,
                    body: body.clone(),
                    times: left,
                };
                (answer, left)
            }
        };
        if current.1 == 0 {
            self.faults.remove(path);
        }
        Some(current.0)
    }

    fn issue(&mut self, what: &str) -> String {
        let random = u64::from_ne_bytes(menshen::keys::random());
        let issued = format!("{what}{random:016x}{:016x}", self.issued.len());
        self.issued.push(issued.clone());
        issued
    }
}
