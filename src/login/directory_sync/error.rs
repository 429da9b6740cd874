//! `SyncError`: why a sync did not come to its end.

use super::lease::LeaseLost;
use crate::login::connector::ConnectorError;
use crate::people::directory_sync::SyncOutcome;
use crate::store::{StoreError, Subject};

/// Why a sync did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error("read the directory of the source")]
    Source(#[from] ConnectorError),
    #[error("read the directory in the store")]
    Store(#[from] StoreError),
    #[error("no longer allowed to sync")]
    Lease(#[source] LeaseLost),
    #[error("neither the source nor the directory has a department {0}")]
    UnknownDepartment(String),
    #[error("neither the source nor the directory has a person {0}")]
    UnknownPerson(Subject),
    #[error("the source lists more than {0} people")]
    TooManyPeople(usize),
    #[error("a department could not be read: the task failed")]
    TaskFailed,
}

impl SyncError {
    /// What an administrator can do.
    pub(super) fn remedy(&self) -> String {
        let text = match self {
            Self::Source(ConnectorError::Misconfigured { remedy, .. }) => {
                return remedy.to_string();
            }
            Self::Source(ConnectorError::Busy(_)) => {
                "the source limits how often it is called: sync later, or less often"
            }
            Self::Source(_) => "check with `menshen check --online` whether the source answers",
            Self::Store(_) => "the store failed: sync again when it works",
            Self::Lease(LeaseLost::Taken) => {
                "another node syncs this connector: ask it for the report"
            }
            Self::Lease(LeaseLost::Store(_)) => "the store failed: sync again when it works",
            Self::UnknownDepartment(_) => {
                "copy the id of the department from the source, and check that the application may see it"
            }
            Self::UnknownPerson(_) => {
                "copy the id of the person from the source, and check that the application may see them"
            }
            Self::TooManyPeople(_) => "limit the application's visible range (可见范围)",
            Self::TaskFailed => "the log has more",
        };
        text.to_owned()
    }

    /// The error code of the source if it failed, and 0 if it sent none.
    pub(super) fn source_error(&self) -> Option<i64> {
        match self {
            Self::Source(error) => Some(error.source_code()),
            _ => None,
        }
    }

    /// How a sync ends with this error.
    pub(super) fn outcome(&self) -> SyncOutcome {
        match self {
            Self::Lease(LeaseLost::Taken) => SyncOutcome::Busy,
            Self::UnknownDepartment(_) | Self::UnknownPerson(_) => SyncOutcome::NotFound,
            Self::Source(_)
            | Self::Store(_)
            | Self::Lease(LeaseLost::Store(_))
            | Self::TooManyPeople(_)
            | Self::TaskFailed => SyncOutcome::Failed,
        }
    }
}
