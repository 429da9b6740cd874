//! `NewPassword`: a password that somebody chose, before it is hashed.

use std::fmt;

use crate::secret::Secret;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest accepted password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The shortest password that is accepted, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;

/// A password that somebody may choose.
pub struct NewPassword(Secret<String>);

/// Why a password may not be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnacceptablePassword {
    TooShort,
    TooLong,
    NotOneLine,
}

impl UnacceptablePassword {
    fn text(&self) -> Text {
        match self {
            Self::TooShort => text!(
                "the password must have at least {PASSWORD_CHARS_MIN} characters",
                "密码至少 {PASSWORD_CHARS_MIN} 个字符"
            ),
            Self::TooLong => text!(
                "the password must have at most {PASSWORD_BYTES_MAX} bytes",
                "密码最多 {PASSWORD_BYTES_MAX} 字节"
            ),
            Self::NotOneLine => Text::fixed(
                "the password must be one line without NUL",
                "密码应为一行，不含 NUL",
            ),
        }
    }
}

error_of_text!(UnacceptablePassword);

impl NewPassword {
    pub fn parse(text: &str) -> Result<Self, UnacceptablePassword> {
        if text.chars().count() < PASSWORD_CHARS_MIN {
            return Err(UnacceptablePassword::TooShort);
        }
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(UnacceptablePassword::TooLong);
        }
        if text.contains(['\0', '\n', '\r']) {
            return Err(UnacceptablePassword::NotOneLine);
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// The password. Never log or show it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}
