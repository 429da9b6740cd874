//! `OAuthClient`: menshen's OAuth client at a provider, and its authentication.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::super::ConnectorBuildError;
use crate::clock::Clock;
use crate::keys;
use crate::outbound::Credentials;
use crate::secret::{Secret, SecretSource};
use crate::text;
use crate::wording::Text;

/// The lifetime of a client assertion, in seconds.
const ASSERTION_AGE_MAX_S: i64 = 60;

/// The assertion type of RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How the client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// The secret in the `Authorization` header: `client_secret_basic`.
    Basic,
    /// The secret in the form: `client_secret_post`.
    Post,
    /// An assertion signed with `private_key`: `private_key_jwt`.
    PrivateKeyJwt,
}

/// The settings of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientSettings<'a> {
    pub client_id: &'a str,
    pub client_secret: Option<&'a SecretSource>,
    /// A private key in PEM.
    pub private_key: Option<&'a SecretSource>,
    /// The `kid` of the private key at the provider.
    pub private_key_id: Option<&'a str>,
    /// The authentication method; absent: chosen by the secret or key.
    pub client_auth: Option<ClientAuth>,
}

impl<'a> ClientSettings<'a> {
    /// The secrets, with the names of their settings.
    pub fn secrets(self) -> impl Iterator<Item = (&'static str, &'a SecretSource)> {
        let secrets = [
            ("client_secret", self.client_secret),
            ("private_key", self.private_key),
        ];
        secrets
            .into_iter()
            .filter_map(|(key, secret)| Some((key, secret?)))
    }
}

/// menshen's OAuth client at a provider. `Debug` shows no secret.
#[derive(Clone)]
pub struct OAuthClient {
    id: String,
    credential: ClientCredential,
    clock: Clock,
}

/// The credential of the client.
#[derive(Clone)]
enum ClientCredential {
    None,
    Secret {
        secret: Secret<String>,
        /// The configured method; absent: the provider's metadata decides.
        configured_method: Option<ClientAuth>,
        /// Whether the secret is sent in the form; otherwise in the `Authorization` header.
        in_form: bool,
    },
    Key(Box<SigningKey>),
}

#[derive(Clone)]
struct SigningKey {
    key: EncodingKey,
    header: Header,
}

/// The authentication of one request.
pub(super) struct ClientAuthentication {
    /// The user name and the password of the `Authorization` header.
    basic: Option<(Secret<String>, Secret<String>)>,
    form: Vec<(&'static str, Secret<String>)>,
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthClient")
            .field("id", &self.id)
            .field("authentication", &self.method())
            .finish_non_exhaustive()
    }
}

/// The contradiction in the settings of a client, if there is one. Reads no secret.
pub fn settings_conflict(settings: ClientSettings<'_>) -> Option<Text> {
    let has_secret = settings.client_secret.is_some();
    let has_key = settings.private_key.is_some();
    match settings.client_auth {
        _ if has_secret && has_key => Some(text!(
            "either `client_secret` or `private_key`, not both",
            "`client_secret` 和 `private_key` 只能写一个"
        )),
        Some(ClientAuth::Basic | ClientAuth::Post) if !has_secret => Some(text!(
            "this `client_auth` needs a `client_secret`",
            "这种 `client_auth` 需要 `client_secret`"
        )),
        Some(ClientAuth::PrivateKeyJwt) if !has_key => Some(text!(
            "this `client_auth` needs a `private_key`",
            "这种 `client_auth` 需要 `private_key`"
        )),
        _ if settings.private_key_id.is_some() && !has_key => Some(text!(
            "`private_key_id` needs a `private_key`",
            "`private_key_id` 需要 `private_key`"
        )),
        _ => None,
    }
}

impl OAuthClient {
    /// Builds a client. Reads the secret or the key; makes no network call.
    pub fn build(settings: ClientSettings<'_>, clock: Clock) -> Result<Self, ConnectorBuildError> {
        if settings.client_id.is_empty() {
            return Err(ConnectorBuildError::Setting(text!(
                "client_id is empty",
                "client_id 是空的"
            )));
        }
        if let Some(why) = settings_conflict(settings) {
            return Err(ConnectorBuildError::Setting(why));
        }
        let credential = match (settings.client_secret, settings.private_key) {
            (Some(secret), _) => ClientCredential::Secret {
                secret: secret.read().map_err(ConnectorBuildError::Secret)?,
                configured_method: settings.client_auth,
                in_form: settings.client_auth == Some(ClientAuth::Post),
            },
            (None, Some(key)) => {
                let pem = key.read().map_err(ConnectorBuildError::Secret)?;
                let key = SigningKey::read(&pem, settings.private_key_id).ok_or_else(|| {
                    ConnectorBuildError::Setting(
                        text!(
                            "private_key is not an RSA, EC (P-256, P-384) or Ed25519 key in PEM (PKCS#8)",
                            "private_key 不是 PEM（PKCS#8）格式的 RSA、EC（P-256、P-384）或 Ed25519 密钥"
                        ),
                    )
                })?;
                ClientCredential::Key(Box::new(key))
            }
            (None, None) => ClientCredential::None,
        };
        Ok(Self {
            id: settings.client_id.to_owned(),
            credential,
            clock,
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The authentication method, as in `token_endpoint_auth_methods_supported`.
    pub fn method(&self) -> &'static str {
        match &self.credential {
            ClientCredential::None => "none",
            ClientCredential::Secret { in_form: false, .. } => "client_secret_basic",
            ClientCredential::Secret { in_form: true, .. } => "client_secret_post",
            ClientCredential::Key(_) => "private_key_jwt",
        }
    }

    /// The same client with a method that the provider supports
    /// (`token_endpoint_auth_methods_supported`), unless `client_auth` is set.
    pub fn with_supported_methods(&self, methods: &[impl AsRef<str>]) -> Self {
        let supports = |name: &str| methods.iter().any(|method| method.as_ref() == name);
        let mut client = self.clone();
        if let ClientCredential::Secret {
            configured_method: None,
            in_form,
            ..
        } = &mut client.credential
        {
            *in_form = supports("client_secret_post") && !supports("client_secret_basic");
        }
        client
    }

    /// The secret, to redact it from messages.
    pub(super) fn secret(&self) -> Option<&str> {
        match &self.credential {
            ClientCredential::Secret { secret, .. } => Some(secret.expose()),
            ClientCredential::None | ClientCredential::Key(_) => None,
        }
    }

    /// Authenticates a request to the token endpoint at `url`.
    pub(super) fn authentication(&self, url: &Url) -> ClientAuthentication {
        let client_id = || ("client_id", Secret::new(self.id.clone()));
        match &self.credential {
            ClientCredential::None => ClientAuthentication {
                basic: None,
                form: vec![client_id()],
            },
            // RFC 6749 §2.3.1: both are form-encoded before they become a Basic credential.
            ClientCredential::Secret {
                secret,
                in_form: false,
                ..
            } => ClientAuthentication {
                basic: Some((form_encoded(&self.id), form_encoded(secret.expose()))),
                form: Vec::new(),
            },
            ClientCredential::Secret { secret, .. } => ClientAuthentication {
                basic: None,
                form: vec![client_id(), ("client_secret", secret.clone())],
            },
            ClientCredential::Key(key) => {
                let assertion_type = Secret::new(ASSERTION_TYPE.to_owned());
                let assertion = key.sign(&self.id, url, &self.clock);
                ClientAuthentication {
                    basic: None,
                    form: vec![
                        client_id(),
                        ("client_assertion_type", assertion_type),
                        ("client_assertion", assertion),
                    ],
                }
            }
        }
    }
}

impl ClientAuthentication {
    pub(super) fn form(&self) -> impl Iterator<Item = (&str, &str)> {
        self.form
            .iter()
            .map(|(name, value)| (*name, value.expose().as_str()))
    }

    /// The values to redact from messages: all but the client ID.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let form = self.form().filter(|(name, _)| *name != "client_id");
        let basic = self.basic.iter().map(|(_, password)| password.expose());
        form.map(|(_, value)| value)
            .chain(basic.map(String::as_str))
    }

    pub(super) fn credentials(&self) -> Credentials<'_> {
        match &self.basic {
            None => Credentials::None,
            Some((user, password)) => Credentials::Basic {
                user: user.expose(),
                password: password.expose(),
            },
        }
    }
}

impl SigningKey {
    /// Reads a PEM key, whose type determines the algorithm; `None` if it cannot sign.
    fn read(pem: &Secret<String>, kid: Option<&str>) -> Option<Self> {
        let pem = pem.expose().as_bytes();
        let keys = [
            (Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
            (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
            (Algorithm::ES384, EncodingKey::from_ec_pem(pem)),
            (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem)),
        ];
        keys.into_iter().find_map(|(algorithm, key)| {
            let mut header = Header::new(algorithm);
            header.kid = kid.map(str::to_owned);
            let key = key.ok()?;
            let test_token = jsonwebtoken::encode(&header, &serde_json::json!({}), &key);
            test_token.is_ok().then_some(Self { key, header })
        })
    }

    fn sign(&self, id: &str, audience: &Url, clock: &Clock) -> Secret<String> {
        let iat = clock.now().unix_s();
        let assertion = Assertion {
            iss: id,
            sub: id,
            aud: audience.as_str(),
            jti: URL_SAFE_NO_PAD.encode(keys::random::<16>()),
            iat,
            exp: iat + ASSERTION_AGE_MAX_S,
        };
        let signed = jsonwebtoken::encode(&self.header, &assertion, &self.key);
        Secret::new(signed.expect("the key has signed a test token"))
    }
}

fn form_encoded(text: &str) -> Secret<String> {
    Secret::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

#[cfg(test)]
mod tests;
