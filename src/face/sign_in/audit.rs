//! Audit records of logins, and which problem page a failed login shows.

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

/// The problem page for a failed login. The log has the whole error chain.
pub(super) fn cause_of(error: &LoginError) -> Cause {
    match error {
        LoginError::UnknownConnector => Cause::NotFound,
        LoginError::Limited(Limited::Client | Limited::All) => Cause::TooManyLogins,
        LoginError::Limited(Limited::Circuit) => Cause::ProviderBusy,
        LoginError::Limited(Limited::WrongPasswords { .. }) => Cause::TooManyWrongPasswords,
        LoginError::Pending(PendingError::Missing) => Cause::FlowCookieMissing,
        LoginError::Pending(PendingError::Forged) => Cause::FlowCookieForged,
        LoginError::Pending(PendingError::Expired | PendingError::SettingsChanged) => {
            Cause::LoginExpired
        }
        LoginError::Pending(PendingError::ConnectorGone) => Cause::NotFound,
        LoginError::Connector(error) => match error {
            ConnectorError::CodeRejected(_) | ConnectorError::LoginExpired(_) => {
                Cause::CodeRejectedTwice
            }
            ConnectorError::Refused { why, .. } => match why {
                RefusalReason::Declined | RefusalReason::InteractionRequired => {
                    Cause::LoginDeclined
                }
                RefusalReason::WrongPassword => Cause::WrongPassword,
                RefusalReason::PasswordExpired => Cause::PasswordExpired,
                RefusalReason::NotMember => Cause::NotMember,
                RefusalReason::Inactive => Cause::InactiveMember,
                RefusalReason::NotVisibleToApp => Cause::NotVisibleToApp,
                RefusalReason::InsufficientAuth => Cause::AuthTooWeak,
            },
            ConnectorError::InvalidResponse(_) => Cause::InvalidProviderResponse,
            ConnectorError::Misconfigured { .. } => Cause::ProviderMisconfigured,
            ConnectorError::Unavailable(_) => Cause::PasswordUnchecked,
            ConnectorError::Busy(_) => Cause::ProviderBusy,
            ConnectorError::MetadataUnavailable(_) => Cause::ProviderMetadataMissing,
            ConnectorError::NoUsableResponse(_) | ConnectorError::Issuer(_) => {
                Cause::ProviderUnreachable
            }
        },
        LoginError::TooLarge(_) => Cause::InvalidProviderResponse,
        LoginError::AlreadyUsed => Cause::EntryTokenRefused,
        LoginError::Admit { source, .. } => match source {
            AdmitError::Map(_) => Cause::NoLoginName,
            AdmitError::Unknown { .. } | AdmitError::AmbiguousLink { .. } => Cause::UnknownPerson,
            AdmitError::LoginTaken { .. } => Cause::LoginTaken,
            AdmitError::Closed { .. } => Cause::AccountClosed,
            AdmitError::LocalPersonChanged => Cause::Revoked,
            AdmitError::Store(_) => Cause::StoreUnavailable,
        },
        LoginError::Mint { source, .. } => match source {
            MintError::Closed => Cause::AccountClosed,
            MintError::Revoked | MintError::Spent => Cause::Revoked,
            MintError::Store(_) => Cause::StoreUnavailable,
        },
        LoginError::TaskFailed => Cause::StoreUnavailable,
    }
}

/// Records a login that succeeded.
pub(super) fn signed_in(context: &RequestContext<'_>, finished: &FinishedLogin) {
    context
        .services
        .telemetry
        .count_login(finished.via.as_str(), LoginOutcome::Done);
    context.services.telemetry.audit(&AuditRecord {
        connector: Some(finished.via.as_str()),
        subject: Some(finished.subject.as_str()),
        login: Some(finished.login.as_str()),
        account: Some(&finished.claims.account),
        session: Some(&finished.public_id),
        ..new_record(context, AuditEvent::Login)
    });
}

/// Records a login that failed, with the person as far as known.
pub(super) fn login_failed(context: &RequestContext<'_>, via: &ConnectorId, error: &LoginError) {
    let record = AuditRecord {
        subject: error.subject().map(|subject| subject.as_str()),
        login: error.login().map(|login| login.as_str()),
        ..new_record(context, AuditEvent::Refused)
    };
    // Every other failure is already rate-limited, because it counts as a finished login.
    let needs_limit = matches!(
        error,
        LoginError::UnknownConnector
            | LoginError::Limited(_)
            | LoginError::Pending(_)
            | LoginError::AlreadyUsed
    );
    let rate = if needs_limit {
        AuditRate::Limited
    } else {
        AuditRate::Unlimited
    };
    record_refusal(
        context,
        Some(via),
        error,
        login_outcome(error),
        (record, rate),
    );
}

/// Records a callback or ticket that was refused.
pub(super) fn refused(
    context: &RequestContext<'_>,
    via: Option<&ConnectorId>,
    error: &(dyn std::error::Error + 'static),
) {
    let record = new_record(context, AuditEvent::Refused);
    record_refusal(
        context,
        via,
        error,
        LoginOutcome::Refused,
        (record, AuditRate::Limited),
    );
}

/// Whether a record is rate-limited. Records that anybody can cause without a limit are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuditRate {
    Unlimited,
    Limited,
}

fn record_refusal(
    context: &RequestContext<'_>,
    via: Option<&ConnectorId>,
    error: &(dyn std::error::Error + 'static),
    outcome: LoginOutcome,
    (record, rate): (AuditRecord<'_>, AuditRate),
) {
    // A request can name any connector; an unconfigured name must not become a metric label.
    let configured = via.filter(|via| context.site.login.entry(via).is_some());
    let label = configured.map_or("", |via| via.as_str());
    let telemetry = &context.services.telemetry;
    telemetry.count_login(label, outcome);
    let record = AuditRecord {
        connector: via.map(|via| via.as_str()),
        error: Some(error),
        ..record
    };
    match rate {
        AuditRate::Unlimited => telemetry.audit(&record),
        AuditRate::Limited => telemetry.audit_anonymous(&record),
    }
}

/// `Failed` if menshen or the provider is at fault, else `Refused`.
fn login_outcome(error: &LoginError) -> LoginOutcome {
    match cause_of(error) {
        Cause::StoreUnavailable
        | Cause::ProviderBusy
        | Cause::ProviderUnreachable
        | Cause::ProviderMetadataMissing
        | Cause::PasswordUnchecked
        | Cause::ProviderMisconfigured => LoginOutcome::Failed,
        _ => LoginOutcome::Refused,
    }
}

/// An audit record with the fields that every request has.
pub(super) fn new_record<'a>(context: &RequestContext<'a>, event: AuditEvent) -> AuditRecord<'a> {
    AuditRecord {
        request_id: Some(context.id.as_str()),
        client: Some(context.head.client_ip),
        user_agent: Some(super::user_agent(context)),
        ..AuditRecord::new(event, context.head.received_at)
    }
}
