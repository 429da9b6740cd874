//! People and sessions for the tests of stores.

use std::time::Duration;

use menshen::clock::Timestamp;
use menshen::keys;
use menshen::store::{
    Account, Admission, AdmissionOutcome, AdmittedIdentity, Closing, ConnectorId, DirectoryFields,
    LinkField, MintOutcome, NewSession, SessionId, SessionKey, SessionOrigin, SessionRecord, Store,
};

/// So many seconds after noon.
pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_s(1_800_000_000).plus(Duration::from_secs(seconds))
}

pub(super) fn corp() -> ConnectorId {
    "corp".parse().unwrap()
}

pub(super) fn github() -> ConnectorId {
    "github".parse().unwrap()
}

/// A login through `corp` at noon by somebody whose subject there is `subject:` and their login.
pub(super) fn admission(login: &str) -> Admission {
    Admission {
        connector: corp(),
        subject: format!("subject:{login}").parse().unwrap(),
        login: login.parse().unwrap(),
        links: Vec::new(),
        vouched: Vec::new(),
        create: true,
        join: None,
        sync: true,
        is_login: true,
        entitlements: "{}".to_owned(),
        fields: DirectoryFields::default(),
        local_revision: None,
        at: at(0),
    }
}

pub(super) async fn admit(store: &dyn Store, admission: &Admission) -> Account {
    admitted(store, admission).await.account
}

pub(super) async fn admitted(store: &dyn Store, admission: &Admission) -> AdmittedIdentity {
    match store.admit(admission).await.unwrap() {
        AdmissionOutcome::Account(admitted) => admitted,
        other => panic!("not admitted: {other:?}"),
    }
}

/// A session that `account` would get from a login through `corp` that began at `began_at`.
pub(super) fn new_session(account: &Account, began_at: Timestamp) -> NewSession {
    NewSession {
        origin: SessionOrigin::default(),
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
        needs_current_password: false,
        tokens: None,
        spend_once: None,
    }
}

/// A person who is here.
pub(super) async fn somebody(store: &dyn Store, login: &str) -> (Account, NewSession) {
    let account = admit(store, &admission(login)).await;
    let new = new_session(&account, at(0));
    assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
    (account, new)
}

/// A closing by an administrator.
pub(super) fn closing(reason: &str) -> Closing {
    Closing {
        by: "boss".to_owned(),
        reason: reason.to_owned(),
        gone: None,
        by_sync_of: None,
    }
}

pub(super) async fn has_session(store: &dyn Store, new: &NewSession) -> bool {
    store.session(&new.record.key).await.unwrap().is_some()
}

pub(super) fn mobile(number: &str) -> Vec<(LinkField, String)> {
    vec![(LinkField::Mobile, number.to_owned())]
}
