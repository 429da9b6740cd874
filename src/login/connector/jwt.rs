//! Login with a signed token that a portal puts into a parameter: a JSON Web Token (RFC 7519), if configured
//! encrypted as well. Only the portal starts logins.

use async_trait::async_trait;
use url::Url;

use super::kit::jwe::{self, TokenDecrypter};
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, UnsolicitedProfile,
};
use crate::clock::Clock;
use crate::expression::{self, Expression, Scope};
use crate::issuer::TokenSender;
use crate::login::pending::Pending;
use crate::people::profile::{AuthContext, Profile, evaluate_over_profile};
use crate::store::Subject;
use crate::text;

mod claims;
mod config;
mod key_checks;
mod key_list;
mod kind;
mod refusal;
mod verifier;

pub use super::kit::jose_keys::KeyEncoding;
pub use super::kit::jwe::{ContentAlgorithm, KeyAlgorithm};
pub use config::{Config, DecryptConfig, GroovyScript, TokenAlgorithm};
pub use key_checks::{
    decrypting_key_problem, encryption_key_fits, signing_key_fits, verifying_key_problem,
};
pub use key_list::KeyList;
pub(super) use kind::NAME as KIND_NAME;

use claims::{AcceptedToken, ClaimRequirements};
use refusal::TokenRefusal;
use verifier::Verifier;

/// Verifies the tokens of one portal.
#[derive(Debug)]
pub struct Jwt {
    parameter: String,
    verifier: Verifier,
    /// Absent: tokens are not encrypted.
    decrypter: Option<TokenDecrypter>,
    requirements: ClaimRequirements,
    subject: Expression,
    /// The URL to which the portal sends people.
    entry_url: Url,
    clock: Clock,
}

impl Jwt {
    /// Builds the connector. Reads the keys; sends no request.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        let subject = Expression::compile(&config.subject, Scope::Mapping).map_err(|error| {
            let error = crate::telemetry::error_chain(&error);
            ConnectorBuildError::Setting(text!(
                "jwt.subject does not compile: {error}",
                "jwt.subject 无法编译：{error:#}"
            ))
        })?;
        let decrypter = config.decrypt.as_ref();
        let entry_url = format!("{}/enter/{}", deps.own_pages_url, deps.id);
        Ok(Self {
            parameter: config.parameter.clone(),
            decrypter: decrypter.map(DecryptConfig::build).transpose()?,
            requirements: ClaimRequirements::of(config),
            subject,
            entry_url: Url::parse(&entry_url).map_err(|_| {
                ConnectorBuildError::Setting(text!("{entry_url} is no URL", "{entry_url} 不是 URL"))
            })?,
            clock: deps.clock.clone(),
            verifier: Verifier::build(config, deps)?,
        })
    }

    /// Decrypts the token if it must be encrypted, and verifies signature and claims.
    async fn verify(
        &self,
        token: &str,
        sender: TokenSender,
    ) -> Result<AcceptedToken, TokenRefusal> {
        let decrypted;
        let signed = match &self.decrypter {
            None if jwe::is_encrypted(token) => return Err(TokenRefusal::Encrypted),
            None => token,
            Some(_) if !jwe::is_encrypted(token) => return Err(TokenRefusal::NotEncrypted),
            Some(decrypter) => {
                decrypted = decrypter.decrypt(token)?;
                decrypted.expose()
            }
        };
        let verified = self.verifier.verify(signed, sender).await?;
        self.requirements.check(signed, verified, self.clock.now())
    }

    fn subject_of(&self, profile: &serde_json::Value) -> Result<Subject, TokenRefusal> {
        let text = match evaluate_over_profile(&self.subject, profile) {
            Ok(expression::Value::Text(text)) if !text.is_empty() => text,
            Ok(expression::Value::Int(number)) => number.to_string(),
            Ok(_) => return Err(TokenRefusal::Subject),
            Err(error) => return Err(TokenRefusal::SubjectExpression(error)),
        };
        Subject::try_from(text).map_err(|_| TokenRefusal::Subject)
    }
}

#[async_trait]
impl Connector for Jwt {
    async fn begin(
        &self,
        _pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        Err(TokenRefusal::OnlyThePortalStarts.into())
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        _response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        Err(TokenRefusal::OnlyThePortalStarts.into())
    }

    async fn redeem_entry_token(
        &self,
        token: &str,
        response: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        let sender = TokenSender::Client(response.client);
        let accepted = self.verify(token, sender).await?;
        let raw = serde_json::Value::Object(accepted.claims.into_map());
        let subject = self.subject_of(&raw)?;
        Ok(UnsolicitedProfile {
            profile: Profile {
                subject,
                raw,
                verified_fields: Vec::new(),
                provider_sid: None,
                auth_context: AuthContext {
                    auth_time: accepted.auth_time,
                    ..AuthContext::default()
                },
                tokens: None,
                response_id: None,
                local_revision: None,
            },
            token_id: Some(accepted.id),
            token_expires_at: accepted.accepted_until,
        })
    }

    async fn examine(&self) -> Vec<Finding> {
        let Self {
            entry_url,
            parameter,
            ..
        } = self;
        let text = text!(
            "the portal sends people to {entry_url}, with the token in the parameter `{parameter}` of \
             the URL or of a form",
            "门户应让浏览器跳转到 {entry_url}，并把令牌放在 URL 或表单的参数 `{parameter}` 中"
        );
        let mut findings = vec![Finding::good(text)];
        findings.extend(self.verifier.examine().await);
        findings
    }
}
