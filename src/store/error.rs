//! `StoreError`: why a question was not answered.

use super::sqlite;

/// Why a question was not answered. Never a statement about a person.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened or brought to this version's tables.
    #[error("open the store {url}")]
    Open {
        /// Where it is, without credentials.
        url: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The file was written by a later version; it is left as it is.
    #[error(
        "the store {url} was written by a newer menshen: tables {found}, this one knows {known}"
    )]
    Newer {
        /// Where it is, without credentials.
        url: String,
        /// The version of the tables that are there.
        found: i64,
        /// The latest version of the tables that this program knows.
        known: i64,
    },
    /// The file was written by an earlier version, and is only looked at.
    #[error(
        "the store {url} was written by an older menshen: tables {found}, this one knows {known}; \
         `menshen run` brings it up to date"
    )]
    Older {
        /// Where it is, without credentials.
        url: String,
        /// The version of the tables that are there.
        found: i64,
        /// The version of the tables that this program asks.
        known: i64,
    },
    /// The file is a database, but not menshen's; it is left as it is.
    #[error("the store {url} belongs to another program")]
    Foreign {
        /// Where it is, without credentials.
        url: String,
    },
    /// The database refused or failed.
    #[error("{question} in the store")]
    Failed {
        /// What was asked.
        question: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The file is not where it was opened: what is written to it is lost, and what stands there now
    /// is another store.
    #[error("the store's file {} was taken away or replaced: put it back, or restart menshen", path.display())]
    Moved {
        /// Where it was.
        path: std::path::PathBuf,
    },
    /// Nothing was heard of it for longer than sessions may count without it.
    #[error("the store has not answered for {for_s} s")]
    Silent {
        /// For how long.
        for_s: u64,
    },
    /// A record cannot be what this program wrote.
    #[error("the store holds a damaged {record}")]
    Damaged {
        /// Which kind of record.
        record: &'static str,
    },
    /// The account that was named does not exist.
    #[error("there is no account {account}")]
    NoAccount {
        /// Which one.
        account: super::AccountId,
    },
    /// No answer came in time.
    #[error("{question} in the store: no answer in time")]
    Late {
        /// What was asked.
        question: &'static str,
    },
    /// A write failed a moment ago.
    #[error("writes to the store fail: {cause}")]
    Unwritable {
        /// Why, in a word.
        cause: &'static str,
    },
}

impl StoreError {
    /// Whether the store did answer, and well: to ask again brings nothing else.
    pub fn is_an_answer(&self) -> bool {
        matches!(self, Self::NoAccount { .. })
    }

    /// Why, in plain words that name nothing of this machine: for whoever may read how menshen is,
    /// but not its log.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Open { source, .. } | Self::Failed { source, .. } => cause(source),
            Self::Newer { .. } | Self::Older { .. } | Self::Foreign { .. } => {
                "it is not a store of this version"
            }
            Self::NoAccount { .. } => "there is no such account",
            Self::Moved { .. } => "its file was taken away or replaced",
            Self::Silent { .. } | Self::Late { .. } => "no answer in time",
            Self::Damaged { .. } => "a record is damaged",
            Self::Unwritable { cause } => cause,
        }
    }
}

fn cause(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::PoolTimedOut => "no answer in time",
        error => sqlite::cause(error).unwrap_or("the log says why"),
    }
}
