//! `CookieName`: the configured cookie name, without its `__Host-` or `__Secure-` prefix.

use std::sync::Arc;

use serde::Deserialize;

use crate::setting::text_schema;
use crate::wording::error_of_text;

/// The longest name, in bytes. Every request contains it, up to several times with a suffix.
const NAME_BYTES_MAX: usize = 64;
/// The suffixes of cookies that are not sessions.
const SUFFIXES: [&str; 3] = ["-flow-", "-nonce-", "-last"];
/// The name prefixes with a meaning for browsers (RFC 6265bis §4.1.3).
pub(super) const PREFIXES: [&str; 2] = ["__Host-", "__Secure-"];

/// The name of the session cookie without its prefix (`[session] cookie_name`). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CookieName(Arc<str>);

/// The value of `cookie_name` is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieNameError;

error_of_text!(CookieNameError: "a cookie name is at most {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`; it does not begin with \
     `__` (`__Host-` and `__Secure-` are put before it) and holds no `-flow-`, `-nonce-` or `-last`", "Cookie 名最多 {NAME_BYTES_MAX} 个字母、数字、`-`、`_` 和 `.`；不能以 `__` 开头（`__Host-` 和 `__Secure-` 会自动加在前面），也不能包含 `-flow-`、`-nonce-` 或 `-last`");

text_schema! {
    CookieName: "The name of the session cookie without `__Host-` or `__Secure-`.",
}

/// The names of a site's cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieNames {
    pub(super) session: String,
    pub(super) flow_prefix: String,
    pub(super) nonce_prefix: String,
    pub(super) last_connector: String,
}

impl CookieName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of all cookies; a `Domain` attribute excludes the prefix `__Host-`.
    pub(super) fn names(&self, secure: bool, has_domain: bool) -> CookieNames {
        let name = self.as_str();
        let [host_prefix, secure_prefix] = PREFIXES;
        let host_only = if secure { host_prefix } else { "" };
        let session = if secure && has_domain {
            secure_prefix
        } else {
            host_only
        };
        let [flow, nonce, last] = SUFFIXES;
        CookieNames {
            session: format!("{session}{name}"),
            flow_prefix: format!("{host_only}{name}{flow}"),
            nonce_prefix: format!("{host_only}{name}{nonce}"),
            last_connector: format!("{host_only}{name}{last}"),
        }
    }

    /// Whether a cookie has this name, with any of the prefixes and suffixes and in any case.
    pub fn owns(&self, cookie: &[u8]) -> bool {
        let cookie = cookie.trim_ascii();
        let without_prefix = PREFIXES
            .iter()
            .find_map(|prefix| strip_prefix_ignoring_case(cookie, prefix))
            .unwrap_or(cookie);
        let Some(ending) = strip_prefix_ignoring_case(without_prefix, self.as_str()) else {
            return false;
        };
        ending.is_empty()
            || SUFFIXES
                .iter()
                .any(|suffix| strip_prefix_ignoring_case(ending, suffix).is_some())
    }
}

pub(super) fn strip_prefix_ignoring_case<'a>(text: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start
        .eq_ignore_ascii_case(prefix.as_bytes())
        .then_some(rest)
}

impl Default for CookieName {
    fn default() -> Self {
        Self("menshen".into())
    }
}

impl TryFrom<String> for CookieName {
    type Error = CookieNameError;

    fn try_from(text: String) -> Result<Self, CookieNameError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let lower = text.to_ascii_lowercase();
        let is_valid = matches!(text.len(), 1..=NAME_BYTES_MAX)
            && text.bytes().all(is_allowed)
            && !text.starts_with("__")
            && !SUFFIXES.iter().any(|suffix| lower.contains(suffix));
        match is_valid {
            true => Ok(Self(text.into())),
            false => Err(CookieNameError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie_name(text: &str) -> CookieName {
        CookieName::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_name_has_plain_characters_and_neither_prefix_nor_suffix() {
        for good in ["menshen", "_oauth2_proxy", "gate.test-2", "G", "menshen-2"] {
            assert_eq!(cookie_name(good).as_str(), good);
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
    fn a_name_is_recognized_in_every_form_and_no_other_is() {
        let gate = cookie_name("gate");
        for owned in [
            "gate",
            "GATE",
            " gate ",
            "__Host-gate",
            "__secure-Gate",
            "gate-flow-x",
            "__Host-gate-nonce-x",
            "gate-last",
        ] {
            assert!(gate.owns(owned.as_bytes()), "{owned}");
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
