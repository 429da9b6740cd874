//! The settings of `[login]`.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::setting::Period;
use crate::store::ConnectorId;

/// `[login]`: limits of logins, and custom front ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoginConfig {
    /// The most logins that one client address may begin in a minute.
    pub begins_per_client_per_minute: u32,
    /// The most logins that all clients together may begin in a minute.
    pub begins_per_minute: u32,
    /// The most logins that one client address may finish in a minute. The same number limits its
    /// tickets to other hosts, its entry tokens, and its front-channel logouts of unknown sessions.
    pub finishes_per_client_per_minute: u32,
    /// The most logins that all clients together may finish in a minute. The same number limits their tickets,
    /// and their entry tokens. Front-channel logouts of unknown sessions have the same limit for each
    /// connector, but at most 4,000.
    pub finishes_per_minute: u32,
    /// After this many consecutive codes that a source rejected, clients that sent one are refused for
    /// a while, and the codes of other clients are sent to the source a few at a time. At most five
    /// wrong codes of one client count, and a limited number of one IPv6 /48.
    pub bad_codes_max: u32,
    /// How long clients that sent a wrong code are refused.
    pub bad_codes_pause: Period,
    /// The most wrong passwords for one user name of one connector, and for one person of an LDAP directory
    /// under whatever names, from all addresses, within `wrong_passwords_pause`. Then no password for it is
    /// verified until that time has passed since the first wrong one. Keep it below the number after which a
    /// directory locks the account.
    pub wrong_passwords_per_login: u32,
    /// The most wrong passwords of one client address for all user names within
    /// `wrong_passwords_pause`; an IPv6 /48 may send three times as many.
    pub wrong_passwords_per_client: u32,
    /// How long wrong passwords count, from the first one on. Each process counts for itself.
    pub wrong_passwords_pause: Period,
    /// The most requests to `/events` that one client address may send in a minute. Each source may
    /// deliver ten times as many events, from all its addresses together.
    pub events_per_client_per_minute: u32,
    /// The most events of sources that wait to be handled. Further ones are refused, and the source sends
    /// them again.
    pub waiting_events_max: u32,
    /// Origins of custom front ends that may call `/login-config` and `/login` with `fetch`, and may
    /// read error responses of menshen.
    pub origins: Vec<Url>,
    /// The connector to which people are redirected who open an application and are not signed in, if it is
    /// enabled and the route accepts it. Absent: the administrator chooses it in the console, or they see the
    /// sign-in page.
    pub default: Option<ConnectorId>,
    /// The connectors that come first on the sign-in page, in this order; the others follow as they stand in
    /// this file, then those of the console by their IDs.
    pub order: Vec<ConnectorId>,
}

impl LoginConfig {
    /// Where a connector stands on the sign-in page: the default first, then those of `order`. The others
    /// keep their order.
    pub(crate) fn position_of(&self, id: &ConnectorId) -> usize {
        if self.default.as_ref() == Some(id) {
            return 0;
        }
        let position = self.order.iter().position(|other| other == id);
        position.map_or(usize::MAX, |position| position + 1)
    }

    /// Whether both have the same limits of logins.
    pub(super) fn has_same_limits(&self, other: &Self) -> bool {
        let limits = |config: &Self| Self {
            origins: Vec::new(),
            default: None,
            order: Vec::new(),
            ..config.clone()
        };
        limits(self) == limits(other)
    }
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self {
            begins_per_client_per_minute: 60,
            begins_per_minute: 6_000,
            finishes_per_client_per_minute: 60,
            finishes_per_minute: 6_000,
            bad_codes_max: 20,
            bad_codes_pause: Period::s(10),
            wrong_passwords_per_login: 10,
            wrong_passwords_per_client: 30,
            wrong_passwords_pause: Period::s(300),
            events_per_client_per_minute: 6_000,
            waiting_events_max: 10_000,
            origins: Vec::new(),
            default: None,
            order: Vec::new(),
        }
    }
}
