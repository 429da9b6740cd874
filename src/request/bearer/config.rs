//! `[issuer.NAME]` as it is written: whose tokens count, for whom, and how they are verified.

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

/// Whose bearer tokens routes may name in `issuers`. A token lets a program in, or a person where
/// `people` says so.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// What the issuer calls itself, exactly as `iss` of its tokens spells it. Its metadata is
    /// looked for below this address. `{tenantid}` in it stands for the tenant that a token's `tid`
    /// names, one of `tenants`.
    pub url: IssuerName,
    /// The tenants whose tokens count, by their ids, where `url` has `{tenantid}`; `["*"]` is every
    /// one there is.
    #[serde(default)]
    pub tenants: Vec<TenantName>,
    /// The connector whose people these tokens are about, where apps bring a token that a person
    /// logged in for. Then a verified token is that person: admitted by the connector's mapping over
    /// the token's claims, with identity headers and rules as for a session, and without a cookie. The
    /// connector is of the same issuer. Tokens of programs are refused; absent: every token is a
    /// program's.
    #[serde(default)]
    pub people: Option<ConnectorId>,
    /// With `people`: how long a token may live, from its `iat` to its `exp`; 24h by default. One that
    /// lives longer is no person's. A logout at the provider is remembered for as long, so that a token
    /// that is shown for the first time after it is refused.
    #[serde(default = "token_life_max")]
    pub token_life_max: Period,
    /// For whom a token must be issued: one of these must stand in its `aud`. Not the client id of a
    /// login: the ID tokens of people would count, too.
    pub audiences: Vec<String>,
    /// What a token must be good for: each of these must stand in its `scope` or `scp`.
    #[serde(default)]
    pub scopes: Vec<ScopeName>,
    /// The signature algorithms that count; absent: RS, PS and ES of 256 and 384 bits, RS512, PS512
    /// and EdDSA.
    #[serde(default)]
    pub algorithms: Option<Vec<SigningAlgorithm>>,
    /// Where its metadata is, when that is not `.well-known/openid-configuration` below `url`.
    #[serde(default)]
    pub metadata_url: Option<Url>,
    /// Where its keys are, when its metadata is not to be asked for that.
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// The HTTP proxy on the way to the issuer.
    #[serde(default)]
    pub proxy: Option<ProxyUrl>,
    /// A PEM file with further certificate authorities for the way to the issuer.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How long a token that was verified is not verified again; never longer than it is valid, and
    /// 60s by default.
    #[serde(default = "cache")]
    pub cache: Period,
    /// How many verified tokens are remembered; 10000 by default.
    #[serde(default = "cached_max")]
    pub cached_max: u64,
    /// How many tokens that are not remembered are verified for one client address in a minute, and
    /// as many at once; 600 by default. Beyond that new ones get 503. A token that counted within the
    /// last hour is not counted.
    #[serde(default = "new_tokens_per_client_per_minute")]
    pub new_tokens_per_client_per_minute: u32,
    /// How many such tokens of one client address may wait to be verified at the same time; 100 by
    /// default. Beyond that new ones get 503.
    #[serde(default = "new_tokens_per_client_at_once")]
    pub new_tokens_per_client_at_once: u32,
    /// Asks the issuer about every token (RFC 7662), for tokens that are opaque or can be withdrawn;
    /// absent: tokens are JWTs, verified by their signature.
    #[serde(default)]
    pub introspection: Option<IntrospectionConfig>,
}

/// How an issuer is asked about tokens.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionConfig {
    /// Where it is asked; absent: where its metadata says.
    #[serde(default)]
    pub url: Option<Url>,
    /// As whom we ask.
    pub client_id: String,
    /// What proves that.
    pub client_secret: SecretSource,
    /// How it is proved: in the head (`basic`) or in the form (`post`).
    #[serde(default)]
    pub client_auth: IntrospectionAuth,
    /// Whether an answer that names no `aud` counts. Then every token of the issuer does, for
    /// whomever it was made.
    #[serde(default)]
    pub audience_optional: bool,
}

/// How we prove who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntrospectionAuth {
    /// By the head (RFC 6749 §2.3.1).
    #[default]
    Basic,
    /// By the form.
    Post,
}

/// The name of an issuer in the configuration: `ci` in `[issuer.ci]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct IssuerId(String);

/// Not such a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an issuer is 1 to 32 characters of a-z, 0-9 and -")]
pub struct NoIssuerId;

/// One scope (RFC 6749 §3.3): safe to stand in a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ScopeName(String);

/// Not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is printable ASCII without spaces, quotes and backslashes; write several as a list"
)]
pub struct NoScopeName;

text_schema!(ScopeName: "a scope, without spaces");

fn token_life_max() -> Period {
    Period::s(24 * 3600)
}

fn cache() -> Period {
    Period::s(60)
}

fn cached_max() -> u64 {
    10_000
}

fn new_tokens_per_client_per_minute() -> u32 {
    600
}

fn new_tokens_per_client_at_once() -> u32 {
    100
}

impl IssuerId {
    /// The text.
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
    type Error = NoIssuerId;

    fn try_from(text: String) -> Result<Self, NoIssuerId> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let good = (1..=32).contains(&text.len()) && text.bytes().all(allowed);
        good.then_some(Self(text)).ok_or(NoIssuerId)
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
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ScopeName {
    type Error = NoScopeName;

    fn try_from(text: String) -> Result<Self, NoScopeName> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let good = (1..=256).contains(&text.len()) && text.bytes().all(allowed);
        good.then_some(Self(text)).ok_or(NoScopeName)
    }
}
