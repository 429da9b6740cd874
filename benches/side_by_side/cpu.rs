//! The processor time of processes and their children in nanoseconds, from the scheduler's
//! statistics.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The processor time of some processes and their children.
#[derive(Debug)]
pub(crate) struct CpuClock {
    processes: Vec<u32>,
    /// By thread; a thread that ended keeps its last value.
    nanoseconds_by_thread: BTreeMap<PathBuf, u64>,
}

impl CpuClock {
    /// Includes the current children of the processes.
    pub(crate) fn of(pids: &[u32]) -> io::Result<Self> {
        let mut processes = pids.to_vec();
        for pid in pids {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
            let children = children.split_ascii_whitespace();
            processes.extend(children.filter_map(|word| word.parse::<u32>().ok()));
        }
        Ok(Self {
            processes,
            nanoseconds_by_thread: BTreeMap::new(),
        })
    }

    /// The total so far. A running thread is counted up to the scheduler's last tick.
    pub(crate) fn read(&mut self) -> io::Result<u64> {
        for pid in &self.processes {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                let path = thread?.path();
                // The thread may have ended since the directory was read.
                let Ok(text) = fs::read_to_string(path.join("schedstat")) else {
                    continue;
                };
                if let Some(ns) = text.split(' ').next().and_then(|word| word.parse().ok()) {
                    self.nanoseconds_by_thread.insert(path, ns);
                }
            }
        }
        Ok(self.nanoseconds_by_thread.values().sum())
    }
}
