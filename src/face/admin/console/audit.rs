//! Audit records of the console.

use super::PageContext;
use super::request::ConsoleRequest;
use crate::face::browser::single_header_lossy;
use crate::store::StoreError;
use crate::telemetry::{AuditEvent, AuditRecord};

/// A record of what somebody does about their own session of the console.
pub(super) fn of_visit<'a>(request: &ConsoleRequest<'a>, reason: &'a str) -> AuditRecord<'a> {
    AuditRecord {
        client: Some(request.head.client_ip),
        user_agent: single_header_lossy(request.head.headers, "user-agent"),
        reason: Some(reason),
        ..AuditRecord::new(AuditEvent::Console, request.head.received_at)
    }
}

/// A record of a change.
pub(super) fn of_change<'a>(
    context: &'a PageContext<'_>,
    event: AuditEvent,
    reason: &'a str,
) -> AuditRecord<'a> {
    let request = context.request;
    AuditRecord {
        by: Some(&context.visitor.by),
        client: Some(request.head.client_ip),
        user_agent: single_header_lossy(request.head.headers, "user-agent"),
        reason: Some(reason),
        ..AuditRecord::new(event, request.head.received_at)
    }
}

/// The reason in the record of a change: the administrator's note, and whether the change is stored.
pub(super) fn reason<T>(note: &str, stored: &Result<T, StoreError>) -> String {
    let colon = if note.is_empty() { "" } else { ": " };
    let unstored = match stored {
        Ok(_) => "",
        Err(_) => "; not stored yet",
    };
    format!("through the console{colon}{note}{unstored}")
}
