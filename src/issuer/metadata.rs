//! `Metadata`: what an issuer says of itself (OpenID Connect Discovery 1.0 §3, RFC 8414).

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::{IssuerError, IssuerName, IssuerSettings, tenant};
use crate::outbound::{Outbound, OutboundCall, OutboundError};

/// What an issuer says of itself, as far as somebody here asks for it.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Where its keys are.
    pub jwks_uri: Url,
    /// Where a browser logs in.
    pub authorization_endpoint: Option<Url>,
    /// Where codes are redeemed.
    pub token_endpoint: Option<Url>,
    /// Where it says more of a person.
    pub userinfo_endpoint: Option<Url>,
    /// Where a browser logs out (RP-Initiated Logout 1.0).
    pub end_session_endpoint: Option<Url>,
    /// Where an opaque token is explained (RFC 7662).
    pub introspection_endpoint: Option<Url>,
    /// Whether every answer of the authorization endpoint names it (RFC 9207).
    pub sends_iss: bool,
    /// How clients may prove themselves; the default of the standard when it does not say.
    pub token_endpoint_auth_methods: Vec<String>,
    /// The ways a code's verifier may be hidden; empty when it does not say.
    pub code_challenge_methods: Vec<String>,
}

/// Why metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// It is another's: whoever answers is not who was asked for.
    #[error("it names itself `{said}`; write exactly that as `issuer` if it is the one you mean")]
    WrongIssuer {
        /// What it calls itself, bounded.
        said: String,
    },
    /// It serves many tenants, and a configuration must say which.
    #[error(
        "it serves many tenants and names itself `{said}`; write exactly that as its name, \
         metadata_url = \"{asked}\", and in `tenants` the ids of those whose people count"
    )]
    MultiTenant {
        /// What it calls itself, bounded.
        said: String,
        /// Where it said so.
        asked: Url,
    },
    /// Something is not there.
    #[error("it lacks `{0}`")]
    Missing(&'static str),
    /// An address is none, or leaves https although the issuer is https.
    #[error("its `{0}` is no address that can be used")]
    InvalidUrl(&'static str),
}

/// The longest foreign name an error repeats, in characters.
const NAME_CHARS_MAX: usize = 200;

const CALL: OutboundCall = OutboundCall::repeatable("the issuer's metadata");

pub(super) async fn fetch(
    settings: IssuerSettings,
    outbound: Outbound,
) -> Result<Metadata, IssuerError> {
    let name = &settings.name;
    let unreachable = |source: OutboundError| IssuerError::Unreachable {
        issuer: name.clone(),
        source: Arc::new(source),
    };
    let url = settings.metadata_url.clone();
    let url = url.unwrap_or_else(|| well_known(name));
    let said = outbound.get_json(&url, &[], CALL).await;
    let said = said.map_err(unreachable)?;
    read(name, &said, &url).map_err(|source| IssuerError::Metadata {
        issuer: name.clone(),
        source: Arc::new(source),
    })
}

fn well_known(name: &IssuerName) -> Url {
    let text = name.with_tenant(tenant::EVERY_ORGANISATION);
    let text = text.trim_end_matches('/');
    Url::parse(&format!("{text}/.well-known/openid-configuration")).unwrap_or_else(|_| name.url())
}

fn read(name: &IssuerName, said: &Value, asked: &Url) -> Result<Metadata, MetadataError> {
    let own = said.get("issuer").and_then(Value::as_str);
    let own = own.ok_or(MetadataError::Missing("issuer"))?;
    if own != name.as_str() {
        let plain = own.chars().filter(|c| !c.is_control());
        let said = plain.take(NAME_CHARS_MAX).collect();
        let many = IssuerName::try_from(own.to_owned()).is_ok_and(|own| own.serves_tenants());
        return Err(match many {
            true => MetadataError::MultiTenant {
                said,
                asked: asked.clone(),
            },
            false => MetadataError::WrongIssuer { said },
        });
    }
    let address = |field: &'static str| match said.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(text) => {
            let url = text.as_str().and_then(|text| Url::parse(text).ok());
            url.filter(|url| fits(name, url))
                .map(Some)
                .ok_or(MetadataError::InvalidUrl(field))
        }
    };
    let texts = |field: &str| -> Vec<String> {
        let listed = said.get(field).and_then(Value::as_array);
        let texts = listed.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let mut methods = texts("token_endpoint_auth_methods_supported");
    if methods.is_empty() {
        methods.push("client_secret_basic".to_owned());
    }
    Ok(Metadata {
        jwks_uri: address("jwks_uri")?.ok_or(MetadataError::Missing("jwks_uri"))?,
        authorization_endpoint: address("authorization_endpoint")?,
        token_endpoint: address("token_endpoint")?,
        userinfo_endpoint: address("userinfo_endpoint")?,
        end_session_endpoint: address("end_session_endpoint")?,
        introspection_endpoint: address("introspection_endpoint")?,
        sends_iss: said.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
        token_endpoint_auth_methods: methods,
        code_challenge_methods: texts("code_challenge_methods_supported"),
    })
}

/// An https issuer sends nobody to plain http; and no address carries credentials.
fn fits(name: &IssuerName, url: &Url) -> bool {
    let scheme = match url.scheme() {
        "https" => true,
        "http" => name.as_str().starts_with("http:"),
        _ => false,
    };
    scheme && url.has_host() && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name() -> IssuerName {
        IssuerName::try_from("https://id.corp.example/realms/corp".to_owned()).unwrap()
    }

    fn read_of(name: &IssuerName, said: &Value) -> Result<Metadata, MetadataError> {
        read(name, said, &well_known(name))
    }

    #[test]
    fn an_issuer_of_many_tenants_is_asked_for_all_of_them_and_said_to_be_one() {
        let many = "https://login.example/{tenantid}/v2.0";
        let template = IssuerName::try_from(many.to_owned()).unwrap();
        assert_eq!(
            well_known(&template).as_str(),
            "https://login.example/organizations/v2.0/.well-known/openid-configuration"
        );
        let said = json!({ "issuer": many, "jwks_uri": "https://login.example/keys" });
        assert!(read_of(&template, &said).is_ok());
        let common = "https://login.example/common/v2.0".to_owned();
        let common = IssuerName::try_from(common).unwrap();
        let error = read_of(&common, &said).unwrap_err().to_string();
        for word in [
            many,
            "`tenants`",
            "https://login.example/common/v2.0/.well-known",
        ] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn the_least_there_must_be_is_a_name_and_keys() {
        let least = json!({ "issuer": "https://id.corp.example/realms/corp", "jwks_uri": "https://id.corp.example/keys" });
        let metadata = read_of(&name(), &least).unwrap();
        assert_eq!(
            metadata.token_endpoint_auth_methods,
            ["client_secret_basic"]
        );
        assert!(metadata.end_session_endpoint.is_none() && !metadata.sends_iss);
        assert_eq!(
            well_known(&name()).as_str(),
            "https://id.corp.example/realms/corp/.well-known/openid-configuration"
        );
    }

    #[test]
    fn metadata_of_another_issuer_is_refused_with_its_name() {
        let other = json!({ "issuer": "https://id.corp.example/realms/corp/", "jwks_uri": "https://id.corp.example/keys" });
        let error = read_of(&name(), &other).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`https://id.corp.example/realms/corp/`"),
            "{error}"
        );
        assert!(matches!(
            read_of(&name(), &json!({})),
            Err(MetadataError::Missing("issuer"))
        ));
    }

    #[test]
    fn an_https_issuer_leads_nobody_to_plain_http() {
        for bad in [
            "http://id.corp.example/keys",
            "ftp://a/b",
            "keys",
            "https://u:p@a/b",
        ] {
            let said = json!({ "issuer": name().as_str(), "jwks_uri": bad });
            assert!(
                matches!(
                    read_of(&name(), &said),
                    Err(MetadataError::InvalidUrl("jwks_uri"))
                ),
                "{bad}"
            );
        }
        let said =
            json!({ "issuer": name().as_str(), "jwks_uri": "https://a/b", "token_endpoint": 7 });
        assert!(matches!(
            read_of(&name(), &said),
            Err(MetadataError::InvalidUrl("token_endpoint"))
        ));
    }
}
