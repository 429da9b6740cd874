//! Audit records of the console.

use super::PageContext;
use super::request::ConsoleRequest;
use crate::face::browser::single_header_lossy;
use crate::store::StoreError;
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

/// A record of what somebody does about their own session of the console.
pub(super) fn of_visit<'a>(request: &ConsoleRequest<'a>, reason: &'a Text) -> AuditRecord<'a> {
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
    reason: &'a Text,
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
pub(super) fn reason<T>(note: &Text, stored: &Result<T, StoreError>) -> Text {
    let note = match note.is_empty() {
        true => Text::default(),
        false => text!(": {note}", "：{note:#}"),
    };
    let unstored = match stored {
        Ok(_) => Text::default(),
        Err(_) => Text::fixed("; not stored yet", "；尚未写入数据库"),
    };
    text!(
        "through the console{note}{unstored}",
        "通过控制台{note:#}{unstored:#}"
    )
}
