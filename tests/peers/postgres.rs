//! A real PostgreSQL, and PgBouncer in transaction mode: every promise of a store.

use std::sync::Arc;
use std::time::Duration;

use menshen::keys;
use menshen::store::{
    self, Account, Admission, AdmissionOutcome, Closing, ConnectorId, DirectoryFields, LinkField,
    MintOutcome, NewSession, SessionId, SessionKey, Store, StoreOptions, StoreUrl,
};

#[path = "../house/stores/access_tokens.rs"]
mod access_tokens;
#[path = "../house/stores/added_identities.rs"]
mod added_identities;
#[path = "../house/stores/administrators.rs"]
mod administrators;
#[path = "../house/stores/audit_log.rs"]
mod audit_log;
mod audit_outage;
mod clocks;
#[path = "../house/stores/closing.rs"]
mod closing;
mod commands;
#[path = "../house/stores/coordination.rs"]
mod coordination;
#[path = "../house/stores/directory.rs"]
mod directory;
#[path = "../house/stores/directory_fields.rs"]
mod directory_fields;
#[path = "../house/stores/directory_import.rs"]
mod directory_import;
#[path = "../house/stores/directory_search.rs"]
mod directory_search;
#[path = "../house/stores/directory_sync.rs"]
mod directory_sync;
#[path = "../house/stores/fixture.rs"]
mod fixture;
#[path = "../house/stores/local_entitlements.rs"]
mod local_entitlements;
#[path = "../house/stores/local_people.rs"]
mod local_people;
#[path = "../house/stores/managed_settings.rs"]
mod managed_settings;
mod migrating;
mod opening;
pub(crate) mod pooler;
mod restoring;
#[path = "../house/stores/revocations.rs"]
mod revocations;
pub(crate) mod server;
#[path = "../house/stores/sessions.rs"]
mod sessions;
#[path = "../house/stores/subject_rename.rs"]
mod subject_rename;
#[path = "../house/stores/tokens.rs"]
mod tokens;
#[path = "../house/stores/vouched_fields.rs"]
mod vouched_fields;

use fixture::*;

/// A store under test.
struct Backend {
    name: &'static str,
    store: Arc<dyn Store>,
}

/// Empty stores, one for each kind of connection.
async fn backends() -> Vec<Backend> {
    let announced = server::shared().new_database().await;
    let polled = server::shared().new_database().await;
    let pooled = server::shared().new_database().await;
    vec![
        Backend {
            name: "PostgreSQL",
            store: open(&announced.url(), true).await,
        },
        Backend {
            name: "PostgreSQL without NOTIFY",
            store: open(&polled.url(), false).await,
        },
        Backend {
            name: "PgBouncer before PostgreSQL",
            store: open(&pooler::shared().url(&pooled), false).await,
        },
    ]
}

async fn open(url: &str, notify: bool) -> Arc<dyn Store> {
    let url: StoreUrl = url.parse().unwrap();
    let options = StoreOptions {
        notify,
        ..StoreOptions::default()
    };
    store::open(&url, &options).await.unwrap()
}
