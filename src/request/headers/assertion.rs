//! `AssertionSigner`: signs who the caller is, so that an application can verify it.
//!
//! Signing costs more than the rest of a decision, so an assertion is reused while at least a third
//! of its lifetime remains: the application has that long to verify it, with allowance for clock
//! differences.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use moka::sync::Cache;
use serde::Serialize;
use url::Url;

use super::header_lines::HeaderLines;
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, SigningPair};
use crate::people::session::Session;
use crate::request::gate::Caller;
use crate::request::head::Head;
use crate::request::policy::Permit;
use crate::request::route::Audience;

const ASSERTION: HeaderName = HeaderName::from_static("x-menshen-assertion");

/// The longest lifetime of an assertion, in seconds.
const LIFE_MAX_S: i64 = 300;
/// An assertion is reused while at least its lifetime divided by this number remains.
const REUSE_DIVISOR: i64 = 3;
/// How far the local clock may step back before an assertion is signed again, in seconds.
const CLOCK_STEP_BACK_MAX_S: i64 = 5;
/// The size of the cache, in bytes.
const CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The memory that a cached assertion takes in addition to its own bytes.
const CACHE_ENTRY_OVERHEAD_BYTES: usize = 256;

/// A hash of session, account, login and audience: everything that is signed except the times.
type CacheKey = [u8; 32];

/// Signs and caches assertions for the routes that send them. `Debug` shows no assertion.
pub struct AssertionSigner {
    issuer: String,
    key_pair: Arc<SigningPair>,
    cached: Cache<CacheKey, Assertion>,
}

/// A signed assertion and its times, in seconds since the epoch.
#[derive(Clone, Debug)]
struct Assertion {
    value: HeaderValue,
    issued_at_s: i64,
    expires_at_s: i64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    login: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

impl fmt::Debug for AssertionSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionSigner")
            .field("issuer", &self.issuer)
            .field("key_pair", &self.key_pair)
            .finish_non_exhaustive()
    }
}

impl AssertionSigner {
    /// A signer for this site, with the first key of the ring. If it would sign the same as the
    /// previous one, that is reused with its cache.
    pub fn new(external_url: &Url, ring: &KeyRing, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let issuer = external_url.origin().ascii_serialization();
        let key_pair = Arc::clone(ring.signing_pair());
        let reusable = previous
            .filter(|other| other.issuer == issuer && other.key_pair.public() == key_pair.public());
        reusable.map(Arc::clone).unwrap_or_else(|| {
            let cached = Cache::builder()
                .max_capacity(CACHE_BYTES_MAX)
                .weigher(|_, assertion: &Assertion| {
                    u32::try_from(assertion.value.len() + CACHE_ENTRY_OVERHEAD_BYTES)
                        .unwrap_or(u32::MAX)
                })
                .time_to_live(Duration::from_secs(LIFE_MAX_S.unsigned_abs()))
                .build();
            Arc::new(Self {
                issuer,
                key_pair,
                cached,
            })
        })
    }

    /// The assertion of a session for an audience; `None` in the last second of a session, when it
    /// would expire before it is verified.
    fn assertion_for(
        &self,
        session: &Session,
        audience: &str,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let session_end_s = session.expires_at.unix_s();
        let key = keys::fingerprint(&[
            session.key.as_bytes(),
            session.account.as_bytes(),
            session.login.as_str().as_bytes(),
            audience.as_bytes(),
        ]);
        let is_stale = |cached: &Assertion| !cached.is_reusable_at(now.unix_s(), session_end_s);
        let cached = self.cached.get(&key).filter(|cached| !is_stale(cached));
        // Concurrent requests for the same assertion wait until it is signed.
        let assertion = cached.unwrap_or_else(|| {
            let sign = || self.sign(session, audience, now.unix_s(), session_end_s);
            let entry = self.cached.entry_by_ref(&key);
            entry.or_insert_with_if(sign, is_stale).into_value()
        });
        (assertion.expires_at_s > now.unix_s()).then_some(assertion.value)
    }

    fn sign(&self, session: &Session, audience: &str, now_s: i64, session_end_s: i64) -> Assertion {
        let expires_at_s = session_end_s.min(now_s.saturating_add(LIFE_MAX_S));
        let claims = Claims {
            iss: &self.issuer,
            sub: &session.account.to_string(),
            login: session.login.as_str(),
            aud: audience,
            iat: now_s,
            exp: expires_at_s,
        };
        let claims = serde_json::to_vec(&claims).expect("text and numbers are JSON");
        let token = self.key_pair.token(&claims);
        let mut value = HeaderValue::try_from(token).expect("a token is base64url and dots");
        value.set_sensitive(true);
        Assertion {
            value,
            issued_at_s: now_s,
            expires_at_s,
        }
    }
}

impl Assertion {
    /// Whether it may be reused for a session that ends at `session_end_s`.
    fn is_reusable_at(&self, now_s: i64, session_end_s: i64) -> bool {
        let (life_s, left_s) = (
            self.expires_at_s - self.issued_at_s,
            self.expires_at_s - now_s,
        );
        self.expires_at_s <= session_end_s
            && left_s.saturating_mul(REUSE_DIVISOR) >= life_s
            && left_s <= life_s + CLOCK_STEP_BACK_MAX_S
    }
}

impl HeaderLines {
    /// Adds the assertion for a person, if the route sends one. Anonymous callers and programs have none.
    pub(super) fn add_assertion(
        &mut self,
        permit: &Permit,
        head: &Head<'_>,
        assertion_signer: &AssertionSigner,
    ) {
        let Some(audience) = &permit.route().headers.assertion else {
            return;
        };
        let Caller::Person(person) = permit.caller() else {
            return;
        };
        let audience = match audience {
            Audience::RequestedHost => head.host.as_str(),
            Audience::Named(name) => name,
        };
        let now = head.received_at;
        if let Some(value) = assertion_signer.assertion_for(&person.session, audience, now) {
            self.add(&ASSERTION, value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::fixture;
    use crate::store::LoginName;

    const NOW: Timestamp = Timestamp::from_unix_s(1_700_000_000);

    fn assertion_signer() -> Arc<AssertionSigner> {
        let ring = KeyRing::new(&[keys::generate()], None).unwrap();
        AssertionSigner::new(&"https://sso.corp.example".parse().unwrap(), &ring, None)
    }

    /// A session with this login and remaining lifetime in seconds.
    fn session(login: &str, left_s: u64) -> Session {
        let Caller::Person(person) = fixture::zhang() else {
            panic!("the fixture is a person")
        };
        let session = Arc::into_inner(person.session).unwrap();
        Session {
            login: login.parse::<LoginName>().unwrap(),
            expires_at: NOW.plus(Duration::from_secs(left_s)),
            ..session
        }
    }

    #[test]
    fn a_session_whose_login_changed_gets_another_assertion() {
        let assertion_signer = assertion_signer();
        let [old, new] = ["zhangsan", "zhang.san"].map(|login| session(login, 3600));
        let assertion_for = |session| assertion_signer.assertion_for(session, "oa", NOW).unwrap();
        assert_eq!(assertion_for(&old), assertion_for(&old));
        assert_ne!(assertion_for(&old), assertion_for(&new));
    }

    #[test]
    fn a_session_that_ends_sooner_than_it_did_gets_another_assertion() {
        let assertion_signer = assertion_signer();
        let assertion_for =
            |left_s| assertion_signer.assertion_for(&session("zhangsan", left_s), "oa", NOW);
        assert_eq!(assertion_for(3600), assertion_for(7200));
        assert_ne!(assertion_for(3600), assertion_for(200));
    }

    #[test]
    fn no_assertion_is_signed_in_the_last_second_of_a_session() {
        let assertion_signer = assertion_signer();
        let session = session("zhangsan", 1);
        let assertion_after_ms = |ms| {
            let now = NOW.plus(Duration::from_millis(ms));
            assertion_signer.assertion_for(&session, "oa", now)
        };
        assert!(assertion_after_ms(0).is_some() && assertion_after_ms(999).is_some());
        assert!(assertion_after_ms(1000).is_none() && assertion_after_ms(1999).is_none());
    }

    #[test]
    fn concurrent_callers_get_the_same_assertion() {
        const CALLERS: usize = 4;
        let (assertion_signer, session) = (assertion_signer(), session("zhangsan", 3600));
        let start = std::sync::Barrier::new(CALLERS);
        for round in 0..200 {
            let audience = round.to_string();
            let get_assertion = || {
                start.wait();
                assertion_signer
                    .assertion_for(&session, &audience, NOW)
                    .unwrap()
            };
            let all = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..CALLERS).map(|_| scope.spawn(get_assertion)).collect();
                let all = threads.into_iter().map(|thread| thread.join().unwrap());
                all.collect::<Vec<_>>()
            });
            assert!(
                all.iter().all(|assertion| *assertion == all[0]),
                "round {round}"
            );
        }
    }

    #[test]
    fn an_assertion_is_signed_again_after_the_clock_steps_back() {
        let (assertion_signer, session) = (assertion_signer(), session("zhangsan", 7200));
        let signed_at = NOW.plus(Duration::from_secs(3600));
        let first = assertion_signer
            .assertion_for(&session, "oa", signed_at)
            .unwrap();
        let one_second_back = Timestamp::from_unix_s(signed_at.unix_s() - 1);
        assert_eq!(
            assertion_signer
                .assertion_for(&session, "oa", one_second_back)
                .unwrap(),
            first
        );
        assert_ne!(
            assertion_signer.assertion_for(&session, "oa", NOW).unwrap(),
            first
        );
    }
}
