//! `QueryError`: why an operation failed, before it is known which operation it was.

use std::path::PathBuf;

use super::{AccountId, StoreError};

/// Why an operation failed; [`run`] adds which operation it was.
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

/// Answers one operation; the error says which operation failed.
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
