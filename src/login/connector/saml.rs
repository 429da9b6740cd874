//! Login with a SAML 2.0 identity provider: the browser brings an assertion that the provider signed.

use async_trait::async_trait;
use serde_json::json;

use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, KeptState, ProviderLogout, SourceRefusal, UnsolicitedProfile,
};
use crate::clock::Clock;
use crate::expression::{self, Expression, Scope};
use crate::login::pending::Pending;
use crate::people::profile::{AuthContext, Profile, ResponseId, evaluate_over_profile};
use crate::people::provider_tokens::ProviderTokens;
use crate::secret::Secret;
use crate::store::Subject;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::{Text, full_path};
use assertion::{AssertionRules, Facts};
use metadata::{IdpMetadata, MetadataRules};
use metadata_cache::{MetadataCache, MetadataError, MetadataSettings, MetadataState};
use name_id::{NameId, SessionAtProvider};
use names::RESPONSE_FIELD;
use refusal::ResponseRefusal;
use request::{LoginRequest, MessageError, request_id};
use response::{MESSAGE_BYTES_MAX, ResponseRules};
use service_provider::ServiceProvider;

mod assertion;
mod certificates;
mod config;
mod elements;
mod encoding;
mod examine;
mod kind;
mod logout;
mod logout_message;
mod metadata;
mod metadata_cache;
mod name_id;
mod names;
mod refusal;
mod request;
mod response;
mod service_provider;

pub use config::{Binding, Config, Encrypted, MetadataSource, Signed};
pub(super) use kind::NAME as KIND_NAME;

/// A service at one identity provider.
#[derive(Debug)]
pub struct Saml {
    config: Config,
    provider: ServiceProvider,
    metadata: MetadataCache,
    /// Absent: the `NameID`.
    subject: Option<Expression>,
    clock: Clock,
}

impl Saml {
    /// Builds the connector. Reads the keys, certificates and a metadata file; sends no request.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        let subject = config.subject.as_ref().map(|text| {
            Expression::compile(text, Scope::Mapping).map_err(|error| {
                let error = error_chain(&error);
                ConnectorBuildError::Setting(text!(
                    "saml.subject does not compile: {error}",
                    "saml.subject 无法编译：{error:#}"
                ))
            })
        });
        Ok(Self {
            provider: ServiceProvider::build(config, &deps)?,
            metadata: metadata_cache(config, &deps)?,
            subject: subject.transpose()?,
            config: config.clone(),
            clock: deps.clock,
        })
    }

    async fn idp(&self) -> Result<std::sync::Arc<IdpMetadata>, ConnectorError> {
        let current = self.metadata.current().await;
        current.map_err(|error| ConnectorError::MetadataUnavailable(Box::new(error)))
    }

    /// Verifies the response in a field. If a key signed it that is not in the metadata, the provider may have
    /// a new one.
    async fn verified(
        &self,
        field: Option<&str>,
        request_id: Option<&str>,
        silent: bool,
    ) -> Result<(Facts, String), ConnectorError> {
        let message = field.ok_or(ResponseRefusal::Missing).and_then(|text| {
            encoding::decode_form(text, MESSAGE_BYTES_MAX).map_err(ResponseRefusal::from)
        });
        let message = message?;
        let idp = self.idp().await?;
        let facts = match self.verify(&idp, &message, request_id) {
            Err(refusal) if refusal.is_unknown_key() => match self.metadata.refetch().await {
                Some(newer) => self.verify(&newer, &message, request_id),
                None => Err(refusal),
            },
            verified => verified,
        };
        let facts = facts.map_err(|refusal| refusal.into_error(silent))?;
        Ok((facts, idp.entity_id.clone()))
    }

    fn verify(
        &self,
        idp: &IdpMetadata,
        message: &[u8],
        request_id: Option<&str>,
    ) -> Result<Facts, ResponseRefusal> {
        let rules = ResponseRules {
            config: &self.config,
            provider: &self.provider,
            idp,
            request_id,
        };
        let verified = rules.verify(message)?;
        let assertion = verified.element()?;
        let subject = elements::only(assertion, "Subject")?;
        let name_id = match subject {
            None => None,
            Some(subject) => {
                NameId::inside(assertion, subject, &self.provider, verified.decryption)?
            }
        };
        if let Some(name_id) = &name_id {
            self.check_name_id(name_id, idp)?;
        }
        let rules = AssertionRules {
            provider: &self.provider,
            idp,
            request_id,
            now: self.clock.now(),
            skew: self.config.clock_skew.duration(),
        };
        rules.check(assertion, name_id)
    }

    /// Refuses a `NameID` that may name somebody else than the same value of the asked kind does. A request
    /// that is not signed, or whose signature the provider does not demand, passes through the browser, so the
    /// person can have another format, or the name space of another service, asked for.
    fn check_name_id(&self, name_id: &NameId, idp: &IdpMetadata) -> Result<(), ResponseRefusal> {
        let format = self.config.restricting_format();
        if format.is_some_and(|format| name_id.format() != format) {
            let given = name_id.format().to_owned();
            return Err(ResponseRefusal::NameIdFormat(given));
        }
        let (idp, own) = (idp.entity_id.as_str(), self.provider.entity_id.as_str());
        match self.subject.is_none() && name_id.is_of_others(idp, own) {
            true => Err(ResponseRefusal::NameIdOfOthers),
            false => Ok(()),
        }
    }

    fn profile(&self, facts: Facts, issuer: String) -> Result<Profile, ResponseRefusal> {
        let raw = raw_profile(&facts, &issuer);
        let authn = facts.authn;
        let at_provider = facts.name_id.clone().map(|name_id| SessionAtProvider {
            name_id,
            session_index: authn.session_index.clone(),
        });
        Ok(Profile {
            subject: self.subject_of(facts.name_id.as_ref(), &raw)?,
            raw,
            verified_fields: Vec::new(),
            provider_sid: at_provider.as_ref().map(SessionAtProvider::id),
            auth_context: AuthContext {
                acr: authn.context,
                amr: Vec::new(),
                auth_time: Some(authn.instant),
                vouched_until: authn.session_ends_at,
            },
            tokens: self.logout_tokens(at_provider.as_ref()),
            response_id: Some(ResponseId {
                id: format!("assertion {}", facts.id),
                accepted_until: facts.accepted_until,
            }),
            local_revision: None,
        })
    }

    /// What single logout needs later.
    fn logout_tokens(&self, at_provider: Option<&SessionAtProvider>) -> Option<ProviderTokens> {
        self.provider.key.as_ref()?;
        let text = serde_json::to_string(at_provider?).ok()?;
        Some(ProviderTokens {
            id: Some(Secret::new(text)),
            ..ProviderTokens::default()
        })
    }

    fn subject_of(
        &self,
        name_id: Option<&NameId>,
        raw: &serde_json::Value,
    ) -> Result<Subject, ResponseRefusal> {
        let text = match &self.subject {
            None => {
                let name_id = name_id.filter(|name_id| !name_id.is_transient());
                name_id.ok_or(ResponseRefusal::NoSubject)?.value.clone()
            }
            Some(expression) => match evaluate_over_profile(expression, raw) {
                Ok(expression::Value::Text(text)) if !text.is_empty() => text,
                Ok(expression::Value::Int(number)) => number.to_string(),
                Ok(_) => return Err(ResponseRefusal::Subject),
                Err(error) => return Err(ResponseRefusal::SubjectExpression(error)),
            },
        };
        Subject::try_from(text).map_err(|_| ResponseRefusal::Subject)
    }
}

fn metadata_cache(
    config: &Config,
    deps: &ConnectorDeps,
) -> Result<MetadataCache, ConnectorBuildError> {
    let setting = |text: Text| ConnectorBuildError::Setting(text);
    let signed_by = config.metadata_certificate.as_deref();
    let signed_by = signed_by.map(|path| {
        certificates::read_file(path).map_err(|error| {
            setting(text!(
                "saml.metadata_certificate: {}",
                "saml.metadata_certificate：{:#}",
                error_chain(&error)
            ))
        })
    });
    let (url, source) = match &config.metadata {
        MetadataSource::Url(url) => (Some(url.clone()), url.to_string()),
        MetadataSource::File(path) => (None, format!("the file {}", full_path(path))),
    };
    let settings = MetadataSettings {
        url,
        source,
        rules: MetadataRules {
            entity_id: config.idp_entity_id.clone(),
            signed_by: signed_by.transpose()?.map(|(_, key)| key),
            allow_sha1: config.allow_sha1,
        },
        refresh: config.metadata_refresh.duration(),
    };
    let kept = deps.kept_state.clone();
    let kept = kept.and_then(|kept| kept.downcast::<MetadataState>().ok());
    let cache = MetadataCache::new(settings, kept, &deps.outbound, deps.clock.clone());
    if let Some(path) = config.metadata.file() {
        let content = std::fs::read(path);
        let content = content.map_err(|error| {
            setting(text!(
                "saml.metadata: {}: {error}",
                "saml.metadata：无法读取 {}：{error}",
                full_path(path)
            ))
        })?;
        let taken: Result<(), MetadataError> = cache.read_file(&content);
        taken.map_err(|error| {
            setting(text!(
                "saml.metadata: {}",
                "saml.metadata：{:#}",
                error_chain(&error)
            ))
        })?;
    }
    Ok(cache)
}

/// The profile that mappings read.
fn raw_profile(facts: &Facts, issuer: &str) -> serde_json::Value {
    let mut raw = json!({
        "issuer": issuer,
        "authn_instant": facts.authn.instant.to_string(),
        "attributes": facts.attributes,
        "friendly": facts.friendly,
    });
    let name_id = facts.name_id.as_ref();
    let format = name_id.map(NameId::format);
    for (name, value) in [
        ("name_id", name_id.map(|it| it.value.as_str())),
        ("name_id_format", format),
        ("session_index", facts.authn.session_index.as_deref()),
        ("authn_context", facts.authn.context.as_deref()),
    ] {
        if let Some(value) = value {
            raw[name] = value.into();
        }
    }
    raw
}

/// The error of a message that menshen cannot make.
fn message_error(error: &MessageError) -> ConnectorError {
    ConnectorError::Misconfigured {
        remedy: text!(
            "run `menshen check --online`",
            "请运行 `menshen check --online`"
        ),
        source: SourceRefusal {
            call: "the SAML request",
            code: 0,
            message: error_chain(error).to_string(),
        },
    }
}

#[async_trait]
impl Connector for Saml {
    async fn begin(
        &self,
        pending: &Pending,
        request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let idp = self.idp().await?;
        let login = LoginRequest {
            provider: &self.provider,
            pending,
            authn: request,
            name_id_format: self.config.name_id_format(),
            at: self.clock.now(),
        };
        let delivery = login.deliver(&idp.sign_on, self.config.binding);
        let delivery = delivery.map_err(|error| message_error(&error))?;
        Ok(delivery.into())
    }

    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let request_id = request_id(pending);
        let field = response.fields.one(RESPONSE_FIELD).ok().flatten();
        let verified = self.verified(field, Some(&request_id), pending.silent);
        let (facts, issuer) = verified.await?;
        let skew = self.config.clock_skew.duration();
        if pending.reauthenticates && facts.authn.instant.plus(skew) < pending.begun_at {
            return Err(ResponseRefusal::NotForced.into());
        }
        Ok(self.profile(facts, issuer)?)
    }

    /// Redeems the response of a login that the provider started.
    async fn redeem_entry_token(
        &self,
        token: &str,
        _response: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        let (facts, issuer) = self.verified(Some(token), None, false).await?;
        let token_expires_at = facts.accepted_until;
        let profile = self.profile(facts, issuer)?;
        let response_id = profile.response_id.as_ref();
        Ok(UnsolicitedProfile {
            token_id: response_id.map(|response| response.id.clone()),
            token_expires_at,
            profile,
        })
    }

    fn logout(&self) -> Option<&dyn ProviderLogout> {
        self.provider.key.as_ref()?;
        Some(self)
    }

    fn own_metadata(&self) -> Option<String> {
        Some(self.provider.own_metadata())
    }

    fn kept_state(&self) -> Option<KeptState> {
        Some(self.metadata.state())
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}
