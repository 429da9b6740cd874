//! `[issuer.NAME]` in the configuration file: the accepted issuers of bearer tokens, and how tokens
//! are verified.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use url::Url;

use crate::issuer::{IssuerName, SigningAlgorithm, TenantName};
use crate::outbound::ProxyUrl;
use crate::secret::SecretSource;
use crate::setting::{Period, text_schema};
use crate::store::ConnectorId;
use crate::wording::error_of_text;

/// An issuer of bearer tokens that routes may name in `issuers`. A token authenticates a program,
/// or a person if `people` is set.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The issuer's identifier, exactly as in the `iss` of its tokens. Its metadata is loaded from
    /// below this address. `{tenantid}` in it stands for the tenant in a token's `tid`, one of
    /// `tenants`.
    pub url: IssuerName,
    /// The accepted tenants, by their IDs, if `url` contains `{tenantid}`; `["*"]` accepts every
    /// tenant.
    #[serde(default)]
    pub tenants: Vec<TenantName>,
    /// The connector whose persons these tokens stand for, if apps send a token that a person
    /// logged in for. A verified token then authenticates that person: the connector's mapping is
    /// applied to the token's claims, identity headers and rules work as for a session, and no
    /// cookie is set. The connector must have the same issuer. Tokens of programs are refused.
    /// Absent: every token authenticates a program.
    #[serde(default)]
    pub people: Option<ConnectorId>,
    /// With `people`: how long a token may live, from its `iat` to its `exp`; 24h by default. A
    /// token that lives longer is refused. A logout at the provider is remembered for the same
    /// time, so that an older token that is first sent after it is refused.
    #[serde(default = "default_token_life_max")]
    pub token_life_max: Period,
    /// The accepted audiences: one of these must be in the token's `aud`. Do not use the client ID
    /// of a login: the ID tokens of persons would be accepted too.
    pub audiences: Vec<String>,
    /// The required scopes: each of these must be in the token's `scope` or `scp`.
    #[serde(default)]
    pub scopes: Vec<ScopeName>,
    /// The accepted signature algorithms; absent: RS, PS and ES of 256 and 384 bits, RS512, PS512
    /// and EdDSA.
    #[serde(default)]
    pub algorithms: Option<Vec<SigningAlgorithm>>,
    /// The address of the metadata, if it is not `.well-known/openid-configuration` below `url`.
    #[serde(default)]
    pub metadata_url: Option<Url>,
    /// The address of the keys, if it should not be taken from the metadata.
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// The HTTP proxy for requests to the issuer.
    #[serde(default)]
    pub proxy: Option<ProxyUrl>,
    /// A PEM file with additional certificate authorities for requests to the issuer.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How long a verified token is not verified again, but never longer than it is valid; 60s by
    /// default.
    #[serde(default = "default_cache")]
    pub cache: Period,
    /// How many verified tokens are cached; 10000 by default.
    #[serde(default = "default_cached_max")]
    pub cached_max: u64,
    /// How many tokens that are not cached are verified for one client address in a minute, and as
    /// many in a burst; 600 by default. Further ones get 503. A token that was valid within the
    /// last hour does not count.
    #[serde(default = "default_new_tokens_per_client_per_minute")]
    pub new_tokens_per_client_per_minute: u32,
    /// How many such tokens of one client address may wait for verification at a time; 100 by
    /// default. Further ones get 503.
    #[serde(default = "default_new_tokens_per_client_at_once")]
    pub new_tokens_per_client_at_once: u32,
    /// Asks the issuer about every token (RFC 7662), for tokens that are opaque or can be revoked;
    /// absent: tokens are JWTs, verified by their signature.
    #[serde(default)]
    pub introspection: Option<IntrospectionConfig>,
}

/// How an issuer is asked about tokens.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionConfig {
    /// The introspection endpoint; absent: from the metadata.
    #[serde(default)]
    pub url: Option<Url>,
    /// The client ID for the introspection endpoint.
    pub client_id: String,
    /// The client secret.
    pub client_secret: SecretSource,
    /// How the client credentials are sent: in the header (`basic`) or in the form (`post`).
    #[serde(default)]
    pub client_auth: IntrospectionAuth,
    /// Whether a response without `aud` is accepted. Then every token of the issuer is accepted,
    /// whatever application it was issued for.
    #[serde(default)]
    pub audience_optional: bool,
}

/// How the client credentials are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntrospectionAuth {
    /// In the `Authorization` header (RFC 6749 §2.3.1).
    #[default]
    Basic,
    /// In the form.
    Post,
}

/// The name of an issuer in the configuration: `ci` in `[issuer.ci]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct IssuerId(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIssuerId;

error_of_text!(InvalidIssuerId: "the name of an issuer is 1 to 32 characters of a-z, 0-9 and -", "签发方的名字由 1 到 32 个 a-z、0-9 和 - 组成");

/// A scope (RFC 6749 §3.3), safe to appear in a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ScopeName(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidScopeName;

error_of_text!(InvalidScopeName: "a scope is printable ASCII without spaces, quotes and backslashes; write several as a list", "scope 应为可打印的 ASCII，不含空格、引号和反斜杠；多个请写成列表");

text_schema!(ScopeName: "a scope, without spaces");

fn default_token_life_max() -> Period {
    Period::s(24 * 3600)
}

fn default_cache() -> Period {
    Period::s(60)
}

fn default_cached_max() -> u64 {
    10_000
}

fn default_new_tokens_per_client_per_minute() -> u32 {
    600
}

fn default_new_tokens_per_client_at_once() -> u32 {
    100
}

impl IssuerId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for IssuerId {
    type Error = InvalidIssuerId;

    fn try_from(text: String) -> Result<Self, InvalidIssuerId> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_valid = (1..=32).contains(&text.len()) && text.bytes().all(is_allowed);
        is_valid.then_some(Self(text)).ok_or(InvalidIssuerId)
    }
}

impl JsonSchema for IssuerId {
    fn schema_name() -> Cow<'static, str> {
        "IssuerId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}$" })
    }
}

impl ScopeName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ScopeName {
    type Error = InvalidScopeName;

    fn try_from(text: String) -> Result<Self, InvalidScopeName> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let is_valid = (1..=256).contains(&text.len()) && text.bytes().all(is_allowed);
        is_valid.then_some(Self(text)).ok_or(InvalidScopeName)
    }
}
