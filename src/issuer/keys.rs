//! `Keys`: an issuer's public keys (RFC 7517), chosen by `kid` and use.

use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;
use url::Url;

use super::{IssuerError, IssuerName};
use crate::outbound::{Outbound, OutboundCall, OutboundError};

/// How many keys of one issuer are kept.
const KEYS_MAX: usize = 100;

const CALL: OutboundCall = OutboundCall::repeatable("the issuer's keys");

/// The public keys of an issuer that may have signed something.
pub(super) struct Keys(Vec<Key>);

pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    pub(super) verifying: DecodingKey,
    /// Whose tokens it signs among those of many tenants, where that is said; may be a template.
    pub(super) issuer: Option<String>,
}

pub(super) async fn fetch(
    issuer: IssuerName,
    url: Url,
    outbound: Outbound,
) -> Result<Keys, IssuerError> {
    let unreachable = |source| IssuerError::Unreachable {
        issuer: issuer.clone(),
        source: Arc::new(source),
    };
    let said = outbound.get_json(&url, &[], CALL).await;
    let said = said.map_err(unreachable)?;
    let keys = said.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or_else(|| {
        unreachable(OutboundError::Incomplete {
            call: CALL.name(),
            missing: "`keys`",
        })
    })?;
    // A key of a kind we do not know is no reason to do without the others.
    Ok(Keys(keys.iter().filter_map(read).take(KEYS_MAX).collect()))
}

fn read(key: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
    let signs = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)) => false,
    };
    let verifying = DecodingKey::from_jwk(&jwk).ok()?;
    // A shared secret among public keys would let everybody sign.
    let public = verifying.family() != AlgorithmFamily::Hmac;
    let algorithm = match &jwk.common.key_algorithm {
        None => None,
        Some(named) => Some(named.to_string().parse().ok()?),
    };
    (signs && public).then_some(Key {
        id: jwk.common.key_id,
        algorithm,
        verifying,
        issuer: key.get("issuer").and_then(Value::as_str).map(str::to_owned),
    })
}

impl Keys {
    /// How many could sign by one of these algorithms.
    pub(super) fn count(&self, algorithms: &[Algorithm]) -> usize {
        let signs = |key: &&Key| {
            algorithms.iter().any(|algorithm| {
                key.verifying.family() == algorithm.family()
                    && key.algorithm.is_none_or(|own| own == *algorithm)
            })
        };
        self.0.iter().filter(signs).count()
    }

    /// The key of this name for this algorithm. A token without a name is taken only from an issuer
    /// whose only key has none either.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let family = algorithm.family();
        let fits = |key: &&Key| {
            key.verifying.family() == family
                && key.algorithm.is_none_or(|own| own == algorithm)
                && key.id.as_deref() == id
        };
        let mut fitting = self.0.iter().filter(fits);
        match (id, fitting.next()) {
            (Some(_), found) => found,
            (None, found) => found.filter(|_| self.0.len() == 1),
        }
    }
}
