//! Tenants of a multi-tenant issuer. The `issuer` in the metadata of Entra ID is
//! `https://…/{tenantid}/v2.0`; `iss` of a token has the ID of the tenant instead of the placeholder.

use std::fmt;

use serde::Deserialize;

use super::IssuerName;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The placeholder for the ID of a tenant in the name of an issuer.
pub(super) const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// Replaces the placeholder in the URL of the metadata if the configuration has no `metadata_url`: the
/// endpoint of Entra ID for the accounts of all organisations.
pub(super) const EVERY_ORGANISATION: &str = "organizations";

/// An allowed tenant: its ID, or `*` for every tenant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TenantName {
    Any,
    /// In lower case.
    Id(String),
}

crate::setting::text_schema!(TenantName: "the ID of a tenant, as `tid` of its tokens spells it, or *");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTenantName;

error_of_text!(InvalidTenantName: "a tenant is an ID such as 72f988bf-86f1-41af-91ab-2d7cd011db47, not a domain, or \"*\" for \
     every tenant", "租户应为 72f988bf-86f1-41af-91ab-2d7cd011db47 这样的 ID，不是域名；\"*\" 表示所有租户");

impl TryFrom<String> for TenantName {
    type Error = InvalidTenantName;

    fn try_from(text: String) -> Result<Self, InvalidTenantName> {
        if text == "*" {
            return Ok(Self::Any);
        }
        is_id(&text)
            .then(|| Self::Id(text.to_ascii_lowercase()))
            .ok_or(InvalidTenantName)
    }
}

/// Checks that the issuer's name and the list of tenants fit together. Returns the wrong setting and
/// the reason.
pub fn tenants_problem(name: &IssuerName, tenants: &[TenantName]) -> Option<(TenantSetting, Text)> {
    match (name.serves_tenants(), tenants) {
        (true, []) => Some((
            TenantSetting::Issuer,
            text!(
                "{{tenantid}} is the placeholder for a tenant: name the allowed tenants in `tenants`",
                "{{tenantid}} 是租户的占位符：请在 `tenants` 中写上允许的租户"
            ),
        )),
        (false, [_, ..]) => Some((
            TenantSetting::Tenants,
            text!(
                "the name of the issuer has no {{tenantid}}, so all its tokens are of one tenant: remove \
                 `tenants`",
                "签发方的名字中没有 {{tenantid}}，它的令牌都属于同一个租户：请删除 `tenants`"
            ),
        )),
        (true, [_, _, ..]) if tenants.contains(&TenantName::Any) => Some((
            TenantSetting::Tenants,
            text!(
                "\"*\" allows every tenant: remove the others, or remove it",
                "\"*\" 表示允许所有租户：请删除其他的，或删除它"
            ),
        )),
        (true | false, _) => None,
    }
}

/// The setting that [`tenants_problem`] refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantSetting {
    Issuer,
    Tenants,
}

/// Whether tokens of the tenant `id` are accepted.
pub(super) fn is_allowed(tenants: &[TenantName], id: &str) -> bool {
    is_id(id)
        && tenants.iter().any(|tenant| match tenant {
            TenantName::Any => true,
            TenantName::Id(allowed) => allowed.eq_ignore_ascii_case(id),
        })
}

/// Whether it is a UUID. Nothing else may become part of a URL or of a subject.
fn is_id(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| {
            if hyphens.contains(&index) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
}

/// The tenant of a token; none for an issuer without tenants.
///
/// `sub` and `sid` are unique within one tenant only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant(Option<String>);

impl Tenant {
    pub(super) fn of(id: &str) -> Self {
        Self(Some(id.to_ascii_lowercase()))
    }

    /// Prefixes an identifier, such as `sub`, with the tenant, so that it is unique among all tenants.
    pub fn qualify(&self, name: &str) -> String {
        match &self.0 {
            None => name.to_owned(),
            Some(id) => format!("{id}:{name}"),
        }
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "*",
            Self::Id(id) => id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORP: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    fn tenant(text: &str) -> Result<TenantName, InvalidTenantName> {
        TenantName::try_from(text.to_owned())
    }

    #[test]
    fn a_tenant_is_a_uuid_or_a_star() {
        assert_eq!(tenant("*"), Ok(TenantName::Any));
        assert_eq!(tenant(&CORP.to_uppercase()), tenant(CORP));
        for bad in [
            "",
            "corp.example",
            "common",
            "organizations",
            "**",
            &CORP[1..],
            &format!("{CORP}0"),
            "72f988bf-86f1-41af-91ab-2d7cd011db4/",
            "72f988bf086f1041af091ab02d7cd011db47",
        ] {
            assert_eq!(tenant(bad), Err(InvalidTenantName), "{bad}");
        }
    }

    #[test]
    fn only_listed_tenants_are_allowed() {
        let named = [tenant(CORP).unwrap()];
        assert!(is_allowed(&named, CORP) && is_allowed(&named, &CORP.to_uppercase()));
        let other = CORP.replace('7', "8");
        assert!(!is_allowed(&named, &other));
        assert!(is_allowed(&[TenantName::Any], &other));
        for bad in ["", "*", "x/../y", "common"] {
            assert!(!is_allowed(&[TenantName::Any], bad), "{bad}");
        }
        assert!(!is_allowed(&[], CORP));
    }

    #[test]
    fn identifiers_of_two_tenants_never_collide() {
        let (one, other) = (Tenant::of(CORP), Tenant::of(&CORP.replace('7', "8")));
        assert_ne!(one.qualify("u1"), other.qualify("u1"));
        assert_eq!(one, Tenant::of(&CORP.to_uppercase()));
        assert_eq!(Tenant::default().qualify("u1"), "u1");
    }
}
