//! [`AdministratorStore`]: reads and writes local administrators and the sessions of the console.

use async_trait::async_trait;

use super::super::{
    Administrator, AdministratorName, AdministratorStore, ConsoleHolder, ConsoleSession,
    SessionKey, StoreError,
};
use super::{Begin, Database, QueryError, Transaction, row, run, values};
use crate::clock::Timestamp;
use crate::secret::Secret;

#[async_trait]
impl<D: Database> AdministratorStore for D {
    async fn administrator(
        &self,
        name: &AdministratorName,
    ) -> Result<Option<Administrator>, StoreError> {
        run("find an administrator", async {
            let sql = "SELECT * FROM menshen_administrator WHERE name = $1";
            let found = self.read_row(sql, values![name]).await?;
            found.as_ref().map(row::administrator).transpose()
        })
        .await
    }

    async fn administrators(&self, max: u32) -> Result<Vec<Administrator>, StoreError> {
        run("list the administrators", async {
            let sql = "SELECT * FROM menshen_administrator ORDER BY name LIMIT $1";
            let rows = self.read_rows(sql, values![max]).await?;
            rows.iter().map(row::administrator).collect()
        })
        .await
    }

    async fn add_administrator(&self, administrator: &Administrator) -> Result<bool, StoreError> {
        run("add an administrator", async {
            let sql = "INSERT INTO menshen_administrator \
                       (name, password_hash, credential, created_at, password_changed_at) \
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING";
            let values = values![
                &administrator.name,
                administrator.password_hash.expose(),
                &administrator.credential,
                administrator.created_at,
                administrator.password_changed_at
            ];
            let mut tx = self.begin(Begin::Writing).await?;
            let added = tx.execute(sql, values).await?;
            tx.commit().await?;
            Ok(added > 0)
        })
        .await
    }

    async fn change_administrator_password(
        &self,
        name: &AdministratorName,
        password_hash: &Secret<String>,
        credential: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        run("change the password of an administrator", async {
            let sql = "UPDATE menshen_administrator SET password_hash = $2, credential = $3, \
                       password_changed_at = $4 WHERE name = $1";
            let values = values![name, password_hash.expose(), credential, at];
            let mut tx = self.begin(Begin::Writing).await?;
            let changed = tx.execute(sql, values).await?;
            end_sessions(&mut tx, name).await?;
            tx.commit().await?;
            Ok(changed > 0)
        })
        .await
    }

    async fn remove_administrator(&self, name: &AdministratorName) -> Result<bool, StoreError> {
        run("remove an administrator", async {
            let sql = "DELETE FROM menshen_administrator WHERE name = $1";
            let mut tx = self.begin(Begin::Writing).await?;
            let removed = tx.execute(sql, values![name]).await?;
            end_sessions(&mut tx, name).await?;
            tx.commit().await?;
            Ok(removed > 0)
        })
        .await
    }

    async fn begin_console_session(&self, session: &ConsoleSession) -> Result<(), StoreError> {
        run("begin a session of the console", insert(self, session)).await
    }

    async fn console_session(
        &self,
        key: &SessionKey,
    ) -> Result<Option<ConsoleSession>, StoreError> {
        run("find a session of the console", async {
            let sql = "SELECT s.* FROM menshen_console_session AS s \
                       LEFT JOIN menshen_administrator AS a \
                       ON a.name = s.administrator AND a.credential = s.credential \
                       WHERE s.key = $1 AND (s.administrator IS NULL OR a.name IS NOT NULL)";
            let found = self.read_row(sql, values![key]).await?;
            found.as_ref().map(row::console_session).transpose()
        })
        .await
    }

    async fn touch_console_session(
        &self,
        key: &SessionKey,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        run("write the last use of a session of the console", async {
            let sql = "UPDATE menshen_console_session SET used_at = $2 \
                       WHERE key = $1 AND used_at < $2";
            let mut tx = self.begin(Begin::Writing).await?;
            tx.execute(sql, values![key, at]).await?;
            tx.commit().await
        })
        .await
    }

    async fn end_console_session(&self, key: &SessionKey) -> Result<bool, StoreError> {
        run("end a session of the console", async {
            let sql = "DELETE FROM menshen_console_session WHERE key = $1";
            let mut tx = self.begin(Begin::Writing).await?;
            let ended = tx.execute(sql, values![key]).await?;
            tx.commit().await?;
            Ok(ended > 0)
        })
        .await
    }
}

async fn insert(db: &impl Database, session: &ConsoleSession) -> Result<(), QueryError> {
    let (administrator, credential, person) = match &session.holder {
        ConsoleHolder::Administrator { name, credential } => {
            (Some(name.as_str()), Some(credential.as_str()), &[][..])
        }
        ConsoleHolder::Person(key) => (None, None, &key.as_bytes()[..]),
    };
    let sql = "INSERT INTO menshen_console_session \
               (key, administrator, credential, session, began_at, used_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![
        &session.key,
        administrator,
        credential,
        person,
        session.began_at,
        session.used_at,
        session.expires_at
    ];
    let mut tx = db.begin(Begin::Writing).await?;
    tx.execute(sql, values).await?;
    tx.commit().await
}

async fn end_sessions(
    tx: &mut impl Transaction,
    name: &AdministratorName,
) -> Result<(), QueryError> {
    let sql = "DELETE FROM menshen_console_session WHERE administrator = $1";
    tx.execute(sql, values![name]).await.map(drop)
}
