//! How messages travel: base64 in a form, deflated and base64 in a query.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::super::kit::xml_signature::{PrivateKey, sign_query};

/// The compression level of messages in a query. They are short.
const LEVEL: u8 = 6;

/// Why the text of a message cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("it is not base64")]
    NotBase64,
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    #[error("it is not deflated")]
    NotDeflated,
}

/// The text of a message for a form.
pub(super) fn encode_form(message: &str) -> String {
    STANDARD.encode(message)
}

/// The message in a field of a form. White space, with which some providers break lines, is ignored.
pub(super) fn decode_form(text: &str, bytes_max: usize) -> Result<Vec<u8>, DecodeError> {
    let text: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if text.len() / 4 * 3 > bytes_max + 2 {
        return Err(DecodeError::TooLarge(bytes_max));
    }
    let message = STANDARD.decode(text).map_err(|_| DecodeError::NotBase64)?;
    match message.len() <= bytes_max {
        true => Ok(message),
        false => Err(DecodeError::TooLarge(bytes_max)),
    }
}

/// The message in a parameter of a query, which is deflated (RFC 1951).
pub(super) fn decode_query(text: &str, bytes_max: usize) -> Result<Vec<u8>, DecodeError> {
    let deflated = decode_form(text, bytes_max)?;
    decompress_to_vec_with_limit(&deflated, bytes_max).map_err(|_| DecodeError::NotDeflated)
}

/// The URL that carries a message in its query, signed if there is a key; `None` if the key cannot sign.
pub(super) fn message_url(
    endpoint: &Url,
    (parameter, message): (&str, &str),
    relay_state: Option<(&str, &str)>,
    key: Option<&PrivateKey>,
) -> Option<Url> {
    let deflated = STANDARD.encode(compress_to_vec(message.as_bytes(), LEVEL));
    let mut query = format!("{parameter}=");
    query.extend(byte_serialize(deflated.as_bytes()));
    if let Some((name, value)) = relay_state {
        query.push('&');
        let mut pair = Serializer::new(String::new());
        query.push_str(&pair.append_pair(name, value).finish());
    }
    if let Some(key) = key {
        query = sign_query(&query, key)?;
    }
    let mut url = endpoint.clone();
    let query = match endpoint.query().filter(|own| !own.is_empty()) {
        Some(own) => format!("{own}&{query}"),
        None => query,
    };
    url.set_query(Some(&query));
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_a_query_is_read_again() {
        let endpoint = Url::parse("https://idp.corp.example/sso?tenant=a%20b").unwrap();
        let message = "<samlp:AuthnRequest ID='_1'/>";
        let relay_state = Some(("RelayState", "a b&c"));
        let url = message_url(&endpoint, ("SAMLRequest", message), relay_state, None).unwrap();
        let pairs: Vec<_> = url.query_pairs().collect();
        assert!(
            url.as_str()
                .starts_with("https://idp.corp.example/sso?tenant=a%20b&SAMLRequest=")
        );
        assert_eq!(pairs[2].1, "a b&c");
        assert_eq!(decode_query(&pairs[1].1, 1000).unwrap(), message.as_bytes());
    }

    #[test]
    fn long_and_malformed_messages_are_refused() {
        let long = encode_form(&"x".repeat(101));
        assert_eq!(decode_form(&long, 100), Err(DecodeError::TooLarge(100)));
        assert_eq!(decode_form(&long, 101).unwrap().len(), 101);
        assert_eq!(decode_form("%%%", 100), Err(DecodeError::NotBase64));
        assert_eq!(decode_form("eA =\r\n=", 100).unwrap(), b"x");
        assert_eq!(decode_query("eHh4", 100), Err(DecodeError::NotDeflated));
        // A few bytes that become many.
        let bomb = STANDARD.encode(compress_to_vec(&vec![b'x'; 1 << 20], 9));
        assert!(bomb.len() < 5_000);
        assert_eq!(decode_query(&bomb, 10_000), Err(DecodeError::NotDeflated));
    }
}
