//! `IssuerName`: the name of an issuer, compared byte for byte.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

/// The name of an issuer as its tokens spell it: an http(s) address without query and fragment.
///
/// Kept as text: a URL library would add or drop a slash, and the comparison is by bytes
/// (OpenID Connect Core §3.1.3.7, RFC 9207 §2.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssuerName(String);

crate::setting::text_schema!(IssuerName: "the address that names an issuer, as its tokens spell it");

/// Not the name of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an issuer is an http(s) address without query, fragment and credentials")]
pub struct NoIssuerName;

impl IssuerName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address.
    pub fn url(&self) -> Url {
        Url::parse(&self.0).expect("an issuer's name was parsed as an address when it was made")
    }
}

impl TryFrom<String> for IssuerName {
    type Error = NoIssuerName;

    fn try_from(text: String) -> Result<Self, NoIssuerName> {
        let url = Url::parse(&text).map_err(|_| NoIssuerName)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        plain.then_some(Self(text)).ok_or(NoIssuerName)
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
    fn a_name_keeps_its_bytes_and_has_no_query() {
        for good in [
            "https://id.corp.example",
            "http://127.0.0.1:8080/realms/corp",
            "https://a.example/",
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
        ] {
            assert_eq!(
                IssuerName::try_from(bad.to_owned()),
                Err(NoIssuerName),
                "{bad}"
            );
        }
    }
}
