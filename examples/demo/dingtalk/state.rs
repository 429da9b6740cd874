//! The state of the simulated DingTalk: people, tokens, codes and simulated faults.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tokio::sync::Notify;
use url::Url;

use super::people::{self, Department, Member};

const CODE_LIFETIME: Duration = Duration::from_secs(300);
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(7200);

/// Everything that changes while the simulation runs.
pub(super) struct State {
    pub(super) members: Vec<Member>,
    pub(super) departments: Vec<Department>,
    pub(super) redirect_urls: Vec<String>,
    pub(super) phone_owner: String,
    /// The names under which the login page returns a code.
    pub(super) code_parameters: &'static [&'static str],
    /// The permissions that the application lacks.
    pub(super) denied: HashSet<String>,
    pub(super) uses_gateway_errors: bool,
    /// The code for a token that is not known; `None`: 40014.
    pub(super) token_error: Option<i64>,
    pub(super) event_url: Option<Url>,
    pub(super) faults: HashMap<String, Fault>,
    pub(super) calls: HashMap<String, usize>,
    pub(super) last_requests: HashMap<String, (String, String)>,
    /// The tokens of the application, with the time of issue.
    pub(super) tokens: HashMap<String, SystemTime>,
    /// The tokens of the admin console.
    pub(super) sso_tokens: HashSet<String>,
    /// The tokens of people, with their unionId.
    pub(super) user_tokens: HashMap<String, String>,
    codes: HashMap<String, Code>,
    issued: Vec<String>,
}

/// A simulated fault of a path.
#[derive(Clone)]
pub(super) enum Fault {
    /// No response.
    Hang,
    /// The right response, once, but only after the notification.
    Delay(Arc<Notify>),
    Answer {
        status: u16,
        body: Bytes,
    },
}

/// What a code is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// A login with a browser; with the organisation that the person chose, if it asked for one.
    Web(Option<String>),
    /// A login inside the client.
    InApp,
    /// An arrival from the admin console.
    Admin,
}

struct Code {
    kind: CodeKind,
    userid: String,
    issued_at: SystemTime,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            members: people::members(),
            departments: people::departments(),
            redirect_urls: Vec::new(),
            phone_owner: "zhangsan".to_owned(),
            code_parameters: &["authCode"],
            denied: HashSet::new(),
            uses_gateway_errors: true,
            token_error: None,
            event_url: None,
            faults: HashMap::new(),
            calls: HashMap::new(),
            last_requests: HashMap::new(),
            tokens: HashMap::new(),
            sso_tokens: HashSet::new(),
            user_tokens: HashMap::new(),
            codes: HashMap::new(),
            issued: Vec::new(),
        }
    }

    pub(super) fn member(&self, userid: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.userid == userid)
    }

    pub(super) fn department(&self, id: i64) -> Option<&Department> {
        self.departments.iter().find(|one| one.id == id)
    }

    /// The token of the application: the same until it expires.
    pub(super) fn token(&mut self, now: SystemTime) -> (String, u64) {
        let left = |at: &SystemTime| {
            TOKEN_LIFETIME.saturating_sub(now.duration_since(*at).unwrap_or_default())
        };
        let valid = self.tokens.iter().find(|(_, at)| !left(at).is_zero());
        if let Some((token, at)) = valid {
            return (token.clone(), left(at).as_secs());
        }
        let token = self.random();
        self.tokens.insert(token.clone(), now);
        (token, TOKEN_LIFETIME.as_secs())
    }

    /// Whether a token of the application is valid.
    ///
    /// # Errors
    /// The code for one that is not.
    pub(super) fn check_token(&self, token: &str, now: SystemTime) -> Result<(), i64> {
        let issued_at = self.tokens.get(token);
        let issued_at = issued_at.ok_or_else(|| self.token_error.unwrap_or(40014))?;
        match now.duration_since(*issued_at).unwrap_or_default() < TOKEN_LIFETIME {
            true => Ok(()),
            false => Err(42001),
        }
    }

    pub(super) fn issue_code(&mut self, kind: CodeKind, userid: &str, now: SystemTime) -> String {
        let code = self.random();
        let issued = Code {
            kind,
            userid: userid.to_owned(),
            issued_at: now,
        };
        self.codes.insert(code.clone(), issued);
        code
    }

    /// Redeems a code once; the person and the organisation that they chose.
    pub(super) fn redeem(
        &mut self,
        code: &str,
        is_kind: impl Fn(&CodeKind) -> bool,
        now: SystemTime,
    ) -> Option<(String, Option<String>)> {
        let found = self.codes.get(code).filter(|found| is_kind(&found.kind))?;
        let age = now.duration_since(found.issued_at).unwrap_or_default();
        let found = self.codes.remove(code)?;
        let corp_id = match found.kind {
            CodeKind::Web(corp_id) => corp_id,
            CodeKind::InApp | CodeKind::Admin => None,
        };
        (age < CODE_LIFETIME).then_some((found.userid, corp_id))
    }

    /// Random text, which is remembered as a secret.
    pub(super) fn random(&mut self) -> String {
        let mut bytes = [0; 24];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system provides random bytes");
        let text = URL_SAFE_NO_PAD.encode(bytes);
        self.issued.push(text.clone());
        text
    }

    pub(super) fn secrets(&self) -> Vec<String> {
        let known = [people::APP_SECRET, people::SSO_SECRET].map(str::to_owned);
        self.issued.iter().cloned().chain(known).collect()
    }

    /// Counts a request and returns the fault of its path, if it has one.
    pub(super) fn record_call(&mut self, path: &str) -> Option<Fault> {
        *self.calls.entry(path.into()).or_default() += 1;
        let fault = self.faults.get(path).cloned()?;
        if matches!(fault, Fault::Delay(_)) {
            self.faults.remove(path);
        }
        Some(fault)
    }
}
