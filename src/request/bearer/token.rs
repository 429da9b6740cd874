//! Parses bearer tokens before they are verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use super::Refusal;
use crate::issuer::{ClaimError, Claims};

/// The maximum length of a token, in bytes.
const TOKEN_BYTES_MAX: usize = 32 * 1024;
/// The maximum length of text from a token in an error, in characters.
const QUOTED_CHARS_MAX: usize = 80;
/// The maximum number of scopes of a token; further ones are ignored.
const SCOPES_MAX: usize = 500;

/// The bearer token in a request's `Authorization` header. It must never be printed.
pub(super) enum BearerHeader<'a> {
    /// No bearer token: no header, or other credentials.
    Absent,
    /// A syntactically valid token.
    Token(&'a str),
    /// A bearer token that cannot be valid.
    Invalid(Refusal),
}

/// Reads `Authorization` (RFC 6750 §2.1). A repeated header is refused, whatever its values,
/// because the application might use another one.
pub(super) fn read_header(headers: &HeaderMap) -> BearerHeader<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return BearerHeader::Absent,
        (Some(_), Some(_)) => return BearerHeader::Invalid(Refusal::MultipleHeaders),
        (Some(value), None) => value.as_bytes(),
    };
    let end = value.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let (scheme, rest) = value.split_at(end.unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return BearerHeader::Absent;
    }
    let token = rest.strip_prefix(b" ").map(<[u8]>::trim_ascii);
    let token = token.and_then(|token| std::str::from_utf8(token).ok());
    match token.filter(|token| is_token(token)) {
        Some(token) => BearerHeader::Token(token),
        None => BearerHeader::Invalid(Refusal::Malformed),
    }
}

/// `b64token` of RFC 6750.
fn is_token(text: &str) -> bool {
    let without_padding = text.trim_end_matches('=');
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !without_padding.is_empty()
        && text.len() <= TOKEN_BYTES_MAX
        && without_padding.bytes().all(is_allowed)
}

/// The form of a token before its verification. It only selects the issuer.
pub(super) enum TokenForm {
    /// A JWT with this `iss`.
    Signed { issuer: String },
    /// Another form, which only the issuer can verify.
    Opaque,
}

/// Reads the `iss` of a JWT, and refuses JWTs of other types: a token that was issued for one purpose
/// must not be used for another (RFC 8725 §3.11).
pub(super) fn form_of(token: &str) -> Result<TokenForm, Refusal> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(TokenForm::Opaque);
    };
    let Some(header) = decode_object(header).filter(|header| header.contains_key("alg")) else {
        return Ok(TokenForm::Opaque);
    };
    if let Some(kind) = header.get("typ") {
        let kind = kind.as_str().unwrap_or_default().to_ascii_lowercase();
        let subtype = kind.strip_prefix("application/").unwrap_or(&kind);
        if !matches!(subtype, "jwt" | "at+jwt") {
            return Err(Refusal::WrongType {
                found: truncated(&kind),
            });
        }
    }
    let claims = Claims::new(decode_object(payload).ok_or(Refusal::Malformed)?);
    let issuer = claims.text("iss").map_err(Refusal::claim)?.to_owned();
    Ok(TokenForm::Signed { issuer })
}

/// The JSON object of a part of a JWT.
fn decode_object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Refuses verified tokens that are not bearer tokens: tokens of other types, and tokens that are bound
/// to a key (RFC 9449 §7.2, RFC 8705 §3).
pub(super) fn require_bearer(claims: &Claims) -> Result<(), Refusal> {
    let kinds: [(&str, &[&str]); 3] = [
        ("token_type", &["bearer"]),
        ("typ", &["bearer", "jwt", "at+jwt"]),
        ("token_use", &["access", "access_token"]),
    ];
    for (name, accepted) in kinds {
        let Some(kind) = claims.get(name) else {
            continue;
        };
        let kind = kind.as_str().unwrap_or_default();
        if !accepted.iter().any(|name| kind.eq_ignore_ascii_case(name)) {
            return Err(Refusal::WrongType {
                found: truncated(kind),
            });
        }
    }
    if claims.get("cnf").is_some() {
        return Err(Refusal::KeyBound);
    }
    match claims.get("events") {
        Some(_) => Err(Refusal::WrongType {
            found: "an event".to_owned(),
        }),
        None => Ok(()),
    }
}

/// An identifier that is equal for all encodings of a verified token, and different for every other
/// token of the person.
///
/// The signature is not part of it: ECDSA has two valid signatures for the same content. An issuer may
/// also accept several encodings of an opaque token, so its `jti` is used if there is one, together
/// with `iat`, because some issuers keep the `jti` when they renew a token.
pub(super) fn canonical_id(token: &str, claims: &Claims) -> String {
    if let Ok(TokenForm::Signed { .. }) = form_of(token)
        && let Some((signed, _)) = token.rsplit_once('.')
    {
        return format!("signed {signed}");
    }
    match (claims.text("jti"), claims.timestamp("iat")) {
        (Ok(id), Ok(Some(issued_at))) => format!("id {} {id}", issued_at.unix_ms()),
        _ => format!("whole {token}"),
    }
}

/// The scopes of a token: `scope`, as words (RFC 8693 §4.2) or as a list; otherwise `scp`.
pub(super) fn scopes(claims: &Claims) -> Result<Vec<String>, ClaimError> {
    let name = if claims.get("scope").is_some() {
        "scope"
    } else {
        "scp"
    };
    let texts = claims.texts(name)?;
    let words = texts.iter().flat_map(|text| text.split_ascii_whitespace());
    Ok(words.take(SCOPES_MAX).map(str::to_owned).collect())
}

/// Text from a token for an error: without control characters, and truncated.
pub(super) fn truncated(text: &str) -> String {
    let printable = text.chars().filter(|char| !char.is_control());
    printable.take(QUOTED_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    /// The bearer token of a request with these `Authorization` headers.
    fn token_in(values: &[&[u8]]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        match read_header(&headers) {
            BearerHeader::Absent => Ok(None),
            BearerHeader::Token(token) => Ok(Some(token.to_owned())),
            BearerHeader::Invalid(_) => Err(()),
        }
    }

    #[test]
    fn a_bearer_token_is_one_word_after_the_scheme() {
        for valid in ["Bearer abc", "bearer abc", "BEARER   abc "] {
            assert_eq!(
                token_in(&[valid.as_bytes()]),
                Ok(Some("abc".to_owned())),
                "{valid}"
            );
        }
        assert_eq!(
            token_in(&[b"Bearer a-._~+/9=="]),
            Ok(Some("a-._~+/9==".to_owned()))
        );
        for other in ["Basic abc", "Bearerx abc", "Digest a=\"Bearer b\"", ""] {
            assert_eq!(token_in(&[other.as_bytes()]), Ok(None), "{other}");
        }
        assert_eq!(token_in(&[]), Ok(None));
    }

    #[test]
    fn malformed_tokens_are_refused() {
        let malformed_values: [&[u8]; 9] = [
            b"Bearer",
            b"Bearer ",
            b"Bearer\tabc",
            b"Bearer,abc",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer ====",
            b"Bearer a=b",
            b"Bearer \xe5\xbc\xa0",
        ];
        for value in malformed_values {
            assert_eq!(
                token_in(&[value]),
                Err(()),
                "{}",
                String::from_utf8_lossy(value)
            );
        }
        assert_eq!(token_in(&[b"Bearer a", b"Bearer a"]), Err(()));
        assert_eq!(token_in(&[b"Bearer a", b"Basic b"]), Err(()));
        let longest = "a".repeat(TOKEN_BYTES_MAX);
        assert!(token_in(&[format!("Bearer {longest}").as_bytes()]).is_ok());
        assert_eq!(
            token_in(&[format!("Bearer {longest}a").as_bytes()]),
            Err(())
        );
    }

    #[test]
    fn all_spellings_of_a_token_have_one_canonical_id() {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = |value: Value| match value {
            Value::Object(claims) => Claims::new(claims),
            other => panic!("{other} is no object"),
        };
        let with_jti = claims(json!({ "jti": "a", "iat": 1_800_000_000 }));
        let signed = |sub: &str| {
            let header = json!({ "alg": "ES256" });
            let payload = json!({ "iss": "i", "sub": sub });
            format!("{}.{}", part(header), part(payload))
        };
        let id_of_signed = |sub: &str, signature: &str| {
            let token = format!("{}.{signature}", signed(sub));
            canonical_id(&token, &with_jti)
        };
        assert_eq!(id_of_signed("u", "c2ln"), id_of_signed("u", "b3RoZXI"));
        assert_ne!(id_of_signed("u", "c2ln"), id_of_signed("v", "c2ln"));
        assert_eq!(
            canonical_id("opaque", &with_jti),
            canonical_id("opaque=", &with_jti)
        );
        let renewed = claims(json!({ "jti": "a", "iat": 1_800_000_001 }));
        assert_ne!(
            canonical_id("opaque", &with_jti),
            canonical_id("opaque", &renewed)
        );
        let without_jti = claims(json!({ "iat": 1_800_000_000 }));
        assert_ne!(
            canonical_id("opaque", &without_jti),
            canonical_id("other", &without_jti)
        );
    }

    #[test]
    fn scopes_are_words_or_a_json_list() {
        let scopes_of = |claims: Value| {
            let Value::Object(claims) = claims else {
                panic!("an object")
            };
            scopes(&Claims::new(claims)).ok()
        };
        let read_and_write = Some(vec!["read".to_owned(), "write".to_owned()]);
        assert_eq!(
            scopes_of(json!({ "scope": " read  write " })),
            read_and_write
        );
        assert_eq!(
            scopes_of(json!({ "scope": ["read", "write"] })),
            read_and_write
        );
        assert_eq!(scopes_of(json!({ "scp": "read write" })), read_and_write);
        assert_eq!(
            scopes_of(json!({ "scp": ["read", "write"] })),
            read_and_write
        );
        assert_eq!(
            scopes_of(json!({ "scope": "", "scp": "read" })),
            Some(Vec::new())
        );
        assert_eq!(scopes_of(json!({})), Some(Vec::new()));
        assert_eq!(scopes_of(json!({ "scope": 7 })), None);
    }
}
