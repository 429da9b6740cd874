//! The state of the simulated Lark: contacts, tokens, codes and simulated faults.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::Value;
use url::Url;

use super::people::{
    self, APP_ID, APP_SECRET, Department, OTHER_APP_ID, OTHER_APP_SECRET, Permission, Person,
};

const CODE_LIFETIME: Duration = Duration::from_secs(300);
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(7200);
/// A token with more time left than this is issued again.
const TOKEN_REUSED_ABOVE: Duration = Duration::from_secs(1800);

/// Everything that changes while the simulation runs.
pub(super) struct State {
    pub(super) people: Vec<Person>,
    pub(super) departments: Vec<Department>,
    pub(super) permissions: HashSet<Permission>,
    /// The departments and people that the application sees; `None`: everything.
    pub(super) range: Option<(Vec<String>, Vec<String>)>,
    /// The addresses to which logins may return.
    pub(super) redirects: Vec<String>,
    /// Whose client logins come from.
    pub(super) client_owner: String,
    pub(super) unknown_person_code: i64,
    pub(super) event_url: Option<Url>,
    pub(super) faults: HashMap<String, Fault>,
    pub(super) calls: HashMap<String, usize>,
    pub(super) last_query: HashMap<String, String>,
    pub(super) last_token_request: Value,
    /// The tokens of applications, and when they were issued.
    app_tokens: HashMap<String, (String, SystemTime)>,
    /// The tokens of people, with their user_id.
    user_tokens: HashMap<String, (String, SystemTime)>,
    codes: HashMap<String, Code>,
}

/// A simulated fault of a path.
#[derive(Clone)]
pub(super) enum Fault {
    /// No response.
    Hang,
    /// This error, `times` times.
    Fail { code: i64, times: usize },
    /// This status and body, `times` times.
    Answer {
        status: u16,
        body: Bytes,
        times: usize,
    },
}

/// What an authorization code is issued for.
#[derive(Clone, Copy, Debug)]
pub struct CodeRequest<'a> {
    pub user_id: &'a str,
    pub app_id: &'a str,
    /// Absent for a code of the SDK for mobile apps.
    pub redirect_uri: Option<&'a str>,
    /// The PKCE challenge (S256).
    pub challenge: Option<&'a str>,
}

struct Code {
    user_id: String,
    app_id: String,
    redirect_uri: Option<String>,
    challenge: Option<String>,
    issued_at: SystemTime,
    used: bool,
}

/// A request to redeem a code.
pub(super) struct Redemption<'a> {
    pub(super) code: &'a str,
    pub(super) app_id: &'a str,
    pub(super) redirect_uri: Option<&'a str>,
    pub(super) verifier: Option<&'a str>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            people: people::people(),
            departments: people::departments(),
            permissions: Permission::ALL.into_iter().collect(),
            range: None,
            redirects: Vec::new(),
            client_owner: "zhangsan".to_owned(),
            unknown_person_code: 41012,
            event_url: None,
            faults: HashMap::new(),
            calls: HashMap::new(),
            last_query: HashMap::new(),
            last_token_request: Value::Null,
            app_tokens: HashMap::new(),
            user_tokens: HashMap::new(),
            codes: HashMap::new(),
        }
    }

    pub(super) fn person(&self, user_id: &str) -> Option<&Person> {
        self.people.iter().find(|one| one.user_id == user_id)
    }

    pub(super) fn has(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// Verifies the secret of an application.
    pub(super) fn check_secret(app_id: &str, secret: &str) -> Result<(), i64> {
        let apps = [(APP_ID, APP_SECRET), (OTHER_APP_ID, OTHER_APP_SECRET)];
        let known = apps.iter().find(|(id, _)| *id == app_id);
        match known {
            None => Err(10003),
            Some((_, expected)) if *expected == secret => Ok(()),
            Some(_) => Err(10014),
        }
    }

    /// The token of an application: the same value until it has little time left.
    pub(super) fn app_token(&mut self, app_id: &str, now: SystemTime) -> (String, Duration) {
        let left = |at: SystemTime| {
            TOKEN_LIFETIME.saturating_sub(now.duration_since(at).unwrap_or_default())
        };
        let reused = self
            .app_tokens
            .iter()
            .find(|(_, (of, at))| of == app_id && left(*at) > TOKEN_REUSED_ABOVE);
        if let Some((token, (_, at))) = reused {
            return (token.clone(), left(*at));
        }
        let token = format!("t-{}", random(24));
        self.app_tokens
            .insert(token.clone(), (app_id.to_owned(), now));
        (token, TOKEN_LIFETIME)
    }

    /// The application to which a token belongs.
    pub(super) fn app_of(&self, token: &str, now: SystemTime) -> Result<&str, i64> {
        if token.is_empty() {
            return Err(99_991_661);
        }
        let (app_id, at) = self.app_tokens.get(token).ok_or(99_991_663)?;
        let age = now.duration_since(*at).unwrap_or_default();
        match age < TOKEN_LIFETIME {
            true => Ok(app_id),
            false => Err(99_991_663),
        }
    }

    pub(super) fn revoke_tokens(&mut self) {
        self.app_tokens.clear();
    }

    pub(super) fn user_token(&mut self, user_id: &str, now: SystemTime) -> String {
        let token = format!("u-{}", random(24));
        self.user_tokens
            .insert(token.clone(), (user_id.to_owned(), now));
        token
    }

    /// The person to whom a token belongs.
    pub(super) fn person_of(&self, token: &str, now: SystemTime) -> Result<&Person, i64> {
        let (user_id, at) = self.user_tokens.get(token).ok_or(99_991_668)?;
        let age = now.duration_since(*at).unwrap_or_default();
        if age >= TOKEN_LIFETIME {
            return Err(99_991_677);
        }
        self.person(user_id).ok_or(20008)
    }

    pub(super) fn issue_code(&mut self, request: CodeRequest<'_>, now: SystemTime) -> String {
        let value = random(24);
        let code = Code {
            user_id: request.user_id.to_owned(),
            app_id: request.app_id.to_owned(),
            redirect_uri: request.redirect_uri.map(str::to_owned),
            challenge: request.challenge.map(str::to_owned),
            issued_at: now,
            used: false,
        };
        self.codes.insert(value.clone(), code);
        value
    }

    /// Redeems a code, once; returns the user_id.
    pub(super) fn redeem(
        &mut self,
        asked: &Redemption<'_>,
        now: SystemTime,
    ) -> Result<String, i64> {
        let code = self.codes.get_mut(asked.code).ok_or(20003)?;
        if code.app_id != asked.app_id {
            return Err(20024);
        }
        if code.used {
            return Err(20065);
        }
        if now.duration_since(code.issued_at).unwrap_or_default() >= CODE_LIFETIME {
            return Err(20004);
        }
        if code.redirect_uri.as_deref() != asked.redirect_uri {
            return Err(20071);
        }
        let challenge = asked.verifier.map(challenge);
        if code.challenge != challenge {
            return Err(20049);
        }
        code.used = true;
        let user_id = code.user_id.clone();
        let person = self.person(&user_id).ok_or(20008)?;
        match person {
            person if person.is_resigned || person.is_exited => Err(20066),
            person if !person.may_use_app => Err(20010),
            _ => Ok(user_id),
        }
    }

    /// Counts a request and returns the fault of its path, if it has one.
    pub(super) fn record_call(&mut self, path: &str, query: &str) -> Option<Fault> {
        *self.calls.entry(path.into()).or_default() += 1;
        self.last_query.insert(path.into(), query.into());
        let fault = self.faults.get_mut(path)?;
        let taken = fault.clone();
        let times_left = match fault {
            Fault::Hang => return Some(taken),
            Fault::Fail { times, .. } | Fault::Answer { times, .. } => times,
        };
        *times_left = times_left.saturating_sub(1);
        if *times_left == 0 {
            self.faults.remove(path);
        }
        Some(taken)
    }
}

/// The PKCE challenge of a verifier (S256).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// Random bytes as URL-safe text.
pub(super) fn random(bytes: usize) -> String {
    let mut value = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut value).expect("the system provides random bytes");
    URL_SAFE_NO_PAD.encode(value)
}
