//! `Verifier`: verifies signatures with the keys in the settings, or with those that the portal publishes.

use jsonwebtoken::{Algorithm, DecodingKey};
use url::Url;

use super::super::kit::jose_keys::verification_key;
use super::super::{ConnectorBuildError, ConnectorDeps, Finding};
use super::Config;
use crate::issuer::{
    Issuer, IssuerName, IssuerSettings, SignedToken, TokenError, TokenSender, verify_with_keys,
};
use crate::telemetry::error_chain;
use crate::text;

/// Accepts the signatures of one algorithm.
#[derive(Debug)]
pub(super) enum Verifier {
    /// With any of the configured keys.
    Keys(Algorithm, Vec<DecodingKey>),
    /// With the key of the portal that the token names.
    Published(Box<PublishedKeys>),
}

/// The keys at a URL of the portal.
#[derive(Debug)]
pub(super) struct PublishedKeys {
    url: Url,
    /// Only its keys are used; it has no metadata.
    issuer: Issuer,
}

impl Verifier {
    pub(super) fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        let algorithm = Algorithm::from(config.algorithm);
        let Some(url) = &config.jwks_url else {
            let keys = config.key.iter().flat_map(|list| list.sources());
            let read = keys.enumerate().map(|(index, source)| {
                let text = source.read().map_err(ConnectorBuildError::Secret)?;
                verification_key(algorithm, &text, config.key_encoding).map_err(|problem| {
                    ConnectorBuildError::Setting(text!(
                        "jwt.key (number {}): {problem}",
                        "jwt.key（第 {} 个）：{problem:#}",
                        index + 1
                    ))
                })
            });
            let keys = read.collect::<Result<Vec<_>, _>>()?;
            return Ok(Self::Keys(algorithm, keys));
        };
        // The name is only used in error messages.
        let name = url.origin().ascii_serialization();
        let name = IssuerName::try_from(name).map_err(|_| {
            ConnectorBuildError::Setting(text!(
                "jwt.jwks_url has no host",
                "jwt.jwks_url 没有主机名"
            ))
        })?;
        let settings = IssuerSettings {
            name,
            tenants: Vec::new(),
            metadata_url: None,
            keys_url: Some(url.clone()),
            algorithms: vec![algorithm],
        };
        Ok(Self::Published(Box::new(PublishedKeys {
            url: url.clone(),
            issuer: Issuer::new(settings, deps.outbound, deps.clock),
        })))
    }

    /// Verifies algorithm and signature. Cancel-safe.
    pub(super) async fn verify(
        &self,
        token: &str,
        sender: TokenSender,
    ) -> Result<SignedToken, TokenError> {
        match self {
            Self::Keys(algorithm, keys) => verify_with_keys(token, *algorithm, keys),
            Self::Published(keys) => keys.issuer.verify_signature_only(token, sender).await,
        }
    }

    /// Whether the portal publishes a key for the algorithm.
    pub(super) async fn examine(&self) -> Option<Finding> {
        let Self::Published(keys) = self else {
            return None;
        };
        let PublishedKeys { url, issuer } = &**keys;
        Some(match issuer.count_keys().await {
            Ok(0) => Finding::bad(text!(
                "{url} has no key for the configured algorithm: ask the portal which algorithm it uses",
                "{url} 没有所设算法的公钥：请向门户确认它使用哪种算法"
            )),
            Ok(count) => Finding::good(text!(
                "{url} has {count} keys for the algorithm",
                "{url} 有 {count} 个该算法的公钥"
            )),
            Err(error) => {
                let error = error_chain(&error);
                Finding::bad(text!(
                    "the keys of the portal cannot be read: {error}",
                    "无法读取门户的公钥：{error:#}"
                ))
            }
        })
    }
}
