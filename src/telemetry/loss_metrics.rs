//! What became of log lines that found no reader, as metrics.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::log_writer::{LineKind, LogWriter};
use super::program_log;

/// Reads the counts of the records and of the program's log when somebody scrapes.
#[derive(Debug)]
pub(super) struct LossCollector {
    records: Weak<LogWriter>,
}

impl LossCollector {
    pub(super) fn of(records: &Arc<LogWriter>) -> Self {
        Self {
            records: Arc::downgrade(records),
        }
    }
}

impl Collector for LossCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let records = self.records.upgrade();
        let all = [records.as_deref(), program_log::writer()];
        let all = || all.into_iter().flatten();
        let help = "Log lines that were dropped because nobody read them in time, by kind";
        let mut family =
            encoder.encode_descriptor("log_lines_dropped", help, None, MetricType::Counter)?;
        for kind in LineKind::ALL {
            let dropped = all().map(|lines| lines.counts().dropped(kind)).sum();
            let labels = [("kind", kind.as_str())];
            ConstCounter::<u64>::new(dropped).encode(family.encode_family(&labels)?)?;
        }
        let help = "Writes of log lines that failed and are tried again, by output";
        let mut family =
            encoder.encode_descriptor("log_write_errors", help, None, MetricType::Counter)?;
        for lines in all() {
            let labels = [("output", lines.name())];
            let errors = lines.counts().write_errors();
            ConstCounter::<u64>::new(errors).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
