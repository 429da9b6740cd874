//! `AuditDownload`: lines of the audit trail as JSON lines, read page by page while they are sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::clock::Timestamp;
use crate::people::audit_log::AuditLog;
use crate::store::{AuditQuery, StoreError, StoredAuditLine};
use crate::telemetry::{error_chain, escape};

/// The media type of JSON lines.
pub(super) const JSON_LINES: &str = "application/x-ndjson";
/// The value of `Content-Disposition`.
pub(super) const AS_FILE: &str = "attachment; filename=\"menshen-audit.jsonl\"";
/// The most lines that are in memory at once.
const PAGE_LINES: u32 = 1_000;

/// The lines that are not sent yet.
pub(super) struct AuditDownload {
    audit: Arc<AuditLog>,
    query: AuditQuery,
    /// How many more lines are read at most.
    left: u32,
    /// The page that was read before the response began.
    first: Option<Vec<StoredAuditLine>>,
}

impl AuditDownload {
    /// Reads the first page of at most `lines_max` lines.
    ///
    /// # Errors
    /// The store failed, which a response can say only before it begins.
    pub(super) async fn begin(
        audit: &Arc<AuditLog>,
        mut query: AuditQuery,
        lines_max: Option<u32>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        // Lines that are added meanwhile would never let it end.
        let just_after_now = now.plus(Duration::from_millis(1));
        query.until = query.until.or(Some(just_after_now));
        let mut download = Self {
            audit: Arc::clone(audit),
            query,
            left: lines_max.unwrap_or(u32::MAX),
            first: None,
        };
        download.first = Some(download.next_page().await?);
        Ok(download)
    }

    /// The text of the lines, a page at a time. It ends early if the store fails.
    pub(super) fn chunks(self) -> impl Stream<Item = Result<Bytes, StoreError>> {
        stream::try_unfold(self, Self::next_chunk)
    }

    async fn next_page(&mut self) -> Result<Vec<StoredAuditLine>, StoreError> {
        self.query.max = self.left.min(PAGE_LINES);
        if self.query.max == 0 {
            return Ok(Vec::new());
        }
        let page = self.audit.search(&self.query).await?;
        let lines = u32::try_from(page.len()).unwrap_or(u32::MAX);
        self.left -= lines.min(self.left);
        if let Some(last) = page.last() {
            self.query.after = Some(last.position);
        }
        Ok(page)
    }

    /// The text of the next page, and the rest; `None` at the end.
    async fn next_chunk(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let page = match self.first.take() {
            Some(page) => page,
            None => self.next_page().await.inspect_err(|error| {
                let error = error_chain(error);
                tracing::error!(%error, "a download of the audit trail ends early");
            })?,
        };
        if page.is_empty() {
            return Ok(None);
        }
        let lines = page
            .iter()
            .flat_map(|line| [escape::json_for_terminal(&line.json), "\n".into()]);
        Ok(Some((lines.collect::<String>().into(), self)))
    }
}
