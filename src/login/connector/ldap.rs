//! Login with a user name and a password that an LDAP directory checks. The LDAP client is menshen's own,
//! because the crate `ldap3` reads messages of any length and depth, panics at some malformed ones, drops
//! those with a wrong message ID, and ignores bytes that come before the handshake of StartTLS.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::credentials::PasswordCredentials;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, RefusalReason, SourceRefusal, brought,
};
use crate::clock::Clock;
use crate::keys;
use crate::login::limits::PasswordAttempt;
use crate::login::pending::Pending;
use crate::people::person_lookup::PersonLookup;
use crate::people::profile::{AuthContext, Profile};
use crate::wording::Text;

mod answers;
mod ber;
mod bind_as;
mod config;
mod connection;
mod directory;
mod dn;
mod entry;
mod error;
mod examine;
mod filter;
mod groups;
mod kind;
mod ldap_url;
mod lookup;
mod message;
mod settings;
mod spelling;

pub use config::{Config, GroupsConfig, Scope, Urls};
pub(super) use kind::NAME as KIND_NAME;
pub use ldap_url::{InvalidLdapUrl, LdapUrl};

use connection::{Connection, SearchAnswer};
use directory::{Directory, DirectorySettings, ServerIndex, ServiceAccount};
use dn::Dn;
use entry::{GroupsError, MEMBER_OF, ProfileReader};
use error::{LdapError, SEARCH};
use filter::{Filter, Values};
use message::{Entry, SearchRequest};
use settings::{Account, Settings};

/// The time limit of all requests of one login together.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The times at which a wrong password is answered are multiples of this one. Directories compute a slow hash
/// for people who exist, and none for others; that must not show. Longer than most directories need.
const ANSWER_STEP: Duration = Duration::from_secs(1);

/// One directory and the people below one base.
#[derive(Debug)]
struct Ldap {
    settings: Settings,
    directory: Directory,
    reader: ProfileReader,
    clock: Clock,
}

/// How a search is sent.
enum Searcher<'a> {
    /// As the account that searches.
    Service(&'a Directory),
    /// On one connection.
    Connection(&'a mut Connection),
}

impl Searcher<'_> {
    async fn search(&mut self, request: &SearchRequest<'_>) -> Result<SearchAnswer, LdapError> {
        match self {
            Self::Service(directory) => directory.search(request).await.map(|(answer, _)| answer),
            Self::Connection(connection) => connection.search(request).await,
        }
    }
}

impl Ldap {
    /// Builds the connector. Reads the password of the service account; makes no network call.
    fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        let settings = Settings::of(config).map_err(|invalid| {
            let messages = invalid.iter().map(|one| &one.message);
            let messages = Text::join(messages, &Text::fixed("; ", "；"));
            ConnectorBuildError::Setting(messages)
        })?;
        let service = match (&settings.account, &config.bind_password) {
            (Account::Service(bind_dn), Some(password)) => Some(ServiceAccount {
                bind_dn: bind_dn.clone(),
                password: password.read().map_err(ConnectorBuildError::Secret)?,
            }),
            _ => None,
        };
        let subject = settings.subject.clone();
        let reader = ProfileReader::new(
            &config.login_attributes,
            &deps.mapping,
            &config.attributes,
            subject,
        );
        Ok(Self {
            directory: Directory::new(DirectorySettings {
                urls: config.url.0.clone(),
                tls: deps.outbound.tls(),
                reach: deps.outbound.reach(),
                start_tls: config.start_tls,
                timeout: config.timeout.duration(),
                service,
            }),
            reader: match &settings.groups {
                Some(_) => reader,
                None => reader.with(MEMBER_OF),
            },
            settings,
            clock: deps.clock,
        })
    }

    async fn log_in(
        &self,
        credentials: PasswordCredentials<'_>,
        attempt: &mut PasswordAttempt,
    ) -> Result<Profile, ConnectorError> {
        match &self.settings.account {
            Account::Person(bind_as) => self.bind_and_search(bind_as, credentials, attempt).await,
            Account::Anonymous | Account::Service(_) => {
                self.search_and_bind(credentials, attempt).await
            }
        }
    }

    /// Searches the person, then sends their password with the DN that was found.
    async fn search_and_bind(
        &self,
        credentials: PasswordCredentials<'_>,
        attempt: &mut PasswordAttempt,
    ) -> Result<Profile, ConnectorError> {
        let values = Values {
            login: credentials.login,
            dn: "",
        };
        let filter = &self.settings.login_filter;
        let (answer, server) = self.search_people(filter, values, 2).await?;
        let entry = match only_entry(answer, &self.settings.base) {
            Ok(entry) => entry,
            Err(error) => {
                self.bind_in_vain(server).await?;
                return Err(error);
            }
        };
        require_dn(&entry)?;
        // The directory takes other spellings for the same name, and login_attributes may be several.
        if let Err(paused) = attempt.count_for(&entry.dn).await {
            // The page is that of a wrong password: another one would tell who exists.
            self.bind_in_vain(server).await?;
            return Err(answers::paused(&entry, paused));
        }
        let bound = self
            .directory
            .bind(Some(server), &entry.dn, credentials.password)
            .await;
        let (connection, answer, _) = bound?;
        answers::require_accepted(&answer, &entry.dn, &connection)?;
        tokio::spawn(connection.close());
        let mut searcher = Searcher::Service(&self.directory);
        self.profile(&entry, &mut searcher).await
    }

    /// Searches people as the service account.
    async fn search_people(
        &self,
        filter: &Filter,
        values: Values<'_>,
        size_limit: usize,
    ) -> Result<(SearchAnswer, ServerIndex), LdapError> {
        let request = SearchRequest {
            base: &self.settings.base,
            scope: self.settings.scope,
            size_limit,
            filter: &filter.encode(values),
            attributes: self.reader.asked(),
        };
        self.directory.search(&request).await
    }

    /// Sends a bind that must fail, so that an unknown login causes the same requests as a known one. Its name
    /// and password are random, so it counts against nobody.
    ///
    /// # Errors
    /// The directory refuses to check passwords at all, as it would for a person.
    async fn bind_in_vain(&self, server: ServerIndex) -> Result<(), ConnectorError> {
        let random = || {
            keys::random::<16>()
                .map(|byte| format!("{byte:02x}"))
                .concat()
        };
        let name = format!("cn={},{}", random(), self.settings.base);
        let bound = self.directory.bind(Some(server), &name, &random()).await;
        let (connection, answer, _) = bound?;
        let accepted = answers::require_accepted(&answer, &name, &connection);
        tokio::spawn(connection.close());
        match accepted {
            Ok(()) | Err(ConnectorError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn profile(
        &self,
        entry: &Entry,
        searcher: &mut Searcher<'_>,
    ) -> Result<Profile, ConnectorError> {
        // Not every server refuses the bind of a disabled account. Only who has the password comes here.
        if entry::is_disabled(entry) {
            let message = format!("{} is disabled", entry.dn);
            let why = RefusalReason::Inactive;
            return Err(answers::refused(why, SEARCH, 0, message));
        }
        let subject = self.reader.subject(entry)?;
        let groups = self.groups_of(entry, searcher).await?;
        Ok(Profile {
            subject,
            raw: self.reader.raw(entry, groups),
            verified_fields: ProfileReader::verified_fields(entry),
            provider_sid: None,
            auth_context: AuthContext {
                amr: vec!["pwd".to_owned()],
                auth_time: Some(self.clock.now()),
                ..AuthContext::default()
            },
            tokens: None,
            response_id: None,
            local_revision: None,
        })
    }

    async fn groups_of(
        &self,
        entry: &Entry,
        searcher: &mut Searcher<'_>,
    ) -> Result<Vec<String>, GroupsError> {
        let Some(groups) = &self.settings.groups else {
            let base = self.settings.member_of_base.as_ref();
            return entry::groups_of_member(entry, base);
        };
        let login = self.reader.login(entry).unwrap_or_default();
        let person = Values {
            login: &login,
            dn: &entry.dn,
        };
        groups::search(groups, person, searcher).await
    }
}

/// How long the answer to a wrong password waits.
fn until_next_step(elapsed: Duration) -> Duration {
    let steps = elapsed.as_millis() / ANSWER_STEP.as_millis() + 1;
    let next = ANSWER_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
    next.saturating_sub(elapsed)
}

/// Refuses an entry whose DN cannot be bound to. An empty one would be an anonymous bind, which succeeds with
/// any password.
fn require_dn(entry: &Entry) -> Result<(), ConnectorError> {
    let parsed = Dn::parse(&entry.dn).map_err(|error| {
        ConnectorError::InvalidResponse(SourceRefusal {
            call: SEARCH,
            code: 0,
            message: format!("the DN {:?} of the entry is {error}", entry.dn),
        })
    });
    parsed.map(|_| ())
}

/// The entry, if it is the only one.
fn only_entry(answer: SearchAnswer, base: &str) -> Result<Entry, ConnectorError> {
    let refuse = |message: String| {
        Err(answers::refused(
            RefusalReason::WrongPassword,
            SEARCH,
            0,
            message,
        ))
    };
    if !answer.base_exists {
        return refuse(format!(
            "{base} does not exist, or the account that searches may not read it"
        ));
    }
    let mut entries = answer.entries;
    match (entries.pop(), entries.pop()) {
        (None, _) => refuse("nobody who may sign in has this user name".to_owned()),
        (Some(_), None) if answer.is_truncated => {
            refuse("the directory does not show all entries with this user name".to_owned())
        }
        (Some(entry), None) => Ok(entry),
        (Some(one), Some(other)) => refuse(format!(
            "several entries have this user name: {} and {}",
            other.dn, one.dn
        )),
    }
}

#[async_trait]
impl Connector for Ldap {
    async fn begin(
        &self,
        _pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        Ok(Challenge::PasswordForm)
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        _response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        Err(ConnectorError::InvalidResponse(SourceRefusal {
            call: brought::FORM,
            code: 0,
            message: "a password is verified only if it is counted".to_owned(),
        }))
    }

    async fn redeem_password(
        &self,
        _pending: &Pending,
        response: &AuthnResponse,
        attempt: &mut PasswordAttempt,
    ) -> Result<Profile, ConnectorError> {
        // Refuses an empty password, with which a bind is anonymous and succeeds.
        let credentials = PasswordCredentials::of(&response.fields)?;
        let began = self.clock.now();
        let logged_in = timeout(LOGIN_TIMEOUT, self.log_in(credentials, attempt)).await;
        let logged_in = logged_in.unwrap_or_else(|_| Err(LdapError::LoginTimeout.into()));
        if let Err(error) = &logged_in
            && error.is_wrong_password()
        {
            let rest = until_next_step(self.clock.now().since(began));
            self.clock.sleep(rest).await;
        }
        logged_in
    }

    fn person_lookup(self: Arc<Self>) -> Option<Arc<dyn PersonLookup>> {
        self.can_look_up().then_some(self as Arc<dyn PersonLookup>)
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}
