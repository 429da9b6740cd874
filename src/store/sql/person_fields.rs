//! The fields of a person that the directory lists, and how a source changes them.

use super::super::{AccountChangeKind, AccountId, DirectoryFields, LinkField};
use super::row::Columns;
use super::{QueryError, Transaction, account_changes, values};
use crate::clock::Timestamp;

/// Name, e-mail address and mobile number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PersonFields {
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) mobile: Option<String>,
}

impl PersonFields {
    /// The names of the fields that differ.
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("name", &self.name, &other.name),
            ("email", &self.email, &other.email),
            ("mobile", &self.mobile, &other.mobile),
        ];
        let differing = fields.into_iter().filter(|(_, own, other)| own != other);
        differing.map(|(name, _, _)| name).collect()
    }

    /// These fields after a source reported others. If the identity sets the account's login name, they
    /// replace the known ones; otherwise they only fill missing ones. A field that the source does not
    /// report stays.
    fn merged(&self, reported: &DirectoryFields, sets_login: bool) -> Self {
        let choose = |known: &Option<String>, reported: &Option<String>| {
            let (first, second) = if sets_login {
                (reported, known)
            } else {
                (known, reported)
            };
            first.clone().or_else(|| second.clone())
        };
        Self {
            name: choose(&self.name, &reported.name),
            email: choose(&self.email, &reported.email),
            mobile: choose(&self.mobile, &reported.mobile),
        }
    }
}

pub(super) async fn read(
    tx: &mut impl Transaction,
    account: &AccountId,
) -> Result<PersonFields, QueryError> {
    let sql = "SELECT name, email, mobile FROM menshen_account WHERE id = $1";
    let found = tx.only_row(sql, values![account]).await?;
    Ok(PersonFields {
        name: found.optional_text("name")?,
        email: found.optional_text("email")?,
        mobile: found.optional_text("mobile")?,
    })
}

/// Stores fields that differ from `old`, with an entry in the history; whether any did.
pub(super) async fn write(
    tx: &mut impl Transaction,
    account: &AccountId,
    (old, new): (&PersonFields, &PersonFields),
    by: (Timestamp, &str),
) -> Result<bool, QueryError> {
    let changed = old.differences(new);
    if changed.is_empty() {
        return Ok(false);
    }
    let PersonFields {
        name,
        email,
        mobile,
    } = new;
    let folded = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
    let sql = "UPDATE menshen_account SET name = $2, name_folded = $3, email = $4, \
               email_folded = $5, mobile = $6 WHERE id = $1";
    let values = values![account, name, folded(name), email, folded(email), mobile];
    tx.execute(sql, values).await?;
    let kind = AccountChangeKind::FieldsChanged;
    account_changes::append(tx, account, by, kind, &changed.join(", ")).await?;
    Ok(true)
}

/// Stores what a source reports about a person; see [`PersonFields::merged`].
pub(super) async fn write_from_source(
    tx: &mut impl Transaction,
    account: &AccountId,
    (fields, sets_login): (&DirectoryFields, bool),
    by: (Timestamp, &str),
) -> Result<(), QueryError> {
    let old = read(tx, account).await?;
    let new = old.merged(fields, sets_login);
    write(tx, account, (&old, &new), by).await?;
    Ok(())
}

/// Sets or removes the value that an administrator vouches for; whether it changed.
pub(super) async fn set_vouched(
    tx: &mut impl Transaction,
    account: &AccountId,
    field: LinkField,
    value: Option<&str>,
) -> Result<bool, QueryError> {
    let changed = match value {
        Some(value) => {
            let sql = "INSERT INTO menshen_account_vouched AS v (account, field, value) \
                       VALUES ($1, $2, $3) ON CONFLICT (account, field) \
                       DO UPDATE SET value = excluded.value WHERE v.value <> excluded.value";
            tx.execute(sql, values![account, field, value]).await?
        }
        None => {
            let sql = "DELETE FROM menshen_account_vouched WHERE account = $1 AND field = $2";
            tx.execute(sql, values![account, field]).await?
        }
    };
    Ok(changed > 0)
}

/// Records when the person was last active; never sets an earlier time.
pub(super) async fn set_seen(
    tx: &mut impl Transaction,
    account: &AccountId,
    at: Timestamp,
) -> Result<(), QueryError> {
    let sql = "UPDATE menshen_account SET seen_at = $2 \
               WHERE id = $1 AND (seen_at IS NULL OR seen_at < $2)";
    tx.execute(sql, values![account, at]).await?;
    Ok(())
}
