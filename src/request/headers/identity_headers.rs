//! `IdentityHeaders`: the identity of a person as header values and header lines. It is encoded once per
//! person.

use std::borrow::Cow;
use std::sync::OnceLock;

use http::{HeaderName, HeaderValue};

use super::encoding::{self, EncodeError};
use super::header_lines::HeaderLines;
use crate::people::session::Person;
use crate::request::gate::Caller;
use crate::request::policy::Permit;
use crate::request::route::HeaderEncoding;

/// The identity headers that upstreams receive, in the order of [`IdentityHeaders::values`].
pub(super) const IDENTITY: [HeaderName; 5] = [
    HeaderName::from_static("x-forwarded-user"),
    HeaderName::from_static("x-forwarded-preferred-username"),
    HeaderName::from_static("x-forwarded-name"),
    HeaderName::from_static("x-forwarded-email"),
    HeaderName::from_static("x-forwarded-groups"),
];

/// The identity of a person as header values. Missing ones are absent.
///
/// `Debug` shows none of them.
#[derive(Clone)]
pub struct IdentityHeaders {
    /// The login.
    pub user: Option<HeaderValue>,
    /// The display name.
    pub name: Option<HeaderValue>,
    pub email: Option<HeaderValue>,
    /// Separated by commas.
    pub groups: Option<HeaderValue>,
}

impl std::fmt::Debug for IdentityHeaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityHeaders(..)")
    }
}

impl IdentityHeaders {
    /// Encodes the identity of a person.
    pub fn of(person: &Person, encoding: HeaderEncoding) -> Self {
        let encode = |header: &str, text: &str| {
            let text = Some(text).filter(|text| !text.is_empty());
            text.and_then(|text| value_or_warn(header, encoding::encode_text(encoding, text)))
        };
        let fields = &person.entitlements.fields;
        let (groups, refused) =
            encoding::encode_list(encoding, fields.groups.iter().map(String::as_str));
        warn_of_omitted("groups", refused);
        Self {
            user: encode("login", person.session.login.as_str()),
            name: fields.name.as_deref().and_then(|name| encode("name", name)),
            email: fields
                .email
                .as_deref()
                .and_then(|email| encode("email", email)),
            groups,
        }
    }

    /// The identity of the permitted person, from the cache if possible.
    pub(super) fn of_permit(permit: &Permit) -> Option<Cow<'_, Self>> {
        let Caller::Person(person) = permit.caller() else {
            return None;
        };
        let encoding = permit.route().headers.encoding;
        Some(match EncodedPerson::cached(person, encoding) {
            Some(cached) => Cow::Borrowed(&cached.identity),
            None => Cow::Owned(Self::of(person, encoding)),
        })
    }

    /// Login, login, name, email, groups.
    pub(super) fn values(&self) -> [Option<&HeaderValue>; 5] {
        let user = self.user.as_ref();
        let (name, email) = (self.name.as_ref(), self.email.as_ref());
        [user, user, name, email, self.groups.as_ref()]
    }
}

/// The identity of a person in one encoding, as values and as header lines.
pub(super) struct EncodedPerson {
    identity: IdentityHeaders,
    pub(super) lines: Box<[u8]>,
}

/// The identity of a person in each encoding that a route used.
#[derive(Default)]
struct EncodedPersonCache {
    percent: OnceLock<EncodedPerson>,
    utf8: OnceLock<EncodedPerson>,
    base64: OnceLock<EncodedPerson>,
    rfc8187: OnceLock<EncodedPerson>,
}

impl EncodedPersonCache {
    fn of(&self, encoding: HeaderEncoding) -> &OnceLock<EncodedPerson> {
        match encoding {
            HeaderEncoding::Percent => &self.percent,
            HeaderEncoding::Utf8 => &self.utf8,
            HeaderEncoding::Base64 => &self.base64,
            HeaderEncoding::Rfc8187 => &self.rfc8187,
        }
    }
}

impl EncodedPerson {
    /// The cached identity of a person; encoded on first use. `None` for a session with an earlier login of
    /// its account, which the cache does not have.
    pub(super) fn cached(person: &Person, encoding: HeaderEncoding) -> Option<&Self> {
        let memo = person
            .entitlements
            .memo
            .get_or_make(EncodedPersonCache::default);
        let login = &person.session.login;
        // The memo has the login of the entitlements; that of a loaded session may be older.
        let memo = memo.filter(|_| *login == person.entitlements.login)?;
        Some(memo.of(encoding).get_or_init(|| {
            let identity = IdentityHeaders::of(person, encoding);
            let mut lines = HeaderLines::default();
            lines.add_identity_headers(&identity);
            Self {
                identity,
                lines: lines.lines().into(),
            }
        }))
    }
}

/// The value; an error is logged, and the header is left out.
pub(super) fn value_or_warn(
    header: &str,
    value: Result<HeaderValue, EncodeError>,
) -> Option<HeaderValue> {
    value
        .inspect_err(|error| tracing::warn!(header, error = %error, "a header is left out"))
        .ok()
}

pub(super) fn warn_of_omitted(header: &str, refused: usize) {
    if refused > 0 {
        tracing::warn!(header, refused, "elements of a header are left out");
    }
}
