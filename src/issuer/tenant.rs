//! Issuers that serve many tenants: Entra ID names itself `https://…/{tenantid}/v2.0`, and the tokens
//! of each tenant name it with the tenant's own id in that place.

use std::fmt;

use serde::Deserialize;

use super::IssuerName;

/// What stands in an issuer's name for the id of a tenant.
pub(super) const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// What stands there in the address of the metadata, unless a configuration says otherwise: Entra's
/// endpoint for the accounts of every organisation.
pub(super) const EVERY_ORGANISATION: &str = "organizations";

/// A tenant whose tokens count: its id, or `*` for every one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TenantName {
    /// Whatever the id.
    Any,
    /// This one, in lower case.
    Id(String),
}

crate::setting::text_schema!(TenantName: "the id of a tenant, as `tid` of its tokens spells it, or *");

/// Not a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tenant is an id such as 72f988bf-86f1-41af-91ab-2d7cd011db47, not a domain, or \"*\" for \
     every tenant"
)]
pub struct InvalidTenantName;

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

/// What about a name and its tenants does not fit together, with the one of the two that is wrong:
/// nobody's tokens would count, or a setting would mean nothing.
pub fn tenants_problem(
    name: &IssuerName,
    tenants: &[TenantName],
) -> Option<(TenantSetting, &'static str)> {
    match (name.serves_tenants(), tenants) {
        (true, []) => Some((
            TenantSetting::Issuer,
            "{tenantid} stands for the id of a tenant: say in `tenants` whose tokens count",
        )),
        (false, [_, ..]) => Some((
            TenantSetting::Tenants,
            "the name of the issuer has no {tenantid}, so its tokens are of one tenant: leave it out",
        )),
        (true, [_, _, ..]) if tenants.contains(&TenantName::Any) => Some((
            TenantSetting::Tenants,
            "\"*\" stands for every tenant: leave out the others, or it",
        )),
        (true | false, _) => None,
    }
}

/// Which setting is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantSetting {
    /// The issuer's name.
    Issuer,
    /// The list of tenants.
    Tenants,
}

/// Whether tokens of this tenant count.
pub(super) fn counts(tenants: &[TenantName], said: &str) -> bool {
    is_id(said)
        && tenants.iter().any(|tenant| match tenant {
            TenantName::Any => true,
            TenantName::Id(id) => id.eq_ignore_ascii_case(said),
        })
}

/// 32 hexadecimal digits in five groups. An id is put into addresses and before the names of people.
fn is_id(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| {
            if hyphens.contains(&at) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
}

/// The tenant that a token or a notice is of; none where an issuer has no tenants.
///
/// What an issuer says of its own things, such as `sub` and `sid`, is unique within one tenant only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant(Option<String>);

impl Tenant {
    pub(super) fn of(id: &str) -> Self {
        Self(Some(id.to_ascii_lowercase()))
    }

    /// A name the tenant gives, as it is kept: unique among all tenants.
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
    fn a_tenant_is_an_id_and_nothing_else() {
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
    fn only_tenants_that_are_named_count() {
        let named = [tenant(CORP).unwrap()];
        assert!(counts(&named, CORP) && counts(&named, &CORP.to_uppercase()));
        let other = CORP.replace('7', "8");
        assert!(!counts(&named, &other));
        assert!(counts(&[TenantName::Any], &other));
        for bad in ["", "*", "x/../y", "common"] {
            assert!(!counts(&[TenantName::Any], bad), "{bad}");
        }
        assert!(!counts(&[], CORP));
    }

    #[test]
    fn two_tenants_never_share_a_name() {
        let (one, other) = (Tenant::of(CORP), Tenant::of(&CORP.replace('7', "8")));
        assert_ne!(one.qualify("u1"), other.qualify("u1"));
        assert_eq!(one, Tenant::of(&CORP.to_uppercase()));
        assert_eq!(Tenant::default().qualify("u1"), "u1");
    }
}
