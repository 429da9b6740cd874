//! Directory syncs: read the departments and people of a source, and bring the directory up to date.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::connector::SourceDirectory;
use super::{ConnectorEntry, Login};
use crate::clock::Timestamp;
use crate::people::directory_sync::{SyncReport, SyncScope};
use crate::store::{ConnectorId, Subject};
use crate::text;
use crate::wording::{Text, error_of_text};

mod error;
mod lease;
mod read;
mod requests;
mod run;
mod schedule;

pub use schedule::sync_directories;

use requests::ChangedParts;

/// The syncs of all connectors in this process. Clones share them; a reload of the configuration keeps
/// them.
#[derive(Clone, Default)]
pub struct DirectorySyncs(Arc<Shared>);

#[derive(Default)]
struct Shared {
    connectors: Mutex<HashMap<ConnectorId, ConnectorSyncs>>,
    runs: AtomicU64,
    changed: ChangedParts,
}

#[derive(Default)]
struct ConnectorSyncs {
    running: Option<Arc<RunningSync>>,
    /// The report of the last sync of everything or of a department.
    last: Option<Arc<SyncReport>>,
}

/// A sync that runs in this process.
#[derive(Debug)]
pub struct RunningSync {
    pub run: u64,
    pub request: SyncRequest,
    pub started_at: Timestamp,
    progress: Progress,
    report: tokio::sync::watch::Receiver<Option<Arc<SyncReport>>>,
}

/// What is asked of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    pub scope: SyncScope,
    /// Only determines the differences.
    pub dry_run: bool,
    /// Closes accounts even if there are more than `sync_brake` allows; for one person: writes the fields
    /// even if nothing differs or the connector does not update them.
    pub force: bool,
    /// Who asks for it.
    pub by: String,
}

/// Why a sync does not begin.
#[derive(Debug)]
pub enum SyncRefused {
    UnknownConnector(ConnectorId),
    NoDirectory(ConnectorId),
    /// The text cannot be the ID of a person at the source.
    NoSuchId {
        connector: ConnectorId,
        id: String,
    },
    /// Another sync of the connector runs in this process.
    Running {
        connector: ConnectorId,
        by: String,
    },
}

impl SyncRefused {
    fn text(&self) -> Text {
        match self {
            Self::UnknownConnector(id) => text!("there is no connector {id}", "没有认证源 {id}"),
            Self::NoDirectory(id) => text!(
                "the kind of connector {id} has no directory that can be read",
                "认证源 {id} 的类型没有可以读取的通讯录"
            ),
            Self::NoSuchId { connector, id } => text!(
                "{id:?} is no ID of a person of connector {connector}",
                "{id:?} 不是认证源 {connector} 的人员 ID"
            ),
            Self::Running { connector, by } => text!(
                "another sync of connector {connector} runs, which {by} started",
                "认证源 {connector} 正在同步，由 {by} 启动"
            ),
        }
    }
}

error_of_text!(SyncRefused);

/// How far a sync has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SyncProgress {
    pub departments: usize,
    pub departments_read: usize,
    pub people_read: usize,
    /// The people who are to be changed; zero while the source is read.
    pub people_to_change: usize,
    pub people_changed: usize,
}

#[derive(Debug, Default)]
struct Progress {
    departments: AtomicUsize,
    departments_read: AtomicUsize,
    people_read: AtomicUsize,
    people_to_change: AtomicUsize,
    people_changed: AtomicUsize,
}

/// The syncs of a connector on this node.
#[derive(Clone, Debug)]
pub struct SyncStatus {
    pub running: Option<Arc<RunningSync>>,
    pub last: Option<Arc<SyncReport>>,
}

impl RunningSync {
    pub fn progress(&self) -> SyncProgress {
        let Progress {
            departments,
            departments_read,
            people_read,
            people_to_change,
            people_changed,
        } = &self.progress;
        let value = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        SyncProgress {
            departments: value(departments),
            departments_read: value(departments_read),
            people_read: value(people_read),
            people_to_change: value(people_to_change),
            people_changed: value(people_changed),
        }
    }

    /// Waits for the end of the sync; `None` if its task failed.
    pub async fn report(&self) -> Option<Arc<SyncReport>> {
        let mut report = self.report.clone();
        let report = report.wait_for(Option::is_some).await.ok()?;
        report.clone()
    }
}

impl fmt::Debug for DirectorySyncs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectorySyncs").finish_non_exhaustive()
    }
}

impl DirectorySyncs {
    fn connectors(&self) -> MutexGuard<'_, HashMap<ConnectorId, ConnectorSyncs>> {
        self.0
            .connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self, connector: &ConnectorId) -> SyncStatus {
        let connectors = self.connectors();
        let syncs = connectors.get(connector);
        SyncStatus {
            running: syncs.and_then(|syncs| syncs.running.clone()),
            last: syncs.and_then(|syncs| syncs.last.clone()),
        }
    }
}

impl Login {
    /// The running sync of a connector in this process, and the report of the last one.
    pub fn sync_status(&self, connector: &ConnectorId) -> Result<SyncStatus, SyncRefused> {
        self.source_directory(connector)?;
        Ok(self.directory_syncs.status(connector))
    }

    /// The subject of the person whom the source of a connector names so.
    pub fn subject_of(&self, connector: &ConnectorId, id: &str) -> Result<Subject, SyncRefused> {
        let (_, directory) = self.source_directory(connector)?;
        directory
            .subject_of(id)
            .ok_or_else(|| SyncRefused::NoSuchId {
                connector: connector.clone(),
                id: id.to_owned(),
            })
    }

    /// Starts a sync in the background. The same request while it runs joins the running sync.
    pub fn start_sync(
        &self,
        connector: &ConnectorId,
        request: SyncRequest,
    ) -> Result<Arc<RunningSync>, SyncRefused> {
        let (entry, directory) = self.source_directory(connector)?;
        let syncs = &self.directory_syncs;
        let mut connectors = syncs.connectors();
        let state = connectors.entry(connector.clone()).or_default();
        if let Some(running) = &state.running {
            return match running.request.is_same_work(&request) {
                true => Ok(Arc::clone(running)),
                false => Err(SyncRefused::Running {
                    connector: connector.clone(),
                    by: running.request.by.clone(),
                }),
            };
        }
        let (ended, report) = tokio::sync::watch::channel(None);
        let running = Arc::new(RunningSync {
            run: syncs.0.runs.fetch_add(1, Ordering::Relaxed) + 1,
            request,
            started_at: self.clock.now(),
            progress: Progress::default(),
            report,
        });
        state.running = Some(Arc::clone(&running));
        drop(connectors);
        let guard = EndGuard {
            syncs: syncs.clone(),
            connector: connector.clone(),
        };
        let (login, entry, sync) = (self.clone(), Arc::clone(entry), Arc::clone(&running));
        tokio::spawn(async move {
            let report = Arc::new(login.run_sync(&entry, directory, &sync).await);
            guard.end(&report);
            // Before the report is there: whoever waited for it may start the next sync.
            drop(guard);
            // Nobody may wait for it.
            let _ = ended.send(Some(report));
        });
        Ok(running)
    }

    fn source_directory(
        &self,
        connector: &ConnectorId,
    ) -> Result<(&Arc<ConnectorEntry>, Arc<dyn SourceDirectory>), SyncRefused> {
        let entry = self.entry(connector);
        let entry = entry.ok_or_else(|| SyncRefused::UnknownConnector(connector.clone()))?;
        let directory = Arc::clone(&entry.connector).source_directory();
        let directory = directory.ok_or_else(|| SyncRefused::NoDirectory(connector.clone()))?;
        Ok((entry, directory))
    }
}

impl SyncRequest {
    fn is_same_work(&self, other: &Self) -> bool {
        let work = |it: &Self| (it.scope.clone(), it.dry_run, it.force);
        work(self) == work(other)
    }
}

/// Records the end of a sync, also if its task panics.
struct EndGuard {
    syncs: DirectorySyncs,
    connector: ConnectorId,
}

impl EndGuard {
    fn end(&self, report: &Arc<SyncReport>) {
        if matches!(report.scope, SyncScope::Person(_)) {
            return;
        }
        let mut connectors = self.syncs.connectors();
        if let Some(state) = connectors.get_mut(&self.connector) {
            state.last = Some(Arc::clone(report));
        }
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if let Some(state) = self.syncs.connectors().get_mut(&self.connector) {
            state.running = None;
        }
    }
}
