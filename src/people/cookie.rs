//! `CookieSettings`: the names and attributes of a site's cookies. `signed` is the value of the session cookie.

use cookie::{Cookie, SameSite};
use schemars::JsonSchema;
use serde::Deserialize;

mod name;
mod same_site_none;
mod signed;
mod signed_prefixes;

pub use name::{CookieName, CookieNameError};
use name::{CookieNames, PREFIXES, strip_prefix_ignoring_case};
pub use same_site_none::adapt_to_user_agent;
pub use signed::{
    COOKIE_BYTES_MAX, HostFingerprint, SessionClaims, Sid, VerifiedClaims, VerifiedCookie, re_sign,
    sign, verify,
};
pub use signed_prefixes::SignedPrefixes;

/// The `SameSite` attribute of the session cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SameSiteConfig {
    /// Sent from other sites only on top-level navigations.
    #[default]
    Lax,
    /// Always sent, for applications embedded in another site's frame; https only.
    None,
}

/// The names and attributes of a site's cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSettings {
    names: CookieNames,
    /// Whether the site is served over https.
    secure: bool,
    /// The `Domain` attribute of the session cookie; without it the cookie is host-only.
    domain: Option<String>,
    same_site: SameSiteConfig,
}

impl CookieSettings {
    pub fn new(
        name: &CookieName,
        secure: bool,
        domain: Option<String>,
        same_site: SameSiteConfig,
    ) -> Self {
        Self {
            names: name.names(secure, domain.is_some()),
            secure,
            domain,
            same_site,
        }
    }

    /// The name of the session cookie.
    pub fn session_name(&self) -> &str {
        &self.names.session
    }

    /// The name prefix of cookies for pending logins.
    pub fn flow_prefix(&self) -> &str {
        &self.names.flow_prefix
    }

    /// The name prefix of cookies for nonces of tickets.
    pub fn nonce_prefix(&self) -> &str {
        &self.names.nonce_prefix
    }

    /// The name of the cookie that remembers the last connector.
    pub fn last_connector_name(&self) -> &str {
        &self.names.last_connector
    }

    /// Whether browsers send the session cookie in frames of other sites.
    pub fn allow_embedding(&self) -> bool {
        self.same_site == SameSiteConfig::None && self.secure
    }

    /// Whether the configured cookie domain includes a host; false without a domain.
    pub fn covers(&self, host: &str) -> bool {
        let subdomain = self
            .domain
            .as_deref()
            .and_then(|domain| host.strip_suffix(domain));
        subdomain.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The `Set-Cookie` of a session; `age_s` is the time until its absolute end.
    pub fn set_session(&self, value: &str, age_s: i64) -> String {
        self.session(value, age_s, self.domain.as_deref())
    }

    /// The `Set-Cookie` of a session that is valid on one host only, without a `Domain`.
    pub fn set_session_of_host(&self, value: &str, age_s: i64) -> String {
        self.session(value, age_s, None)
    }

    /// The `Set-Cookie` that deletes the session cookie.
    pub fn clear_session(&self, host: &str) -> String {
        let domain = self.domain.as_deref().filter(|_| self.covers(host));
        self.session("", 0, domain)
    }

    /// The `Set-Cookie` of a short-lived, host-only cookie.
    pub fn set_host_only(&self, name: &str, value: &str, age_s: i64) -> String {
        self.host_only(name, value, age_s, SameSite::Lax)
    }

    /// The `Set-Cookie` of a short-lived cookie for a login whose response is a POST from another site;
    /// https only.
    pub fn set_cross_site(&self, name: &str, value: &str, age_s: i64) -> String {
        self.host_only(name, value, age_s, SameSite::None)
    }

    /// The `Set-Cookie` of a short-lived, partitioned cookie for a login in another site's frame.
    pub fn set_partitioned(&self, name: &str, value: &str, age_s: i64) -> String {
        let mut cookie = self.host_only_cookie(name, value, age_s, SameSite::None);
        cookie.set_partitioned(true);
        cookie.to_string()
    }

    /// The `Set-Cookie` that deletes a cookie of [`Self::set_partitioned`].
    pub fn clear_partitioned(&self, name: &str) -> String {
        self.set_partitioned(name, "", 0)
    }

    /// The `Set-Cookie` that deletes a short-lived cookie.
    pub fn clear_host_only(&self, name: &str) -> String {
        self.host_only(name, "", 0, SameSite::Lax)
    }

    /// Whether a cookie has one of menshen's default names, with or without prefix. It may be the session
    /// cookie of another site.
    pub fn is_default_name(name: &str) -> bool {
        let name = name.trim().as_bytes();
        let without_prefix = PREFIXES
            .iter()
            .find_map(|prefix| strip_prefix_ignoring_case(name, prefix))
            .unwrap_or(name);
        let ending = strip_prefix_ignoring_case(without_prefix, "menshen");
        ending.is_some_and(|ending| matches!(ending.first(), None | Some(b'-')))
    }

    fn session(&self, value: &str, age_s: i64, domain: Option<&str>) -> String {
        let mut cookie = Cookie::build((self.session_name(), value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .max_age(cookie::time::Duration::seconds(age_s))
            .same_site(SameSite::Lax);
        if let Some(domain) = domain {
            cookie = cookie.domain(domain.to_owned());
        }
        if self.allow_embedding() {
            cookie = cookie.same_site(SameSite::None).partitioned(true);
        }
        cookie.build().to_string()
    }

    fn host_only(&self, name: &str, value: &str, age_s: i64, same_site: SameSite) -> String {
        self.host_only_cookie(name, value, age_s, same_site)
            .to_string()
    }

    fn host_only_cookie<'a>(
        &self,
        name: &'a str,
        value: &'a str,
        age_s: i64,
        same_site: SameSite,
    ) -> Cookie<'a> {
        Cookie::build((name, value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .max_age(cookie::time::Duration::seconds(age_s))
            .same_site(same_site)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_cookie_has_its_attributes() {
        let settings = |secure, domain: Option<&str>, same_site| {
            let domain = domain.map(str::to_owned);
            CookieSettings::new(&CookieName::default(), secure, domain, same_site)
        };
        assert_eq!(
            settings(true, None, SameSiteConfig::Lax).set_session("v", 60),
            "__Host-menshen=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        let shared =
            settings(true, Some("corp.example"), SameSiteConfig::None).set_session("v", 60);
        assert!(shared.starts_with("__Secure-menshen=v"), "{shared}");
        assert!(
            shared.contains("SameSite=None") && shared.contains("Partitioned"),
            "{shared}"
        );
        assert!(shared.contains("Domain=corp.example"), "{shared}");
        let over_http = settings(false, None, SameSiteConfig::None).set_session("v", 60);
        assert_eq!(
            over_http,
            "menshen=v; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"
        );
        // Browsers ignore a deletion without Secure for the prefixed names.
        assert!(
            settings(true, None, SameSiteConfig::Lax)
                .clear_session("sso.corp.example")
                .contains("Secure")
        );
    }

    #[test]
    fn only_cookies_of_hosts_below_the_domain_have_it() {
        let domain = Some("corp.example".to_owned());
        let settings =
            CookieSettings::new(&CookieName::default(), false, domain, SameSiteConfig::Lax);
        for (host, covered) in [
            ("corp.example", true),
            ("oa.corp.example", true),
            ("xcorp.example", false),
            ("oa.example", false),
        ] {
            assert_eq!(settings.covers(host), covered, "{host}");
            let cleared = settings.clear_session(host);
            assert_eq!(cleared.contains("Domain=corp.example"), covered, "{host}");
        }
        assert!(!settings.set_session_of_host("v", 60).contains("Domain"));
    }

    #[test]
    fn default_names_are_recognized_with_any_prefix_and_in_any_case() {
        for default in [
            "menshen",
            "__Host-menshen",
            "__secure-MENSHEN",
            "menshen-flow-x",
            " menshen ",
        ] {
            assert!(CookieSettings::is_default_name(default), "{default}");
        }
        for other in ["menshenx", "xmenshen", "men", "__Host-other", "会话menshen"] {
            assert!(!CookieSettings::is_default_name(other), "{other}");
        }
    }
}
