//! `Login::begin / finish`: state, binding to the browser, return address.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde_json::{Map, Value};
use url::Url;

use crate::client::Client;
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::people::session::{MintError, RefreshSource, SessionTimeouts, Sessions};
use crate::people::token_sessions::TokenConnector;
use crate::people::{AdmissionPolicy, AdmitError, People};
use crate::single_flight::{PendingCall, SingleFlight};
use crate::store::{ConnectorId, LoginName, SessionKey, Subject};
use connector::{
    AuthnRequest, AuthnResponse, AutoLogin, Challenge, Connector, ConnectorConfig, ConnectorError,
    Features, LoginMethod, Prompt, RefusalReason,
};
use limits::{Limited, Limits, Step};
use outcome_key::outcome_key;
use pending::{FlowId, Mode, Pending, PendingError, PendingTooLarge};
use redeem_unsolicited::RecentUnsolicited;
use return_to::ReturnTo;
use ticket::{NonceHash, SpentTickets};

mod build;
pub mod config;
pub mod connector;
pub mod credentials;
pub mod fields;
mod finish;
pub mod limits;
mod outcome_key;
pub mod pending;
mod redeem_unsolicited;
pub mod return_to;
pub mod ticket;
pub mod unsolicited;

pub use build::{BuildError, Deps};
pub use finish::FinishedLogin;

/// How long a callback that is seen again shares the outcome of the first, from its end.
const OUTCOME_TTL: Duration = Duration::from_secs(30);
/// How many outcomes are kept.
const OUTCOMES_MAX: u64 = 10_000;

/// How one login ended, for every request that brings the same answer.
type Outcome = Arc<Result<FinishedLogin, LoginError>>;

/// Everything that logs people in. One per site; clones are the same.
#[derive(Clone)]
pub struct Login {
    entries: Vec<Arc<ConnectorEntry>>,
    ring: Arc<KeyRing>,
    people: People,
    sessions: Arc<Sessions>,
    terms: SessionTimeouts,
    limits: Arc<Limits>,
    clock: Clock,
    finishing: SingleFlight<[u8; 32], Outcome>,
    outcomes: Cache<[u8; 32], Outcome>,
    spent_tickets: SpentTickets,
    recent_unsolicited: RecentUnsolicited,
}

/// One connector with how it is used here.
#[derive(Debug)]
pub struct ConnectorEntry {
    /// Its id.
    pub id: ConnectorId,
    /// What people see.
    pub display_name: String,
    /// Where its callbacks come to.
    pub callback: Url,
    /// As configured.
    pub config: ConnectorConfig,
    /// The name of its kind: `wecom`.
    pub kind: &'static str,
    /// What it can do, as configured.
    pub features: Features,
    /// The connector itself.
    pub connector: Arc<dyn Connector>,
    admission: AdmissionPolicy,
}

/// What a begin is asked for.
#[derive(Clone, Debug)]
pub struct BeginRequest<'a> {
    /// Through which connector.
    pub via: &'a ConnectorId,
    /// Through which of its doors; absent: the User-Agent decides.
    pub mode: Option<Mode>,
    /// Where to, afterwards.
    pub return_to: ReturnTo,
    /// Whether nobody clicked.
    pub automatic: bool,
    /// How often it was begun again by itself.
    pub retries: u8,
    /// Which host's browser the session is for, when it is another one.
    pub ticket_for: Option<NonceHash>,
    /// Whether a page in another site's frame waits for the ticket.
    pub for_frame: bool,
    /// The session of whoever is here already.
    pub replaces: Option<SessionKey>,
    /// Who is counted for it; absent: a proxy that names nobody.
    pub client: Option<Client>,
    /// With what.
    pub user_agent: &'a str,
    /// What it must prove, and what may help.
    pub authn: AuthnRequest,
}

/// A login that began.
#[derive(Debug)]
pub struct BegunLogin {
    /// What the browser must do.
    pub challenge: Challenge,
    /// The memory of it.
    pub pending: Pending,
    /// The same, sealed, for the browser to keep.
    pub sealed: String,
    /// What an own front end needs, where the kind has that.
    pub app: Option<Map<String, Value>>,
    /// Whether the answer comes by a POST from another site.
    pub returns_by_post: bool,
}

/// Why a login did not begin or finish.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// There is no such connector.
    #[error("no connector of this name")]
    UnknownConnector,
    /// Too many.
    #[error("the login is not taken now")]
    Limited(#[source] Limited),
    /// This browser did not begin it.
    #[error("the callback does not belong to a login of this browser")]
    Pending(#[source] PendingError),
    /// The login does not fit into the cookies that hold it.
    #[error("the pending login is too large")]
    TooLarge(#[source] PendingTooLarge),
    /// The source.
    #[error("prove the person")]
    Connector(#[source] ConnectorError),
    /// A ticket counts once.
    #[error("the ticket was used before")]
    AlreadyUsed,
    /// The directory.
    #[error("admit the person")]
    Admit {
        /// Whom the source vouched for.
        subject: Subject,
        /// Why not.
        #[source]
        source: AdmitError,
    },
    /// The session.
    #[error("let the person in")]
    Mint {
        /// Whom the source vouched for.
        subject: Subject,
        /// Why not.
        #[source]
        source: MintError,
    },
    /// The task died.
    #[error("the login was dropped before its end")]
    TaskFailed,
}

impl LoginError {
    /// Whom the source vouched for, when it came so far.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Admit { subject, .. } | Self::Mint { subject, .. } => Some(subject),
            Self::UnknownConnector
            | Self::Limited(_)
            | Self::Pending(_)
            | Self::TooLarge(_)
            | Self::Connector(_)
            | Self::AlreadyUsed
            | Self::TaskFailed => None,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connector(error) => matches!(
                error,
                ConnectorError::Busy(_)
                    | ConnectorError::Unreachable(_)
                    | ConnectorError::Issuer(_)
            ),
            Self::Admit { source, .. } => matches!(source, AdmitError::Store(_)),
            Self::Mint { source, .. } => matches!(source, MintError::Store(_)),
            Self::Limited(_) | Self::TaskFailed => true,
            Self::UnknownConnector | Self::Pending(_) | Self::TooLarge(_) | Self::AlreadyUsed => {
                false
            }
        }
    }

    /// Whether every repetition of the response gets this error. A password that was refused may be
    /// right after an administrator changed it at the source.
    fn is_final(&self) -> bool {
        let is_wrong_password = matches!(
            self,
            Self::Connector(ConnectorError::Refused {
                why: RefusalReason::WrongPassword,
                ..
            })
        );
        !is_wrong_password && !self.is_transient()
    }

    /// What they would have been called, where that was the trouble.
    pub fn login(&self) -> Option<&LoginName> {
        match self {
            Self::Admit { source, .. } => match source {
                AdmitError::Unknown { login } | AdmitError::LoginTaken { login, .. } => Some(login),
                AdmitError::Map(_) | AdmitError::Closed { .. } | AdmitError::Store(_) => None,
            },
            _ => None,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Every connector, in the order of their ids.
    pub fn entries(&self) -> &[Arc<ConnectorEntry>] {
        &self.entries
    }

    /// The connector of an id.
    pub fn entry(&self, id: &ConnectorId) -> Option<&Arc<ConnectorEntry>> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// The sources that can be asked again about people who are here.
    pub fn sources(&self) -> impl Iterator<Item = RefreshSource> {
        self.entries.iter().filter_map(|entry| {
            Some(RefreshSource {
                source: Arc::clone(&entry.connector).source()?,
                admission: entry.admission.clone(),
            })
        })
    }

    /// The connectors whose people may bring a token that their source signed.
    pub fn token_sessions(&self) -> impl Iterator<Item = TokenConnector> {
        self.entries.iter().filter_map(|entry| {
            Some(TokenConnector {
                reader: Arc::clone(&entry.connector).reads_tokens()?,
                admission: entry.admission.clone(),
            })
        })
    }

    /// Whether a client may redeem_unsolicited a ticket now.
    pub fn check_ticket_limit(&self, client: Option<Client>) -> Result<(), LoginError> {
        let taken = self.limits.acquire(Step::Ticket, client);
        taken.map_err(LoginError::Limited)
    }

    /// Whether a logout may be noted that a client's browser brings, and that ends nothing here.
    pub fn check_logout_limit(
        &self,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<(), Limited> {
        self.limits.acquire_logout(connector, client)
    }

    /// The tickets that were used a moment ago.
    pub fn spent_tickets(&self) -> &SpentTickets {
        &self.spent_tickets
    }

    /// Opens a login. Nothing is stored here; the browser keeps the sealed memory.
    pub async fn begin(&self, request: BeginRequest<'_>) -> Result<BegunLogin, LoginError> {
        let entry = self
            .entry(request.via)
            .filter(|entry| entry.can_begin_login());
        let entry = entry.ok_or(LoginError::UnknownConnector)?;
        self.limits
            .acquire(Step::Begin, request.client)
            .map_err(LoginError::Limited)?;
        let mode = entry.mode(request.mode, request.user_agent);
        let mut pending = Pending::new(entry.id.clone(), mode, request.return_to, self.clock.now());
        (pending.connector_epoch, pending.everyone_epoch) = self.sessions.epochs_of(&entry.id);
        pending.automatic = request.automatic;
        pending.retries = request.retries;
        pending.ticket_for = request.ticket_for;
        pending.for_frame = request.for_frame;
        let by_post = entry.features.returns_by_post();
        pending.replaces = request.replaces.filter(|_| by_post);
        pending.silent = request.authn.prompt == Some(Prompt::None);
        pending.max_age = request.authn.max_age.map(seconds);
        let sealed = pending.seal(&self.ring).map_err(LoginError::TooLarge)?;
        let challenge = entry
            .connector
            .begin(&pending, &request.authn)
            .await
            .map_err(LoginError::Connector)?;
        Ok(BegunLogin {
            challenge,
            app: match entry.uses_password_form() {
                // A front end that asks for the password itself needs nothing besides.
                true => Some(Map::new()),
                false => entry.connector.app_login(&pending),
            },
            returns_by_post: by_post,
            sealed,
            pending,
        })
    }

    /// Opens the memory of a login that a callback names, before anything is asked of the source.
    ///
    /// `among` are the connectors whose answers come to the address that was asked for; the login
    /// is that of one of them.
    pub fn open_pending<'a>(
        &self,
        among: impl IntoIterator<Item = &'a ConnectorId>,
        flow: &FlowId,
        sealed: Option<&str>,
    ) -> Result<Pending, PendingError> {
        let sealed = sealed.ok_or(PendingError::Missing)?;
        let now = self.clock.now();
        let mut outcome = Err(PendingError::Forged);
        for name in among.into_iter().filter(|name| self.entry(name).is_some()) {
            outcome = Pending::open(&self.ring, flow, name, sealed, now);
            if outcome.as_ref().is_ok_and(|it| it.unsolicited.is_some()) {
                return Err(PendingError::Forged);
            }
            if !matches!(outcome, Err(PendingError::Forged)) {
                return outcome;
            }
        }
        outcome
    }

    /// Closes a login whose memory was opened. The same answer seen twice, or twice at once, is
    /// redeemed once and both get the one outcome. Cancel-safe: the task goes on without us.
    pub async fn finish(
        &self,
        pending: Pending,
        answer: AuthnResponse,
    ) -> Result<Arc<Result<FinishedLogin, LoginError>>, LoginError> {
        let entry = self
            .entry(&pending.connector)
            .ok_or(LoginError::UnknownConnector)?;
        let key = outcome_key(&pending.connector, &pending.flow, &answer);
        let finishing = self.finishing.try_run(key, || {
            if let Some(outcome) = self.outcomes.get(&key) {
                return Err(Ok(outcome));
            }
            let limited = |limited| Err(LoginError::Limited(limited));
            let taken = self.limits.acquire(Step::Finish, answer.client);
            taken.map_err(limited)?;
            let permit = self.limits.enter_circuit(&pending.connector, answer.client);
            let task = finish::FinishTask {
                entry: Arc::clone(entry),
                ring: Arc::clone(&self.ring),
                people: self.people.clone(),
                sessions: Arc::clone(&self.sessions),
                terms: self.terms,
                limits: Arc::clone(&self.limits),
                permit: permit.map_err(limited)?,
            };
            let outcomes = self.outcomes.clone();
            Ok(async move {
                let outcome = Arc::new(task.finish(pending, answer).await);
                if outcome
                    .as_ref()
                    .as_ref()
                    .err()
                    .is_none_or(LoginError::is_final)
                {
                    outcomes.insert(key, Arc::clone(&outcome));
                }
                outcome
            })
        });
        match finishing {
            Ok(flight) => Ok(outcome_of(flight).await),
            Err(known) => known,
        }
    }

    /// The outcome of a login that finished a moment ago, when its callback is seen again without
    /// its memory.
    pub async fn outcome(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        answer: &AuthnResponse,
    ) -> Option<Arc<Result<FinishedLogin, LoginError>>> {
        let key = outcome_key(via, flow, answer);
        // In this order: a login leaves the list after its outcome is kept.
        match self.finishing.under_way(&key) {
            Some(flight) => Some(outcome_of(flight).await),
            None => self.outcomes.get(&key),
        }
    }
}

impl ConnectorEntry {
    /// Which of its doors a login uses: what is forced, what is asked for, what the client is.
    fn mode(&self, asked: Option<Mode>, user_agent: &str) -> Mode {
        self.features.forced_mode.or(asked).unwrap_or_else(|| {
            if self.features.is_own_app(user_agent) {
                Mode::InApp
            } else {
                Mode::Web
            }
        })
    }

    /// Whether this client's source can say who sits there without showing anything.
    pub fn can_log_in_silently(&self, user_agent: &str) -> bool {
        let mode = self.mode(None, user_agent);
        // The door into the source's own client shows nothing only inside of it.
        let fits = mode == Mode::Web || self.features.is_own_app(user_agent);
        fits && self.features.silent_in.contains(&mode)
    }

    /// Whether people can begin a login; else they only redeem_entry_token at the entry point.
    pub fn can_begin_login(&self) -> bool {
        self.features.login_method != LoginMethod::EntryOnly
    }

    /// Whether people type a user name and a password into a form of ours.
    pub fn uses_password_form(&self) -> bool {
        self.features.login_method == LoginMethod::PasswordForm
    }

    /// Whether a login through it starts without a click for this client.
    pub fn auto_starts_for(&self, user_agent: &str) -> bool {
        match self.config.auto_login {
            _ if !self.can_begin_login() => false,
            AutoLogin::Never => false,
            AutoLogin::InApp => self.features.is_own_app(user_agent),
            AutoLogin::Always => true,
        }
    }

    /// Whether this client is the source's own.
    pub fn is_own_client(&self, user_agent: &str) -> bool {
        self.features.is_own_app(user_agent)
    }

    /// Where a login without a target lands, as configured: a path or a URL of this site.
    pub fn home(&self, user_agent: &str) -> &str {
        let mobile = ["Mobi", "Android", "iPhone", "iPad"]
            .iter()
            .any(|w| user_agent.contains(w));
        if mobile {
            &self.config.home.mobile
        } else {
            &self.config.home.desktop
        }
    }
}

async fn outcome_of(flight: PendingCall<Outcome>) -> Outcome {
    let lost = |_| Arc::new(Err(LoginError::TaskFailed));
    flight.await.unwrap_or_else(lost)
}

/// A limit in whole seconds; one too long for the number is as good as none.
fn seconds(period: Duration) -> u32 {
    u32::try_from(period.as_secs()).unwrap_or(u32::MAX)
}
