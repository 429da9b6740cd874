//! `PasswordCredentials`: the user name and the password from the sign-in form.

use std::fmt;

use super::{ConnectorError, RefusalReason, SourceRefusal, brought};
use crate::login::fields::Fields;
pub use crate::people::new_password::PASSWORD_BYTES_MAX;

/// The longest accepted user name, in bytes.
pub const LOGIN_BYTES_MAX: usize = 256;

/// A plausible user name and password. The name is trimmed, the password is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordCredentials<'a> {
    pub login: &'a str,
    /// The password. Send it to the source only, and never log it.
    pub password: &'a str,
}

impl fmt::Debug for PasswordCredentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordCredentials(…)")
    }
}

impl<'a> PasswordCredentials<'a> {
    /// Reads the fields `login` and `password`. Refuses implausible values without a call to the
    /// source: some directories treat an empty password as an anonymous bind and accept it.
    pub fn of(fields: &'a Fields) -> Result<Self, ConnectorError> {
        let wrong = |message: &str| ConnectorError::Refused {
            why: RefusalReason::WrongPassword,
            source: SourceRefusal {
                call: brought::FORM,
                code: 0,
                message: message.to_owned(),
            },
        };
        let one = |name| fields.one(name).ok().flatten().unwrap_or_default();
        let (login, password) = (one("login").trim(), one("password"));
        if login.is_empty() || password.is_empty() {
            return Err(wrong("the user name or the password is empty"));
        }
        if login.contains('\0') || password.contains('\0') {
            return Err(wrong(
                "the user name or the password contains a NUL character",
            ));
        }
        if login.len() > LOGIN_BYTES_MAX || password.len() > PASSWORD_BYTES_MAX {
            return Err(wrong("the user name or the password is too long"));
        }
        Ok(Self { login, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(login: &str, password: &str) -> bool {
        let fields = [("login", login), ("password", password)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        PasswordCredentials::of(&Fields::new(fields.to_vec())).is_ok()
    }

    #[test]
    fn implausible_credentials_are_refused() {
        assert!(is_accepted("lisi", " "));
        assert!(is_accepted(&"l".repeat(256), &"p".repeat(1024)));
        for (login, password) in [
            ("", "x"),
            (" \t", "x"),
            ("lisi", ""),
            ("li\0si", "x"),
            ("lisi", "x\0"),
            (&*"l".repeat(257), "x"),
            ("lisi", &*"p".repeat(1025)),
        ] {
            assert!(!is_accepted(login, password), "{login} {password}");
        }
    }

    #[test]
    fn the_user_name_is_trimmed_and_the_password_is_not() {
        let fields = Fields::parse(b"login=+lisi+&password=+x+").unwrap();
        let credentials = PasswordCredentials::of(&fields).unwrap();
        assert_eq!((credentials.login, credentials.password), ("lisi", " x "));
        assert!(!format!("{credentials:?}").contains('x'));
        for repeated in [
            "login=a&login=b&password=x",
            "login=a&password=x&password=y",
        ] {
            assert!(PasswordCredentials::of(&Fields::parse(repeated.as_bytes()).unwrap()).is_err());
        }
    }
}
