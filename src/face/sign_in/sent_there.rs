//! The query parameter that proves that the login host of this site sent a signed-in person to another host with this
//! return address. A stranger's URL has none, and so is never counted or logged as a redirect loop.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::keys::KeyRing;
use crate::login::fields::Fields;

const NAME: &str = "o";

/// No other keyed hash begins with it.
const PURPOSE: &[u8] = b"sent there";

/// How long a redirect may take, with a difference between the clocks of two nodes.
const AGE_MAX: Duration = Duration::from_secs(300);

/// Bytes of the hash that are in the URL.
const HASH_BYTES: usize = 16;

/// The parameter for a redirect with this return address.
pub(super) fn parameter(ring: &KeyRing, return_url: &str, now: Timestamp) -> String {
    let sent_at = now.unix_s();
    let hash = ring.keyed_hash(&[PURPOSE, &sent_at.to_be_bytes(), return_url.as_bytes()]);
    let hash = URL_SAFE_NO_PAD.encode(&hash[..HASH_BYTES]);
    format!("{NAME}={sent_at}.{hash}")
}

/// Whether a request has the parameter of a recent redirect with this return address.
pub(super) fn is_in(
    query: &Fields,
    ring: &KeyRing,
    return_url: Option<&str>,
    now: Timestamp,
) -> bool {
    let value = query.one(NAME).ok().flatten();
    let parsed = value
        .and_then(|value| value.split_once('.'))
        .zip(return_url);
    let Some(((sent_at, hash), return_url)) = parsed else {
        return false;
    };
    let (Ok(sent_at), Ok(hash)) = (sent_at.parse::<i64>(), URL_SAFE_NO_PAD.decode(hash)) else {
        return false;
    };
    let sent = Timestamp::from_unix_s(sent_at);
    let is_recent = now.since(sent) <= AGE_MAX && sent.since(now) <= AGE_MAX;
    let is_whole = hash.len() == HASH_BYTES;
    let parts: [&[u8]; 3] = [PURPOSE, &sent_at.to_be_bytes(), return_url.as_bytes()];
    is_recent && is_whole && ring.has_keyed_hash(&parts, &hash)
}
