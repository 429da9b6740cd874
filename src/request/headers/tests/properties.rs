//! Properties that hold for any header of a client.

use proptest::prelude::*;

use super::protected_headers::are_aliases;
use super::*;

/// Names that only menshen may set; `x-remote-user` is a custom header of the route.
const PROTECTED_NAMES: [&str; 9] = [
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-name",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-menshen-assertion",
    "x-remote-user",
];

/// Generates aliases of a header name.
fn alias(name: &'static str) -> impl Strategy<Value = String> {
    let each = name.bytes().map(|byte| match byte {
        b'-' => "[-_.!#$&'*+^`|~]".to_owned(),
        other => format!(
            "[{}{}]",
            char::from(other),
            char::from(other).to_ascii_uppercase()
        ),
    });
    proptest::string::string_regex(&each.collect::<String>()).unwrap()
}

proptest! {
    #[test]
    fn no_alias_of_an_identity_header_survives(
        alias in proptest::sample::select(&PROTECTED_NAMES[..]).prop_flat_map(alias),
        copies in 1_usize..3,
    ) {
        let sent_headers = vec![(alias.as_str(), "root"); copies];
        let route = route_with_custom_headers(&[("x-remote-user", "user.login")]);
        let headers = forwarded(route, anonymous(), request_parts("/", &sent_headers)).0.headers;
        prop_assert!(!headers.keys().any(|name| are_aliases(name.as_str().as_bytes(), alias.as_bytes())));
    }

    #[test]
    fn no_client_header_removes_an_identity_header(
        sent_headers in proptest::collection::vec(
            (
                prop_oneof![
                    Just("connection".to_owned()),
                    Just("cookie".to_owned()),
                    proptest::sample::select(&PROTECTED_NAMES[..]).prop_flat_map(alias),
                    "[a-z][a-z_.-]{0,12}",
                ],
                prop_oneof![
                    "[ -~]{0,24}",
                    "(close|x-forwarded-user|X-Remote-User|host|,| ){0,6}",
                ],
            ),
            0..6,
        ),
    ) {
        let sent_headers: Vec<_> = sent_headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let sent_headers: Vec<_> = sent_headers.into_iter().filter(|(name, _)| *name != "host").collect();
        let route = route_with_custom_headers(&[("x-remote-user", "user.login")]);
        let headers = forwarded(route, zhang(), request_parts("/", &sent_headers)).0.headers;
        for name in ["x-forwarded-user", "x-forwarded-preferred-username", "x-remote-user"] {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            prop_assert_eq!(values, vec!["zhangsan"]);
        }
        prop_assert_eq!(&headers["host"], "oa.corp.example");
        prop_assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
    }

    #[test]
    fn no_own_cookie_survives_any_bytes(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(&["menshen", "__Host-", "-flow-", "=", ";", " ", "\"", "a"][..])
                    .prop_map(|text| text.as_bytes().to_vec()),
                proptest::collection::vec(any::<u8>(), 0..3),
            ],
            0..16,
        ),
    ) {
        let line = pieces.concat();
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            let mut headers = HeaderMap::new();
            headers.append("cookie", value.clone());
            headers.append("cookie", value);
            let mut head = Vec::new();
            cookies::write_application_cookies(&mut head, &headers, &ProtectedHeaders::default());
            let forwarded = head.strip_prefix(b"cookie: ").unwrap_or_default();
            for pair in forwarded.split(|byte| *byte == b';') {
                let name = pair.split(|byte| *byte == b'=').next().unwrap();
                let name = String::from_utf8_lossy(name);
                prop_assert!(!crate::people::cookie::CookieSettings::is_default_name(&name));
            }
        }
    }

    #[test]
    fn no_encoded_value_has_a_line_end(value in any::<String>()) {
        use HeaderEncoding::{Base64, Percent, Rfc8187, Utf8};
        for encoding in [Percent, Utf8, Base64, Rfc8187] {
            let text = encode_text(encoding, &value).ok();
            let list = encode_list(encoding, [value.as_str(), "b"]).0;
            for value in text.into_iter().chain(list) {
                prop_assert!(!value.as_bytes().iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
            }
        }
    }
}
