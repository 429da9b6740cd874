//! Metrics of dropped log lines and failed log writes.

use std::fmt;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::log_writer::{LineKind, LogWriter};
use super::program_log;

/// Reads the counters of the record writer and of the program log at each scrape.
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
        let writers = [records.as_deref(), program_log::writer()];
        let writers = || writers.into_iter().flatten();
        let help = "Log lines that were dropped because they were not read in time, by kind";
        let mut family =
            encoder.encode_descriptor("log_lines_dropped", help, None, MetricType::Counter)?;
        for kind in LineKind::ALL {
            let counts = writers().map(|writer| writer.counts());
            let dropped = counts.map(|counts| counts.dropped(kind)).sum();
            let labels = [("kind", kind.as_str())];
            ConstCounter::<u64>::new(dropped).encode(family.encode_family(&labels)?)?;
        }
        let help = "Failed writes of log lines, which are retried, by output";
        let mut family =
            encoder.encode_descriptor("log_write_errors", help, None, MetricType::Counter)?;
        for writer in writers() {
            let labels = [("output", writer.name())];
            let errors = writer.counts().write_errors();
            ConstCounter::<u64>::new(errors).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
