//! `StoreError`: why a question was not answered.

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
    /// The configuration names a database this version does not speak to.
    #[error("the store {url} is not supported: write sqlite:///path/to/menshen.db")]
    Unsupported {
        /// What was written, without credentials.
        url: String,
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
}
