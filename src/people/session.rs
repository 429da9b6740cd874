//! `Session` and its entitlements, and `Sessions`: an in-memory cache in front of the store.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::access_tokens::UsedAccessToken;
use super::profile::{AuthContext, UserFields};
use super::provider_tokens::ProviderTokens;
use crate::clock::Timestamp;
use crate::expression::{Document, KNOWN_DEPARTMENT_PATHS};
use crate::secret::Secret;
use crate::store::{
    AccountId, ConnectorId, DepartmentPath, LocalEntitlements, LoginName, SessionId, SessionKey,
    Subject,
};
use crate::telemetry::AuditRecord;

mod refresh;
mod sessions;
mod shared_state;
mod tokens;

pub use refresh::{AfterRefresh, RefreshTimeouts, RefreshableConnector, Refresher};
pub(in crate::people) use sessions::differences;
pub use sessions::{
    AccessTokenLookup, ClockDifference, MintError, MintedSession, NewLogin, NoSession,
    OneTimeSession, SessionLookup, Sessions, SourceQuestion,
};
pub use tokens::RefreshDue;

use tokens::TokenState;

/// How long after a sign-in a session may make access tokens and add identities, so that a stolen cookie of
/// an old session gets nothing that outlives it.
pub const NEW_CREDENTIALS_ALLOWED_FOR: Duration = Duration::from_secs(3600);

/// The part of a session that does not change while it is cached.
#[derive(Debug)]
pub struct Session {
    /// Names the session in logs and in the admin API; it does not authenticate.
    pub public_id: SessionId,
    /// The key in the store.
    pub key: SessionKey,
    pub account: AccountId,
    /// The login name of the account when the session was loaded, which applications receive.
    pub login: LoginName,
    /// The connector of the login.
    pub via: ConnectorId,
    /// The subject identifier at the provider.
    pub subject: Subject,
    /// The session ID at the provider.
    pub provider_sid: Option<String>,
    /// How the person authenticated.
    pub auth_context: AuthContext,
    /// The authentication methods, converted for rules.
    pub amr: Document,
    pub minted_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Session {
    /// Whether the sign-in was recent enough to make access tokens and to add identities.
    pub fn may_get_credentials(&self, now: Timestamp) -> bool {
        now.since(self.minted_at) <= NEW_CREDENTIALS_ALLOWED_FOR
    }

    /// The audit record with the person and the public ID of this session.
    pub fn named_in<'a>(&'a self, record: AuditRecord<'a>) -> AuditRecord<'a> {
        AuditRecord {
            connector: Some(self.via.as_str()),
            subject: Some(self.subject.as_str()),
            login: Some(self.login.as_str()),
            account: Some(&self.account),
            session: Some(&self.public_id),
            ..record
        }
    }
}

/// The part of a session that may change: a rule sees new values on the next request.
#[derive(Debug)]
pub struct Entitlements {
    pub account: AccountId,
    /// What the source says about the person, and what menshen itself gives them.
    pub fields: UserFields,
    /// What menshen itself gives the person.
    pub(super) local: Option<Arc<LocalEntitlements>>,
    /// What the source alone says, if that differs from `fields`.
    source_fields: Option<Box<UserFields>>,
    /// The variable `user` of rules, converted once.
    pub user: Document,
    /// The login name in `user`.
    pub login: LoginName,
    /// The version of the fields.
    pub epoch: u64,
    /// Whether the version comes from the store. A guess is replaced by any version from the store.
    pub has_store_epoch: bool,
    /// A value that callers derive from the entitlements.
    pub memo: Memo,
}

/// A lazily computed value whose type only the caller knows.
#[derive(Default)]
pub struct Memo(OnceLock<Box<dyn Any + Send + Sync>>);

impl Memo {
    /// Returns the value, computing it on the first call; `None` if its type is another one.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo(..)")
    }
}

/// A session with its current entitlements.
#[derive(Clone, Debug)]
pub struct Person {
    pub session: Arc<Session>,
    pub entitlements: Arc<Entitlements>,
    /// When the provider last confirmed the person, or was unreachable; the issue time of the cookie.
    pub confirmed_at: Timestamp,
    /// Whether to set the cookie again: its key no longer signs, or its issue time is not
    /// `confirmed_at`.
    pub needs_new_cookie: bool,
    /// Whether the provider's tokens need a refresh.
    pub refresh_due: RefreshDue,
    /// The bearer token that the client sent instead of a cookie.
    pub bearer_token: Option<Arc<Secret<String>>>,
    /// The access token that the client sent instead of a cookie.
    pub access_token: Option<Arc<UsedAccessToken>>,
    pub(crate) token_state: Option<Arc<TokenState>>,
}

impl Person {
    /// The current tokens of the provider, even if they changed during this request.
    pub fn provider_tokens(&self) -> Option<Arc<ProviderTokens>> {
        self.token_state.as_ref().and_then(|state| state.tokens())
    }
}

/// The time limits of `[session]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimeouts {
    /// How long a session lasts after the login, even if it is used.
    pub lifetime: std::time::Duration,
    /// How long a session lasts without a request.
    pub idle_timeout: std::time::Duration,
}

/// `[session]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Keys that sign cookies and encrypt stored tokens, from `menshen keygen`: the first one signs and
    /// encrypts, all verify and decrypt. Absent: a key is generated and stored in the database.
    pub keys: Vec<crate::secret::SecretSource>,
    /// How long a session lasts after the login, even if it is used.
    pub lifetime: crate::setting::Period,
    /// How long a session lasts without a request; an open WebSocket counts as one.
    pub idle_timeout: crate::setting::Period,
    /// How long an access token lasts at most, on routes with `access_tokens`; the person who makes one
    /// chooses its end.
    pub access_token_max: crate::setting::Period,
    /// How many unknown access tokens one client address may send in a minute, and as many in a burst.
    /// Further ones get 503 and are not looked up. A token that exists does not count.
    pub unknown_access_tokens_per_client_per_minute: u32,
    /// How many sessions and access tokens are cached in memory.
    pub cached_sessions_max: u64,
    /// The name of the session cookie, after the prefix `__Host-` or `__Secure-`. Two sites that share
    /// a domain or a host need different names. After a change everybody must sign in again.
    pub cookie_name: super::cookie::CookieName,
    /// Browsers send the session cookie to every host of this domain, including hosts that are not
    /// yours. Absent: each host of the site gets its own cookie, by a one-time ticket.
    pub cookie_domain: Option<String>,
    /// `none` for applications that are embedded in a frame of another site; https only. People then
    /// sign in and confirm in a new tab. That works only if neither a route nor `[login] origins` uses
    /// the host of `external_url`: a script there could confirm in their place.
    pub cookie_same_site: super::cookie::SameSiteConfig,
    /// With `cookie_same_site = "none"`: the origins whose pages may embed the sign-in page in a frame.
    /// Absent: all. Each application decides for itself who may embed it.
    pub frame_ancestors: Vec<url::Url>,
    /// How long cached sessions stay valid while the database is not available.
    pub store_outage_grace: crate::setting::Period,
}

impl Default for SessionConfig {
    fn default() -> Self {
        use crate::setting::Period;
        Self {
            keys: Vec::new(),
            lifetime: Period::s(12 * 3600),
            idle_timeout: Period::s(2 * 3600),
            access_token_max: Period::s(90 * 86_400),
            unknown_access_tokens_per_client_per_minute: 60,
            cached_sessions_max: 1_000_000,
            cookie_name: super::cookie::CookieName::default(),
            cookie_domain: None,
            cookie_same_site: super::cookie::SameSiteConfig::Lax,
            frame_ancestors: Vec::new(),
            store_outage_grace: Period::s(300),
        }
    }
}

impl Entitlements {
    /// `fields` is what the source says about the person.
    pub fn new(
        account: AccountId,
        login: &LoginName,
        local: Option<&Arc<LocalEntitlements>>,
        via: &ConnectorId,
        mut fields: UserFields,
        epoch: u64,
    ) -> Self {
        let source_fields = local.map(|local| {
            let source_fields = Box::new(fields.clone());
            fields.add_local(local);
            source_fields
        });
        let mut user = user(account, login, via, &fields);
        let source = source_fields.as_deref().unwrap_or(&fields);
        if !source.departments_without_path.is_empty() {
            let department = local.and_then(|local| local.department.as_ref());
            leave_out_unknown_departments(&mut user, source, department);
        }
        let user = Document::from(&user);
        Self {
            account,
            fields,
            local: local.cloned(),
            source_fields,
            user,
            login: login.clone(),
            epoch,
            has_store_epoch: true,
            memo: Memo::default(),
        }
    }

    /// What the source alone says about the person. Only this is compared with what the source says later,
    /// and only this is stored with the identity.
    pub(super) fn source_fields(&self) -> &UserFields {
        self.source_fields.as_deref().unwrap_or(&self.fields)
    }

    /// The version of new fields until the store gives theirs: one more than that of the old fields, so
    /// that a load of the old ones does not restore them. A guess is not increased again, because it
    /// would exceed the version that the store gives.
    fn next_guessed_epoch(&self, fields: &UserFields) -> u64 {
        self.epoch + u64::from(self.has_store_epoch && self.source_fields() != fields)
    }

    fn into_guess(self) -> Self {
        Self {
            has_store_epoch: false,
            ..self
        }
    }
}

/// The fields of `user` that rules and headers can name. What a mapping gives under another name is in `attributes`.
pub const USER_FIELDS: [&str; 19] = [
    "id",
    "login",
    "name",
    "email",
    "mobile",
    "groups",
    "roles",
    "departments",
    "department_paths",
    "department_ids",
    "department_id_paths",
    "led_department_ids",
    "tags",
    "orgs",
    "tenant_code",
    "tenant_name",
    "platform",
    "connector",
    "attributes",
];

/// `user` as rules, headers and `/userinfo` see it.
fn user(
    account: AccountId,
    login: &LoginName,
    via: &ConnectorId,
    fields: &UserFields,
) -> serde_json::Value {
    let attributes: &BTreeMap<_, _> = &fields.attributes;
    json!({
        "id": account.to_string(),
        "login": login.as_str(),
        "name": fields.name,
        "email": fields.email,
        "mobile": fields.mobile,
        "groups": fields.groups,
        "roles": fields.roles,
        "departments": fields.departments,
        "department_paths": fields.department_paths,
        "department_ids": fields.department_ids,
        "department_id_paths": fields.department_id_paths,
        "led_department_ids": fields.led_department_ids,
        "tags": fields.tags,
        "orgs": fields.orgs,
        "tenant_code": fields.tenant_code,
        "tenant_name": fields.tenant_name,
        "platform": fields.platform,
        "connector": via.as_str(),
        "attributes": attributes,
    })
}

/// Leaves out what is not known of departments: to read it is an error, and an error denies. With the IDs in
/// the place of names a rule such as `!('外包' in user.departments)` would let in everybody.
/// `source` has the fields of the source; the department that menshen itself gives has no ID and comes last.
fn leave_out_unknown_departments(
    user: &mut serde_json::Value,
    source: &UserFields,
    local: Option<&DepartmentPath>,
) {
    let Some(user) = user.as_object_mut() else {
        return;
    };
    user.remove("department_paths");
    if !source.has_department_names() {
        user.remove("departments");
    }
    let mut known = source.known_department_paths();
    known.resize(known.len().max(source.department_ids.len()), "");
    known.extend(local.map(DepartmentPath::as_str));
    user.insert(KNOWN_DEPARTMENT_PATHS.to_owned(), json!(known));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_user_are_those_that_rules_may_read() {
        let fields = UserFields::default();
        let (login, via) = ("zhangsan".parse().unwrap(), "corp".parse().unwrap());
        let user = user(AccountId::new([0; 16]), &login, &via, &fields);
        let mut written: Vec<_> = user
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        written.sort_unstable();
        let mut known = USER_FIELDS.to_vec();
        known.sort_unstable();
        assert_eq!(written, known);
    }
}
