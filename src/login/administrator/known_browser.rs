//! `KnownBrowser`: a browser in which an administrator has signed in before, by a cookie. Wrong passwords in it
//! are counted apart, so that others who know the name cannot keep the administrator out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::keys::{self, KeyRing, Purpose};
use crate::store::{Administrator, AdministratorName};

/// How long a browser is known after a sign-in, in seconds: 180 days.
pub const KNOWN_FOR_S: i64 = 180 * 86_400;

/// The longest cookie that is opened, in bytes.
const COOKIE_BYTES_MAX: usize = 512;

/// The length of the name of a browser and of the time, in bytes.
const ID_LENGTH: usize = 16;
const TIME_LENGTH: usize = 8;

/// What the cookie of a browser says. `Debug` is not derived: it contains the name of a password.
pub(super) struct KnownBrowser {
    id: [u8; ID_LENGTH],
    credential: String,
}

impl KnownBrowser {
    /// The cookie for a browser in which this administrator has just proved the password.
    pub(super) fn cookie(ring: &KeyRing, administrator: &Administrator, now: Timestamp) -> String {
        let mut plain = keys::random::<ID_LENGTH>().to_vec();
        plain.extend_from_slice(&now.unix_s().to_be_bytes());
        plain.extend_from_slice(administrator.credential.as_bytes());
        ring.seal(
            Purpose::Browser,
            administrator.name.as_str().as_bytes(),
            &plain,
        )
    }

    /// The browser of a cookie; `None` if menshen did not make it for this name, or made it too long ago.
    pub(super) fn open(
        ring: &KeyRing,
        name: &AdministratorName,
        cookie: &str,
        now: Timestamp,
    ) -> Option<Self> {
        if cookie.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let plain = ring.open(Purpose::Browser, name.as_str().as_bytes(), cookie)?;
        let (id, rest) = plain.split_first_chunk::<ID_LENGTH>()?;
        let (made_at, credential) = rest.split_first_chunk::<TIME_LENGTH>()?;
        let age_s = now.unix_s().saturating_sub(i64::from_be_bytes(*made_at));
        let credential = String::from_utf8(credential.to_vec()).ok()?;
        (age_s < KNOWN_FOR_S).then_some(Self {
            id: *id,
            credential,
        })
    }

    /// Whether the administrator has had no other password since.
    pub(super) fn is_known_to(&self, administrator: &Administrator) -> bool {
        let (then, now) = (&self.credential, &administrator.credential);
        keys::fingerprint(&[then.as_bytes()]) == keys::fingerprint(&[now.as_bytes()])
    }

    /// What wrong passwords in this browser are counted for.
    pub(super) fn counted_for(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.id)
    }
}
