//! `CookieName`: the configured cookie name, without its `__Host-` or `__Secure-` prefix.

use std::sync::Arc;

use serde::Deserialize;

use crate::setting::text_schema;

/// The longest name in bytes: flows and nonces append to it, and every request carries it.
const NAME_BYTES_MAX: usize = 64;
/// The suffixes of cookies that are not sessions.
const SUFFIXES: [&str; 3] = ["-flow-", "-nonce-", "-last"];

/// The name of the session cookie without its prefix (`[session] cookie_name`). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CookieName(Arc<str>);

/// The value of `cookie_name` is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a cookie name is at most {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`; it does not begin with \
     `__` (`__Host-` and `__Secure-` are put before it) and holds no `-flow-`, `-nonce-` or `-last`"
)]
pub struct CookieNameError;

text_schema! {
    CookieName: "The name of the session cookie without `__Host-` or `__Secure-`.",
}

/// The names of a site's cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieNames {
    pub(super) session: String,
    pub(super) flow_prefix: String,
    pub(super) nonce_prefix: String,
    pub(super) last: String,
}

impl CookieName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of all cookies; a `Domain` attribute excludes the prefix `__Host-`.
    pub(super) fn names(&self, secure: bool, has_domain: bool) -> CookieNames {
        let name = self.as_str();
        let local = if secure { "__Host-" } else { "" };
        let session = if secure && has_domain {
            "__Secure-"
        } else {
            local
        };
        let [flow, nonce, last] = SUFFIXES;
        CookieNames {
            session: format!("{session}{name}"),
            flow_prefix: format!("{local}{name}{flow}"),
            nonce_prefix: format!("{local}{name}{nonce}"),
            last: format!("{local}{name}{last}"),
        }
    }

    /// Whether a cookie belongs to the site: any prefix and suffix, in any case.
    pub fn owns(&self, cookie: &[u8]) -> bool {
        let cookie = cookie.trim_ascii();
        let prefixes = ["__Host-", "__Secure-"];
        let bare = prefixes
            .iter()
            .find_map(|prefix| strip_prefix_ignoring_case(cookie, prefix));
        let Some(ending) = strip_prefix_ignoring_case(bare.unwrap_or(cookie), self.as_str()) else {
            return false;
        };
        ending.is_empty()
            || SUFFIXES
                .iter()
                .any(|known| strip_prefix_ignoring_case(ending, known).is_some())
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a [u8], start: &str) -> Option<&'a [u8]> {
    let (begin, rest) = text.split_at_checked(start.len())?;
    begin.eq_ignore_ascii_case(start.as_bytes()).then_some(rest)
}

impl Default for CookieName {
    fn default() -> Self {
        Self("menshen".into())
    }
}

impl TryFrom<String> for CookieName {
    type Error = CookieNameError;

    fn try_from(text: String) -> Result<Self, CookieNameError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let lower = text.to_ascii_lowercase();
        let good = matches!(text.len(), 1..=NAME_BYTES_MAX)
            && text.bytes().all(plain)
            && !text.starts_with("__")
            && !SUFFIXES.iter().any(|ending| lower.contains(ending));
        match good {
            true => Ok(Self(text.into())),
            false => Err(CookieNameError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> CookieName {
        CookieName::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_name_is_plain_and_has_no_prefix_of_its_own() {
        for good in ["menshen", "_oauth2_proxy", "gate.test-2", "G", "menshen-2"] {
            assert_eq!(named(good).as_str(), good);
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            "a b",
            "a=b",
            "a;b",
            "门神",
            "__Host-a",
            "__secure-a",
            "__a",
            "a-flow-b",
            "a-Nonce-",
            "x-last",
            &long,
        ] {
            assert_eq!(
                CookieName::try_from(bad.to_owned()),
                Err(CookieNameError),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_site_owns_its_cookies_in_every_form_and_no_other() {
        let gate = named("gate");
        for ours in [
            "gate",
            "GATE",
            " gate ",
            "__Host-gate",
            "__secure-Gate",
            "gate-flow-x",
            "__Host-gate-nonce-x",
            "gate-last",
        ] {
            assert!(gate.owns(ours.as_bytes()), "{ours}");
        }
        for other in [
            "gates",
            "agate",
            "gate-x",
            "gate-flow",
            "__Host-",
            "menshen",
            "gat",
            "",
        ] {
            assert!(!gate.owns(other.as_bytes()), "{other}");
        }
    }
}
