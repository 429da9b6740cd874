//! `ProviderLogout`: ending a session at its source, and hearing that the source ended one.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use url::Url;

use super::ConnectorError;
use crate::client::Client;
use crate::login::fields::Fields;
use crate::secret::Secret;
use crate::store::LogoutTarget;

/// The logout of a source that has one.
#[async_trait]
pub trait ProviderLogout: Send + Sync {
    /// The page that ends the source's own session in a browser, as far as it is known now; asks
    /// nobody.
    fn page(&self) -> Option<Url>;

    /// Where a browser goes to end the source's own session too (OpenID Connect RP-Initiated Logout
    /// 1.0), and from where it comes `back` with `state`; nothing when the source has no such page.
    /// A source that does not answer delays nobody: what is not known by then is left out.
    async fn address(
        &self,
        id_token: Option<&Secret<String>>,
        back: &Url,
        state: &str,
    ) -> Option<Url>;

    /// What the source says it has ended, by a token that a client brought (Back-Channel Logout 1.0
    /// §2.6); nothing when its kind has no such token.
    async fn notice(
        &self,
        _token: &str,
        _client: Option<Client>,
    ) -> Option<Result<LogoutNotice, ConnectorError>> {
        None
    }

    /// The session that the source ends through the browser (Front-Channel Logout 1.0 §3), when the
    /// request names this source and a session of it.
    fn front_channel(&self, _fields: &Fields) -> Option<LogoutTarget> {
        None
    }
}

/// What a source says it has ended. Verified.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// Its own name: it is taken once.
    pub id: String,
    /// What it ended.
    pub mark: LogoutTarget,
}

impl Debug for LogoutNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutNotice")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}
