//! What every store promises, asked of each kind we have.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use menshen::clock::Timestamp;
use menshen::keys;
use menshen::store::{
    self, Account, Admission, AdmissionOutcome, Closing, ConnectorId, LinkField, MintOutcome,
    NewSession, SessionId, SessionKey, SessionRecord, SqliteUrl, Store, StoreUrl,
};

mod closing;
mod coordination;
mod directory;
mod failing;
mod file;
mod foreign_lock;
mod revocations;
mod sessions;
mod subject_rename;
mod tokens;
mod writes;

pub(crate) use foreign_lock::Meddler;

/// A store under test, and where it lies.
struct Backend {
    name: &'static str,
    store: Arc<dyn Store>,
    _dir: Option<TempDir>,
}

/// One empty store of each kind.
async fn backends() -> Vec<Backend> {
    let dir = TempDir::new();
    let file = store::open(&dir.store_url()).await.unwrap();
    let memory = store::open(&StoreUrl::MEMORY).await.unwrap();
    vec![
        Backend {
            name: "a SQLite file",
            store: file,
            _dir: Some(dir),
        },
        Backend {
            name: "SQLite in memory",
            store: memory,
            _dir: None,
        },
    ]
}

/// A directory of its own for one test, removed with it.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let name = format!("menshen-{}", SessionId::new(keys::random()));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("menshen.db")
    }

    pub(crate) fn url(&self) -> String {
        url(&self.file())
    }

    pub(crate) fn sqlite_url(&self) -> SqliteUrl {
        SqliteUrl::File(self.file())
    }

    pub(crate) fn store_url(&self) -> StoreUrl {
        StoreUrl::Sqlite(self.sqlite_url())
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Whatever stays behind is in the system's own place for it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// So many seconds after noon.
fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_s(1_800_000_000).plus(Duration::from_secs(seconds))
}

fn corp() -> ConnectorId {
    "corp".parse().unwrap()
}

fn github() -> ConnectorId {
    "github".parse().unwrap()
}

/// A login through `corp` at noon by somebody whose subject there is `subject:` and their login.
fn admission(login: &str) -> Admission {
    Admission {
        connector: corp(),
        subject: format!("subject:{login}").parse().unwrap(),
        login: login.parse().unwrap(),
        links: Vec::new(),
        vouched: Vec::new(),
        create: true,
        sync: true,
        is_login: true,
        entitlements: "{}".to_owned(),
        at: at(0),
    }
}

async fn admit(store: &dyn Store, admission: &Admission) -> Account {
    match store.admit(admission).await.unwrap() {
        AdmissionOutcome::Account(account) => account,
        other => panic!("not admitted: {other:?}"),
    }
}

/// A session that `account` would get from a login through `corp` that began at `began_at`.
fn new_session(account: &Account, began_at: Timestamp) -> NewSession {
    NewSession {
        record: SessionRecord {
            key: SessionKey::new(keys::random()),
            public_id: SessionId::new(keys::random()),
            account: account.id,
            connector: corp(),
            subject: format!("subject:{}", account.login).parse().unwrap(),
            provider_sid: Some("sid at the provider".to_owned()),
            auth_context: r#"{"acr":"1"}"#.to_owned(),
            minted_at: began_at,
            expires_at: began_at.plus(Duration::from_secs(12 * 3600)),
            used_at: began_at,
        },
        account_epoch: account.epoch,
        connector_epoch: 0,
        everyone_epoch: 0,
        began_at,
        tokens: None,
        spend_once: None,
    }
}

/// A person who is here.
async fn somebody(store: &dyn Store, login: &str) -> (Account, NewSession) {
    let account = admit(store, &admission(login)).await;
    let new = new_session(&account, at(0));
    assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
    (account, new)
}

/// A closing by an administrator.
fn closing(reason: &str) -> Closing {
    Closing {
        by: "boss".to_owned(),
        reason: reason.to_owned(),
        gone: None,
    }
}

async fn is_here(store: &dyn Store, new: &NewSession) -> bool {
    store.session(&new.record.key).await.unwrap().is_some()
}

fn mobile(number: &str) -> Vec<(LinkField, String)> {
    vec![(LinkField::Mobile, number.to_owned())]
}
