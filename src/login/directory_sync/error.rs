//! `SyncError`: why a sync did not come to its end.

use super::lease::LeaseLost;
use crate::login::connector::ConnectorError;
use crate::people::directory_sync::SyncOutcome;
use crate::store::{StoreError, Subject};
use crate::text;
use crate::wording::{Text, error_of_text};

/// Why a sync did not come to its end.
#[derive(Debug)]
pub(super) enum SyncError {
    Source(ConnectorError),
    Store(StoreError),
    Lease(LeaseLost),
    UnknownDepartment(String),
    UnknownPerson(Subject),
    TooManyPeople(usize),
    TaskFailed,
}

impl SyncError {
    fn text(&self) -> Text {
        match self {
            Self::Source(_) => {
                Text::fixed("read the directory of the source", "无法读取认证源的通讯录")
            }
            Self::Store(_) => Text::fixed(
                "read the directory in the store",
                "无法读取数据库中的通讯录",
            ),
            Self::Lease(_) => Text::fixed("no longer allowed to sync", "已不能继续同步"),
            Self::UnknownDepartment(id) => text!(
                "neither the source nor the directory has a department {id}",
                "认证源和本站的通讯录都没有部门 {id}"
            ),
            Self::UnknownPerson(subject) => text!(
                "neither the source nor the directory has a person {subject}",
                "认证源和本站的通讯录都没有人员 {subject}"
            ),
            Self::TooManyPeople(max) => text!(
                "the source lists more than {max} people",
                "认证源列出的人员超过 {max} 人"
            ),
            Self::TaskFailed => Text::fixed(
                "a department could not be read: the task failed",
                "有一个部门无法读取：任务失败",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(source) => Some(source),
            Self::Store(source) => Some(source),
            Self::Lease(source) => Some(source),
            Self::UnknownDepartment(_)
            | Self::UnknownPerson(_)
            | Self::TooManyPeople(_)
            | Self::TaskFailed => None,
        }
    }
}

error_of_text!(SyncError, caused);

impl From<ConnectorError> for SyncError {
    fn from(error: ConnectorError) -> Self {
        Self::Source(error)
    }
}

impl From<StoreError> for SyncError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl SyncError {
    /// What an administrator can do.
    pub(super) fn remedy(&self) -> Text {
        match self {
            Self::Source(ConnectorError::Misconfigured { remedy, .. }) => remedy.clone(),
            Self::Source(ConnectorError::Busy(_)) => Text::fixed(
                "the source limits how often it is called: sync later, or less often",
                "认证源限制了访问频率：请稍后再同步，或减少次数",
            ),
            Self::Source(_) => Text::fixed(
                "check with `menshen check --online` whether the source answers",
                "请用 `menshen check --online` 检查认证源是否响应",
            ),
            Self::Store(_) | Self::Lease(LeaseLost::Store(_)) => Text::fixed(
                "the store failed: sync again when it works",
                "数据库出错：恢复后请再同步",
            ),
            Self::Lease(LeaseLost::Taken) => Text::fixed(
                "another node syncs this connector: ask it for the report",
                "另一个节点正在同步此认证源：请向它查询报告",
            ),
            Self::UnknownDepartment(_) => Text::fixed(
                "copy the ID of the department from the source, and check that the application may see it",
                "请从认证源复制部门 ID，并确认应用可以看到它",
            ),
            Self::UnknownPerson(_) => Text::fixed(
                "copy the ID of the person from the source, and check that the application may see them",
                "请从认证源复制人员 ID，并确认应用可以看到此人",
            ),
            Self::TooManyPeople(_) => Text::fixed(
                "limit the application's visible range (可见范围)",
                "请缩小应用的可见范围",
            ),
            Self::TaskFailed => Text::fixed("the log has more", "详情见日志"),
        }
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
