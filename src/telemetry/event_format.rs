//! `Events`: what the program logs about itself, one line of JSON each. A stranger who causes one
//! kind of line over and over fills no disk, and nothing in a line hides it on a screen.

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

/// So many lines of one place in the source at once, and then so many in a second.
const BURST: u32 = 50;
const PER_SECOND: u32 = 1;

/// Writes events by another format, at a pace for each place in the source that logs.
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

    /// How many lines like this one were left out before it; nothing when it is left out, too.
    /// Whoever asks for what only developers read gets all of it.
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
    use std::io;

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for SharedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

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
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_shows_what_was_said_whatever_it_was() {
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
    fn one_kind_of_line_is_written_at_a_pace_and_counted_and_others_go_on() {
        let text = logged(|| {
            for number in 0..1_000 {
                tracing::warn!(number, "of a stranger");
                tracing::debug!(number, "of a developer");
            }
            tracing::error!("of another kind");
        });
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of = |message: &str| {
            let same = lines.iter().filter(|line| line["message"] == message);
            same.count()
        };
        let burst = BURST as usize;
        let written = of("of a stranger");
        assert!((burst..burst * 4).contains(&written), "{written}");
        assert_eq!((of("of a developer"), of("of another kind")), (1_000, 1));
        let counted: u64 = lines
            .iter()
            .filter_map(|line| line["left_out"].as_u64())
            .sum();
        assert!(counted as usize + written <= 1_000);
    }
}
