//! `Records`: what an instance of menshen writes down for its operator, kept for a test to read.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Everything that one menshen, or every log line of this process, wrote.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<u8>>>);

impl Records {
    /// Everything that programs in this process log from the first call on, down to what only a
    /// developer asks for.
    pub(crate) fn process_log() -> &'static Self {
        static LOG: OnceLock<Records> = OnceLock::new();
        LOG.get_or_init(|| {
            let records = Self::default();
            let writer = records.clone();
            let filter = tracing_subscriber::EnvFilter::new("debug,menshen=trace,sqlx=warn");
            tracing_subscriber::fmt()
                .json()
                .with_env_filter(filter)
                .with_writer(move || writer.clone())
                .init();
            records
        })
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// The audit lines, oldest first.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        let text = self.text();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("a record is one line of JSON"));
        lines
            .filter(|line: &serde_json::Value| line["target"] == "menshen::audit")
            .collect()
    }
}

impl io::Write for Records {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
