//! Newtypes for the IDs of records, so that the compiler tells them apart.

use std::borrow::Cow;
use std::fmt;

use crate::text;
use crate::wording::{Text, error_of_text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text is not a valid ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdError {
    Connector,
    Subject,
    Administrator,
    Login,
    /// An ID that menshen generated.
    Random,
}

impl IdError {
    fn text(&self) -> Text {
        match self {
            Self::Connector => text!(
                "a connector's ID is 1 to 32 characters of a-z, 0-9 and -",
                "认证源的 ID 由 1 到 32 个 a-z、0-9 和 - 组成"
            ),
            Self::Subject => text!(
                "a subject is 1 to 512 bytes without control characters",
                "subject 为 1 到 512 字节，不含控制字符"
            ),
            Self::Administrator => text!(
                "a name of an administrator is 1 to 64 bytes of letters, digits, '.', '-', '_' and '@'",
                "管理员的名字由 1 到 64 个字母、数字、'.'、'-'、'_' 和 '@' 组成"
            ),
            Self::Login => text!(
                "a login is 1 to 256 bytes without control characters or spaces at its ends",
                "登录名为 1 到 256 字节，不含控制字符，前后没有空格"
            ),
            Self::Random => text!(
                "not an ID: expected 22 characters of base64url",
                "不是 ID：应为 22 个 base64url 字符"
            ),
        }
    }
}

error_of_text!(IdError);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.to_owned().try_into()
            }
        }
    };
}

text_id! {
    /// The ID of a connector in the configuration: `corp` in `[connector.corp]`. Must never change,
    /// because accounts refer to it.
    ConnectorId
}

text_id! {
    /// The identifier by which a source names a person.
    Subject
}

text_id! {
    /// The login name that applications receive; compared case-insensitively.
    LoginName
}

text_id! {
    /// The name of a local administrator, in lower case.
    AdministratorName
}

impl TryFrom<String> for ConnectorId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.len() > 32 || !text.bytes().all(allowed) {
            return Err(IdError::Connector);
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for Subject {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
            return Err(IdError::Subject);
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for LoginName {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let bad = text.is_empty() || text.len() > 256 || text.trim() != text;
        if bad || text.chars().any(char::is_control) {
            return Err(IdError::Login);
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for AdministratorName {
    type Error = IdError;

    /// Trims spaces at the ends, and converts to lower case.
    fn try_from(text: String) -> Result<Self, IdError> {
        let name = text.trim().to_lowercase();
        let is_allowed = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_allowed) {
            return Err(IdError::Administrator);
        }
        Ok(Self(name))
    }
}

impl LoginName {
    /// The form in which login names are compared.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl JsonSchema for ConnectorId {
    fn schema_name() -> Cow<'static, str> {
        "ConnectorId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9-]{1,32}$" })
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// From 128 random bits.
            pub fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bits.
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| IdError::Random)?;
                Ok(Self(bytes.try_into().map_err(|_| IdError::Random)?))
            }
        }
    };
}

random_id! {
    /// An account's ID: 128 random bits, written as 22 characters of base64url.
    AccountId
}

random_id! {
    /// A session's public ID, for logs, audit and the administrator. It is not a credential.
    SessionId
}

/// The primary key of a session in the store: SHA-256 of the secret sid in its cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// From the hash.
    pub fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_id_is_short_and_plain() {
        for good in ["corp", "a", "wecom-2", &"x".repeat(32)] {
            assert!(good.parse::<ConnectorId>().is_ok(), "{good}");
        }
        for bad in ["", "Corp", "a_b", "企业", &"x".repeat(33)] {
            assert!(bad.parse::<ConnectorId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_name_of_an_administrator_is_plain_and_has_no_case() {
        for (text, name) in [
            ("Root", "root"),
            (" ops@corp ", "ops@corp"),
            ("运维", "运维"),
        ] {
            assert_eq!(text.parse::<AdministratorName>().unwrap().as_str(), name);
        }
        for bad in ["", " ", "a b", "<b>", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<AdministratorName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn logins_are_compared_without_case() {
        let upper: LoginName = "ZhangSan".parse().unwrap();
        let lower: LoginName = "zhangsan".parse().unwrap();
        assert_eq!(upper.folded(), lower.folded());
        assert_eq!(upper.as_str(), "ZhangSan");
        for bad in ["", " a", "a\r\n"] {
            assert!(bad.parse::<LoginName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_parsed_from_its_own_text() {
        let id = AccountId::new([7; 16]);
        assert_eq!(AccountId::try_from(id.to_string()).unwrap(), id);
        assert!(AccountId::try_from("short".to_owned()).is_err());
    }
}
