//! `AdminTokens`: the bearer tokens of the admin API, with their names and rights.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{AdminConfig, who};
use crate::keys;
use crate::secret::{SecretError, SecretSource};
use crate::setting::text_schema;
use crate::site::settings::Means;
use crate::store::ConnectorId;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The name of `[admin] token`.
pub const UNNAMED_TOKEN: &str = "admin";

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A token of the admin API with a name: `[[admin.tokens]]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminTokenConfig {
    /// The administrator or the program that uses the token. The audit log and the history of people have
    /// it as `by`, with `token:` before it.
    pub name: AdminTokenName,
    /// The bearer token, read at the start only.
    pub token: SecretSource,
    /// Whether the token may only read: list, show and explain.
    #[serde(default)]
    pub view: bool,
    /// Connectors of a kind such as WeCom. A token with this key may fetch the access token of their
    /// applications (`GET /api/connectors/ID/token`) and do nothing else. No other token may.
    #[serde(default)]
    pub broker: Option<Vec<ConnectorId>>,
}

/// The name of an admin token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AdminTokenName(Arc<str>);

/// The text is not the name of an admin token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminTokenNameError;

impl AdminTokenNameError {
    fn text(&self) -> Text {
        Text::fixed(
            "a name has letters, digits, '.', '-', '_' and '@', and 1 to 64 bytes",
            "名字应为 1 到 64 字节，由字母、数字、'.'、'-'、'_' 和 '@' 组成",
        )
    }
}

error_of_text!(AdminTokenNameError);

text_schema! {
    AdminTokenName: "Letters, digits, '.', '-', '_' and '@'; 1 to 64 bytes.",
}

impl AdminTokenName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AdminTokenName {
    type Error = AdminTokenNameError;

    fn try_from(text: String) -> Result<Self, AdminTokenNameError> {
        let is_allowed = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
        match (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(is_allowed) {
            true => Ok(Self(text.into())),
            false => Err(AdminTokenNameError),
        }
    }
}

/// The token of a request, without its secret; or a session of the console in its place.
#[derive(Clone, Debug)]
pub(super) struct AdminToken {
    /// The name in histories, versions and the audit trail, as [`who`] writes it.
    pub(super) name: Arc<str>,
    pub(super) rights: AdminRights,
    /// By what a change with it comes.
    pub(super) means: Means,
    /// From where the request comes; absent on a unix socket, and before there is a request.
    pub(super) client: Option<IpAddr>,
}

/// What a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AdminRights {
    /// Read and change.
    Full,
    /// Read only.
    View,
    /// Fetch the access tokens of the applications of these connectors.
    Broker(Arc<[ConnectorId]>),
}

impl AdminConfig {
    /// All tokens with their configured names, the unnamed one first.
    fn tokens(&self) -> impl Iterator<Item = (&str, AdminRights, &SecretSource)> {
        let unnamed = self.token.iter();
        let unnamed = unnamed.map(|secret| (UNNAMED_TOKEN, AdminRights::Full, secret));
        let named = self.tokens.iter().map(|config| {
            let rights = match &config.broker {
                Some(connectors) => AdminRights::Broker(connectors.clone().into()),
                None if config.view => AdminRights::View,
                None => AdminRights::Full,
            };
            (config.name.as_str(), rights, &config.token)
        });
        unnamed.chain(named)
    }

    /// The token with this name, or the first one that may read, and change something if `to_change`.
    pub fn find_token(&self, name: Option<&str>, to_change: bool) -> Option<&SecretSource> {
        let mut tokens = self.tokens();
        let found = tokens.find(|(configured, rights, _)| match name {
            Some(name) => *configured == name,
            None => match rights {
                AdminRights::Full => true,
                AdminRights::View => !to_change,
                AdminRights::Broker(_) => false,
            },
        });
        found.map(|(_, _, secret)| secret)
    }

    /// Reads the tokens once, to find out whether all of them can be used.
    pub fn check_tokens(&self) -> Result<(), AdminTokenError> {
        AdminTokens::read(self).map(drop)
    }
}

/// Why the tokens of the admin API cannot be used.
#[derive(Debug)]
pub enum AdminTokenError {
    Read { name: String, source: SecretError },
    Same { first: String, second: String },
}

impl AdminTokenError {
    fn text(&self) -> Text {
        match self {
            Self::Read { name, .. } => {
                text!("read the token named {name}", "无法读取名为 {name} 的令牌")
            }
            Self::Same { first, second } => text!(
                "the tokens named {first} and {second} are the same, so the audit log could not tell \
                 them apart",
                "名为 {first} 和 {second} 的令牌相同，审计日志无法区分两者"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Same { .. } => None,
        }
    }
}

error_of_text!(AdminTokenError, caused);

/// The tokens of `[admin]`.
pub(super) struct AdminTokens(Vec<(TokenHash, AdminToken)>);

/// The hash of a token. Comparing hashes reveals neither the token nor its length.
type TokenHash = [u8; 32];

impl AdminTokens {
    /// Reads the tokens.
    pub(super) fn read(config: &AdminConfig) -> Result<Self, AdminTokenError> {
        let mut tokens: Vec<(TokenHash, AdminToken)> = Vec::new();
        let mut names = Vec::new();
        for (name, rights, secret) in config.tokens() {
            let secret = secret.read().map_err(|source| AdminTokenError::Read {
                name: name.to_owned(),
                source,
            })?;
            let hash = hash_of(secret.expose());
            if let Some(index) = tokens.iter().position(|(other, _)| *other == hash) {
                return Err(AdminTokenError::Same {
                    first: String::from(names[index]),
                    second: name.to_owned(),
                });
            }
            names.push(name);
            let token = AdminToken {
                name: who::token(name).into(),
                rights,
                means: Means::Api,
                client: None,
            };
            tokens.push((hash, token));
        }
        Ok(Self(tokens))
    }

    /// Whether no token is configured.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The token that is the only credential of the request. The comparison takes the same time whichever
    /// token it is.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<&AdminToken> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let (scheme, sent) = value.to_str().ok()?.split_once(' ')?;
        let sent = hash_of(sent.trim());
        let mut found = None;
        for (hash, token) in &self.0 {
            if verify_slices_are_equal(&sent, hash).is_ok() {
                found = Some(token);
            }
        }
        found.filter(|_| scheme.eq_ignore_ascii_case("bearer"))
    }
}

fn hash_of(token: &str) -> TokenHash {
    keys::fingerprint(&[b"admin", token.as_bytes()])
}
