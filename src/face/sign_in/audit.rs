//! What the audit stream and the person are told of a login's end.

use super::super::RequestContext;
use super::super::page::Cause;
use crate::login::connector::{ConnectorError, RefusalReason};
use crate::login::limits::Limited;
use crate::login::pending::PendingError;
use crate::login::{FinishedLogin, LoginError};
use crate::people::AdmitError;
use crate::people::session::MintError;
use crate::store::ConnectorId;
use crate::telemetry::{AuditEvent, AuditRecord, LoginOutcome};

/// What to tell a person of a login that failed; the log has the whole chain.
pub(super) fn cause_of(error: &LoginError) -> Cause {
    match error {
        LoginError::UnknownConnector => Cause::NotFound,
        LoginError::Limited(Limited::Client | Limited::All) => Cause::TooManyLogins,
        LoginError::Limited(Limited::Circuit) => Cause::SourceBusy,
        LoginError::Pending(PendingError::Missing) => Cause::LoginMissing,
        LoginError::Pending(PendingError::Forged) => Cause::LoginForged,
        LoginError::Pending(PendingError::Expired) => Cause::LoginLate,
        LoginError::Connector(error) => match error {
            ConnectorError::Stale(_) | ConnectorError::Expired(_) => Cause::StaleTwice,
            ConnectorError::Refused { why, .. } => match why {
                RefusalReason::Declined | RefusalReason::InteractionRequired => {
                    Cause::LoginDeclined
                }
                RefusalReason::WrongPassword => Cause::WrongPassword,
                RefusalReason::NotMember => Cause::NotMember,
                RefusalReason::Inactive => Cause::Inactive,
                RefusalReason::OutOfRange => Cause::OutOfRange,
                RefusalReason::BadAnswer => Cause::BadAnswer,
                RefusalReason::InsufficientProof => Cause::ProofTooWeak,
            },
            ConnectorError::Misconfigured { .. } => Cause::SourceMisconfigured,
            ConnectorError::Busy(_) => Cause::SourceBusy,
            ConnectorError::Unreachable(_) | ConnectorError::Issuer(_) => Cause::SourceUnreachable,
        },
        LoginError::TooLarge(_) => Cause::BadAnswer,
        LoginError::AlreadyUsed => Cause::EntryRefused,
        LoginError::Admit { source, .. } => match source {
            AdmitError::Map(_) => Cause::NoLogin,
            AdmitError::Unknown { .. } => Cause::UnknownPerson,
            AdmitError::LoginTaken { .. } => Cause::LoginTaken,
            AdmitError::Closed { .. } => Cause::AccountClosed,
            AdmitError::Store(_) => Cause::StoreAway,
        },
        LoginError::Mint { source, .. } => match source {
            MintError::Closed => Cause::AccountClosed,
            MintError::Revoked | MintError::Spent => Cause::Revoked,
            MintError::Store(_) => Cause::StoreAway,
        },
        LoginError::TaskFailed => Cause::StoreAway,
    }
}

/// One line in the audit stream for a person who came in.
pub(super) fn signed_in(context: &RequestContext<'_>, finished: &FinishedLogin) {
    context
        .shared
        .telemetry
        .count_login(finished.via.as_str(), LoginOutcome::Done);
    context.shared.telemetry.audit(&AuditRecord {
        connector: Some(finished.via.as_str()),
        subject: Some(finished.subject.as_str()),
        login: Some(finished.login.as_str()),
        account: Some(&finished.handle.account),
        session: Some(&finished.public_id),
        ..entry(context, AuditEvent::Login)
    });
}

/// One line in the audit stream for a login that came to no end, with whom it was about.
pub(super) fn login_failed(context: &RequestContext<'_>, via: &ConnectorId, error: &LoginError) {
    let of_them = AuditRecord {
        subject: error.subject().map(|subject| subject.as_str()),
        login: error.login().map(|login| login.as_str()),
        ..entry(context, AuditEvent::Refused)
    };
    // Whatever comes further is counted against the limits of logins.
    let unlimited = matches!(
        error,
        LoginError::UnknownConnector
            | LoginError::Limited(_)
            | LoginError::Pending(_)
            | LoginError::AlreadyUsed
    );
    let rate = if unlimited {
        AuditRate::Limited
    } else {
        AuditRate::Unlimited
    };
    record_refusal(
        context,
        Some(via),
        error,
        login_outcome(error),
        (of_them, rate),
    );
}

/// One line in the audit stream for a callback or ticket that let nobody in.
pub(super) fn refused(
    context: &RequestContext<'_>,
    via: Option<&ConnectorId>,
    error: &(dyn std::error::Error + 'static),
) {
    let of_nobody = entry(context, AuditEvent::Refused);
    record_refusal(
        context,
        via,
        error,
        LoginOutcome::Refused,
        (of_nobody, AuditRate::Limited),
    );
}

/// Whether every entry is written: anybody can cause some without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuditRate {
    /// All of them.
    Unlimited,
    /// So many in a second.
    Limited,
}

fn record_refusal(
    context: &RequestContext<'_>,
    via: Option<&ConnectorId>,
    error: &(dyn std::error::Error + 'static),
    outcome: LoginOutcome,
    (of_whom, rate): (AuditRecord<'_>, AuditRate),
) {
    // An address may name any connector: one that is made up would stay in the metrics for ever.
    let known = via.filter(|via| context.site.login.entry(via).is_some());
    let label = known.map_or("", |via| via.as_str());
    let telemetry = &context.shared.telemetry;
    telemetry.count_login(label, outcome);
    let entry = AuditRecord {
        connector: via.map(|via| via.as_str()),
        error: Some(error),
        ..of_whom
    };
    match rate {
        AuditRate::Unlimited => telemetry.audit(&entry),
        AuditRate::Limited => telemetry.audit_anonymous(&entry),
    }
}

/// Whether a login failed by itself, or was refused.
fn login_outcome(error: &LoginError) -> LoginOutcome {
    match cause_of(error) {
        Cause::StoreAway
        | Cause::SourceBusy
        | Cause::SourceUnreachable
        | Cause::SourceMisconfigured => LoginOutcome::Failed,
        _ => LoginOutcome::Refused,
    }
}

/// What every entry of the audit stream says of its request.
pub(super) fn entry<'a>(context: &RequestContext<'a>, event: AuditEvent) -> AuditRecord<'a> {
    AuditRecord {
        request_id: Some(context.id.as_str()),
        client: Some(context.head.client),
        user_agent: Some(super::user_agent(context)),
        ..AuditRecord::new(event, context.head.at)
    }
}
