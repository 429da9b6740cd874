//! What every store promises, asked of each kind we have.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use menshen::keys;
use menshen::store::{
    self, Account, Admission, AdmissionOutcome, Closing, ConnectorId, DirectoryFields, LinkField,
    MintOutcome, NewSession, SessionId, SessionKey, SqliteUrl, Store, StoreUrl,
};

mod access_tokens;
mod added_identities;
mod administrators;
mod announcements;
mod audit_log;
mod closing;
mod coordination;
mod directory;
mod directory_fields;
mod directory_import;
mod directory_search;
mod directory_sync;
mod failing;
mod file;
mod fixture;
mod foreign_lock;
mod import_batches;
mod local_entitlements;
mod local_people;
mod managed_settings;
mod nodes;
mod older_files;
mod revocations;
mod session_groups;
mod sessions;
mod subject_rename;
mod tables;
mod tokens;
mod vouched_fields;
mod writes;

use fixture::*;
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
    let file = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    let memory = store::open(&StoreUrl::MEMORY, &store::StoreOptions::default())
        .await
        .unwrap();
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

    /// The bytes of all files of the store.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.0).unwrap();
        let bytes = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap());
        bytes.collect()
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
