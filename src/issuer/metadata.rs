//! `Metadata`: the metadata document of an issuer (OpenID Connect Discovery 1.0 §3, RFC 8414).

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::name::METADATA_PATH;
use super::{IssuerError, IssuerName, IssuerSettings, tenant};
use crate::outbound::{Outbound, OutboundCall, OutboundError};
use crate::text;
use crate::wording::{Text, error_of_text};

/// The fields of the metadata that are used.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub jwks_uri: Url,
    pub authorization_endpoint: Option<Url>,
    pub token_endpoint: Option<Url>,
    pub userinfo_endpoint: Option<Url>,
    /// The page that logs a browser out (RP-Initiated Logout 1.0).
    pub end_session_endpoint: Option<Url>,
    /// The endpoint that describes tokens (RFC 7662).
    pub introspection_endpoint: Option<Url>,
    /// Whether every authorization response has an `iss` parameter (RFC 9207).
    pub sends_iss: bool,
    /// How clients may authenticate; `client_secret_basic` if the metadata does not list any.
    pub token_endpoint_auth_methods: Vec<String>,
    /// The PKCE methods; empty if the metadata does not list any.
    pub code_challenge_methods: Vec<String>,
}

/// Why metadata cannot be used.
#[derive(Debug)]
pub enum MetadataError {
    /// It is the metadata of another issuer.
    WrongIssuer {
        /// The `issuer` of the metadata, truncated.
        found: String,
    },
    /// It serves many tenants, and the configuration does not say which are allowed.
    MultiTenant {
        /// The `issuer` of the metadata, truncated.
        found: String,
        /// The URL of the metadata.
        url: Url,
    },
    Missing(&'static str),
    /// Not an http(s) URL, or plain http although the issuer uses https.
    InvalidUrl(&'static str),
}

impl MetadataError {
    fn text(&self) -> Text {
        match self {
            Self::WrongIssuer { found } => text!(
                "its `issuer` is `{found}`; write exactly that as `issuer` if it is the one you mean",
                "其中的 `issuer` 是 `{found}`；如果就是要用的那个，请在 `issuer` 中照此填写，一字不差"
            ),
            Self::MultiTenant { found, url } => text!(
                "it serves many tenants and its `issuer` is `{found}`; write exactly that as its name, \
                 metadata_url = \"{url}\", and in `tenants` the IDs of the tenants that are allowed",
                "它服务多个租户，其中的 `issuer` 是 `{found}`；请照此填写它的名字，一字不差，并设置 \
                 metadata_url = \"{url}\"，在 `tenants` 中填写允许的租户 ID"
            ),
            Self::Missing(it) => text!("it lacks `{it}`", "缺少 `{it}`"),
            Self::InvalidUrl(it) => text!(
                "its `{it}` is not a URL that can be used",
                "其中的 `{it}` 不是可用的 URL"
            ),
        }
    }
}

error_of_text!(MetadataError);

/// The longest name from the metadata that an error repeats, in characters.
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
    let document = outbound.get_json(&url, &[], CALL).await;
    let document = document.map_err(unreachable)?;
    parse(name, &document, &url).map_err(|source| IssuerError::Metadata {
        issuer: name.clone(),
        source: Arc::new(source),
    })
}

fn well_known(name: &IssuerName) -> Url {
    let text = name.with_tenant(tenant::EVERY_ORGANISATION);
    let text = text.trim_end_matches('/');
    Url::parse(&format!("{text}{METADATA_PATH}")).unwrap_or_else(|_| name.url())
}

fn parse(name: &IssuerName, document: &Value, url: &Url) -> Result<Metadata, MetadataError> {
    let issuer = document.get("issuer").and_then(Value::as_str);
    let issuer = issuer.ok_or(MetadataError::Missing("issuer"))?;
    if issuer != name.as_str() {
        return Err(wrong_issuer(issuer, url));
    }
    let endpoint = |field: &'static str| match document.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(text) => {
            let url = text.as_str().and_then(|text| Url::parse(text).ok());
            url.filter(|url| is_allowed(name, url))
                .map(Some)
                .ok_or(MetadataError::InvalidUrl(field))
        }
    };
    let texts = |field: &str| -> Vec<String> {
        let listed = document.get(field).and_then(Value::as_array);
        let texts = listed.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let mut methods = texts("token_endpoint_auth_methods_supported");
    if methods.is_empty() {
        methods.push("client_secret_basic".to_owned());
    }
    Ok(Metadata {
        jwks_uri: endpoint("jwks_uri")?.ok_or(MetadataError::Missing("jwks_uri"))?,
        authorization_endpoint: endpoint("authorization_endpoint")?,
        token_endpoint: endpoint("token_endpoint")?,
        userinfo_endpoint: endpoint("userinfo_endpoint")?,
        end_session_endpoint: endpoint("end_session_endpoint")?,
        introspection_endpoint: endpoint("introspection_endpoint")?,
        sends_iss: document.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
        token_endpoint_auth_methods: methods,
        code_challenge_methods: texts("code_challenge_methods_supported"),
    })
}

fn wrong_issuer(issuer: &str, url: &Url) -> MetadataError {
    let printable = issuer.chars().filter(|c| !c.is_control());
    let found = printable.take(NAME_CHARS_MAX).collect();
    let parsed = IssuerName::try_from(issuer.to_owned());
    match parsed.is_ok_and(|issuer| issuer.serves_tenants()) {
        true => MetadataError::MultiTenant {
            found,
            url: url.clone(),
        },
        false => MetadataError::WrongIssuer { found },
    }
}

/// An https issuer must not have plain http endpoints, and no URL may contain credentials.
fn is_allowed(name: &IssuerName, url: &Url) -> bool {
    let is_scheme_allowed = match url.scheme() {
        "https" => true,
        "http" => name.as_str().starts_with("http:"),
        _ => false,
    };
    is_scheme_allowed && url.has_host() && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name() -> IssuerName {
        IssuerName::try_from("https://id.corp.example/realms/corp".to_owned()).unwrap()
    }

    fn parsed(name: &IssuerName, document: &Value) -> Result<Metadata, MetadataError> {
        parse(name, document, &well_known(name))
    }

    #[test]
    fn a_multi_tenant_issuer_has_one_metadata_document_and_is_recognised_by_it() {
        let name_with_placeholder = "https://login.example/{tenantid}/v2.0";
        let multi_tenant = IssuerName::try_from(name_with_placeholder.to_owned()).unwrap();
        assert_eq!(
            well_known(&multi_tenant).as_str(),
            "https://login.example/organizations/v2.0/.well-known/openid-configuration"
        );
        let document =
            json!({ "issuer": name_with_placeholder, "jwks_uri": "https://login.example/keys" });
        assert!(parsed(&multi_tenant, &document).is_ok());
        let common = "https://login.example/common/v2.0".to_owned();
        let common = IssuerName::try_from(common).unwrap();
        let error = parsed(&common, &document).unwrap_err().to_string();
        for word in [
            name_with_placeholder,
            "`tenants`",
            "https://login.example/common/v2.0/.well-known",
        ] {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn metadata_needs_only_an_issuer_and_keys() {
        let smallest = json!({ "issuer": "https://id.corp.example/realms/corp", "jwks_uri": "https://id.corp.example/keys" });
        let metadata = parsed(&name(), &smallest).unwrap();
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
    fn metadata_of_another_issuer_is_refused_and_that_issuer_is_named() {
        let other = json!({ "issuer": "https://id.corp.example/realms/corp/", "jwks_uri": "https://id.corp.example/keys" });
        let error = parsed(&name(), &other).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`https://id.corp.example/realms/corp/`"),
            "{error}"
        );
        assert!(matches!(
            parsed(&name(), &json!({})),
            Err(MetadataError::Missing("issuer"))
        ));
    }

    #[test]
    fn endpoints_of_an_https_issuer_must_use_https() {
        for bad in [
            "http://id.corp.example/keys",
            "ftp://a/b",
            "keys",
            "https://u:p@a/b",
        ] {
            let document = json!({ "issuer": name().as_str(), "jwks_uri": bad });
            assert!(
                matches!(
                    parsed(&name(), &document),
                    Err(MetadataError::InvalidUrl("jwks_uri"))
                ),
                "{bad}"
            );
        }
        let document =
            json!({ "issuer": name().as_str(), "jwks_uri": "https://a/b", "token_endpoint": 7 });
        assert!(matches!(
            parsed(&name(), &document),
            Err(MetadataError::InvalidUrl("token_endpoint"))
        ));
    }
}
