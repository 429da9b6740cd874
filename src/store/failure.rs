//! `Failure`: why a question failed, before it is known which question it was.

use std::path::PathBuf;

use super::{AccountId, StoreError};

/// Why a question failed; [`ask`] adds which question it was.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(sqlx::Error),
    Damaged(&'static str),
    Moved(PathBuf),
    NoAccount(AccountId),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } => Self::Damaged("record"),
            error => Self::Sql(error),
        }
    }
}

/// Answers one question; the error says which question failed.
pub(super) async fn ask<T>(
    question: &'static str,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, StoreError> {
    answer.await.map_err(|failure| match failure {
        Failure::Sql(source) => StoreError::Failed { question, source },
        Failure::Damaged(record) => StoreError::Damaged { record },
        Failure::NoAccount(account) => StoreError::NoAccount { account },
        Failure::Moved(path) => StoreError::Moved { path },
    })
}
