//! The line of the audit trail about what a command has done straight in the store.

use std::sync::Arc;
use std::time::Duration;

use menshen::clock::Clock;
use menshen::people::audit_log::{AuditConfig, AuditLog};
use menshen::store::Store;
use menshen::telemetry::{AuditRecord, LogConfig, Telemetry};
use menshen::text;
use menshen::wording::Text;

/// How long the line may take.
const AUDIT_DRAIN: Duration = Duration::from_secs(5);

/// The warning that a line is not stored.
pub(super) fn not_stored() -> Text {
    text!(
        "warning: the audit trail has no line of this",
        "警告: 审计日志里没有这次操作的记录"
    )
}

/// Adds a line to the audit trail in the store; false if it is not stored. The log belongs to the server.
pub(super) async fn store_line(store: &Arc<dyn Store>, record: &AuditRecord<'_>) -> bool {
    let telemetry = Telemetry::writing_to(&LogConfig::default(), Box::new(std::io::sink()));
    let audit = AuditLog::new(Arc::clone(store), telemetry.clone(), Clock::system());
    audit.apply(&AuditConfig::default());
    telemetry.audit(record);
    audit.drain(AUDIT_DRAIN).await == 0
}
