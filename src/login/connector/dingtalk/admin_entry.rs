//! `AdminEntry`: administrators who come from DingTalk's admin console (应用管理后台免登).

use super::super::{ConnectorError, SourceRefusal, brought};
use super::member;
use crate::secret::Secret;

/// How long a code of the console may be valid; it is recognized for longer. DingTalk says five minutes.
pub(super) const CODE_AGE_MAX_S: u64 = 3_600;

/// The call that says who an administrator is.
const CALL: &str = "sso/getuserinfo";

/// The parameter with the code.
pub(super) const PARAMETER: &str = "code";

/// The secret of the admin console.
#[derive(Debug)]
pub(super) struct AdminEntry {
    pub(super) secret: Secret<String>,
}

/// The userid of an administrator of this organisation; others are refused.
pub(super) fn userid(
    found: super::api::Administrator,
    corp_id: &str,
) -> Result<String, ConnectorError> {
    if found.corp_id != corp_id {
        let message = "the administrator belongs to another organisation";
        return Err(member::not_a_member(CALL, message));
    }
    if !found.is_administrator {
        return Err(member::not_a_member(CALL, "the person is no administrator"));
    }
    Ok(found.userid)
}

/// The refusal when administrators cannot come from the console.
pub(super) fn not_configured() -> SourceRefusal {
    SourceRefusal::fault(brought::ENTRY, "`sso_secret` is not set")
}
