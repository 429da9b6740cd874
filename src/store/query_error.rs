//! `QueryError`: why a query failed. `run` adds the name of the operation.

use std::path::PathBuf;

use super::{AccountId, StoreError};

/// Why a query failed.
#[derive(Debug)]
pub(super) enum QueryError {
    Sql(sqlx::Error),
    Damaged(&'static str),
    FileReplaced(PathBuf),
    NoAccount(AccountId),
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } => Self::Damaged("record"),
            error => Self::Sql(error),
        }
    }
}

/// Runs an operation and adds its name to the error.
pub(super) async fn run<T>(
    operation: &'static str,
    answer: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, StoreError> {
    answer.await.map_err(|error| match error {
        QueryError::Sql(source) => StoreError::Failed { operation, source },
        QueryError::Damaged(record) => StoreError::Damaged { record },
        QueryError::NoAccount(account) => StoreError::NoAccount { account },
        QueryError::FileReplaced(path) => StoreError::FileReplaced { path },
    })
}
