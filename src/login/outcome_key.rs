//! The key of an outcome: a repeated response to the same login has the same key.

use std::sync::LazyLock;

use aws_lc_rs::hmac;

use super::connector::AuthnResponse;
use super::pending::FlowId;
use crate::keys;
use crate::store::ConnectorId;

/// A random key of this process. A response may contain a password, which could be guessed from a
/// plain hash in a memory dump.
static KEY: LazyLock<hmac::Key> =
    LazyLock::new(|| hmac::Key::new(hmac::HMAC_SHA256, &keys::random::<32>()));

/// The key of a response: it covers every parameter, in any order.
pub(super) fn outcome_key(via: &ConnectorId, flow: &FlowId, response: &AuthnResponse) -> [u8; 32] {
    let mut fields: Vec<_> = response.fields.iter().collect();
    fields.sort_unstable();
    let kind = response.kind.as_deref().unwrap_or_default();
    let login_and_kind = [via.as_str(), flow.as_str(), kind];
    let texts = login_and_kind
        .into_iter()
        .chain(fields.into_iter().flat_map(|(name, value)| [name, value]));
    let mut context = hmac::Context::with_key(&KEY);
    for text in texts {
        // The length keeps "ab", "c" apart from "a", "bc".
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.sign().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::fields::Fields;

    fn key_of(form: &str, kind: Option<&str>) -> [u8; 32] {
        let flow = FlowId::try_from("a".repeat(32)).unwrap();
        let response = AuthnResponse {
            fields: Fields::parse(form.as_bytes()).unwrap(),
            client: None,
            origin: Default::default(),
            kind: kind.map(str::to_owned),
        };
        outcome_key(&"corp".parse().unwrap(), &flow, &response)
    }

    #[test]
    fn only_the_same_response_has_the_same_key() {
        let first = key_of("code=1&state=2", None);
        assert_eq!(first, key_of("code=1&state=2", None));
        assert_eq!(first, key_of("state=2&code=1", None));
        for other in [
            "code=1",
            "code=2&state=2",
            "code=1&state=2&state=2",
            "code=1&state=2&ticket=3",
            "code=1s&tate=2",
            "ticket=1&state=2",
        ] {
            assert_ne!(first, key_of(other, None), "{other}");
        }
        assert_ne!(first, key_of("code=1&state=2", Some("miniprogram")));
        assert_ne!(
            key_of("login=a&password=wrong", None),
            key_of("login=a&password=right", None)
        );
    }

    #[test]
    fn a_key_is_not_a_plain_hash_of_the_response() {
        let plain = keys::fingerprint(&[b"corp", "a".repeat(32).as_bytes(), b"", b"code", b"1"]);
        assert_ne!(key_of("code=1", None), plain);
    }
}
