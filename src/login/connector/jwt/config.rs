//! `[connector.ID.jwt]`: the settings of one portal.

use std::borrow::Cow;

use jsonwebtoken::{Algorithm, AlgorithmFamily};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use url::Url;

use super::super::ConnectorBuildError;
use super::super::kit::jose_keys::KeyEncoding;
use super::super::kit::jwe::{ContentAlgorithm, KeyAlgorithm, TokenDecrypter};
use super::KeyList;
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

/// Login with a signed token in a parameter, with which a portal sends people to `PREFIX/enter/ID`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The parameter of the URL or form that holds the token.
    #[serde(default = "default_parameter")]
    pub parameter: String,
    /// The algorithm of the signature, of which exactly one is accepted: `HS256`, `HS384`, `HS512`, `RS256`,
    /// `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384` or `EdDSA`.
    pub algorithm: TokenAlgorithm,
    /// The shared secret for `HS…`, which must be as long as the hash (32, 48 or 64 bytes), else the public
    /// key or certificate of the portal in PEM. A list while the portal changes its key: each of them
    /// verifies.
    #[serde(default)]
    pub key: Option<KeyList>,
    /// How the shared secret is written: `text` or `base64`, as `menshen keygen` prints it.
    #[serde(default)]
    pub key_encoding: KeyEncoding,
    /// The URL of the portal's public keys (JWKS), instead of `key`. Not for `HS…`.
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// The `iss` that a token must have. Absent: it is not checked.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The `aud` that a token must have. Absent: a token with an `aud` is refused.
    #[serde(default)]
    pub audience: Option<String>,
    /// The longest accepted lifetime of a token: from `iat` to `exp`, or from now if it has no `iat`.
    #[serde(default = "default_lifetime_max")]
    pub lifetime_max: Period,
    /// The clock difference to the portal that is tolerated.
    #[serde(default = "default_clock_skew")]
    pub clock_skew: Period,
    /// CEL over `profile`, the claims: the ID that identifies the account. It must never change and never be
    /// given to another person.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// The origins of the pages that may send people here, by `Origin` or `Referer`. Absent: any page, and
    /// so anybody can sign a person in as somebody else.
    #[serde(default)]
    pub origins: Vec<Url>,
    /// Whether the token is also accepted in the URL of an application, if nobody is signed in there. Every
    /// request with a token is redirected to the same URL without it, so no application gets an unused one.
    /// Where another proxy asks menshen, the token is removed and signs nobody in.
    #[serde(default)]
    pub on_routes: bool,
    /// Tokens are encrypted, and decrypted before the signature is verified. A token that is not encrypted
    /// is refused.
    #[serde(default)]
    pub decrypt: Option<DecryptConfig>,
    /// A script in Groovy, as HENGSHI has it.
    #[serde(default)]
    pub script: Option<GroovyScript>,
}

/// The type of `script`: any value is refused, with a hint what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroovyScript {}

impl<'de> Deserialize<'de> for GroovyScript {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom(text!(
            "menshen runs no scripts: write the fields of the person in [connector.ID.mapping], as CEL \
             over `profile`",
            "menshen 不运行脚本：请在 [connector.ID.mapping] 中用 CEL 从 `profile` 取得人员的各个字段"
        )))
    }
}

impl JsonSchema for GroovyScript {
    fn schema_name() -> Cow<'static, str> {
        "GroovyScript".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {}, "description": "not supported" })
    }
}

/// The encryption of tokens. The algorithms of a token must be these.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecryptConfig {
    /// How the key of the content is encrypted: `dir`, `A128KW`, `A256KW`, `A128GCMKW`, `A256GCMKW`,
    /// `RSA-OAEP`, `RSA-OAEP-256`, `ECDH-ES` or `ECDH-ES+A256KW`.
    pub algorithm: KeyAlgorithm,
    /// How the content is encrypted: `A128GCM`, `A256GCM`, `A128CBC-HS256` or `A256CBC-HS512`.
    pub method: ContentAlgorithm,
    /// The shared secret, of exactly the length that `algorithm` needs (`dir`: `method`), or for `RSA…` and
    /// `ECDH…` the private key of menshen in PEM.
    pub key: SecretSource,
    /// How the shared secret is written: `text` or `base64`.
    #[serde(default)]
    pub key_encoding: KeyEncoding,
}

/// A signature algorithm, as RFC 7518 and RFC 8037 name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TokenAlgorithm {
    /// HMAC with a shared secret, SHA-256.
    HS256,
    /// HMAC, SHA-384.
    HS384,
    /// HMAC, SHA-512.
    HS512,
    /// RSA, PKCS #1, SHA-256.
    RS256,
    /// RSA, PKCS #1, SHA-384.
    RS384,
    /// RSA, PKCS #1, SHA-512.
    RS512,
    /// RSA, PSS, SHA-256.
    PS256,
    /// RSA, PSS, SHA-384.
    PS384,
    /// RSA, PSS, SHA-512.
    PS512,
    /// P-256, SHA-256.
    ES256,
    /// P-384, SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl From<TokenAlgorithm> for Algorithm {
    fn from(named: TokenAlgorithm) -> Self {
        match named {
            TokenAlgorithm::HS256 => Self::HS256,
            TokenAlgorithm::HS384 => Self::HS384,
            TokenAlgorithm::HS512 => Self::HS512,
            TokenAlgorithm::RS256 => Self::RS256,
            TokenAlgorithm::RS384 => Self::RS384,
            TokenAlgorithm::RS512 => Self::RS512,
            TokenAlgorithm::PS256 => Self::PS256,
            TokenAlgorithm::PS384 => Self::PS384,
            TokenAlgorithm::PS512 => Self::PS512,
            TokenAlgorithm::ES256 => Self::ES256,
            TokenAlgorithm::ES384 => Self::ES384,
            TokenAlgorithm::EdDSA => Self::EdDSA,
        }
    }
}

impl TokenAlgorithm {
    /// Whether the portal and menshen share a secret.
    pub(super) fn is_hmac(self) -> bool {
        Algorithm::from(self).family() == AlgorithmFamily::Hmac
    }
}

impl DecryptConfig {
    /// Reads the key.
    pub(super) fn build(&self) -> Result<TokenDecrypter, ConnectorBuildError> {
        let key = self.key.read().map_err(ConnectorBuildError::Secret)?;
        TokenDecrypter::new(self.algorithm, self.method, &key, self.key_encoding).map_err(
            |problem| {
                ConnectorBuildError::Setting(text!(
                    "jwt.decrypt.key: {problem}",
                    "jwt.decrypt.key：{problem:#}"
                ))
            },
        )
    }
}

fn default_parameter() -> String {
    "token".to_owned()
}

fn default_lifetime_max() -> Period {
    Period::s(300)
}

fn default_clock_skew() -> Period {
    Period::s(30)
}

fn default_subject() -> String {
    "profile.sub".to_owned()
}
