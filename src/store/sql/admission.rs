//! Admits an authenticated identity: finds, links or creates its account.

use super::super::{
    Account, AccountChangeKind, AccountId, Admission, AdmissionOutcome, AdmittedIdentity,
    LinkField, LocalEntitlements,
};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, account_changes, accounts, coordination, departments,
    local_entitlements, local_people, people_import, person_fields, row, values, vouched_fields,
};
use crate::clock::Timestamp;

mod known;

use known::KnownIdentity;
pub(super) use known::{account_of_known, update_known};

pub(super) async fn admit(
    db: &impl Database,
    admission: &Admission,
) -> Result<AdmissionOutcome, QueryError> {
    let (tx, admitted) = begin_admission(db, admission).await?;
    match &admitted {
        AdmissionOutcome::Account(_) => tx.commit().await?,
        _ => tx.roll_back().await?,
    }
    Ok(admitted)
}

/// Admits a person and spends a one-time value, or does neither. `None` if the value was spent before.
pub(super) async fn admit_once(
    db: &impl Database,
    admission: &Admission,
    (value_hash, until): (&[u8; 32], Timestamp),
) -> Result<Option<AdmissionOutcome>, QueryError> {
    let (mut tx, admitted) = begin_admission(db, admission).await?;
    let is_first = match &admitted {
        AdmissionOutcome::Account(_) => coordination::spend(&mut tx, value_hash, until).await?,
        _ => {
            tx.roll_back().await?;
            return Ok(Some(admitted));
        }
    };
    match is_first {
        true => tx.commit().await?,
        false => tx.roll_back().await?,
    }
    Ok(is_first.then_some(admitted))
}

/// Admits a person in a transaction that has not ended.
async fn begin_admission<D: Database>(
    db: &D,
    admission: &Admission,
) -> Result<(D::Transaction, AdmissionOutcome), QueryError> {
    let mut may_announce = false;
    loop {
        let begin = match admission.local_revision {
            // Local people are changed only by transactions that revoke.
            Some(_) if !may_announce => Begin::BesideRevocations,
            _ => begin_of(may_announce),
        };
        let mut tx = db.begin(begin).await?;
        let occasion = (Occasion::SignIn, may_announce);
        if let Some(admitted) = admit_one(&mut tx, admission, occasion).await? {
            return Ok((tx, admitted));
        }
        tx.roll_back().await?;
        may_announce = true;
    }
}

fn begin_of(may_announce: bool) -> Begin {
    match may_announce {
        true => Begin::Revoking,
        false => Begin::Writing,
    }
}

/// Admits people whom their source lists, in one transaction.
pub(super) async fn admit_listed(
    db: &impl Database,
    admissions: &[Admission],
) -> Result<Vec<AdmissionOutcome>, QueryError> {
    let mut may_announce = false;
    loop {
        let mut tx = db.begin(begin_of(may_announce)).await?;
        // Before any account is locked.
        tx.lock_directory().await?;
        let occasion = (Occasion::Listing, may_announce);
        if let Some(outcomes) = admit_all(&mut tx, admissions, occasion).await? {
            tx.commit().await?;
            return Ok(outcomes);
        }
        tx.roll_back().await?;
        may_announce = true;
    }
}

/// `None` as for [`admit_one`].
async fn admit_all(
    tx: &mut impl Transaction,
    admissions: &[Admission],
    occasion: (Occasion, bool),
) -> Result<Option<Vec<AdmissionOutcome>>, QueryError> {
    let mut outcomes = Vec::with_capacity(admissions.len());
    for admission in admissions {
        match admit_one(tx, admission, occasion).await? {
            Some(outcome) => outcomes.push(outcome),
            None => return Ok(None),
        }
    }
    Ok(Some(outcomes))
}

/// Why a person is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// A login, the first use of a bearer token, or an answer of the source about the person.
    SignIn,
    /// The source lists the person, who need not sign in.
    Listing,
}

/// Admits a person. A refusal writes nothing. `None`: other processes must learn of the change, and the
/// transaction did not begin as [`Begin::Revoking`], so it must be repeated as one that did.
async fn admit_one(
    tx: &mut impl Transaction,
    admission: &Admission,
    occasion: (Occasion, bool),
) -> Result<Option<AdmissionOutcome>, QueryError> {
    if let Some(revision) = admission.local_revision {
        let person = (&admission.connector, &admission.subject);
        if !local_people::has_revision(tx, person, revision).await? {
            return Ok(Some(AdmissionOutcome::LocalPersonChanged));
        }
    }
    let known = find_or_lock(tx, admission).await?;
    let is_new = known.is_none();
    let outcome = match known {
        Some(known) => match known::update(tx, admission, occasion, known).await? {
            Some((outcome, _announced)) => outcome,
            None => return Ok(None),
        },
        None => admit_unknown_identity(tx, admission, occasion.0).await?,
    };
    let AdmissionOutcome::Account(AdmittedIdentity { account, .. }) = &outcome else {
        return Ok(Some(outcome));
    };
    update_directory(tx, admission, &account.id, is_new).await?;
    let Admission {
        connector,
        subject,
        vouched,
        ..
    } = admission;
    if is_new || admission.is_login {
        vouched_fields::write(tx, connector, subject, vouched).await?;
    } else if occasion.0 == Occasion::Listing {
        vouched_fields::write_listed(tx, connector, subject, vouched).await?;
    }
    Ok(Some(outcome))
}

/// The identity, if it is known. Otherwise the directory is locked: another login may create the same account
/// at this moment.
async fn find_or_lock<T: Transaction>(
    tx: &mut T,
    admission: &Admission,
) -> Result<Option<KnownIdentity>, QueryError> {
    let known = known::find(tx, admission).await?;
    if known.is_some() {
        return Ok(known);
    }
    tx.lock_directory().await?;
    match T::HAS_ONE_WRITER {
        true => Ok(None),
        false => known::find(tx, admission).await,
    }
}

fn admitted(account: Account, entitlements_epoch: u64) -> AdmissionOutcome {
    AdmissionOutcome::Account(AdmittedIdentity {
        account,
        entitlements_epoch,
    })
}

/// Who changes an account at a login: the connector.
fn by(admission: &Admission) -> (Timestamp, &str) {
    (admission.at, admission.connector.as_str())
}

/// Finds the account that expects the identity or is linked to it, or creates one.
async fn admit_unknown_identity(
    tx: &mut impl Transaction,
    admission: &Admission,
    occasion: Occasion,
) -> Result<AdmissionOutcome, QueryError> {
    let Admission {
        connector,
        subject,
        login,
        ..
    } = admission;
    let expected = people_import::find_expected(tx, connector, subject, login).await?;
    if let Some((account, sets_login)) = expected {
        return link(tx, admission, occasion, account, sets_login).await;
    }
    match find_linked(tx, &admission.links).await? {
        LinkMatch::One(account) => link(tx, admission, occasion, account, false).await,
        LinkMatch::Several(field) => Ok(AdmissionOutcome::AmbiguousLink { field }),
        LinkMatch::None => admit_new(tx, admission, occasion).await,
    }
}

/// Stores what the source says about the person.
async fn update_directory(
    tx: &mut impl Transaction,
    admission: &Admission,
    account: &AccountId,
    is_new: bool,
) -> Result<(), QueryError> {
    let Admission {
        connector,
        subject,
        fields,
        ..
    } = admission;
    if admission.is_login {
        person_fields::set_seen(tx, account, admission.at).await?;
    }
    if !is_new && !admission.sync {
        return Ok(());
    }
    let sql = "SELECT names FROM menshen_identity WHERE connector = $1 AND subject = $2";
    let found = tx.only_row(sql, values![connector, subject]).await?;
    let from_source = (fields, found.boolean("names")?);
    person_fields::write_from_source(tx, account, from_source, by(admission)).await?;
    departments::write_of_identity(tx, connector, subject, fields).await
}

/// The accounts that have a link value.
enum LinkMatch {
    None,
    One(Account),
    Several(LinkField),
}

/// The account of the first link field whose value an account has.
async fn find_linked(
    tx: &mut impl Transaction,
    links: &[(LinkField, String)],
) -> Result<LinkMatch, QueryError> {
    let sql = "SELECT DISTINCT a.id, a.login, a.epoch, a.closed, a.local_department, a.local_groups FROM \
               (SELECT i.account FROM menshen_vouched AS v \
               JOIN menshen_identity AS i ON i.connector = v.connector AND i.subject = v.subject \
               WHERE v.field = $1 AND v.value = $2 \
               UNION SELECT account FROM menshen_account_vouched \
               WHERE field = $1 AND value = $2) AS l \
               JOIN menshen_account AS a ON a.id = l.account LIMIT 2";
    for (field, value) in links {
        let rows = tx.rows(sql, values![*field, value]).await?;
        match rows.as_slice() {
            [] => {}
            [only] => return row::account(only).map(LinkMatch::One),
            _ => return Ok(LinkMatch::Several(*field)),
        }
    }
    Ok(LinkMatch::None)
}

async fn link(
    tx: &mut impl Transaction,
    admission: &Admission,
    occasion: Occasion,
    account: Account,
    sets_login: bool,
) -> Result<AdmissionOutcome, QueryError> {
    if account.closed {
        return Ok(AdmissionOutcome::Closed(account.id));
    }
    let epoch = add_identity(tx, admission, occasion, &account.id, sets_login).await?;
    let detail = format!("{}: {}", admission.connector, admission.subject);
    let kind = AccountChangeKind::Linked;
    account_changes::append(tx, &account.id, by(admission), kind, &detail).await?;
    Ok(admitted(account, epoch))
}

async fn admit_new(
    tx: &mut impl Transaction,
    admission: &Admission,
    occasion: Occasion,
) -> Result<AdmissionOutcome, QueryError> {
    if let Some(taken) = accounts::by_login(tx, &admission.login).await? {
        return Ok(AdmissionOutcome::LoginTaken { by: taken.id });
    }
    if !admission.create {
        return Ok(AdmissionOutcome::Unknown);
    }
    let id = accounts::insert(tx, &admission.login, admission.at).await?;
    let entitlements_epoch = add_identity(tx, admission, occasion, &id, true).await?;
    let detail = format!("{}: {}", admission.connector, admission.subject);
    let kind = AccountChangeKind::Created;
    account_changes::append(tx, &id, by(admission), kind, &detail).await?;
    if let Some(join) = &admission.join {
        let nothing = LocalEntitlements::default();
        local_entitlements::write(tx, &id, (&nothing, join), by(admission)).await?;
    }
    let account = Account {
        id,
        login: admission.login.clone(),
        epoch: 0,
        closed: false,
        local: admission.join.clone(),
    };
    Ok(admitted(account, entitlements_epoch))
}

/// Adds an identity to an account; returns the version of its fields.
async fn add_identity(
    tx: &mut impl Transaction,
    admission: &Admission,
    occasion: Occasion,
    account: &AccountId,
    sets_login: bool,
) -> Result<u64, QueryError> {
    // Cached entitlements of the subject's former person have a lower epoch, so these replace them. An
    // identity that was taken off its account left no row, so the time is the lowest epoch.
    let sql = "INSERT INTO menshen_identity \
               (connector, subject, account, names, entitlements, used_at, entitlements_epoch) \
               SELECT $1, $2, $3, $4, $5, $6, max(epoch) FROM \
               (SELECT CAST($7 AS bigint) AS epoch UNION ALL \
               SELECT entitlements_epoch + 1 FROM menshen_former_identity \
               WHERE connector = $1 AND subject = $2) AS known RETURNING entitlements_epoch";
    let Admission {
        connector,
        subject,
        entitlements,
        at,
        ..
    } = admission;
    // An identity that was never used counts as used before all others.
    let used_at = match occasion {
        Occasion::SignIn => *at,
        Occasion::Listing => Timestamp::from_unix_ms(0),
    };
    let values = values![
        connector,
        subject,
        account,
        sets_login,
        entitlements,
        used_at,
        *at
    ];
    let added = tx.only_row(sql, values).await?;
    // However the person was found: nobody else may come by the same expectation.
    people_import::delete_expectation(tx, account, connector).await?;
    row::number(&added, "entitlements_epoch", "identity")
}
