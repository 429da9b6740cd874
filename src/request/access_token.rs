//! Access tokens of people in requests, on routes that allow them: as the password of Basic credentials or
//! as a bearer token.
//!
//! Other credentials in `Authorization` belong to the application or to the issuers of the route.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::head::Head;
use super::route::Route;
use crate::client::{Client, Rates};
use crate::keys::KeyRing;
use crate::people::access_tokens::{AccessToken, contains_token};
use crate::people::session::{AccessTokenLookup, Person, Sessions};
use crate::store::StoreError;
use crate::wording::{Text, error_of_text};

/// Decodes what any application would decode: with or without padding.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The longest Basic credentials that can be those of a token: a login name, a colon and a token.
const BASIC_BYTES_MAX: usize = 512;
/// The user name of Basic credentials for programs that demand one but cannot know the login name.
const ANY_PERSON: &str = "__token__";

/// Why an access token is refused. It goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenError {
    MultipleHeaders,
    Malformed,
    Unknown,
    OtherUserName,
    OtherRoute,
    OtherConnector,
    LoginDemanded,
    TooMany,
}

impl AccessTokenError {
    fn text(&self) -> Text {
        match self {
            Self::MultipleHeaders => Text::fixed(
                "there are several Authorization headers",
                "有多个 Authorization 请求头",
            ),
            Self::Malformed => Text::fixed(
                "the text is not a whole access token, or it is not the password",
                "不是完整的访问令牌，或没有放在密码中",
            ),
            Self::Unknown => Text::fixed(
                "the access token is unknown, expired or ended",
                "访问令牌不存在、已过期或已停用",
            ),
            Self::OtherUserName => Text::fixed(
                "the user name is that of another person",
                "用户名属于另一个人",
            ),
            Self::OtherRoute => Text::fixed(
                "the access token was not made for this route",
                "访问令牌不适用于此路由",
            ),
            Self::OtherConnector => Text::fixed(
                "the route does not accept the connector of the access token",
                "此路由不接受该访问令牌的认证源",
            ),
            Self::LoginDemanded => Text::fixed(
                "the route demands a login that an access token does not prove",
                "此路由要求的登录方式，访问令牌无法证明",
            ),
            Self::TooMany => Text::fixed(
                "the client sends too many unknown access tokens",
                "此客户端发送的无效访问令牌过多",
            ),
        }
    }
}

error_of_text!(AccessTokenError);

/// The access token in a request's `Authorization` header.
#[derive(Debug)]
struct Credential {
    token: AccessToken,
    /// The user name of Basic credentials.
    user_name: Option<String>,
}

/// Why the person of an access token could not be identified.
#[derive(Clone, Debug)]
pub(super) enum FindError {
    Refused(AccessTokenError),
    Store(Arc<StoreError>),
}

/// Limits how many unknown access tokens a client may send. The store is not asked about more.
#[derive(Debug)]
pub struct AccessTokenLimits {
    per_minute: u32,
    unknown_tokens: Rates,
}

impl AccessTokenLimits {
    /// The limits with this setting; those of `previous` if they have the same.
    pub fn new(unknown_per_client_per_minute: u32, previous: Option<&Arc<Self>>) -> Arc<Self> {
        let same = previous.filter(|limits| limits.per_minute == unknown_per_client_per_minute);
        same.map_or_else(
            || {
                Arc::new(Self {
                    per_minute: unknown_per_client_per_minute,
                    unknown_tokens: Rates::per_minute(unknown_per_client_per_minute, u32::MAX),
                })
            },
            Arc::clone,
        )
    }
}

/// The person of the access token in a request that has one.
pub(super) async fn find_person(
    (sessions, ring): (&Arc<Sessions>, &Arc<KeyRing>),
    limits: &AccessTokenLimits,
    route: &Route,
    head: &Head<'_>,
) -> Result<Person, FindError> {
    let Credential { token, user_name } = match credential_in(head.headers) {
        Ok(credential) => credential,
        Err(why) => return Err(FindError::Refused(why)),
    };
    let key = token.key();
    let cached = sessions.find_cached_access_token(ring, &key);
    let found = match cached.map_err(FindError::Store)? {
        Some(found) => found,
        None => {
            // A proxy that does not name its clients counts as one client.
            let client = head.client_for_limits();
            let client = client.unwrap_or_else(|| Client::new(head.client_ip, true));
            if !limits.unknown_tokens.take(client) {
                return Err(FindError::Refused(AccessTokenError::TooMany));
            }
            let loaded = sessions.load_access_token(ring, &key).await;
            if !matches!(loaded, Ok(AccessTokenLookup::Unknown)) {
                limits.unknown_tokens.refund(client);
            }
            loaded.map_err(FindError::Store)?
        }
    };
    let AccessTokenLookup::Person(person) = found else {
        return Err(FindError::Refused(AccessTokenError::Unknown));
    };
    let is_own_name = |name: &String| {
        name.is_empty()
            || name == ANY_PERSON
            || name.to_lowercase() == person.session.login.folded()
    };
    if !user_name.as_ref().is_none_or(is_own_name) {
        return Err(FindError::Refused(AccessTokenError::OtherUserName));
    }
    let used = person.access_token.as_ref();
    match used.is_some_and(|used| used.opens_route(route.name.as_str())) {
        true => Ok(person),
        false => Err(FindError::Refused(AccessTokenError::OtherRoute)),
    }
}

/// Whether an `Authorization` value contains an access token, as it is or in Base64 of either alphabet,
/// wherever a program or a proxy may have put it. No application must receive it.
pub(super) fn is_in(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    let (scheme, rest) = split_scheme(value);
    // Applications decode Basic credentials with decoders that skip characters or that do not.
    let is_basic = scheme.eq_ignore_ascii_case(b"basic");
    contains_token(value.iter().copied())
        || contains_token(decoded(value, |_| true))
        || is_basic && contains_token(decoded(rest, |byte| b",=".contains(&byte)))
}

/// The bytes that Base64 of either alphabet stands for. Other characters are skipped; those that separate
/// texts begin a new one.
fn decoded(text: &[u8], separates: impl Fn(u8) -> bool) -> impl Iterator<Item = u8> {
    let (mut bits, mut count) = (0_u32, 0_u32);
    text.iter().filter_map(move |byte| {
        let Some(six_bits) = six_bits_of(*byte) else {
            if separates(*byte) {
                count = 0;
            }
            return None;
        };
        bits = bits << 6 | u32::from(six_bits);
        count += 6;
        if count < 8 {
            return None;
        }
        count -= 8;
        u8::try_from(bits >> count & 0xff).ok()
    })
}

fn six_bits_of(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Whether a request has an access token in `Authorization`.
pub(super) fn is_sent(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(is_in)
}

/// Reads the token of a request that has one. A repeated header is refused, whatever its values, because
/// the application might use another one.
fn credential_in(headers: &HeaderMap) -> Result<Credential, AccessTokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => read(value).ok_or(AccessTokenError::Malformed),
        (_, _) => Err(AccessTokenError::MultipleHeaders),
    }
}

/// Reads a value that contains a token; `None` if it is not where it belongs.
fn read(value: &HeaderValue) -> Option<Credential> {
    let (scheme, rest) = split_scheme(value.as_bytes());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        let token = AccessToken::parse(std::str::from_utf8(rest).ok()?)?;
        return Some(Credential {
            token,
            user_name: None,
        });
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let decoded = String::from_utf8(decode_basic(rest)?).ok()?;
    let (user_name, password) = decoded.split_once(':')?;
    Some(Credential {
        token: AccessToken::parse(password)?,
        user_name: Some(user_name.to_owned()),
    })
}

/// The scheme of an `Authorization` value, and what follows it without blanks around it.
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace);
    let (scheme, rest) = value.split_at(end.unwrap_or(value.len()));
    (scheme, rest.trim_ascii())
}

fn decode_basic(text: &[u8]) -> Option<Vec<u8>> {
    let fits = text.len() <= BASIC_BYTES_MAX * 4 / 3 + 4;
    fits.then(|| LENIENT_BASE64.decode(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

    use super::*;

    const TOKEN: &str = "mst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn outcome(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        if !is_sent(&headers) {
            return "none".to_owned();
        }
        match credential_in(&headers) {
            Err(why) => format!("{why:?}"),
            Ok(Credential { token, user_name }) => {
                assert_eq!(token.expose(), TOKEN);
                format!("token of {user_name:?}")
            }
        }
    }

    #[test]
    fn a_token_is_a_basic_password_or_a_bearer_token() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        // Blanks that a lenient decoder skips.
        let spaced = |basic: &str| format!("{} {}", &basic[..13], &basic[13..]);
        let unpadded = format!("bASIC  {}", STANDARD_NO_PAD.encode(format!("li:{TOKEN}")));
        for (value, expected) in [
            (format!("Bearer {TOKEN}"), "token of None"),
            (format!("bearer   {TOKEN} "), "token of None"),
            (basic(&format!("lisi:{TOKEN}")), "token of Some(\"lisi\")"),
            (basic(&format!(":{TOKEN}")), "token of Some(\"\")"),
            (unpadded, "token of Some(\"li\")"),
            (format!("Bearer {TOKEN}x"), "Malformed"),
            (format!("Token {TOKEN}"), "Malformed"),
            (TOKEN.to_owned(), "Malformed"),
            (basic(&format!("lisi:{TOKEN}\n")), "Malformed"),
            (basic(&format!("{TOKEN}:")), "Malformed"),
            (basic(&format!("{TOKEN}:x-oauth-basic")), "Malformed"),
            (basic(TOKEN), "Malformed"),
            (format!("Basic bGlzaTp4,Bearer {TOKEN}"), "Malformed"),
            (format!("Bearer {TOKEN}, Bearer x"), "Malformed"),
            (basic(&format!("{}:{TOKEN}", "l".repeat(600))), "Malformed"),
            (basic(&format!("a:b:{TOKEN}")), "Malformed"),
            (
                basic(&format!("\u{43f}\u{43f}>:{TOKEN}"))
                    .replace('+', "-")
                    .replace('/', "_"),
                "Malformed",
            ),
            (spaced(&basic(&format!("lisi:{TOKEN}"))), "Malformed"),
            (format!("Basic bGlzaTp4, Bearer {TOKEN}"), "Malformed"),
            (
                format!("Bearer x, {}", basic(&format!("lisi:{TOKEN}"))),
                "Malformed",
            ),
            (
                format!("Bearer x.{}", STANDARD_NO_PAD.encode(TOKEN)),
                "Malformed",
            ),
            // Credentials of applications and issuers.
            (basic("lisi:secret"), "none"),
            (basic("lisi:mst_secret"), "none"),
            ("Bearer eyJhbGciOiJFUzI1NiJ9.e30.AA".to_owned(), "none"),
            ("Basic !!!".to_owned(), "none"),
            ("Negotiate YII=".to_owned(), "none"),
            ("Bearer".to_owned(), "none"),
            (String::new(), "none"),
        ] {
            assert_eq!(outcome(&[&value]), expected, "{value}");
        }
        assert_eq!(outcome(&[]), "none");
    }

    #[test]
    fn a_second_header_makes_a_token_invalid_and_other_credentials_do_not_matter() {
        let token = format!("Bearer {TOKEN}");
        for pair in [
            [&*token, "Basic bGlzaTpzZWNyZXQ="],
            ["Bearer other", &token],
            [&*token, &token],
        ] {
            assert_eq!(outcome(&pair), "MultipleHeaders");
        }
        assert_eq!(outcome(&["Bearer a", "Bearer b"]), "none");
    }
}
