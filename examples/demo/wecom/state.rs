//! The state of the simulated WeCom: contacts, tokens, codes, tickets and simulated faults.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tokio::sync::Notify;
use url::Url;

use super::people::{self, App, Department, Member, Tag};

const CODE_LIFETIME: Duration = Duration::from_secs(300);
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(7200);
const TICKET_LIFETIME: Duration = Duration::from_secs(1800);
/// How many wrong secrets ban a client address.
pub(super) const WRONG_SECRETS_MAX: u32 = 10;
const BAN_DURATION: Duration = Duration::from_secs(3600);

/// Everything that changes while the simulation runs.
pub(super) struct State {
    pub(super) members: Vec<Member>,
    pub(super) departments: Vec<Department>,
    pub(super) apps: Vec<App>,
    pub(super) tags: Vec<Tag>,
    /// Whose phone an in-app login comes from.
    pub(super) phone_owner: String,
    /// Whether the next code belongs to a person who is not a member.
    pub(super) non_member_next: bool,
    /// Where events are delivered; `None`: nowhere.
    pub(super) event_url: Option<Url>,
    /// The addresses that may use the API; `None`: all.
    pub(super) allowed_ips: Option<Vec<IpAddr>>,
    pub(super) without_new_redeem_path: bool,
    pub(super) used_code_error: i64,
    pub(super) expired_code_error: i64,
    pub(super) faults: HashMap<String, Fault>,
    pub(super) calls: HashMap<String, usize>,
    pub(super) last_query: HashMap<String, String>,
    tokens: HashMap<String, Token>,
    codes: HashMap<String, Code>,
    tickets: HashMap<String, (String, SystemTime)>,
    wrong_secrets: HashMap<IpAddr, (u32, SystemTime)>,
    revoked: HashSet<String>,
}

/// A simulated fault of a path.
#[derive(Clone)]
pub(super) enum Fault {
    /// No response.
    Hang,
    /// The right response, once, but only after the notification.
    Delay(Arc<Notify>),
    /// This error, `times` times.
    Fail { errcode: i64, times: usize },
    /// This status and body, `times` times.
    Answer {
        status: u16,
        body: Bytes,
        times: usize,
    },
}

struct Token {
    secret: String,
    issued_at: SystemTime,
}

/// An authorization code.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) owner: CodeOwner,
    /// `None` if the in-app login named no application: any application of the corporation may
    /// redeem it.
    pub(super) agent_id: Option<u64>,
    /// The host of the return URL, as `host` or `host:port`.
    pub(super) host: String,
    /// Whether the person agreed to share personal fields.
    pub(super) shares_personal_fields: bool,
    issued_at: SystemTime,
    used: bool,
}

/// The person behind a code.
#[derive(Clone)]
pub(super) enum CodeOwner {
    /// A member, or `CorpId/userid` of a linked corporation.
    Member(String),
    /// A person who is not a member.
    Outsider,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            members: people::members(),
            departments: people::departments(),
            apps: people::apps(),
            tags: Vec::new(),
            phone_owner: "zhangsan".into(),
            non_member_next: false,
            event_url: None,
            allowed_ips: None,
            without_new_redeem_path: false,
            used_code_error: 40029,
            expired_code_error: 40029,
            faults: HashMap::new(),
            calls: HashMap::new(),
            last_query: HashMap::new(),
            tokens: HashMap::new(),
            codes: HashMap::new(),
            tickets: HashMap::new(),
            wrong_secrets: HashMap::new(),
            revoked: HashSet::new(),
        }
    }

    /// The member with this ID, regardless of case.
    pub(super) fn member(&self, userid: &str) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.userid.eq_ignore_ascii_case(userid))
    }

    pub(super) fn app(&self, agent_id: u64) -> Option<&App> {
        self.apps.iter().find(|app| app.agent_id == Some(agent_id))
    }

    /// The token of an application; the same value until it expires.
    pub(super) fn token(&mut self, secret: &str, now: SystemTime) -> (String, Duration) {
        let age = |token: &Token| now.duration_since(token.issued_at).unwrap_or_default();
        let is_valid = |token: &Token| token.secret == secret && age(token) < TOKEN_LIFETIME;
        if let Some((value, token)) = self.tokens.iter().find(|(_, token)| is_valid(token)) {
            return (value.clone(), TOKEN_LIFETIME.saturating_sub(age(token)));
        }
        let value = random(48);
        self.tokens.insert(
            value.clone(),
            Token {
                secret: secret.into(),
                issued_at: now,
            },
        );
        (value, TOKEN_LIFETIME)
    }

    /// The application a token belongs to.
    ///
    /// # Errors
    /// 40014 for an unknown or revoked token, 42001 for an expired one.
    pub(super) fn app_of_token(&self, value: &str, now: SystemTime) -> Result<App, i64> {
        if self.revoked.contains(value) {
            return Err(40014);
        }
        let token = self.tokens.get(value).ok_or(40014)?;
        if now.duration_since(token.issued_at).unwrap_or_default() >= TOKEN_LIFETIME {
            return Err(42001);
        }
        self.apps
            .iter()
            .find(|app| app.secret == token.secret)
            .cloned()
            .ok_or(40014)
    }

    /// Expires all tokens: they get errcode 42001.
    pub(super) fn expire_tokens(&mut self, now: SystemTime) {
        for token in self.tokens.values_mut() {
            token.issued_at = now
                .checked_sub(TOKEN_LIFETIME)
                .unwrap_or(SystemTime::UNIX_EPOCH);
        }
    }

    /// Revokes all tokens: they get errcode 40014.
    pub(super) fn revoke_tokens(&mut self) {
        self.revoked
            .extend(self.tokens.drain().map(|(value, _)| value));
    }

    /// Issues a code for a person; it is bound to the application and the host of the return URL.
    pub(super) fn issue_code(
        &mut self,
        userid: &str,
        agent_id: Option<u64>,
        host: &str,
        shares_personal_fields: bool,
        issued_at: SystemTime,
    ) -> String {
        let is_outsider = std::mem::take(&mut self.non_member_next) || userid == people::OUTSIDER;
        let owner = if is_outsider {
            CodeOwner::Outsider
        } else {
            CodeOwner::Member(userid.into())
        };
        let value = random(32);
        let code = Code {
            owner,
            agent_id,
            host: host.into(),
            shares_personal_fields,
            issued_at,
            used: false,
        };
        self.codes.insert(value.clone(), code);
        value
    }

    /// Redeems a code for an application; works once.
    ///
    /// # Errors
    /// The errcode: 40029 for an unknown code or one of another application; the configured errcode for a used
    /// or expired code; 50001 if the return host does not belong to the application.
    pub(super) fn redeem(&mut self, value: &str, app: &App, now: SystemTime) -> Result<Code, i64> {
        let (used_error, expired_error) = (self.used_code_error, self.expired_code_error);
        let code = self.codes.get_mut(value).ok_or(40029)?;
        if app.agent_id.is_none() || !app.domains.contains(&code.host) {
            return Err(50001);
        }
        if code.agent_id.is_some() && code.agent_id != app.agent_id {
            return Err(40029);
        }
        if code.used {
            return Err(used_error);
        }
        if now.duration_since(code.issued_at).unwrap_or_default() >= CODE_LIFETIME {
            return Err(expired_error);
        }
        code.used = true;
        Ok(code.clone())
    }

    /// Issues a ticket for the personal fields of a member.
    pub(super) fn issue_ticket(&mut self, userid: &str, now: SystemTime) -> String {
        let value = random(48);
        self.tickets.insert(value.clone(), (userid.into(), now));
        value
    }

    /// The member whose personal fields a valid ticket grants access to.
    pub(super) fn ticket(&self, value: &str, now: SystemTime) -> Option<&Member> {
        let (userid, issued_at) = self.tickets.get(value)?;
        let age = now.duration_since(*issued_at).unwrap_or_default();
        if age < TICKET_LIFETIME {
            self.member(userid)
        } else {
            None
        }
    }

    /// Whether a client address sent too many wrong secrets within the hour.
    pub(super) fn is_banned(&self, peer: IpAddr, now: SystemTime) -> bool {
        self.wrong_secrets.get(&peer).is_some_and(|(count, last)| {
            *count >= WRONG_SECRETS_MAX
                && now.duration_since(*last).unwrap_or_default() < BAN_DURATION
        })
    }

    pub(super) fn count_wrong_secret(&mut self, peer: IpAddr, now: SystemTime) {
        let (count, last) = self.wrong_secrets.entry(peer).or_insert((0, now));
        if now.duration_since(*last).unwrap_or_default() >= BAN_DURATION {
            *count = 0;
        }
        *count += 1;
        *last = now;
    }

    /// Counts a request and returns the fault of its path, if it has one.
    pub(super) fn record_call(&mut self, path: &str, query: &str) -> Option<Fault> {
        *self.calls.entry(path.into()).or_default() += 1;
        self.last_query.insert(path.into(), query.into());
        let fault = self.faults.get_mut(path)?;
        let taken = fault.clone();
        let times_left = match fault {
            Fault::Hang => return Some(taken),
            Fault::Delay(_) => {
                self.faults.remove(path);
                return Some(taken);
            }
            Fault::Fail { times, .. } | Fault::Answer { times, .. } => times,
        };
        *times_left = times_left.saturating_sub(1);
        if *times_left == 0 {
            self.faults.remove(path);
        }
        Some(taken)
    }
}

/// Random bytes as URL-safe text.
pub(super) fn random(bytes: usize) -> String {
    let mut value = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut value).expect("the system provides random bytes");
    URL_SAFE_NO_PAD.encode(value)
}
