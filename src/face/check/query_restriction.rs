//! Restrictions in the query of a check, with the parameters of oauth2-proxy. They never allow what the
//! verdict denies.

use std::sync::Arc;

use crate::login::fields::Fields;
use crate::people::profile;
use crate::request::gate::{Caller, LoginReason};
use crate::request::head::HeadError;
use crate::request::policy::{Denial, ForbiddenReason, LoginNeeded, Verdict};

/// `allowed_groups`, `allowed_emails` and `allowed_email_domains`, each a list separated by commas.
/// Every list that is present must match; an empty list matches nobody.
#[derive(Debug, Default)]
pub(super) struct QueryRestriction {
    groups: Option<Vec<String>>,
    emails: Option<Vec<String>>,
    domains: Option<Vec<String>>,
}

impl QueryRestriction {
    /// Parses the query of a check; `None` if it has none of the lists.
    pub(super) fn of(query: Option<&str>) -> Result<Option<Self>, HeadError> {
        let Some(query) = query else { return Ok(None) };
        let invalid = HeadError::Forwarded("query");
        let fields = Fields::parse(query.as_bytes()).ok_or(invalid)?;
        let list = |name| {
            let text = fields.one(name).map_err(|_| invalid)?;
            Ok::<_, HeadError>(text.map(|text| {
                let items = text.split(',').map(str::trim);
                let non_empty = items.filter(|item| !item.is_empty());
                non_empty.map(str::to_owned).collect()
            }))
        };
        let restriction = Self {
            groups: list("allowed_groups")?,
            emails: list("allowed_emails")?,
            domains: list("allowed_email_domains")?,
        };
        let has_list = restriction.groups.is_some()
            || restriction.emails.is_some()
            || restriction.domains.is_some();
        Ok(has_list.then_some(restriction))
    }

    /// Denies a person who does not match every list, and every program. An anonymous caller must log in,
    /// even on a public route.
    pub(super) fn restrict(&self, verdict: Verdict) -> Verdict {
        let (Verdict::Allow(permit) | Verdict::Reconfirm(permit)) = &verdict else {
            return verdict;
        };
        let route = Arc::clone(permit.route());
        match permit.caller() {
            Caller::Person(person) if self.allows(&person.entitlements.fields) => verdict,
            Caller::Anonymous(_) => Verdict::Login(LoginNeeded {
                route,
                why: LoginReason::NotSignedIn,
            }),
            Caller::Person(_) | Caller::Program(_) => Verdict::Deny(Denial::Forbidden {
                route,
                caller: permit.caller().clone(),
                reason: ForbiddenReason::Rule,
            }),
        }
    }

    fn allows(&self, person: &profile::UserFields) -> bool {
        let email = person.email.as_deref();
        let in_groups =
            |groups: &Vec<String>| person.groups.iter().any(|group| groups.contains(group));
        let has_email = |emails: &Vec<String>| {
            let is_listed = |email: &str| {
                emails
                    .iter()
                    .any(|listed| listed.eq_ignore_ascii_case(email))
            };
            email.is_some_and(is_listed)
        };
        let in_domains = |domains: &Vec<String>| {
            email
                .and_then(domain_of)
                .is_some_and(|domain| domains.iter().any(|pattern| covers(pattern, domain)))
        };
        self.groups.as_ref().is_none_or(in_groups)
            && self.emails.as_ref().is_none_or(has_email)
            && self.domains.as_ref().is_none_or(in_domains)
    }
}

/// The domain of an e-mail address. An address with two `@` has none, because parsers differ.
fn domain_of(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.contains('@')).then_some(domain)
}

/// Whether a pattern covers a domain: `example.com` only itself, `.example.com` and `*.example.com` only
/// its subdomains.
fn covers(pattern: &str, domain: &str) -> bool {
    let (pattern, domain) = (pattern.to_ascii_lowercase(), domain.to_ascii_lowercase());
    match pattern
        .strip_prefix('*')
        .unwrap_or(&pattern)
        .strip_prefix('.')
    {
        Some(parent) => {
            let label = domain
                .strip_suffix(parent)
                .and_then(|rest| rest.strip_suffix('.'));
            label.is_some_and(|label| !label.is_empty())
        }
        None => pattern == domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_dot_or_star_covers_subdomains_only() {
        for (pattern, domain, covered) in [
            ("corp.example", "corp.example", true),
            ("corp.example", "Corp.Example", true),
            ("corp.example", "evilcorp.example", false),
            ("corp.example", "a.corp.example", false),
            (".corp.example", "a.corp.example", true),
            ("*.corp.example", "a.b.corp.example", true),
            (".corp.example", "corp.example", false),
            (".corp.example", "evilcorp.example", false),
            (".corp.example", ".corp.example", false),
            ("*", "corp.example", false),
            ("", "", true),
        ] {
            assert_eq!(covers(pattern, domain), covered, "{pattern} {domain}");
        }
    }

    #[test]
    fn an_e_mail_address_with_two_ats_has_no_domain() {
        for (email, domain) in [
            ("zhangsan@corp.example", Some("corp.example")),
            ("zhangsan@evil.example@corp.example", None),
            ("\"a@b\"@corp.example", None),
            ("@corp.example", None),
            ("corp.example", None),
        ] {
            assert_eq!(domain_of(email), domain, "{email}");
        }
    }

    #[test]
    fn a_repeated_list_is_refused_and_other_parameters_are_ignored() {
        assert!(QueryRestriction::of(None).unwrap().is_none());
        assert!(QueryRestriction::of(Some("x=1&rd=/")).unwrap().is_none());
        assert!(
            QueryRestriction::of(Some("allowed_groups="))
                .unwrap()
                .is_some()
        );
        assert!(QueryRestriction::of(Some("allowed_groups=a&allowed_groups=a")).is_err());
    }
}
