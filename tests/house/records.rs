//! `Records`: the log output of an instance of menshen, collected for a test.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The records of one instance, or the log of the whole test process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<u8>>>);

impl Records {
    /// The log of this process from the first call on, at level `trace` for menshen.
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

    pub(crate) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// The audit records, oldest first.
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
