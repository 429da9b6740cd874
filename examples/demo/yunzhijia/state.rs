//! The data of the simulated Yunzhijia: people, tickets and the token of the application.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

/// The application and its secret.
pub const APP_ID: &str = "500000001";
pub const APP_SECRET: &str = "simulated-secret-of-app-500000001";

/// The team, and another one.
pub const EID: &str = "17951708";
pub const OTHER_EID: &str = "18013450";

/// How long tokens and tickets are valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(6400);
const TICKET_LIFETIME: Duration = Duration::from_secs(3600);

/// A person.
#[derive(Clone, Debug)]
pub struct Person {
    pub openid: String,
    pub eid: String,
    pub name: String,
    /// Empty if the team gave none.
    pub job_no: String,
    pub mobile: String,
    /// The application of the tickets.
    pub app_id: String,
}

impl Person {
    pub(super) fn new(openid: &str, name: &str, job_no: &str) -> Self {
        Self {
            openid: openid.to_owned(),
            eid: EID.to_owned(),
            name: name.to_owned(),
            job_no: job_no.to_owned(),
            mobile: String::new(),
            app_id: APP_ID.to_owned(),
        }
    }

    /// The data of `acquirecontext`.
    pub(super) fn context(&self) -> Value {
        json!({
            "appid": self.app_id, "xtid": "", "oid": self.openid, "eid": self.eid,
            "username": self.name, "userid": self.openid, "uid": "1", "tid": self.eid,
            "jobNo": self.job_no, "networkid": "n-1", "deviceId": "", "openid": self.openid,
            "orgId": "11e11baa", "mobile": self.mobile,
        })
    }
}

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
    /// The home address of the application.
    pub(super) home: String,
    /// The token of the application, and when it expires.
    pub(super) token: Option<(String, SystemTime)>,
    tickets: HashMap<String, (String, SystemTime)>,
    pub(super) faults: HashMap<String, Fault>,
    pub(super) is_down: bool,
    pub(super) bodies: BTreeMap<String, Vec<Value>>,
    pub(super) issued: Vec<String>,
}

impl State {
    pub(super) fn new() -> Self {
        let mut zhang = Person::new("5de50017e4b0", "张三", "zhangsan");
        zhang.mobile = "13800000001".to_owned();
        Self {
            people: vec![zhang, Person::new("5de5003fe4b0", "李四", "lisi")],
            home: String::new(),
            token: None,
            tickets: HashMap::new(),
            faults: HashMap::new(),
            is_down: false,
            bodies: BTreeMap::new(),
            issued: Vec::new(),
        }
    }

    /// The token of the application: the same one within its lifetime, as Yunzhijia documents it.
    pub(super) fn token(&mut self, now: SystemTime) -> (String, u64) {
        let valid = self.token.take().filter(|(_, until)| *until > now);
        let (token, until) = valid.unwrap_or_else(|| {
            let token = self.issue("token");
            (token, now + TOKEN_LIFETIME)
        });
        self.token = Some((token.clone(), until));
        let left = until.duration_since(now).unwrap_or_default();
        (token, left.as_secs())
    }

    pub(super) fn is_valid_token(&self, token: &str, now: SystemTime) -> bool {
        let current = self.token.as_ref();
        current.is_some_and(|(known, until)| known == token && *until > now)
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
