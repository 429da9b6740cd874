//! `AuditRecord`: logins, sign-outs, refusals and revocations.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

use super::error_chain;
use super::json_line::{JsonLine, truncate};
use crate::clock::Timestamp;
use crate::text;
use crate::wording::{Language, Text, error_of_text};

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
    /// The ID of the account, which stays when its login changes.
    pub account: Option<&'a dyn fmt::Display>,
    /// The public ID of the session.
    pub session: Option<&'a dyn fmt::Display>,
    /// The public ID and the name of an access token.
    pub access_token: Option<(&'a dyn fmt::Display, &'a str)>,
    /// The client's address, behind trusted proxies.
    pub client: Option<IpAddr>,
    /// The User-Agent header; truncated to 256 bytes.
    pub user_agent: Option<Cow<'a, str>>,
    /// In English; the line of the store has the Chinese words beside it.
    pub reason: Option<&'a Text>,
    /// The name of the administrator who did it.
    pub by: Option<&'a str>,
    /// The version of the managed settings that the change made.
    pub version: Option<u64>,
    /// The names of the changed settings, without values.
    pub changed: Option<&'a str>,
    /// The error, logged with all its causes.
    pub error: Option<&'a (dyn Error + 'static)>,
}

/// Defines [`AuditEvent`] with the value of each event in the audit trail.
macro_rules! audit_events {
    ($($(#[$doc:meta])* $event:ident = $text:literal,)*) => {
        /// The kind of an audit record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub enum AuditEvent {
            $($(#[$doc])* $event,)*
        }

        impl AuditEvent {
            pub const ALL: &[Self] = &[$(Self::$event),*];

            /// The value in the audit trail.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$event => $text,)*
                }
            }
        }
    };
}

audit_events! {
    /// A login succeeded.
    Login = "login",
    /// A login or a bearer token was refused.
    Refused = "refused",
    /// A person signed out.
    SignOut = "sign-out",
    /// An administrator or a provider ended sessions.
    Revoked = "revoked",
    AccountClosed = "closed",
    AccountReopened = "opened",
    /// A source gave a person a new subject; the account and its sessions stay.
    SubjectRenamed = "renamed",
    /// A signed-in person added an identity with which they may sign in from now on.
    IdentityLinked = "linked",
    /// An administrator took an identity off an account.
    IdentityRemoved = "unlinked",
    /// An administrator imported people.
    PeopleImported = "imported",
    /// A directory sync ended; the reason has its counts.
    DirectorySynced = "synced",
    /// An administrator changed the login name or the fields of a person.
    PersonChanged = "changed",
    /// An administrator added a person whose password the store keeps.
    PersonAdded = "added",
    /// An administrator removed such a person.
    PersonRemoved = "removed",
    /// Such a person, or an administrator, changed the password.
    PasswordChanged = "password-changed",
    /// A program got the application's token of a connector, or the source issued none.
    AppToken = "app-token",
    /// A program reported that the source rejects the application's token.
    AppTokenRejected = "app-token-rejected",
    /// A provider refused to refresh the tokens of a session, which was ended.
    RefreshRefused = "refresh-gone",
    /// A person made an access token.
    AccessTokenMade = "token-made",
    /// A person or an administrator ended an access token.
    AccessTokenEnded = "token-ended",
    /// A refresh changed the entitlements of a signed-in person; the reason names the fields.
    EntitlementsChanged = "entitlements",
    /// Somebody signed in to the web console, signed out, or was refused; the reason says which.
    Console = "console",
    /// An administrator changed the managed settings, or the change was refused.
    Config = "config",
}

/// A text that no audit record has as its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEvent;

impl UnknownEvent {
    fn text(&self) -> Text {
        text!(
            "there is no such event; the events are {}",
            "没有这个事件；事件有 {}",
            event_names()
        )
    }
}

error_of_text!(UnknownEvent);

fn event_names() -> String {
    let names: Vec<_> = AuditEvent::ALL.iter().map(|event| event.as_str()).collect();
    names.join(", ")
}

impl TryFrom<String> for AuditEvent {
    type Error = UnknownEvent;

    fn try_from(text: String) -> Result<Self, UnknownEvent> {
        let mut all = Self::ALL.iter().copied();
        all.find(|event| event.as_str() == text).ok_or(UnknownEvent)
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
            version: None,
            changed: None,
            error: None,
        }
    }

    /// `suppressed`: how many records of anonymous clients were suppressed since the last record.
    pub(super) fn write(&self, buffer: &mut Vec<u8>, suppressed: u64) {
        self.write_limited(buffer, suppressed, usize::MAX);
    }

    /// Like [`Self::write`]; truncates each text that is longer than `text_bytes_max`.
    pub(super) fn write_limited(
        &self,
        buffer: &mut Vec<u8>,
        suppressed: u64,
        text_bytes_max: usize,
    ) {
        let error = self.error.map(error_chain);
        let mut line = JsonLine::begin(buffer, self.at, "menshen::audit");
        line.limit_texts(text_bytes_max)
            .text("event", self.event.as_str())
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
            .optional_text("reason", self.reason.map(english))
            .optional_text("by", self.by)
            .optional_display(
                "version",
                self.version
                    .as_ref()
                    .map(|number| number as &dyn fmt::Display),
            )
            .optional_text("changed", self.changed)
            .optional_display(
                "error",
                error.as_ref().map(|error| error as &dyn fmt::Display),
            );
        if suppressed > 0 {
            line.number("left_out", suppressed);
        }
        line.end();
    }

    /// Adds the Chinese words of the reason and of the error to a line, without its line end: `reason_zh` and
    /// `error_zh`. Those that are the same as the English ones are left out.
    pub(super) fn push_chinese(&self, line: &mut String, text_bytes_max: usize) {
        let error = self.error.map(|error| Text::of(&error_chain(error)));
        let texts = [("reason_zh", self.reason), ("error_zh", error.as_ref())];
        for (name, text) in texts {
            let chinese = text.and_then(Text::other_chinese);
            if let (Some(chinese), Some('}')) = (chinese, line.chars().next_back()) {
                line.pop();
                let chinese = truncate(&chinese, text_bytes_max);
                line.push_str(&format!(",\"{name}\":{}}}", Value::from(chinese)));
            }
        }
    }
}

fn english(text: &Text) -> &str {
    text.in_language(Language::English)
}

impl fmt::Debug for AuditRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditRecord")
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
