//! `Login`: begins and finishes logins, and binds each to its browser and its return address.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::people::People;
use crate::people::session::{RefreshableConnector, SessionTimeouts, Sessions};
use crate::people::token_sessions::TokenConnector;
use crate::single_flight::{PendingCall, SingleFlight};
use crate::store::{AccountId, ConnectorId, SessionKey};
use crate::telemetry::Telemetry;
use connector::{AuthnRequest, AuthnResponse, Challenge, DirectoryEvent, Prompt};
use directory_sync::DirectorySyncs;
use event_queue::{Accepted, EventQueue, QueueFull};
use limits::{Limited, Limits, Step};
use link::LinkRequest;
use outcome_key::outcome_key;
use pending::{FlowId, Mode, Pending, PendingError};
use person_check::PersonChecks;
use redeem_unsolicited::RecentUnsolicited;
use return_to::ReturnTo;
use ticket::{NonceHash, SpentTickets};

pub mod administrator;
mod build;
pub mod config;
pub mod connector;
mod connector_problems;
mod department_changes;
pub mod directory_sync;
mod entry;
mod error;
pub mod event_queue;
mod event_worker;
pub mod fields;
mod finish;
pub mod health;
pub mod limits;
pub mod link;
mod listed_people;
mod open_pending;
mod outcome_key;
pub mod pending;
mod person_check;
mod redeem_unsolicited;
pub mod return_to;
mod revalidation;
pub mod ticket;
pub mod unsolicited;

pub use build::{BuildError, Deps};
pub use connector_problems::{ConnectorSurroundings, auto_login_problems, connector_problems};
pub use department_changes::follow_department_changes;
pub use directory_sync::sync_directories;
pub use entry::ConnectorEntry;
pub use error::LoginError;
pub use event_worker::handle_events;
pub use finish::{FinishedLogin, LoginResult};
pub use listed_people::follow_listed_people;
pub use revalidation::revalidate;

/// How long a repeated callback gets the outcome of the first.
const OUTCOME_TTL: Duration = Duration::from_secs(30);
/// The most outcomes that are cached.
const OUTCOMES_MAX: u64 = 10_000;

/// The outcome of one login, shared by all requests with the same authentication response.
type Outcome = Arc<Result<LoginResult, LoginError>>;

/// The logins of one site. Clones share their state.
#[derive(Clone)]
pub struct Login {
    entries: Vec<Arc<ConnectorEntry>>,
    has_entry_points_on_routes: bool,
    default: Option<ConnectorId>,
    ring: Arc<KeyRing>,
    people: People,
    sessions: Arc<Sessions>,
    timeouts: SessionTimeouts,
    limits: Arc<Limits>,
    clock: Clock,
    finishing: SingleFlight<[u8; 32], Outcome>,
    outcomes: Cache<[u8; 32], Outcome>,
    spent_tickets: SpentTickets,
    recent_unsolicited: RecentUnsolicited,
    events: EventQueue,
    person_checks: PersonChecks,
    directory_syncs: DirectorySyncs,
    telemetry: Telemetry,
}

/// A request to begin a login.
#[derive(Clone, Debug)]
pub struct BeginRequest<'a> {
    pub via: &'a ConnectorId,
    /// The mode of the login; absent: the User-Agent decides.
    pub mode: Option<Mode>,
    pub return_to: ReturnTo,
    /// Whether the login begins without a click.
    pub automatic: bool,
    /// How often the login was restarted automatically.
    pub retries: u8,
    /// The nonce of the host or frame that needs a ticket.
    pub ticket_for: Option<NonceHash>,
    /// Whether a page in another site's frame waits for the ticket.
    pub for_frame: bool,
    /// The current session of this browser, which the new one replaces.
    pub replaces: Option<SessionKey>,
    /// The client whose rate limits apply; absent: a trusted proxy did not name the client.
    pub client: Option<Client>,
    pub user_agent: &'a str,
    /// The demands and hints for the source.
    pub authn: AuthnRequest,
    /// The account of a signed-in person who adds an identity; the login signs nobody in.
    pub link_to: Option<AccountId>,
}

/// A login that has begun.
#[derive(Debug)]
pub struct BegunLogin {
    /// The next step of the browser.
    pub challenge: Challenge,
    pub pending: Pending,
    /// The pending login, sealed for the flow cookie.
    pub sealed: String,
    /// What a custom front end needs to run the login; absent: the kind has no such logins.
    pub app_login: Option<Map<String, Value>>,
    /// Whether the callback is a cross-site POST.
    pub returns_by_post: bool,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// The connectors in the order of the sign-in page.
    pub fn entries(&self) -> &[Arc<ConnectorEntry>] {
        &self.entries
    }

    /// Whether a connector accepts entry tokens at the URLs of applications.
    pub fn has_entry_points_on_routes(&self) -> bool {
        self.has_entry_points_on_routes
    }

    /// The connector with this ID.
    pub fn entry(&self, id: &ConnectorId) -> Option<&Arc<ConnectorEntry>> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// The connector to which people are redirected who are not signed in, if it is in force.
    pub fn default_entry(&self) -> Option<&Arc<ConnectorEntry>> {
        self.entry(self.default.as_ref()?)
    }

    /// The sources that can refresh sessions.
    pub fn refreshable_connectors(&self) -> impl Iterator<Item = RefreshableConnector> {
        self.entries.iter().filter_map(|entry| {
            Some(RefreshableConnector {
                refresh: Arc::clone(&entry.connector).token_refresh()?,
                admission: entry.admission.clone(),
            })
        })
    }

    /// The connectors whose people may authenticate with access tokens of their source.
    pub fn token_sessions(&self) -> impl Iterator<Item = TokenConnector> {
        self.entries.iter().filter_map(|entry| {
            Some(TokenConnector {
                reader: Arc::clone(&entry.connector).token_reader()?,
                admission: entry.admission.clone(),
            })
        })
    }

    /// Whether this client may redeem a ticket now.
    pub fn check_ticket_limit(&self, client: Option<Client>) -> Result<(), LoginError> {
        let acquired = self.limits.acquire(Step::Ticket, client);
        acquired.map_err(LoginError::Limited)
    }

    /// Whether a front-channel logout of an unknown session may be recorded now.
    pub fn check_logout_limit(
        &self,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<(), Limited> {
        self.limits.acquire_logout(connector, client)
    }

    /// Whether this client may send a request to `/events` now.
    pub fn check_event_request_limit(&self, client: Option<Client>) -> Result<(), Limited> {
        self.limits.acquire_event_request(client)
    }

    /// Whether the source of a connector may deliver a further event now. Only for requests that it has
    /// signed.
    pub fn check_event_limit(&self, connector: &ConnectorId) -> Result<(), Limited> {
        self.limits.acquire_verified_event(connector)
    }

    /// Adds an event of a source to those that are handled in the background.
    pub fn accept_event(
        &self,
        connector: &ConnectorId,
        event: DirectoryEvent,
    ) -> Result<Accepted, QueueFull> {
        let max = self.limits.waiting_events_max();
        self.events.accept(connector, event, max)
    }

    /// The events that wait to be handled.
    pub fn events(&self) -> &EventQueue {
        &self.events
    }

    /// The recently used tickets.
    pub fn spent_tickets(&self) -> &SpentTickets {
        &self.spent_tickets
    }

    /// Begins a login. Stores nothing on the server: the browser keeps the sealed pending login.
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
        pending.settings_version = entry.config.settings_version();
        pending.automatic = request.automatic;
        pending.retries = request.retries;
        pending.ticket_for = request.ticket_for;
        pending.for_frame = request.for_frame;
        let by_post = entry.features.returns_by_post();
        pending.replaces = request
            .replaces
            .filter(|_| by_post && request.link_to.is_none());
        pending.link = request.link_to.map(LinkRequest::new).map(Box::new);
        pending.silent = request.authn.prompt == Some(Prompt::None);
        pending.max_age = request.authn.max_age.map(seconds);
        pending.reauthenticates = request.authn.prompt == Some(Prompt::Login);
        let sealed = pending.seal(&self.ring).map_err(LoginError::TooLarge)?;
        let challenge = entry.connector.begin(&pending, &request.authn).await;
        if let Err(error) = &challenge {
            entry.health.record_error(error, self.clock.now());
        }
        let challenge = challenge.map_err(LoginError::Connector)?;
        Ok(BegunLogin {
            challenge,
            app_login: match entry.uses_password_form() {
                // A front end with its own password form needs no further data.
                true => Some(Map::new()),
                false => entry.connector.app_login(&pending),
            },
            returns_by_post: by_post,
            sealed,
            pending,
        })
    }

    /// Finishes a pending login. A repeated or concurrent request with the same response gets the same
    /// outcome, and its code is redeemed once. Cancel-safe: the work continues in a task of its own.
    ///
    /// # Errors
    /// The login was not attempted: its connector is gone, or a limit was reached. The inner result is that
    /// of an attempt.
    pub async fn finish(
        &self,
        pending: Pending,
        response: AuthnResponse,
    ) -> Result<Arc<Result<LoginResult, LoginError>>, LoginError> {
        let entry = self
            .entry(&pending.connector)
            .ok_or(LoginError::UnknownConnector)?;
        if pending.settings_version != entry.config.settings_version() {
            return Err(LoginError::Pending(PendingError::SettingsChanged));
        }
        let key = outcome_key(&pending.connector, &pending.flow, &response);
        let finishing = self.finishing.try_run(key, || {
            if let Some(outcome) = self.outcomes.get(&key) {
                // No task is needed: the outcome is known.
                return Err(Ok(outcome));
            }
            let limited = |limited| Err(LoginError::Limited(limited));
            let acquired = self.limits.acquire(Step::Finish, response.client);
            acquired.map_err(limited)?;
            let permit = self
                .limits
                .enter_circuit(&pending.connector, response.client);
            let permit = permit.map_err(limited)?;
            let task = finish::FinishTask {
                entry: Arc::clone(entry),
                ring: Arc::clone(&self.ring),
                people: self.people.clone(),
                sessions: Arc::clone(&self.sessions),
                timeouts: self.timeouts,
                limits: Arc::clone(&self.limits),
                clock: self.clock.clone(),
                telemetry: self.telemetry.clone(),
                permit,
            };
            let outcomes = self.outcomes.clone();
            Ok(async move {
                let outcome = Arc::new(task.run(pending, response).await);
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
            Ok(call) => Ok(outcome_of(call).await),
            Err(immediate) => immediate,
        }
    }

    /// The outcome of a recently finished login, for a repeated callback whose flow cookie is gone.
    pub async fn outcome(
        &self,
        via: &ConnectorId,
        flow: &FlowId,
        response: &AuthnResponse,
    ) -> Option<Arc<Result<LoginResult, LoginError>>> {
        let key = outcome_key(via, flow, response);
        // Running logins are searched first, because a login stores its outcome before it stops running.
        match self.finishing.running_call(&key) {
            Some(call) => Some(outcome_of(call).await),
            None => self.outcomes.get(&key),
        }
    }
}

async fn outcome_of(call: PendingCall<Outcome>) -> Outcome {
    let failed = |_| Arc::new(Err(LoginError::TaskFailed));
    call.await.unwrap_or_else(failed)
}

/// A period in whole seconds; the largest number stands for anything longer.
fn seconds(period: Duration) -> u32 {
    u32::try_from(period.as_secs()).unwrap_or(u32::MAX)
}
