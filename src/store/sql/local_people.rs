//! [`LocalPeopleStore`]: reads and writes local people, and ends what a former password led to.

use async_trait::async_trait;

use super::super::{
    ConnectorId, EndedLogins, LocalPeopleOutcome, LocalPeopleStore, LocalPerson, LocalPersonWrite,
    RevocationScope, SessionKey, SessionRecord, StoreError, Subject,
};
use super::{Begin, Database, QueryError, Transaction, admission, revocations, row, run, values};
use crate::clock::Timestamp;

#[async_trait]
impl<D: Database> LocalPeopleStore for D {
    async fn local_person(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<Option<LocalPerson>, StoreError> {
        run("find a local person", find(self, connector, subject)).await
    }

    async fn local_person_and_one_at(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
        place: i64,
    ) -> Result<(Option<LocalPerson>, Option<LocalPerson>), StoreError> {
        run("find a local person", async {
            let person = find(self, connector, subject).await?;
            Ok((person, find_at(self, connector, place).await?))
        })
        .await
    }

    async fn local_people(
        &self,
        connector: &ConnectorId,
        after: Option<&Subject>,
        max: u32,
    ) -> Result<Vec<LocalPerson>, StoreError> {
        run("list local people", async {
            let sql = "SELECT * FROM menshen_local_person WHERE connector = $1 AND subject > $2 \
                       ORDER BY subject LIMIT $3";
            let after = after.map_or("", Subject::as_str);
            let rows = self.read_rows(sql, values![connector, after, max]).await?;
            rows.iter().map(row::local_person).collect()
        })
        .await
    }

    async fn write_local_people(
        &self,
        connector: &ConnectorId,
        writes: &[LocalPersonWrite],
        at: Timestamp,
    ) -> Result<LocalPeopleOutcome, StoreError> {
        run("write local people", write(self, connector, writes, at)).await
    }

    async fn end_outdated_local_logins(
        &self,
        connector: &ConnectorId,
        at: Timestamp,
    ) -> Result<EndedLogins, StoreError> {
        let ended = end_outdated(self, connector, at);
        run("end the sessions of former passwords", ended).await
    }
}

async fn find(
    db: &impl Database,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Option<LocalPerson>, QueryError> {
    let sql = "SELECT * FROM menshen_local_person WHERE connector = $1 AND subject = $2";
    let found = db.read_row(sql, values![connector, subject]).await?;
    found.as_ref().map(row::local_person).transpose()
}

async fn find_at(
    db: &impl Database,
    connector: &ConnectorId,
    place: i64,
) -> Result<Option<LocalPerson>, QueryError> {
    let sql = "SELECT * FROM menshen_local_person WHERE connector = $1 AND place >= $2 \
               ORDER BY place LIMIT 1";
    let mut found = db.read_row(sql, values![connector, place]).await?;
    if found.is_none() {
        let sql = "SELECT * FROM menshen_local_person WHERE connector = $1 \
                   ORDER BY place LIMIT 1";
        found = db.read_row(sql, values![connector]).await?;
    }
    found.as_ref().map(row::local_person).transpose()
}

/// Writes while nothing is minted, so that no session of a former password is left.
async fn write(
    db: &impl Database,
    connector: &ConnectorId,
    writes: &[LocalPersonWrite],
    at: Timestamp,
) -> Result<LocalPeopleOutcome, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    let mut ended = EndedLogins::default();
    for (index, write) in writes.iter().enumerate() {
        if !write_one(&mut tx, connector, write).await? {
            tx.roll_back().await?;
            return Ok(LocalPeopleOutcome::Conflict { index });
        }
    }
    update_accounts(&mut tx, writes, &mut ended).await?;
    for write in writes.iter().filter(|write| write.ends_logins) {
        end_logins(&mut tx, connector, &write.subject, at, &mut ended).await?;
    }
    tx.commit().await?;
    Ok(LocalPeopleOutcome::Written(ended))
}

/// Stores the new fields of those who have accounts. Accounts are locked in the order of their IDs, and before
/// their sessions.
async fn update_accounts(
    tx: &mut impl Transaction,
    writes: &[LocalPersonWrite],
    ended: &mut EndedLogins,
) -> Result<(), QueryError> {
    let mut updates = Vec::new();
    for update in writes.iter().filter_map(|write| write.identity.as_ref()) {
        if let Some(account) = admission::account_of_known(tx, update).await? {
            updates.push((account, update));
        }
    }
    updates.sort_unstable_by_key(|(account, _)| *account);
    for (_, update) in updates {
        ended
            .entries
            .extend(admission::update_known(tx, update).await?);
    }
    Ok(())
}

/// Whether the person was as expected.
async fn write_one(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    write: &LocalPersonWrite,
) -> Result<bool, QueryError> {
    let subject = &write.subject;
    let written = match (&write.person, write.expected) {
        (Some(person), None) => insert(tx, connector, subject, person).await?,
        (Some(person), Some(expected)) => {
            update(tx, connector, subject, (person, expected)).await?
        }
        (None, Some(expected)) => {
            let sql = "DELETE FROM menshen_local_person \
                       WHERE connector = $1 AND subject = $2 AND revision = $3";
            tx.execute(sql, values![connector, subject, expected])
                .await?
        }
        (None, None) => 1,
    };
    Ok(written > 0)
}

async fn insert(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    person: &LocalPerson,
) -> Result<u64, QueryError> {
    let sql = "INSERT INTO menshen_local_person (connector, subject, login, password_hash, \
               credential, fields, disabled, must_change, created_at, changed_at, \
               password_changed_at, place, revision) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
               ON CONFLICT (connector, subject) DO NOTHING";
    let values = values![
        connector,
        subject,
        &person.login,
        person.password_hash.expose(),
        &person.credential,
        &person.fields,
        person.disabled,
        person.must_change,
        person.created_at,
        person.changed_at,
        person.password_changed_at,
        person.place,
        person.revision
    ];
    tx.execute(sql, values).await
}

async fn update(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    (person, expected): (&LocalPerson, i64),
) -> Result<u64, QueryError> {
    let sql = "UPDATE menshen_local_person SET login = $3, password_hash = $4, credential = $5, \
               fields = $6, disabled = $7, must_change = $8, changed_at = $9, \
               password_changed_at = $10, revision = $11 \
               WHERE connector = $1 AND subject = $2 AND revision = $12";
    let values = values![
        connector,
        subject,
        &person.login,
        person.password_hash.expose(),
        &person.credential,
        &person.fields,
        person.disabled,
        person.must_change,
        person.changed_at,
        person.password_changed_at,
        person.revision,
        expected
    ];
    tx.execute(sql, values).await
}

/// Ends the sessions and access tokens of a person.
async fn end_logins(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    at: Timestamp,
    ended: &mut EndedLogins,
) -> Result<(), QueryError> {
    let sql = "DELETE FROM menshen_session WHERE connector = $1 AND subject = $2 RETURNING key";
    let sessions = tx.rows(sql, values![connector, subject]).await?;
    let sql = "UPDATE menshen_access_token SET revoked_at = $3 \
               WHERE connector = $1 AND subject = $2 AND revoked_at IS NULL RETURNING key";
    let tokens = tx.rows(sql, values![connector, subject, at]).await?;
    log_ended(tx, (&sessions, &tokens), at, ended).await
}

async fn end_outdated(
    db: &impl Database,
    connector: &ConnectorId,
    at: Timestamp,
) -> Result<EndedLogins, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    let mut ended = EndedLogins::default();
    let sql = "DELETE FROM menshen_session WHERE connector = $1 AND NOT EXISTS \
               (SELECT 1 FROM menshen_local_person AS p \
               WHERE p.connector = menshen_session.connector AND p.subject = menshen_session.subject \
               AND p.credential = menshen_session.provider_sid AND NOT p.disabled) RETURNING key";
    let sessions = tx.rows(sql, values![connector]).await?;
    let sql = "UPDATE menshen_access_token SET revoked_at = $2 \
               WHERE connector = $1 AND revoked_at IS NULL AND NOT EXISTS \
               (SELECT 1 FROM menshen_local_person AS p \
               WHERE p.connector = menshen_access_token.connector \
               AND p.subject = menshen_access_token.subject \
               AND p.credential = menshen_access_token.provider_sid AND NOT p.disabled) \
               RETURNING key";
    let tokens = tx.rows(sql, values![connector, at]).await?;
    log_ended(&mut tx, (&sessions, &tokens), at, &mut ended).await?;
    tx.commit().await?;
    Ok(ended)
}

/// Writes the ended sessions and access tokens into the log.
async fn log_ended<T: Transaction>(
    tx: &mut T,
    (sessions, tokens): (&[T::Row], &[T::Row]),
    at: Timestamp,
    ended: &mut EndedLogins,
) -> Result<(), QueryError> {
    for found in sessions.iter().chain(tokens) {
        let key = SessionKey::new(row::bytes(found, "key", "session")?);
        let entry = revocations::append_log(tx, RevocationScope::Session(key), 0, at).await?;
        ended.entries.push(entry);
    }
    ended.sessions += sessions.len();
    ended.access_tokens += tokens.len();
    Ok(())
}

/// Whether the session belongs to the current password of a local person who may sign in with it.
pub(super) async fn has_current_password(
    tx: &mut impl Transaction,
    record: &SessionRecord,
) -> Result<bool, QueryError> {
    let sql = "SELECT 1 AS one FROM menshen_local_person WHERE connector = $1 AND subject = $2 \
               AND credential = $3 AND NOT disabled AND NOT must_change";
    let values = values![&record.connector, &record.subject, &record.provider_sid];
    Ok(tx.row(sql, values).await?.is_some())
}

/// Whether a local person is as they were.
pub(super) async fn has_revision(
    tx: &mut impl Transaction,
    (connector, subject): (&ConnectorId, &Subject),
    revision: i64,
) -> Result<bool, QueryError> {
    let sql = "SELECT 1 AS one FROM menshen_local_person \
               WHERE connector = $1 AND subject = $2 AND revision = $3";
    let found = tx.row(sql, values![connector, subject, revision]).await?;
    Ok(found.is_some())
}
