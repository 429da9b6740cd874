//! `Sqlite`: the embedded store, one file on this machine.

use std::path::PathBuf;

use async_trait::async_trait;
use sqlx::SqlitePool;
use sqlx::pool::PoolConnection;

use super::{
    Account, AccountId, Admission, Admitted, ConnectorId, EpochsNow, LogPart, LoginName,
    LogoutMark, Minted, NewSession, Renewal, Renewed, Revocation, Scope, SessionFound, SessionId,
    SessionKey, SessionRecord, Store, StoreError, Subject,
};
use crate::clock::Timestamp;
use crate::secret::Secret;

mod accounts;
mod once;
mod open;
mod place;
mod revocations;
mod row;
mod schema;
mod sessions;
mod tokens;
mod url;
mod write;

pub use url::SqliteUrl;

use place::Place;
use write::Write;

/// A store in one SQLite file: one connection writes, a few read beside it (WAL).
///
/// Several processes of one machine may share the file. A write that was answered survives the
/// end of the process; when the power fails the last moments may be lost, never the file
/// (`synchronous = NORMAL`).
#[derive(Debug)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    place: Place,
    /// What is in memory lives as long as this connection.
    _memory: Option<sqlx::SqliteConnection>,
}

impl Sqlite {
    /// Opens the file, or an empty store in memory.
    ///
    /// A missing file is made (mode 0600), a missing directory is not. A file that is damaged, not
    /// ours, or written by a newer version is refused and left as it is.
    pub async fn open(url: &SqliteUrl) -> Result<Self, StoreError> {
        open::open(url).await
    }

    /// Opens a file that is there to be read only, beside whoever serves with it. Memory is empty.
    ///
    /// What [`Sqlite::open`] refuses is refused, and a file of an older version, too.
    pub async fn open_read_only(url: &SqliteUrl) -> Result<Self, StoreError> {
        open::open_read_only(url).await
    }

    /// Waits for running questions and closes the file; every later question fails.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// The writer, alone until this transaction ends.
    async fn write(&self) -> Result<Write, Trouble> {
        Write::begin(&self.writer, &self.place).await
    }

    /// A connection that reads.
    async fn read(&self) -> Result<PoolConnection<sqlx::Sqlite>, Trouble> {
        let mut connection = self.readers.acquire().await?;
        // After it is opened: it may have been opened a moment ago, in another file.
        let checked = self.place.check();
        if checked.is_err() {
            connection.close_on_drop();
        }
        checked.map(|()| connection)
    }
}

/// Why a question failed, before it is said which question it was.
#[derive(Debug)]
enum Trouble {
    Sql(sqlx::Error),
    Damaged(&'static str),
    Moved(PathBuf),
    NoAccount(AccountId),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } => Self::Damaged("record"),
            error => Self::Sql(error),
        }
    }
}

fn asking(question: &'static str) -> impl FnOnce(Trouble) -> StoreError {
    move |trouble| match trouble {
        Trouble::Sql(source) => StoreError::Failed { question, source },
        Trouble::Damaged(record) => StoreError::Damaged { record },
        Trouble::NoAccount(account) => StoreError::NoAccount { account },
        Trouble::Moved(path) => StoreError::Moved { path },
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn ping(&self) -> Result<(), StoreError> {
        once::ping(self).await.map_err(asking("look around"))
    }

    async fn try_write(&self) -> Result<(), StoreError> {
        once::try_write(self).await.map_err(asking("try a write"))
    }

    async fn keys(&self, candidate: &Secret<String>) -> Result<Vec<Secret<String>>, StoreError> {
        once::keys(self, candidate)
            .await
            .map_err(asking("read the key ring"))
    }

    async fn admit(&self, admission: &Admission) -> Result<Admitted, StoreError> {
        accounts::admit(self, admission)
            .await
            .map_err(asking("admit a person"))
    }

    async fn mint(&self, new: &NewSession) -> Result<Minted, StoreError> {
        sessions::mint(self, new)
            .await
            .map_err(asking("mint a session"))
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<SessionFound>, StoreError> {
        sessions::find(self, key)
            .await
            .map_err(asking("find a session"))
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Renewed, StoreError> {
        tokens::renew(self, renewal)
            .await
            .map_err(asking("keep what a refresh brought"))
    }

    async fn touch(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        sessions::touch(self, used)
            .await
            .map_err(asking("note when sessions were used"))
    }

    async fn revoke(&self, scope: &Scope, at: Timestamp) -> Result<Revocation, StoreError> {
        revocations::revoke(self, scope, at)
            .await
            .map_err(asking("revoke sessions"))
    }

    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError> {
        sessions::key(self, public_id)
            .await
            .map_err(asking("find a session by its public id"))
    }

    async fn sessions(
        &self,
        account: Option<&AccountId>,
        max: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        sessions::list(self, account, max)
            .await
            .map_err(asking("list sessions"))
    }

    async fn close_account(
        &self,
        account: &AccountId,
        closed: bool,
        at: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        let question = if closed {
            "close an account"
        } else {
            "open an account"
        };
        revocations::close_account(self, account, closed, at)
            .await
            .map_err(asking(question))
    }

    async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError> {
        accounts::by_login(self, login)
            .await
            .map_err(asking("find an account by its login"))
    }

    async fn identities(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(ConnectorId, Subject, String)>, StoreError> {
        accounts::identities(self, account)
            .await
            .map_err(asking("read an account's identities"))
    }

    async fn end_at_provider(
        &self,
        connector: &ConnectorId,
        mark: &LogoutMark,
        notice: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let ended = revocations::end_at_provider(self, connector, mark, notice, (at, until)).await;
        ended.map_err(asking("end what a provider ended"))
    }

    async fn epochs(&self) -> Result<EpochsNow, StoreError> {
        revocations::epochs(self)
            .await
            .map_err(asking("read the numbers"))
    }

    async fn revocations_after(&self, number: i64, max: u32) -> Result<LogPart, StoreError> {
        revocations::after(self, number, max)
            .await
            .map_err(asking("read the revocations"))
    }

    async fn spend(&self, what: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        once::spend_alone(self, what, until)
            .await
            .map_err(asking("spend something once"))
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        once::lease(self, name, holder, at, until)
            .await
            .map_err(asking("take a lease"))
    }

    async fn sweep(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError> {
        once::sweep(self, at, idle_before, max)
            .await
            .map_err(asking("sweep"))
    }
}
