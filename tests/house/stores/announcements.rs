//! The log tells every process which people changed: after a login, an answer of their source, a directory
//! sync or a refresh, once for each change, and only of people who have sessions or access tokens.

use menshen::store::{
    AccessTokenOutcome, IdentityUpdate, NewAccessToken, Revocation, RevocationScope, TokenUpdate,
    TokenUpdateOutcome,
};

use super::*;

const MOVED: &str = r#"{"groups":["moved"]}"#;

/// What changes the fields of a person.
#[derive(Clone, Copy, Debug)]
enum Change {
    Login,
    Answer,
    Listing,
    Refresh,
}

const CHANGES: [Change; 4] = [
    Change::Login,
    Change::Answer,
    Change::Listing,
    Change::Refresh,
];

impl Change {
    async fn make(self, store: &dyn Store, session: &NewSession, version: u64) {
        let changed = Admission {
            is_login: matches!(self, Self::Login),
            entitlements: MOVED.to_owned(),
            ..admission("zhangsan")
        };
        match self {
            Self::Login | Self::Answer => {
                admit(store, &changed).await;
            }
            Self::Listing => {
                store.admit_listed(&[changed]).await.unwrap();
            }
            Self::Refresh => {
                let update = TokenUpdate {
                    session: session.record.key,
                    version,
                    sealed: "next".to_owned(),
                    identity: Some(IdentityUpdate {
                        entitlements: MOVED.to_owned(),
                        fields: DirectoryFields::default(),
                        vouched: Vec::new(),
                    }),
                    at: at(60),
                };
                let updated = store.update_tokens(&update).await.unwrap();
                assert!(matches!(updated, TokenUpdateOutcome::Stored { .. }));
            }
        }
    }
}

async fn log_number(store: &dyn Store) -> i64 {
    store.epochs().await.unwrap().log_position.number
}

async fn entries_after(store: &dyn Store, number: i64) -> Vec<Revocation> {
    store.revocations_after(number, 10).await.unwrap().entries
}

#[tokio::test]
async fn other_fields_are_announced_once_and_end_no_session() {
    for change in CHANGES {
        for Backend { name, store, .. } in backends().await {
            let (account, session) = tokens::with_tokens(&*store, "zhangsan").await;
            somebody(&*store, "lisi").await;
            let before = log_number(&*store).await;
            for version in 1..3 {
                change.make(&*store, &session, version).await;
            }
            let entries = entries_after(&*store, before).await;
            let [entry] = entries.as_slice() else {
                panic!("{name}, {change:?}: {entries:?}");
            };
            assert_eq!(entry.scope, RevocationScope::Account(account.id), "{name}");
            assert_eq!(entry.epoch, account.epoch, "{name}: nothing is revoked");
            assert!(has_session(&*store, &session).await, "{name}");
            let stored = store.session(&session.record.key).await.unwrap().unwrap();
            assert_eq!(stored.entitlements, MOVED, "{name}");
        }
    }
}

#[tokio::test]
async fn people_with_neither_session_nor_access_token_are_not_announced() {
    for change in [Change::Login, Change::Answer, Change::Listing] {
        for Backend { name, store, .. } in backends().await {
            let (account, session) = somebody(&*store, "zhangsan").await;
            let token = NewAccessToken {
                key: SessionKey::new(keys::random()),
                public_id: SessionId::new(keys::random()),
                session: session.record.key,
                name: "laptop".to_owned(),
                routes: None,
                created_at: at(0),
                expires_at: at(3600),
            };
            let made = store.create_access_token(&token, 3).await.unwrap();
            assert_eq!(made, AccessTokenOutcome::Created, "{name}");
            // The token outlives the session.
            let only = RevocationScope::Session(session.record.key);
            store.revoke(&only, at(1)).await.unwrap();
            assert!(!has_session(&*store, &session).await, "{name}");
            let before = log_number(&*store).await;
            change.make(&*store, &session, 1).await;
            let entries = entries_after(&*store, before).await;
            assert_eq!(entries.len(), 1, "{name}, {change:?}");
            let ended = store
                .end_access_tokens(&corp(), &session.record.subject, at(2))
                .await;
            assert_eq!(ended.unwrap().len(), 1, "{name}");
            let before = log_number(&*store).await;
            let back = admission("zhangsan");
            assert_eq!(admit(&*store, &back).await.id, account.id, "{name}");
            change.make(&*store, &session, 1).await;
            assert_eq!(log_number(&*store).await, before, "{name}, {change:?}");
        }
    }
}
