//! `Session`, `Sessions`: mint, find, revoke. moka before the store.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::profile::{Fields, Proof};
use super::source::Tokens;
use crate::clock::Timestamp;
use crate::expression::Document;
use crate::secret::Secret;
use crate::store::{AccountId, ConnectorId, LoginName, SessionId, SessionKey, Subject};

mod cell;
mod refresh;
mod sessions;
mod tokens;

pub use refresh::{Attended, Pace, Refresher, SourceTerms};
pub use sessions::{Found, MintError, Minting, Missing, NewLogin, Once, Sessions};
pub use tokens::Due;

use tokens::TokenCell;

/// Somebody who is here: what was proved. Immutable; minted at a login.
#[derive(Debug)]
pub struct Session {
    /// For logs, audit and the administrator; opens nothing.
    pub public_id: SessionId,
    /// What the store knows it by.
    pub key: SessionKey,
    /// Whose it is.
    pub account: AccountId,
    /// What applications know them by.
    pub login: LoginName,
    /// Who proved them.
    pub via: ConnectorId,
    /// What that source calls them.
    pub subject: Subject,
    /// The session's name at the provider.
    pub provider_sid: Option<String>,
    /// What the login proved besides.
    pub proof: Proof,
    /// Its authentication methods as rules see them.
    pub amr: Document,
    /// When they came in.
    pub minted_at: Timestamp,
    /// The absolute end.
    pub expires_at: Timestamp,
}

/// What may change while somebody is here; a rule sees the new ones on the next request.
#[derive(Debug)]
pub struct Entitlements {
    /// The mapped fields.
    pub fields: Fields,
    /// `user` as rules see it, converted once.
    pub user: Document,
    /// The login they were converted with.
    pub login: LoginName,
    /// Their number.
    pub epoch: u64,
    /// Whether the store gave that number. One that it did not give is a guess, which gives way to
    /// whatever the store numbers later.
    pub numbered: bool,
    /// What others made of them, for as long as they hold.
    pub memo: Memo,
}

/// Something that is computed from what does not change, once; whoever asks knows what it is.
#[derive(Default)]
pub struct Memo(OnceLock<Box<dyn Any + Send + Sync>>);

impl Memo {
    /// What was made before, or is made now; nothing when somebody else made something else.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo(..)")
    }
}

/// A session with what it may do now.
#[derive(Clone, Debug)]
pub struct Person {
    /// What was proved.
    pub session: Arc<Session>,
    /// What may change.
    pub entitlements: Arc<Entitlements>,
    /// When the source last said who they are, or could not be asked: the cookie's own date.
    pub asked_at: Timestamp,
    /// Whether the cookie should be written again: its key no longer signs, or its date is not
    /// `asked_at`.
    pub sign_again: bool,
    /// Whether the session's tokens want a refresh.
    pub due: Due,
    /// The token of their source that they brought instead of a cookie.
    pub token: Option<Arc<Secret<String>>>,
    pub(crate) tokens: Option<Arc<TokenCell>>,
}

impl Person {
    /// What the provider handed out, as it is now: not as it was when the person was found.
    pub fn tokens(&self) -> Option<Arc<Tokens>> {
        self.tokens.as_ref().and_then(|cell| cell.tokens())
    }
}

/// `[session]` terms that a request is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// From the login to the absolute end.
    pub lifetime: std::time::Duration,
    /// Without a request.
    pub idle_timeout: std::time::Duration,
}

/// `[session]` as written; the keys are read by whoever builds the ring.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// Keys that sign and seal, made by `menshen keygen`; the first signs, all verify. Absent: one
    /// is made and kept in the store.
    pub keys: Vec<crate::secret::SecretSource>,
    /// From the login to the absolute end.
    pub lifetime: crate::setting::Period,
    /// How long a session lives without a request; an open WebSocket counts as one.
    pub idle_timeout: crate::setting::Period,
    /// How many sessions are kept in memory.
    pub cached_sessions_max: u64,
    /// What the session cookie is called behind `__Host-` or `__Secure-`. Two sites that share a
    /// domain or a host need two names. After a change everybody signs in anew.
    pub cookie_name: super::cookie::CookieName,
    /// One cookie for every host below this domain, yours or not. Without it other hosts of the
    /// site get their own cookie by a ticket.
    pub cookie_domain: Option<String>,
    /// `none` for applications that are embedded in another site's frame; https only. Whoever signs in
    /// for such a frame does so in a tab, and is asked there; only while no route and none of
    /// `[login] origins` is on the host of `external_url`, whose scripts could answer in their place.
    pub cookie_same_site: super::cookie::SameSiteConfig,
    /// With `cookie_same_site = "none"`: whose pages may show the page that signs in inside a frame, by
    /// their origins. Absent: every site's. Applications name for themselves who may show them.
    pub frame_ancestors: Vec<url::Url>,
    /// How long sessions count while the store does not answer.
    pub store_outage_grace: crate::setting::Period,
}

impl Default for SessionConfig {
    fn default() -> Self {
        use crate::setting::Period;
        Self {
            keys: Vec::new(),
            lifetime: Period::s(12 * 3600),
            idle_timeout: Period::s(2 * 3600),
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
    /// Of one identity of an account.
    pub fn new(
        account: AccountId,
        login: &LoginName,
        via: &ConnectorId,
        fields: Fields,
        epoch: u64,
    ) -> Self {
        let user = Document::from(&user(account, login, via, &fields));
        Self {
            fields,
            user,
            login: login.clone(),
            epoch,
            numbered: true,
            memo: Memo::default(),
        }
    }

    /// The number of fields that follow these, as long as the store did not say it: one more, as the
    /// store counts, so that a look that read the old ones does not bring them back. Guesses do not
    /// add up, or they would run ahead of the store.
    fn guess_next(&self, fields: &Fields) -> u64 {
        self.epoch + u64::from(self.numbered && self.fields != *fields)
    }

    /// The same, when its number is a guess.
    fn guessed(self) -> Self {
        Self {
            numbered: false,
            ..self
        }
    }
}

/// `user` as rules, headers and `/userinfo` see it.
fn user(
    account: AccountId,
    login: &LoginName,
    via: &ConnectorId,
    fields: &Fields,
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
        "orgs": fields.orgs,
        "tenant_code": fields.tenant_code,
        "tenant_name": fields.tenant_name,
        "platform": fields.platform,
        "connector": via.as_str(),
        "attributes": attributes,
    })
}
