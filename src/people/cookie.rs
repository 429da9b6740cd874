//! The session cookie: its signed value, its name and its attributes.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, SameSite};
use jsonwebtoken::{Algorithm, Header, Validation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keys::{self, KeyRing};
use crate::store::{AccountId, SessionKey};

mod name;
mod same_site_none;
mod signed_prefixes;

use name::CookieNames;
pub use name::{CookieName, CookieNameError};
pub use same_site_none::adapt_to_user_agent;
pub use signed_prefixes::SignedPrefixes;

/// The longest cookie value that is read, in bytes.
pub const COOKIE_BYTES_MAX: usize = 300;

/// The `SameSite` attribute of the session cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SameSiteConfig {
    /// Sent from other sites only on top-level navigations.
    #[default]
    Lax,
    /// Always, for applications embedded in another site's frame; https only.
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

/// The secret session id: 128 random bits. Only the cookie and a ticket contain it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sid([u8; 16]);

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid(…)")
    }
}

impl Sid {
    pub fn random() -> Self {
        Self(keys::random())
    }

    /// Derives a session id from a secret, such as a bearer token.
    pub fn derived(parts: &[&[u8]]) -> Self {
        let whole = keys::fingerprint(parts);
        let mut first = [0; 16];
        first.copy_from_slice(&whole[..16]);
        Self(first)
    }

    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Encodes the id for the cookie and the ticket.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The key of the session in the store: a hash of the id.
    pub fn key(&self) -> SessionKey {
        SessionKey::new(keys::fingerprint(&[b"sid", &self.0]))
    }
}

/// The claims of a session cookie.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionHandle {
    pub sid: Sid,
    pub account: AccountId,
    /// When the provider last confirmed the person, or was unreachable.
    pub issued_at: Timestamp,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    /// The only host on which the cookie is valid; set if it came by a ticket.
    pub host: Option<String>,
}

/// A cookie whose signature was verified.
#[derive(Clone, Debug)]
pub struct VerifiedCookie {
    pub handle: VerifiedHandle,
    /// Whether the ring's first key signed it; otherwise the cookie is set again.
    pub signed_by_first_key: bool,
}

/// The verified claims; they contain the host only as a fingerprint.
#[derive(Clone, Debug)]
pub struct VerifiedHandle {
    pub sid: Sid,
    pub account: AccountId,
    /// When the provider last confirmed the person, or was unreachable.
    pub issued_at: Timestamp,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    /// The fingerprint of the only host on which the cookie is valid.
    pub host: Option<HostFingerprint>,
}

/// The truncated hash of a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFingerprint([u8; 9]);

impl HostFingerprint {
    /// Of a host name in lower case.
    pub fn of(host: &str) -> Self {
        let hash = keys::fingerprint(&[b"host", host.as_bytes()]);
        let mut mark = [0; 9];
        mark.copy_from_slice(&hash[..9]);
        Self(mark)
    }
}

#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    sid: Cow<'a, str>,
    sub: AccountId,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    h: Option<Cow<'a, str>>,
}

/// Signs a handle with the ring's first key.
pub fn sign(ring: &KeyRing, handle: &SessionHandle) -> String {
    let host = handle
        .host
        .as_deref()
        .map(|host| URL_SAFE_NO_PAD.encode(HostFingerprint::of(host).0));
    encode(
        ring,
        &handle.sid,
        handle.account,
        handle.issued_at,
        handle.expires_at,
        host,
    )
}

/// Signs the claims of an older cookie with the ring's first key.
pub fn re_sign(ring: &KeyRing, old: &VerifiedHandle) -> String {
    let host = old.host.map(|mark| URL_SAFE_NO_PAD.encode(mark.0));
    encode(
        ring,
        &old.sid,
        old.account,
        old.issued_at,
        old.expires_at,
        host,
    )
}

fn encode(
    ring: &KeyRing,
    sid: &Sid,
    account: AccountId,
    issued_at: Timestamp,
    expires_at: Timestamp,
    host: Option<String>,
) -> String {
    let header = Header {
        typ: None,
        kid: Some(ring.signer().as_str().to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let claims = Claims {
        sid: sid.expose().into(),
        sub: account,
        iat: issued_at.unix_s(),
        exp: expires_at.unix_s(),
        h: host.map(Cow::Owned),
    };
    jsonwebtoken::encode(&header, &claims, ring.signing())
        .expect("an HMAC key signs plain claims in memory")
}

/// Verifies the signature of a cookie; `None` if it is forged. The caller checks the times.
pub fn verify(ring: &KeyRing, value: &str) -> Option<VerifiedCookie> {
    if value.len() > COOKIE_BYTES_MAX {
        return None;
    }
    let kid = jsonwebtoken::decode_header(value).ok()?.kid?;
    let key = ring.verifying(&kid)?;
    let mut validation = Validation::new(Algorithm::HS256);
    // The caller checks the times by its own clock; this token has no other claims.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = jsonwebtoken::decode::<Claims<'static>>(value, key, &validation)
        .ok()?
        .claims;
    let host = match claims.h {
        None => None,
        Some(text) => {
            let mark = URL_SAFE_NO_PAD
                .decode(text.as_bytes())
                .ok()?
                .try_into()
                .ok()?;
            Some(HostFingerprint(mark))
        }
    };
    let handle = VerifiedHandle {
        sid: Sid::parse(&claims.sid)?,
        account: claims.sub,
        issued_at: Timestamp::from_unix_s(claims.iat),
        expires_at: Timestamp::from_unix_s(claims.exp),
        host,
    };
    Some(VerifiedCookie {
        handle,
        signed_by_first_key: kid == ring.signer().as_str(),
    })
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
        &self.names.last
    }

    /// Whether browsers send the session cookie in frames of other sites.
    pub fn allow_embedding(&self) -> bool {
        self.same_site == SameSiteConfig::None && self.secure
    }

    /// Whether the configured cookie domain includes a host; false without a domain.
    pub fn covers(&self, host: &str) -> bool {
        let below = self
            .domain
            .as_deref()
            .and_then(|domain| host.strip_suffix(domain));
        below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The `Set-Cookie` of a session; `age_s` is the time until its absolute end.
    pub fn set_session(&self, value: &str, age_s: i64) -> String {
        self.session(value, age_s, self.domain.as_deref())
    }

    /// The `Set-Cookie` of a session that is valid on one host only, without a `Domain`.
    pub fn set_bound_session(&self, value: &str, age_s: i64) -> String {
        self.session(value, age_s, None)
    }

    /// The `Set-Cookie` that deletes the session cookie.
    pub fn clear_session(&self, host: &str) -> String {
        let domain = self.domain.as_deref().filter(|_| self.covers(host));
        self.session("", 0, domain)
    }

    /// The `Set-Cookie` of a short-lived, host-only cookie.
    pub fn set_local(&self, name: &str, value: &str, age_s: i64) -> String {
        self.local(name, value, age_s, SameSite::Lax)
    }

    /// A short-lived cookie for a login whose response is a POST from another site; https only.
    pub fn set_cross_site(&self, name: &str, value: &str, age_s: i64) -> String {
        self.local(name, value, age_s, SameSite::None)
    }

    /// A short-lived, partitioned cookie for a login in another site's frame.
    pub fn set_embedded(&self, name: &str, value: &str, age_s: i64) -> String {
        let mut cookie = self.local_cookie(name, value, age_s, SameSite::None);
        cookie.set_partitioned(true);
        cookie.to_string()
    }

    /// The `Set-Cookie` that deletes a cookie of [`Self::set_embedded`].
    pub fn clear_embedded(&self, name: &str) -> String {
        self.set_embedded(name, "", 0)
    }

    /// The `Set-Cookie` that deletes a short-lived cookie.
    pub fn clear_local(&self, name: &str) -> String {
        self.local(name, "", 0, SameSite::Lax)
    }

    /// Whether a cookie has one of menshen's default names, with or without prefix. It may be the session of
    /// another site even if this site uses another name.
    pub fn is_default_name(name: &str) -> bool {
        let name = name.trim();
        let bare = ["__Host-", "__Secure-"].iter().find_map(|prefix| {
            let start = name.get(..prefix.len())?;
            start
                .eq_ignore_ascii_case(prefix)
                .then(|| &name[prefix.len()..])
        });
        let bare = bare.unwrap_or(name);
        let ours = bare
            .get(..7)
            .is_some_and(|start| start.eq_ignore_ascii_case("menshen"));
        ours && matches!(bare.as_bytes().get(7), None | Some(b'-'))
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

    fn local(&self, name: &str, value: &str, age_s: i64, same_site: SameSite) -> String {
        self.local_cookie(name, value, age_s, same_site).to_string()
    }

    fn local_cookie<'a>(
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

    fn ring() -> KeyRing {
        keys::install_crypto();
        KeyRing::new(&[keys::generate()], None).unwrap()
    }

    fn handle(host: Option<&str>) -> SessionHandle {
        SessionHandle {
            sid: Sid::random(),
            account: AccountId::new([7; 16]),
            issued_at: Timestamp::from_unix_s(1_700_000_000),
            expires_at: Timestamp::from_unix_s(1_700_043_200),
            host: host.map(str::to_owned),
        }
    }

    #[test]
    fn a_cookie_survives_its_wire_form_and_is_small() {
        let (ring, handle) = (ring(), handle(Some("oa.corp.example")));
        let value = sign(&ring, &handle);
        assert!(value.len() <= COOKIE_BYTES_MAX, "{} bytes", value.len());
        let read = verify(&ring, &value).unwrap();
        assert!(read.signed_by_first_key);
        assert_eq!(read.handle.sid, handle.sid);
        assert_eq!(read.handle.expires_at, handle.expires_at);
        assert_eq!(
            read.handle.host,
            Some(HostFingerprint::of("oa.corp.example"))
        );
        assert_ne!(
            read.handle.host,
            Some(HostFingerprint::of("other.corp.example"))
        );
    }

    #[test]
    fn a_forged_cookie_is_nothing() {
        let ring = ring();
        let value = sign(&ring, &handle(None));
        assert!(verify(&self::ring(), &value).is_none());
        let mut bytes = value.into_bytes();
        for at in 0..bytes.len() {
            let kept = bytes[at];
            bytes[at] = if kept == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes.clone()).unwrap();
            // The last character of a part may hold unused bits; the decoder refuses those too.
            assert!(verify(&ring, &forged).is_none(), "at {at}");
            bytes[at] = kept;
        }
        for junk in ["", ".", "..", "a.b.c", &"x".repeat(5000)] {
            assert!(verify(&ring, junk).is_none());
        }
    }

    #[test]
    fn no_algorithm_but_ours_counts() {
        let ring = ring();
        let value = sign(&ring, &handle(None));
        let payload = value.split('.').nth(1).unwrap();
        for alg in ["none", "HS512", "RS256"] {
            let header = format!(
                "{{\"alg\":\"{alg}\",\"kid\":\"{}\"}}",
                ring.signer().as_str()
            );
            let forged = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header));
            assert!(verify(&ring, &forged).is_none(), "{alg}");
        }
    }

    #[test]
    fn an_older_key_verifies_and_asks_to_be_replaced() {
        keys::install_crypto();
        let (old, new) = (keys::generate(), keys::generate());
        let before = KeyRing::new(std::slice::from_ref(&old), None).unwrap();
        let after = KeyRing::new(&[new, old], None).unwrap();
        let read = verify(&after, &sign(&before, &handle(None))).unwrap();
        assert!(!read.signed_by_first_key);
        assert!(
            verify(&after, &re_sign(&after, &read.handle))
                .unwrap()
                .signed_by_first_key
        );
    }

    #[test]
    fn flags_are_those_of_the_design() {
        let flags = |secure, domain: Option<&str>, same_site| {
            let domain = domain.map(str::to_owned);
            CookieSettings::new(&CookieName::default(), secure, domain, same_site)
        };
        assert_eq!(
            flags(true, None, SameSiteConfig::Lax).set_session("v", 60),
            "__Host-menshen=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        let wide = flags(true, Some("corp.example"), SameSiteConfig::None).set_session("v", 60);
        assert!(wide.starts_with("__Secure-menshen=v"), "{wide}");
        assert!(
            wide.contains("SameSite=None") && wide.contains("Partitioned"),
            "{wide}"
        );
        assert!(wide.contains("Domain=corp.example"), "{wide}");
        let plain = flags(false, None, SameSiteConfig::None).set_session("v", 60);
        assert_eq!(
            plain,
            "menshen=v; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"
        );
        // Browsers ignore a deletion without Secure for the prefixed names.
        assert!(
            flags(true, None, SameSiteConfig::Lax)
                .clear_session("sso.corp.example")
                .contains("Secure")
        );
    }

    #[test]
    fn a_domain_stands_only_in_cookies_of_hosts_it_covers() {
        let domain = Some("corp.example".to_owned());
        let flags = CookieSettings::new(&CookieName::default(), false, domain, SameSiteConfig::Lax);
        for (host, covered) in [
            ("corp.example", true),
            ("oa.corp.example", true),
            ("xcorp.example", false),
            ("oa.example", false),
        ] {
            assert_eq!(flags.covers(host), covered, "{host}");
            let cleared = flags.clear_session(host);
            assert_eq!(cleared.contains("Domain=corp.example"), covered, "{host}");
        }
        assert!(!flags.set_bound_session("v", 60).contains("Domain"));
    }

    #[test]
    fn our_names_are_known_in_every_form() {
        for ours in [
            "menshen",
            "__Host-menshen",
            "__secure-MENSHEN",
            "menshen-flow-x",
            " menshen ",
        ] {
            assert!(CookieSettings::is_default_name(ours), "{ours}");
        }
        for other in ["menshenx", "xmenshen", "men", "__Host-other", "会话menshen"] {
            assert!(!CookieSettings::is_default_name(other), "{other}");
        }
    }
}
