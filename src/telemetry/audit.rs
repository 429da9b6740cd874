//! `AuditRecord`: logins, sign-outs, refusals and revocations.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;

use super::error_chain;
use super::json_line::{JsonLine, truncate};
use crate::clock::Timestamp;

/// The maximum logged length of a User-Agent, in bytes.
const USER_AGENT_BYTES_MAX: usize = 256;

/// One record of the audit trail. It never contains a token, a code or a cookie.
#[derive(Clone)]
pub struct AuditRecord<'a> {
    pub at: Timestamp,
    pub event: AuditEvent,
    pub request_id: Option<&'a str>,
    pub connector: Option<&'a str>,
    /// The configured name of the issuer of a bearer token.
    pub issuer: Option<&'a str>,
    /// The subject as the connector or issuer names it.
    pub subject: Option<&'a str>,
    /// The login name, which applications receive.
    pub login: Option<&'a str>,
    /// The account id.
    pub account: Option<&'a dyn fmt::Display>,
    /// The public id of the session.
    pub session: Option<&'a dyn fmt::Display>,
    /// The public id and the name of an access token.
    pub access_token: Option<(&'a dyn fmt::Display, &'a str)>,
    /// The client's address, behind trusted proxies.
    pub client: Option<IpAddr>,
    /// The User-Agent header; truncated to 256 bytes.
    pub user_agent: Option<Cow<'a, str>>,
    pub reason: Option<&'a str>,
    /// The name of the administrator who did it.
    pub by: Option<&'a str>,
    /// The error, logged with all its causes.
    pub error: Option<&'a (dyn Error + 'static)>,
}

/// The kind of an audit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditEvent {
    /// A login succeeded.
    Login,
    /// A login or a bearer token was refused.
    Refused,
    /// A person signed out.
    SignOut,
    /// An administrator or a provider ended sessions.
    Revoked,
    AccountClosed,
    AccountReopened,
    /// A source gave a person a new subject; the account and its sessions stay.
    SubjectRenamed,
    /// A signed-in person added an identity with which they may sign in from now on.
    IdentityLinked,
    /// An administrator took an identity off an account.
    IdentityRemoved,
    /// An administrator imported people.
    PeopleImported,
    /// A directory sync ended; the reason has its counts.
    DirectorySynced,
    /// An administrator changed the login name or the fields of a person.
    PersonChanged,
    /// An administrator added a person whose password the store keeps.
    PersonAdded,
    /// An administrator removed such a person.
    PersonRemoved,
    /// Such a person, or an administrator, changed the password.
    PasswordChanged,
    /// A program got the application's token of a connector, or the source issued none.
    AppToken,
    /// A program reported that the source rejects the application's token.
    AppTokenRejected,
    /// A provider refused to refresh the tokens of a session, which was ended.
    RefreshRefused,
    /// A person made an access token.
    AccessTokenMade,
    /// A person or an administrator ended an access token.
    AccessTokenEnded,
    /// A refresh changed the entitlements of a signed-in person; the reason names the fields.
    EntitlementsChanged,
}

impl AuditEvent {
    /// The value in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refused => "refused",
            Self::SignOut => "sign-out",
            Self::Revoked => "revoked",
            Self::AccountClosed => "closed",
            Self::AccountReopened => "opened",
            Self::SubjectRenamed => "renamed",
            Self::IdentityLinked => "linked",
            Self::IdentityRemoved => "unlinked",
            Self::PeopleImported => "imported",
            Self::DirectorySynced => "synced",
            Self::PersonChanged => "changed",
            Self::PersonAdded => "added",
            Self::PersonRemoved => "removed",
            Self::PasswordChanged => "password-changed",
            Self::AppToken => "app-token",
            Self::AppTokenRejected => "app-token-rejected",
            Self::RefreshRefused => "refresh-gone",
            Self::AccessTokenMade => "token-made",
            Self::AccessTokenEnded => "token-ended",
            Self::EntitlementsChanged => "entitlements",
        }
    }
}

impl<'a> AuditRecord<'a> {
    /// A record with nothing but an event and a time.
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
            access_token: None,
            client: None,
            user_agent: None,
            reason: None,
            by: None,
            error: None,
        }
    }

    /// `suppressed`: how many records of anonymous clients were suppressed since the last record.
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
            .optional_display("access_token", self.access_token.map(|(id, _)| id))
            .optional_text("access_token_name", self.access_token.map(|(_, name)| name))
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
            .optional_text("by", self.by)
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
