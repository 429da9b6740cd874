//! `Issuer`: who signs tokens: its metadata and keys, asked lazily and kept; verifies what it signed.
//!
//! OpenID Connect Discovery 1.0, RFC 7517 (keys), RFC 7519 (claims), RFC 8725 (how such tokens were
//! broken). An issuer that is down keeps what it last said: whoever has its keys goes on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use url::Url;

use crate::clock::Clock;
use crate::outbound::{Outbound, OutboundError};

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
pub use verify::{TokenError, TokenRequirements, VerifiedToken};

use cached_document::CachedDocument;
use keys::Keys;

/// The algorithms that count unless a configuration pins others: asymmetric ones only, so that a
/// public key can never be taken for a shared secret.
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

/// How far the issuer's clock and ours may lie apart.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// How long metadata is used before it is asked for again, behind the requests.
const METADATA_FRESH: Duration = Duration::from_secs(3600);
/// The same for keys: a key that was withdrawn stops counting soon after.
const KEYS_FRESH: Duration = Duration::from_secs(600);

/// What an issuer is known by.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// Its name, as it stands in tokens.
    pub name: IssuerName,
    /// Whose tokens count, where the name stands for many tenants.
    pub tenants: Vec<TenantName>,
    /// Where its metadata is, when that is not `.well-known/openid-configuration` below the name.
    pub metadata_url: Option<Url>,
    /// Where its keys are, when the metadata is not to be asked for that.
    pub keys_url: Option<Url>,
    /// The algorithms that count; symmetric ones never do.
    pub algorithms: Vec<Algorithm>,
}

/// One issuer. Asks nobody until it is used.
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

/// Why an issuer could not be asked what it says of itself, or said nothing of use.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IssuerError {
    /// It gave no answer that can be read.
    #[error("ask the issuer {issuer}")]
    Unreachable {
        /// Which.
        issuer: IssuerName,
        /// Why.
        #[source]
        source: Arc<OutboundError>,
    },
    /// What it says of itself cannot be used.
    #[error("read the metadata of {issuer}")]
    Metadata {
        /// Which.
        issuer: IssuerName,
        /// Why.
        #[source]
        source: Arc<MetadataError>,
    },
    /// It was asked in vain a moment ago.
    #[error("the issuer {issuer} gave no answer a moment ago")]
    RecentFailure {
        /// Which.
        issuer: IssuerName,
    },
}

impl IssuerError {
    /// Whether it is there and did not answer in time.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_timeout(),
            Self::Metadata { .. } | Self::RecentFailure { .. } => false,
        }
    }

    /// Whether nobody answered at all: a browser that was led there would meet nobody, too.
    pub fn is_no_response(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_no_response(),
            Self::RecentFailure { .. } => true,
            Self::Metadata { .. } => false,
        }
    }
}

impl Issuer {
    /// An issuer that is reached by this road.
    pub fn new(settings: IssuerSettings, outbound: Outbound, clock: Clock) -> Self {
        Self {
            metadata: CachedDocument::new(settings.name.clone(), METADATA_FRESH, clock.clone()),
            keys: CachedDocument::new(settings.name.clone(), KEYS_FRESH, clock.clone()),
            settings,
            outbound,
            clock,
        }
    }

    /// Its name, as it stands in tokens.
    pub fn name(&self) -> &IssuerName {
        &self.settings.name
    }

    /// Whether it is this issuer that a name means, and which tenant of it that counts here. The name
    /// may have come from anybody.
    pub fn tenant_of(&self, said: &str) -> Option<Tenant> {
        let name = &self.settings.name;
        if !name.serves_tenants() {
            return (said == name.as_str()).then(Tenant::default);
        }
        let id = name.tenant_in(said)?;
        tenant::counts(&self.settings.tenants, id).then(|| Tenant::of(id))
    }

    /// What it says of itself: asked for by the first who needs it, kept for all, and asked for
    /// again behind the requests. Cancel-safe.
    pub async fn metadata(&self) -> Result<Arc<Metadata>, IssuerError> {
        let fetch = metadata::fetch(self.settings.clone(), self.outbound.for_probes());
        self.metadata.get(fetch).await
    }

    /// The same, but asked for again unless it was said within this time: for whoever is about to
    /// lead a person there. An error does not take away what is known. Cancel-safe.
    pub async fn metadata_newer_than(&self, age: Duration) -> Result<Arc<Metadata>, IssuerError> {
        let fetch = metadata::fetch(self.settings.clone(), self.outbound.for_probes());
        self.metadata.get_newer_than(age, fetch).await
    }

    /// What it last said of itself, when it ever did; asks nobody.
    pub fn cached_metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.cached()
    }

    /// How many keys it has that could sign something for us; asks when they are not known.
    pub async fn count_keys(&self) -> Result<usize, IssuerError> {
        let keys = self.keys(None).await?;
        Ok(keys.count(&self.settings.algorithms))
    }

    /// Its keys; with `again` they are asked for although they are known, as often as this sender may.
    async fn keys(&self, again: Option<TokenSender>) -> Result<Arc<Keys>, IssuerError> {
        if let (Some(sender), Some(known)) = (again, self.keys.cached())
            && !self.keys.may_refetch(sender)
        {
            return Ok(known);
        }
        let url = match &self.settings.keys_url {
            Some(url) => url.clone(),
            None => self.metadata().await?.jwks_uri.clone(),
        };
        let name = self.settings.name.clone();
        let fetch = keys::fetch(name, url, self.outbound.clone());
        match again {
            Some(_) => self.keys.refetch(fetch).await,
            None => self.keys.get(fetch).await,
        }
    }
}
