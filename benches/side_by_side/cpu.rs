//! How long a process and its children were on a processor, in nanoseconds, as the scheduler counts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The processor time of a process and its children.
#[derive(Debug)]
pub(crate) struct Clock {
    processes: Vec<u32>,
    /// By thread; those that ended keep what they were last seen with.
    seen: BTreeMap<PathBuf, u64>,
}

impl Clock {
    /// Of a process and the children it has now.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let children = children
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok());
        Ok(Self {
            processes: [pid].into_iter().chain(children).collect(),
            seen: BTreeMap::new(),
        })
    }

    /// Nanoseconds so far.
    ///
    /// A thread that runs at this moment is counted up to the scheduler's last tick.
    pub(crate) fn read(&mut self) -> io::Result<u64> {
        for pid in &self.processes {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                let path = thread?.path();
                // A thread may end between the listing and the reading.
                let Ok(text) = fs::read_to_string(path.join("schedstat")) else {
                    continue;
                };
                if let Some(ns) = text.split(' ').next().and_then(|word| word.parse().ok()) {
                    self.seen.insert(path, ns);
                }
            }
        }
        Ok(self.seen.values().sum())
    }
}
