//! `Issuer`: fetches and caches the metadata and keys of a token issuer and verifies its tokens.
//!
//! OpenID Connect Discovery 1.0, RFC 7517 (keys), RFC 7519 (claims), RFC 8725 (best practices against
//! attacks). While an issuer is down, the last metadata and keys stay in use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use url::Url;

use crate::clock::Clock;
use crate::outbound::{Outbound, OutboundError};
use crate::text;
use crate::wording::{Text, error_of_text};

mod algorithm;
mod cached_document;
mod claims;
mod keys;
mod metadata;
mod name;
mod tenant;
mod token_hash;
mod verify;

pub use algorithm::SigningAlgorithm;
pub use cached_document::TokenSender;
pub use claims::{ClaimError, Claims};
pub use metadata::{Metadata, MetadataError};
pub use name::{InvalidIssuerName, IssuerName};
pub use tenant::{InvalidTenantName, Tenant, TenantName, TenantSetting, tenants_problem};
pub use token_hash::token_hash;
pub use verify::{SignedToken, TokenError, TokenRequirements, VerifiedToken, verify_with_keys};

use cached_document::CachedDocument;
use keys::Keys;

/// The algorithms that are accepted by default: asymmetric ones only, so that a public key is never
/// used as a shared secret.
pub const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The clock difference to the issuer that is tolerated.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// How long metadata is used before it is fetched again in the background.
const METADATA_FRESH: Duration = Duration::from_secs(3600);
/// The same for keys. It is shorter, so that a withdrawn key is soon refused.
const KEYS_FRESH: Duration = Duration::from_secs(600);

/// The settings of one issuer.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The `iss` claim of its tokens.
    pub name: IssuerName,
    /// The tenants whose tokens are accepted, if the name has a placeholder for the tenant.
    pub tenants: Vec<TenantName>,
    /// The URL of the metadata. Absent: `.well-known/openid-configuration` below the name.
    pub metadata_url: Option<Url>,
    /// The URL of the keys. Absent: `jwks_uri` of the metadata.
    pub keys_url: Option<Url>,
    /// The accepted algorithms; symmetric ones are never accepted.
    pub algorithms: Vec<Algorithm>,
}

/// One issuer. Its metadata and keys are fetched at the first use.
pub struct Issuer {
    settings: IssuerSettings,
    outbound: Outbound,
    clock: Clock,
    metadata: CachedDocument<Metadata>,
    keys: CachedDocument<Keys>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}

/// Why the metadata or keys of an issuer are not available.
#[derive(Clone, Debug)]
pub enum IssuerError {
    /// It sent no valid response.
    Unreachable {
        issuer: IssuerName,
        source: Arc<OutboundError>,
    },
    Metadata {
        issuer: IssuerName,
        source: Arc<MetadataError>,
    },
    /// A recent request failed, and the pause before the next one is not over.
    RecentFailure { issuer: IssuerName },
}

impl IssuerError {
    fn text(&self) -> Text {
        match self {
            Self::Unreachable { issuer, .. } => text!(
                "ask the issuer {issuer} for its metadata or keys",
                "无法取得签发方 {issuer} 的元数据或公钥"
            ),
            Self::Metadata { issuer, .. } => {
                text!("read the metadata of {issuer}", "{issuer} 的元数据无法使用")
            }
            Self::RecentFailure { issuer } => text!(
                "a request to the issuer {issuer} failed a moment ago, so none is sent now",
                "刚才对签发方 {issuer} 的请求失败了，暂时不再发送"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } => Some(&**source),
            Self::Metadata { source, .. } => Some(&**source),
            Self::RecentFailure { .. } => None,
        }
    }
}

error_of_text!(IssuerError, caused);

impl IssuerError {
    /// Whether the issuer accepted the connection and did not respond in time.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_timeout(),
            Self::Metadata { .. } | Self::RecentFailure { .. } => false,
        }
    }

    /// Whether no response arrived at all: a browser that is redirected there would get none either.
    pub fn is_no_response(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_no_response(),
            Self::RecentFailure { .. } => true,
            Self::Metadata { .. } => false,
        }
    }
}

impl Issuer {
    pub fn new(settings: IssuerSettings, outbound: Outbound, clock: Clock) -> Self {
        Self {
            metadata: CachedDocument::new(settings.name.clone(), METADATA_FRESH, clock.clone()),
            keys: CachedDocument::new(settings.name.clone(), KEYS_FRESH, clock.clone()),
            settings,
            outbound,
            clock,
        }
    }

    /// The `iss` claim of its tokens.
    pub fn name(&self) -> &IssuerName {
        &self.settings.name
    }

    /// The tenant that an `iss` value names, if it is a value of this issuer and the tenant is allowed.
    /// The value may be untrusted.
    pub fn tenant_of(&self, iss: &str) -> Option<Tenant> {
        let name = &self.settings.name;
        if !name.serves_tenants() {
            return (iss == name.as_str()).then(Tenant::default);
        }
        let id = name.tenant_in(iss)?;
        tenant::is_allowed(&self.settings.tenants, id).then(|| Tenant::of(id))
    }

    /// The metadata: fetched at the first use, cached, and refreshed in the background. Cancel-safe.
    pub async fn metadata(&self) -> Result<Arc<Metadata>, IssuerError> {
        let fetch = metadata::fetch(self.settings.clone(), self.outbound.for_probes());
        self.metadata.get(fetch).await
    }

    /// The metadata, fetched again unless it is younger than `age`. This shows, before a browser is
    /// redirected to the issuer, whether the issuer responds. An error keeps the cached metadata.
    /// Cancel-safe.
    pub async fn metadata_newer_than(&self, age: Duration) -> Result<Arc<Metadata>, IssuerError> {
        let fetch = metadata::fetch(self.settings.clone(), self.outbound.for_probes());
        self.metadata.get_newer_than(age, fetch).await
    }

    /// The last fetched metadata; sends no request.
    pub fn cached_metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.cached()
    }

    /// The number of its keys for accepted algorithms. Fetches the keys if they are not cached.
    pub async fn count_keys(&self) -> Result<usize, IssuerError> {
        let keys = self.keys(None).await?;
        Ok(keys.count(&self.settings.algorithms))
    }

    /// Its keys, from the cache if possible. With `refetch_for` they are fetched again, if that sender
    /// of tokens has not caused too many fetches.
    async fn keys(&self, refetch_for: Option<TokenSender>) -> Result<Arc<Keys>, IssuerError> {
        if let (Some(sender), Some(cached)) = (refetch_for, self.keys.cached())
            && !self.keys.may_refetch(sender)
        {
            return Ok(cached);
        }
        let url = match &self.settings.keys_url {
            Some(url) => url.clone(),
            None => self.metadata().await?.jwks_uri.clone(),
        };
        let name = self.settings.name.clone();
        let fetch = keys::fetch(name, url, self.outbound.clone());
        match refetch_for {
            Some(_) => self.keys.refetch(fetch).await,
            None => self.keys.get(fetch).await,
        }
    }
}
