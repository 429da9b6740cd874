//! `ServiceProvider`: what menshen is to the identity provider.

use quick_xml::escape::escape;
use url::Url;

use super::super::kit::xml_encryption::ENCRYPTION_METHODS;
use super::super::kit::xml_signature::{
    PrivateKey, SIGNATURE_NAMESPACE, SignError, VerifyingKey, sign_enveloped,
};
use super::super::{ConnectorBuildError, ConnectorDeps};
use super::certificates;
use super::config::{Config, Signed};
use super::names::{METADATA, POST_BINDING, PROTOCOL, REDIRECT_BINDING};
use crate::secret::SecretSource;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The service that menshen is to an identity provider.
#[derive(Debug)]
pub(super) struct ServiceProvider {
    pub(super) entity_id: String,
    /// The URL of the assertion consumer service, which is the callback URL.
    pub(super) consumer: Url,
    pub(super) metadata: Url,
    /// The URL of single logout.
    pub(super) logout: Url,
    /// Absent: requests are not signed, nothing encrypted is accepted, and there is no single logout.
    pub(super) key: Option<OwnKey>,
    name_id_format: Option<String>,
    wants_signed_assertions: bool,
}

/// The private key of menshen and its certificate.
#[derive(Debug)]
pub(super) struct OwnKey {
    pub(super) private: PrivateKey,
    pub(super) certificate: Vec<u8>,
}

impl OwnKey {
    /// Signs the element with this ID of a message.
    pub(super) fn sign(&self, message: &str, id: &str) -> Result<String, SignError> {
        sign_enveloped(message, id, &self.private, &self.certificate)
    }
}

impl ServiceProvider {
    /// Reads the key and the certificate.
    pub(super) fn build(
        config: &Config,
        deps: &ConnectorDeps,
    ) -> Result<Self, ConnectorBuildError> {
        let own_page = |page: &str| {
            let text = format!("{}/saml/{}/{page}", deps.own_pages_url, deps.id);
            Url::parse(&text).map_err(|_| {
                ConnectorBuildError::Setting(text!("{text} is no URL", "{text} 不是 URL"))
            })
        };
        let metadata = own_page("metadata")?;
        Ok(Self {
            entity_id: config
                .entity_id
                .clone()
                .unwrap_or_else(|| metadata.as_str().to_owned()),
            consumer: deps.callback.clone(),
            metadata,
            logout: own_page("logout")?,
            key: own_key(config)?,
            name_id_format: config.name_id_format().map(str::to_owned),
            wants_signed_assertions: matches!(config.signed, Signed::Assertion | Signed::Both),
        })
    }

    pub(super) fn private_key(&self) -> Option<&PrivateKey> {
        Some(&self.key.as_ref()?.private)
    }

    /// The metadata of menshen (SAML 2.0 metadata §2.4.4).
    pub(super) fn own_metadata(&self) -> String {
        let mut services = String::new();
        if self.key.is_some() {
            let location = escape(self.logout.as_str());
            for binding in [REDIRECT_BINDING, POST_BINDING] {
                services.push_str(&format!(
                    "<md:SingleLogoutService Binding=\"{binding}\" Location=\"{location}\"/>\n"
                ));
            }
        }
        if let Some(format) = &self.name_id_format {
            let format = escape(format.as_str());
            services.push_str(&format!("<md:NameIDFormat>{format}</md:NameIDFormat>\n"));
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <md:EntityDescriptor xmlns:md=\"{METADATA}\" entityID=\"{}\">\n\
             <md:SPSSODescriptor AuthnRequestsSigned=\"{}\" WantAssertionsSigned=\"{}\" \
             protocolSupportEnumeration=\"{PROTOCOL}\">\n\
             {}{services}\
             <md:AssertionConsumerService Binding=\"{POST_BINDING}\" Location=\"{}\" index=\"0\" \
             isDefault=\"true\"/>\n\
             </md:SPSSODescriptor>\n\
             </md:EntityDescriptor>\n",
            escape(self.entity_id.as_str()),
            self.key.is_some(),
            self.wants_signed_assertions,
            self.key.as_ref().map(key_descriptors).unwrap_or_default(),
            escape(self.consumer.as_str()),
        )
    }
}

/// The key of menshen, once for signatures and once for encryption with the methods that are accepted.
fn key_descriptors(key: &OwnKey) -> String {
    let certificate = STANDARD.encode(&key.certificate);
    let info = format!(
        "<ds:KeyInfo xmlns:ds=\"{SIGNATURE_NAMESPACE}\"><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    );
    let methods: String = ENCRYPTION_METHODS
        .iter()
        .map(|method| format!("<md:EncryptionMethod Algorithm=\"{method}\"/>"))
        .collect();
    format!(
        "<md:KeyDescriptor use=\"signing\">{info}</md:KeyDescriptor>\n\
         <md:KeyDescriptor use=\"encryption\">{info}{methods}</md:KeyDescriptor>\n"
    )
}

fn own_key(config: &Config) -> Result<Option<OwnKey>, ConnectorBuildError> {
    let setting = |text: Text| ConnectorBuildError::Setting(text);
    let read: Result<(Vec<u8>, VerifyingKey), _> =
        match (&config.certificate, &config.certificate_pem) {
            (Some(path), _) => certificates::read_file(path),
            (None, Some(pem)) => certificates::read_text("certificate_pem", pem),
            (None, None) => return Ok(None),
        };
    let Some(private_key) = &config.private_key else {
        return Ok(None);
    };
    let pem = private_key.read().map_err(ConnectorBuildError::Secret)?;
    let private = PrivateKey::from_pem(&pem);
    let private = private.map_err(|error| {
        setting(text!(
            "saml.private_key: {error}",
            "saml.private_key：{error:#}"
        ))
    })?;
    let (certificate, public) = read.map_err(|error| {
        setting(text!(
            "saml.certificate: {}",
            "saml.certificate：{:#}",
            error_chain(&error)
        ))
    })?;
    if !private.belongs_to(&public) {
        let text = text!(
            "saml.certificate: it is not the certificate of private_key",
            "saml.certificate：不是 private_key 的证书"
        );
        return Err(setting(text));
    }
    Ok(Some(OwnKey {
        private,
        certificate,
    }))
}

/// What is wrong with a key and a certificate that are written in the settings themselves: the setting, and
/// why. Reads no file.
pub(super) fn written_key_problems(config: &Config) -> Vec<(&'static str, Text)> {
    let mut problems = Vec::new();
    let private = match &config.private_key {
        Some(SecretSource::Literal(pem)) => Some(PrivateKey::from_pem(pem)),
        _ => None,
    };
    let certificate = config.certificate_pem.as_deref();
    let certificate = certificate.map(|pem| certificates::read_text("certificate_pem", pem));
    if let Some(Err(error)) = &private {
        problems.push((
            "private_key",
            text!("private_key: {error}", "private_key：{error:#}"),
        ));
    }
    if let Some(Err(error)) = &certificate {
        problems.push(("certificate_pem", Text::of(&error_chain(error))));
    }
    if let (Some(Ok(private)), Some(Ok((_, public)))) = (private, certificate)
        && !private.belongs_to(&public)
    {
        let text = text!(
            "certificate_pem is not the certificate of private_key",
            "certificate_pem 不是 private_key 的证书"
        );
        problems.push(("certificate_pem", text));
    }
    problems
}
