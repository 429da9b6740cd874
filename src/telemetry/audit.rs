//! `Audit`: who came, who went, who was turned away, and who ended what.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;

use super::error_chain;
use super::json_line::{JsonLine, truncate};
use crate::clock::Timestamp;

/// How much of a User-Agent is kept, in bytes.
const USER_AGENT_BYTES_MAX: usize = 256;

/// One entry of the audit trail. There is no place for a token, a code or a cookie in it.
#[derive(Clone)]
pub struct AuditRecord<'a> {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: AuditEvent,
    /// In which request.
    pub request_id: Option<&'a str>,
    /// Through which connector.
    pub connector: Option<&'a str>,
    /// Whose bearer token it was about, as configured.
    pub issuer: Option<&'a str>,
    /// What that source or issuer calls them.
    pub subject: Option<&'a str>,
    /// What applications know them by.
    pub login: Option<&'a str>,
    /// The id of their account.
    pub account: Option<&'a dyn fmt::Display>,
    /// The public id of their session.
    pub session: Option<&'a dyn fmt::Display>,
    /// Where the request came from.
    pub client: Option<IpAddr>,
    /// What sent it, as it says; cut to 256 bytes.
    pub user_agent: Option<Cow<'a, str>>,
    /// Why.
    pub reason: Option<&'a str>,
    /// What went wrong, with everything that caused it.
    pub error: Option<&'a (dyn Error + 'static)>,
}

/// What happened to a person's access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditEvent {
    /// They came in.
    Login,
    /// They were not let in.
    Refused,
    /// They left.
    SignOut,
    /// Sessions were ended by an administrator or a provider.
    Revoked,
    /// An account was closed.
    AccountClosed,
    /// An account was opened again.
    AccountReopened,
    /// A source no longer vouches for a session; it was ended.
    RefreshRefused,
    /// A source says something else of a person who is here; the reason names the fields.
    EntitlementsChanged,
}

impl AuditEvent {
    /// As it stands in the trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refused => "refused",
            Self::SignOut => "sign-out",
            Self::Revoked => "revoked",
            Self::AccountClosed => "closed",
            Self::AccountReopened => "opened",
            Self::RefreshRefused => "refresh-gone",
            Self::EntitlementsChanged => "entitlements",
        }
    }
}

impl<'a> AuditRecord<'a> {
    /// An entry that says no more than what happened and when.
    pub const fn new(event: AuditEvent, at: Timestamp) -> Self {
        Self {
            at,
            event,
            request_id: None,
            connector: None,
            issuer: None,
            subject: None,
            login: None,
            account: None,
            session: None,
            client: None,
            user_agent: None,
            reason: None,
            error: None,
        }
    }

    /// `left_out` entries of strangers were not written since the last one that was.
    pub(super) fn write(&self, buffer: &mut Vec<u8>, suppressed: u64) {
        let error = self.error.map(error_chain);
        let mut line = JsonLine::begin(buffer, self.at, "menshen::audit");
        line.text("event", self.event.as_str())
            .optional_text("request_id", self.request_id)
            .optional_text("connector", self.connector)
            .optional_text("issuer", self.issuer)
            .optional_text("subject", self.subject)
            .optional_text("login", self.login)
            .optional_display("account", self.account)
            .optional_display("session", self.session)
            .optional_display(
                "client",
                self.client.as_ref().map(|ip| ip as &dyn fmt::Display),
            )
            .optional_text(
                "user_agent",
                self.user_agent
                    .as_deref()
                    .map(|agent| truncate(agent, USER_AGENT_BYTES_MAX)),
            )
            .optional_text("reason", self.reason)
            .optional_display(
                "error",
                error.as_ref().map(|error| error as &dyn fmt::Display),
            );
        if suppressed > 0 {
            line.number("left_out", suppressed);
        }
        line.end();
    }
}

impl fmt::Debug for AuditRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditRecord")
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
