//! Converts rows to records. A value that menshen cannot have written is an error.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::query_error::QueryError;
use super::{
    AccessTokenRecord, Account, AccountChange, AccountChangeKind, AccountId, Administrator,
    AdministratorName, AuditPosition, ConsoleHolder, ConsoleSession, DepartmentPath, ListedSession,
    LocalEntitlements, LocalPerson, ManagedVersion, ManagedVersionRecord, NodeRecord, PersonRecord,
    SessionId, SessionKey, SessionOrigin, SessionRecord, StoredAccessToken, StoredAuditLine,
    StoredSession, StoredTokens,
};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// A row of any database: its columns by name.
pub(super) trait Columns {
    fn text(&self, column: &str) -> sqlx::Result<&str>;
    fn optional_text(&self, column: &str) -> sqlx::Result<Option<String>>;
    fn bytes(&self, column: &str) -> sqlx::Result<&[u8]>;
    fn integer(&self, column: &str) -> sqlx::Result<i64>;
    fn optional_integer(&self, column: &str) -> sqlx::Result<Option<i64>>;
    fn boolean(&self, column: &str) -> sqlx::Result<bool>;
}

macro_rules! columns_of {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, column: &str) -> sqlx::Result<&str> {
                sqlx::Row::try_get(self, column)
            }

            fn optional_text(&self, column: &str) -> sqlx::Result<Option<String>> {
                sqlx::Row::try_get(self, column)
            }

            fn bytes(&self, column: &str) -> sqlx::Result<&[u8]> {
                sqlx::Row::try_get(self, column)
            }

            fn integer(&self, column: &str) -> sqlx::Result<i64> {
                sqlx::Row::try_get(self, column)
            }

            fn optional_integer(&self, column: &str) -> sqlx::Result<Option<i64>> {
                sqlx::Row::try_get(self, column)
            }

            fn boolean(&self, column: &str) -> sqlx::Result<bool> {
                sqlx::Row::try_get(self, column)
            }
        }
    };
}

columns_of!(SqliteRow);
columns_of!(PgRow);

/// An account from the columns `id`, `login`, `epoch`, `closed`, `local_department`, `local_groups`.
pub(super) fn account(row: &impl Columns) -> Result<Account, QueryError> {
    Ok(Account {
        id: AccountId::new(bytes(row, "id", "account")?),
        login: parsed(row, "login", "account")?,
        epoch: number(row, "epoch", "account")?,
        closed: row.boolean("closed")?,
        local: local_entitlements(row)?.map(Arc::new),
    })
}

/// What menshen itself gives a person, from the columns `local_department` and `local_groups`.
fn local_entitlements(row: &impl Columns) -> Result<Option<LocalEntitlements>, QueryError> {
    let damaged = || QueryError::Damaged("account");
    let department = row.optional_text("local_department")?;
    let groups = row.optional_text("local_groups")?;
    if department.is_none() && groups.is_none() {
        return Ok(None);
    }
    let department = department.map(DepartmentPath::try_from).transpose();
    let groups = groups.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text));
    Ok(Some(LocalEntitlements {
        department: department.map_err(|_| damaged())?,
        groups: groups.map_err(|_| damaged())?,
    }))
}

/// An entry of an account's history from the columns `number`, `at`, `actor`, `kind`, `detail`.
pub(super) fn account_change(row: &impl Columns) -> Result<AccountChange, QueryError> {
    let kind = AccountChangeKind::parse(row.text("kind")?);
    Ok(AccountChange {
        number: row.integer("number")?,
        at: time(row, "at")?,
        by: row.text("actor")?.to_owned(),
        kind: kind.ok_or(QueryError::Damaged("account change"))?,
        detail: row.text("detail")?.to_owned(),
    })
}

/// A person from the columns of `people_query::PERSON_COLUMNS`.
pub(super) fn person(row: &impl Columns) -> Result<PersonRecord, QueryError> {
    const RECORD: &str = "account";
    let optional_time = |column| {
        let ms = row.optional_integer(column)?;
        Ok::<_, QueryError>(ms.map(Timestamp::from_unix_ms))
    };
    Ok(PersonRecord {
        id: AccountId::new(bytes(row, "id", RECORD)?),
        login: parsed(row, "login", RECORD)?,
        name: row.optional_text("name")?,
        email: row.optional_text("email")?,
        mobile: row.optional_text("mobile")?,
        created_at: time(row, "created_at")?,
        seen_at: optional_time("seen_at")?,
        closed: row.boolean("closed")?,
        closed_at: optional_time("closed_at")?,
        closed_by: row.optional_text("closed_by")?,
        closed_reason: row.optional_text("closed_reason")?,
        local: local_entitlements(row)?.unwrap_or_default(),
    })
}

/// A session from the columns of `standing_session`.
pub(super) fn session_record(row: &impl Columns) -> Result<SessionRecord, QueryError> {
    Ok(SessionRecord {
        key: SessionKey::new(bytes(row, "key", "session")?),
        public_id: SessionId::new(bytes(row, "public_id", "session")?),
        account: AccountId::new(bytes(row, "account", "session")?),
        connector: parsed(row, "connector", "session")?,
        subject: parsed(row, "subject", "session")?,
        provider_sid: row.optional_text("provider_sid")?,
        auth_context: row.text("facts")?.to_owned(),
        minted_at: time(row, "minted_at")?,
        expires_at: time(row, "expires_at")?,
        used_at: time(row, "used_at")?,
    })
}

/// A session with its person and its origin, from the columns of `standing_session`, `name`,
/// `origin_address` and `origin_user_agent`.
pub(super) fn listed_session(row: &impl Columns) -> Result<ListedSession, QueryError> {
    let address = row.optional_text("origin_address")?;
    let address = address.map(|text| text.parse()).transpose();
    Ok(ListedSession {
        session: session_record(row)?,
        login: parsed(row, "login", "account")?,
        name: row.optional_text("name")?,
        origin: SessionOrigin {
            address: address.map_err(|_| QueryError::Damaged("session"))?,
            user_agent: row.optional_text("origin_user_agent")?,
        },
    })
}

/// A session with its account and identity, from the columns of `standing_session`, `local_department`,
/// `local_groups`, `tokens_version` and `tokens_sealed`.
pub(super) fn stored_session(row: &impl Columns) -> Result<StoredSession, QueryError> {
    let session = session_record(row)?;
    let account = Account {
        id: session.account,
        login: parsed(row, "login", "account")?,
        epoch: number(row, "epoch", "account")?,
        closed: row.boolean("closed")?,
        local: local_entitlements(row)?.map(Arc::new),
    };
    Ok(StoredSession {
        session,
        account,
        entitlements: row.text("entitlements")?.to_owned(),
        entitlements_epoch: number(row, "entitlements_epoch", "identity")?,
        connector_epoch: number(row, "connector_epoch", "session")?,
        everyone_epoch: number(row, "everyone_epoch", "session")?,
        tokens: tokens(row)?,
    })
}

/// A node from the columns of `menshen_node`.
pub(super) fn node(row: &impl Columns) -> Result<NodeRecord, QueryError> {
    Ok(NodeRecord {
        id: row.text("id")?.to_owned(),
        name: row.text("name")?.to_owned(),
        program_version: row.text("program_version")?.to_owned(),
        settings_version: number(row, "settings_version", "node")?,
        problem: row.optional_text("problem")?,
        started_at: time(row, "started_at")?,
        seen_at: time(row, "seen_at")?,
    })
}

/// An access token from the columns of `standing_access_token`.
pub(super) fn access_token_record(row: &impl Columns) -> Result<AccessTokenRecord, QueryError> {
    const RECORD: &str = "access token";
    let used_at = row.optional_integer("last_use")?;
    Ok(AccessTokenRecord {
        key: SessionKey::new(bytes(row, "key", RECORD)?),
        public_id: SessionId::new(bytes(row, "public_id", RECORD)?),
        account: AccountId::new(bytes(row, "account", RECORD)?),
        connector: parsed(row, "connector", RECORD)?,
        subject: parsed(row, "subject", RECORD)?,
        name: row.text("name")?.to_owned(),
        routes: routes(row)?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        used_at: used_at.map(Timestamp::from_unix_ms),
    })
}

/// An access token with its account and identity, from the columns of `standing_access_token`,
/// `local_department` and `local_groups`.
pub(super) fn stored_access_token(row: &impl Columns) -> Result<StoredAccessToken, QueryError> {
    Ok(StoredAccessToken {
        session: stored_session(row)?,
        name: row.text("name")?.to_owned(),
        routes: routes(row)?,
    })
}

/// A local person from the columns of its table.
pub(super) fn local_person(row: &impl Columns) -> Result<LocalPerson, QueryError> {
    const RECORD: &str = "local person";
    Ok(LocalPerson {
        subject: parsed(row, "subject", RECORD)?,
        login: parsed(row, "login", RECORD)?,
        password_hash: Secret::new(row.text("password_hash")?.to_owned()),
        credential: row.text("credential")?.to_owned(),
        fields: row.text("fields")?.to_owned(),
        disabled: row.boolean("disabled")?,
        must_change: row.boolean("must_change")?,
        created_at: time(row, "created_at")?,
        changed_at: time(row, "changed_at")?,
        password_changed_at: time(row, "password_changed_at")?,
        place: row.integer("place")?,
        revision: row.integer("revision")?,
    })
}

/// An administrator from the columns of its table.
pub(super) fn administrator(row: &impl Columns) -> Result<Administrator, QueryError> {
    Ok(Administrator {
        name: parsed(row, "name", "administrator")?,
        password_hash: Secret::new(row.text("password_hash")?.to_owned()),
        credential: row.text("credential")?.to_owned(),
        created_at: time(row, "created_at")?,
        password_changed_at: time(row, "password_changed_at")?,
    })
}

/// A session of the console from the columns of its table.
pub(super) fn console_session(row: &impl Columns) -> Result<ConsoleSession, QueryError> {
    const RECORD: &str = "session of the console";
    let administrator = row.optional_text("administrator")?;
    let holder = match administrator.zip(row.optional_text("credential")?) {
        Some((name, credential)) => ConsoleHolder::Administrator {
            name: AdministratorName::try_from(name).map_err(|_| QueryError::Damaged(RECORD))?,
            credential,
        },
        None => ConsoleHolder::Person(SessionKey::new(bytes(row, "session", RECORD)?)),
    };
    Ok(ConsoleSession {
        key: SessionKey::new(bytes(row, "key", RECORD)?),
        holder,
        began_at: time(row, "began_at")?,
        used_at: time(row, "used_at")?,
        expires_at: time(row, "expires_at")?,
    })
}

/// A line of the audit trail from the columns `at`, `number`, `json`.
pub(super) fn audit_line(row: &impl Columns) -> Result<StoredAuditLine, QueryError> {
    Ok(StoredAuditLine {
        position: AuditPosition {
            at: time(row, "at")?,
            number: row.integer("number")?,
        },
        json: row.text("json")?.to_owned(),
    })
}

/// A version of the managed settings from the columns of its table.
pub(super) fn managed_version(row: &impl Columns) -> Result<ManagedVersion, QueryError> {
    Ok(ManagedVersion {
        record: managed_version_record(row)?,
        document: row.text("document")?.to_owned(),
    })
}

/// The same without the settings.
pub(super) fn managed_version_record(
    row: &impl Columns,
) -> Result<ManagedVersionRecord, QueryError> {
    const RECORD: &str = "version of the managed settings";
    let fields = serde_json::from_str(row.text("fields")?);
    Ok(ManagedVersionRecord {
        number: number(row, "number", RECORD)?,
        made_at: time(row, "made_at")?,
        author: row.text("author")?.to_owned(),
        means: row.text("means")?.to_owned(),
        fields: fields.map_err(|_| QueryError::Damaged(RECORD))?,
    })
}

/// The routes of an access token: a JSON list of names.
fn routes(row: &impl Columns) -> Result<Option<Vec<String>>, QueryError> {
    let text = row.optional_text("routes")?;
    let parsed = text.map(|text| serde_json::from_str(&text)).transpose();
    parsed.map_err(|_| QueryError::Damaged("access token"))
}

/// The JSON list of names that [`routes`] reads.
pub(super) fn json_list(names: Option<&[String]>) -> Option<String> {
    names.map(|names| serde_json::json!(names).to_string())
}

fn tokens(row: &impl Columns) -> Result<Option<StoredTokens>, QueryError> {
    let Some(version) = row.optional_integer("tokens_version")? else {
        return Ok(None);
    };
    Ok(Some(StoredTokens {
        version: unsigned(version, "session's tokens")?,
        sealed: row.text("tokens_sealed")?.to_owned(),
    }))
}

/// A text that must parse as a `T`.
pub(super) fn parsed<T: FromStr>(
    row: &impl Columns,
    column: &str,
    record: &'static str,
) -> Result<T, QueryError> {
    row.text(column)?
        .parse()
        .map_err(|_| QueryError::Damaged(record))
}

/// Exactly `N` bytes.
pub(super) fn bytes<const N: usize>(
    row: &impl Columns,
    column: &str,
    record: &'static str,
) -> Result<[u8; N], QueryError> {
    row.bytes(column)?
        .try_into()
        .map_err(|_| QueryError::Damaged(record))
}

/// A number that must not be negative.
pub(super) fn number(
    row: &impl Columns,
    column: &str,
    record: &'static str,
) -> Result<u64, QueryError> {
    unsigned(row.integer(column)?, record)
}

/// A number that the database keeps signed, although it counts up from zero.
pub(super) fn unsigned(value: i64, record: &'static str) -> Result<u64, QueryError> {
    u64::try_from(value).map_err(|_| QueryError::Damaged(record))
}

fn time(row: &impl Columns, column: &str) -> Result<Timestamp, QueryError> {
    Ok(Timestamp::from_unix_ms(row.integer(column)?))
}
