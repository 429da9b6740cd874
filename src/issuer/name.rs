//! `IssuerName`: the `iss` value of an issuer, compared byte by byte.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::tenant;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The path of the metadata below the name of an issuer (OpenID Connect Discovery §4).
pub(super) const METADATA_PATH: &str = "/.well-known/openid-configuration";

/// The `iss` value of an issuer: an http(s) URL without query and fragment.
///
/// `{tenantid}` in its path is the placeholder for the tenant of a multi-tenant issuer.
///
/// It is stored as text because a URL library may add or remove a slash, and the comparison is by
/// bytes (OpenID Connect Core §3.1.3.7, RFC 9207 §2.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssuerName(String);

crate::setting::text_schema!(IssuerName: "the address that names an issuer, as its tokens spell it");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIssuerName;

error_of_text!(InvalidIssuerName: "an issuer is an http(s) address without query, fragment and credentials; braces are allowed \
     only as {{tenantid}}, for an issuer of many tenants", "签发方应为 http(s) 地址，不带查询参数、片段和用户名密码；花括号只能写 {{tenantid}}，用于有多个租户的签发方");

impl IssuerName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn url(&self) -> Url {
        Url::parse(&self.0).expect("the constructor parsed the issuer's name as a URL")
    }

    /// Whether it has the placeholder for a tenant, so that it stands for several `iss` values.
    pub fn serves_tenants(&self) -> bool {
        self.0.contains(tenant::TENANT_PLACEHOLDER)
    }

    /// Whether a token whose `iss` is the other name could also be a token of this issuer.
    pub fn covers(&self, other: &Self) -> bool {
        self == other || self.tenant_in(&other.0).is_some()
    }

    /// What to write instead, if the name is the URL of the metadata.
    pub fn metadata_problem(&self) -> Option<Text> {
        let (name, _) = self.0.split_once(METADATA_PATH)?;
        Some(text!(
            "write {name}: menshen adds {METADATA_PATH} itself",
            "请写 {name}：{METADATA_PATH} 由 menshen 自己加上"
        ))
    }

    /// The name with the placeholder replaced.
    pub(super) fn with_tenant(&self, id: &str) -> String {
        self.0.replace(tenant::TENANT_PLACEHOLDER, id)
    }

    /// The part of `iss` where this name has the placeholder, if the rest is equal.
    pub(super) fn tenant_in<'a>(&self, iss: &'a str) -> Option<&'a str> {
        let (before, after) = self.0.split_once(tenant::TENANT_PLACEHOLDER)?;
        iss.strip_prefix(before)?.strip_suffix(after)
    }
}

impl TryFrom<String> for IssuerName {
    type Error = InvalidIssuerName;

    fn try_from(text: String) -> Result<Self, InvalidIssuerName> {
        let url = Url::parse(&text).map_err(|_| InvalidIssuerName)?;
        let is_valid = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
            && has_valid_braces(&text);
        is_valid.then_some(Self(text)).ok_or(InvalidIssuerName)
    }
}

/// Whether the text has no braces, or only those of one path segment that is the placeholder.
fn has_valid_braces(text: &str) -> bool {
    let path = text
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'));
    let mut segments = path.map_or("", |(_, path)| path).split('/');
    let placeholders = segments
        .by_ref()
        .filter(|segment| *segment == tenant::TENANT_PLACEHOLDER);
    match text.matches(['{', '}']).count() {
        0 => true,
        2 => placeholders.count() == 1,
        _ => false,
    }
}

impl From<IssuerName> for String {
    fn from(name: IssuerName) -> Self {
        name.0
    }
}

impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_bytes_and_has_no_query_or_credentials() {
        for good in [
            "https://id.corp.example",
            "http://127.0.0.1:8080/realms/corp",
            "https://a.example/",
            "https://login.example/{tenantid}/v2.0",
            "https://sts.example/{tenantid}/",
        ] {
            assert_eq!(
                IssuerName::try_from(good.to_owned()).unwrap().as_str(),
                good
            );
        }
        for bad in [
            "",
            "id.corp.example",
            "ftp://a",
            "https://a?x",
            "https://a#x",
            "https://u:p@a",
            "https://a /x",
            "https://login.example/{tenant}/v2.0",
            "https://login.example/{tenantid}x/v2.0",
            "https://login.example/{tenantid}/{tenantid}",
            "https://{tenantid}.example/v2.0",
            "https://login.example/}/{",
        ] {
            assert_eq!(
                IssuerName::try_from(bad.to_owned()),
                Err(InvalidIssuerName),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_multi_tenant_name_finds_the_tenant_in_an_iss_value() {
        let name = "https://login.example/{tenantid}/v2.0".to_owned();
        let name = IssuerName::try_from(name).unwrap();
        assert!(name.serves_tenants());
        assert_eq!(name.with_tenant("t1"), "https://login.example/t1/v2.0");
        let tenant = |iss| name.tenant_in(iss);
        assert_eq!(tenant("https://login.example/t1/v2.0"), Some("t1"));
        for other in [
            "https://login.example/v2.0",
            "https://login.example/t1/v2.0/",
            "https://login.test/t1/v2.0",
        ] {
            assert_eq!(tenant(other), None, "{other}");
        }
    }
}
