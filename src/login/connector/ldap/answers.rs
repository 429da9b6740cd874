//! What the directory's answer to a bind means for the person, and the errors of a login.

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use super::connection::Connection;
use super::error::{BIND, LdapError};
use super::message::{self, BindAnswer, Entry, OperationResult, PasswordState};
use crate::login::limits::PersonPaused;

/// The result code for a wrong name or password.
const INVALID_CREDENTIALS: i32 = 49;

/// Result codes with which directories refuse one person, but not menshen: too many attempts, no such entry, an
/// invalid name, an entry without a password, and a locked account.
const REFUSED_PERSON: [i32; 5] = [19, 32, 34, 48, 53];

/// Codes of Active Directory in the message of a refused bind.
const AD_PASSWORD_EXPIRED: u32 = 0x532;
const AD_DISABLED: u32 = 0x533;
const AD_ACCOUNT_EXPIRED: u32 = 0x701;
const AD_MUST_CHANGE_PASSWORD: u32 = 0x773;
const AD_LOCKED: u32 = 0x775;

impl From<LdapError> for ConnectorError {
    fn from(error: LdapError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

/// A refusal of the person, with the reason for the log.
pub(super) fn refused(
    why: RefusalReason,
    call: &'static str,
    code: i32,
    message: String,
) -> ConnectorError {
    ConnectorError::Refused {
        why,
        source: SourceRefusal {
            call,
            code: i64::from(code),
            message,
        },
    }
}

/// The refusal of a person for whom too many passwords were wrong. The page is that of a wrong password,
/// because another one would tell who exists.
pub(super) fn paused(entry: &Entry, why: PersonPaused) -> ConnectorError {
    let message = format!("{}: {why}; the directory was not asked", entry.dn);
    refused(RefusalReason::WrongPassword, BIND, 0, message)
}

/// Only result 0 without a demand to change the password is a login. The page says more than "wrong" only
/// where directories say so only to somebody with the right password.
pub(super) fn require_accepted(
    answer: &BindAnswer,
    name: &str,
    connection: &Connection,
) -> Result<(), ConnectorError> {
    let OperationResult { code, text, .. } = &answer.result;
    let refuse = |why, reason: &str| {
        let text = answer.loggable_text();
        Err(refused(
            why,
            BIND,
            *code,
            format!("{name}: {reason}; {text:?}"),
        ))
    };
    match (*code, answer.password) {
        (message::SUCCESS, PasswordState::Usable) => Ok(()),
        (message::SUCCESS | INVALID_CREDENTIALS, PasswordState::Expired) => {
            refuse(RefusalReason::PasswordExpired, "the password has expired")
        }
        (message::SUCCESS | INVALID_CREDENTIALS, PasswordState::MustChange) => refuse(
            RefusalReason::PasswordExpired,
            "the password must be changed",
        ),
        (message::SUCCESS | INVALID_CREDENTIALS, PasswordState::Locked) => {
            refuse(RefusalReason::WrongPassword, "the account is locked")
        }
        (INVALID_CREDENTIALS, PasswordState::Usable) => {
            let (why, reason) = reason_of_active_directory(text);
            refuse(why, reason)
        }
        (code, _) if REFUSED_PERSON.contains(&code) => refuse(
            RefusalReason::WrongPassword,
            "the directory refuses the account",
        ),
        (code, _) => Err(LdapError::Refused {
            address: connection.address(),
            operation: BIND,
            code,
            text: answer.loggable_text().to_owned(),
        }
        .into()),
    }
}

/// Active Directory names the reason in its message: `… AcceptSecurityContext error, data 532, v4563`.
fn reason_of_active_directory(text: &str) -> (RefusalReason, &'static str) {
    let code = text.split_once(", data ").and_then(|(_, rest)| {
        let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        u32::from_str_radix(digits, 16).ok()
    });
    match code {
        Some(AD_PASSWORD_EXPIRED) => (RefusalReason::PasswordExpired, "the password has expired"),
        Some(AD_MUST_CHANGE_PASSWORD) => (
            RefusalReason::PasswordExpired,
            "the password must be changed",
        ),
        Some(AD_DISABLED) => (RefusalReason::Inactive, "the account is disabled"),
        Some(AD_ACCOUNT_EXPIRED) => (RefusalReason::Inactive, "the account has expired"),
        Some(AD_LOCKED) => (RefusalReason::WrongPassword, "the account is locked"),
        _ => (RefusalReason::WrongPassword, "the password is wrong"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_active_directory_are_read() {
        let of = |data: &str| {
            reason_of_active_directory(&format!(
                "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data {data}, v4563"
            ))
            .0
        };
        assert_eq!(of("52e"), RefusalReason::WrongPassword);
        assert_eq!(of("525"), RefusalReason::WrongPassword);
        assert_eq!(of("775"), RefusalReason::WrongPassword);
        assert_eq!(of("532"), RefusalReason::PasswordExpired);
        assert_eq!(of("773"), RefusalReason::PasswordExpired);
        assert_eq!(of("533"), RefusalReason::Inactive);
        assert_eq!(of("701"), RefusalReason::Inactive);
        for other in ["5320", "", "x", "53"] {
            assert_eq!(of(other), RefusalReason::WrongPassword, "{other}");
        }
        let text = "Invalid credentials";
        assert_eq!(
            reason_of_active_directory(text).0,
            RefusalReason::WrongPassword
        );
    }
}
