//! `RateLimitedFormat`: formats program events as lines of JSON. The rate of each kind of event is
//! limited, so that clients cannot fill the disk, and control characters are escaped, so that they
//! cannot forge lines.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::escape;
use super::token_bucket::TokenBucket;

/// The rate limit of each `tracing` call site: a burst, then a number per second.
const BURST: u32 = 50;
const PER_SECOND: u32 = 1;

/// Applies a rate limit per call site to another format.
pub(super) struct RateLimitedFormat<F> {
    format: F,
    buckets: Mutex<HashMap<Identifier, Arc<TokenBucket>>>,
}

impl<F> RateLimitedFormat<F> {
    pub(super) fn new(format: F) -> Self {
        Self {
            format,
            buckets: Mutex::default(),
        }
    }

    /// The number of events of this call site that were suppressed before this one, or `None` if
    /// this one is suppressed. Events below `INFO` are for developers and are never suppressed.
    fn take(&self, event: &Event<'_>) -> Option<u64> {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return Some(0);
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets
            .entry(metadata.callsite())
            .or_insert_with(|| Arc::new(TokenBucket::new(BURST, PER_SECOND)));
        let bucket = Arc::clone(bucket);
        drop(buckets);
        bucket.take()
    }
}

impl<S, N, F> FormatEvent<S, N> for RateLimitedFormat<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(suppressed) = self.take(event) else {
            return Ok(());
        };
        let mut line = String::new();
        self.format
            .format_event(context, Writer::new(&mut line), event)?;
        if suppressed > 0
            && let Some(end) = line.rfind('}')
        {
            line.insert_str(end, &format!(",\"left_out\":{suppressed}"));
        }
        writer.write_str(&escape::json_for_terminal(&line))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::telemetry::shared_buffer::SharedBuffer;

    fn logged(work: impl FnOnce()) -> String {
        let buffer = SharedBuffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(Level::TRACE)
            .with_writer(move || writer.clone())
            .map_event_format(RateLimitedFormat::new)
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        buffer.text()
    }

    #[test]
    fn a_line_contains_any_text_in_escaped_form() {
        let text_with_controls =
            "a\u{85}\u{9b}2J\u{2028}\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\n财";
        let text = logged(
            || tracing::warn!(name = text_with_controls, shown = %text_with_controls, debug = ?text_with_controls, "{text_with_controls}"),
        );
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.trim_end().chars().any(escape::needs_escape), "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        for field in ["name", "shown", "message"] {
            assert_eq!(line[field], text_with_controls, "{field}");
        }
    }

    #[test]
    fn the_rate_of_each_call_site_is_limited_separately() {
        let text = logged(|| {
            for number in 0..1_000 {
                tracing::warn!(number, "warning of a client");
                tracing::debug!(number, "debug event");
            }
            tracing::error!("other call site");
        });
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let count_of = |message: &str| {
            let same = lines.iter().filter(|line| line["message"] == message);
            same.count()
        };
        let burst = BURST as usize;
        let written = count_of("warning of a client");
        // After the burst one more is written in each second that the test takes.
        assert!((burst..burst * 4).contains(&written), "{written}");
        assert_eq!(count_of("debug event"), 1_000);
        assert_eq!(count_of("other call site"), 1);
        let suppressed: u64 = lines
            .iter()
            .filter_map(|line| line["left_out"].as_u64())
            .sum();
        assert!(suppressed as usize + written <= 1_000);
    }
}
