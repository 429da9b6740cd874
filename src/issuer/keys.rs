//! `Keys`: the public keys of an issuer (RFC 7517), found by `kid` and algorithm.

use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;
use url::Url;

use super::{IssuerError, IssuerName};
use crate::outbound::{Outbound, OutboundCall, OutboundError};

/// The maximum number of keys of one issuer; further keys are ignored.
const KEYS_MAX: usize = 100;

const CALL: OutboundCall = OutboundCall::repeatable("the issuer's keys");

/// The public keys with which an issuer's signatures are verified.
pub(super) struct Keys(Vec<Key>);

pub(super) struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    pub(super) decoding_key: DecodingKey,
    /// The `issuer` member of the key (Entra ID): the `iss` of the tokens that it signs. It may hold
    /// the placeholder for the tenant.
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
    let response = outbound.get_json(&url, &[], CALL).await;
    let response = response.map_err(unreachable)?;
    let keys = response.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or_else(|| {
        unreachable(OutboundError::Incomplete {
            call: CALL.name(),
            missing: "`keys`",
        })
    })?;
    // Keys of unknown types are skipped.
    Ok(Keys(keys.iter().filter_map(parse).take(KEYS_MAX).collect()))
}

fn parse(key: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
    let is_for_signatures = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_)) => false,
    };
    let decoding_key = DecodingKey::from_jwk(&jwk).ok()?;
    // Everybody could sign with a published HMAC secret.
    let is_public = decoding_key.family() != AlgorithmFamily::Hmac;
    let algorithm = match &jwk.common.key_algorithm {
        None => None,
        Some(named) => Some(named.to_string().parse().ok()?),
    };
    (is_for_signatures && is_public).then_some(Key {
        id: jwk.common.key_id,
        algorithm,
        decoding_key,
        issuer: key.get("issuer").and_then(Value::as_str).map(str::to_owned),
    })
}

impl Keys {
    /// The number of keys for any of these algorithms.
    pub(super) fn count(&self, algorithms: &[Algorithm]) -> usize {
        let has_algorithm = |key: &&Key| {
            algorithms.iter().any(|algorithm| {
                key.decoding_key.family() == algorithm.family()
                    && key.algorithm.is_none_or(|named| named == *algorithm)
            })
        };
        self.0.iter().filter(has_algorithm).count()
    }

    /// The key with this `kid` for this algorithm. A token without `kid` is accepted only if the issuer
    /// has a single key and that has no `kid` either.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let family = algorithm.family();
        let matches = |key: &&Key| {
            key.decoding_key.family() == family
                && key.algorithm.is_none_or(|named| named == algorithm)
                && key.id.as_deref() == id
        };
        let mut matching = self.0.iter().filter(matches);
        match (id, matching.next()) {
            (Some(_), found) => found,
            (None, found) => found.filter(|_| self.0.len() == 1),
        }
    }
}
