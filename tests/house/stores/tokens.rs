//! Sealed tokens: kept with a session, renewed by one, gone with it.

use menshen::store::{
    IdentityUpdate, RevocationScope, StoredTokens, TokenUpdate, TokenUpdateOutcome,
};

use super::*;

/// Somebody who came in with sealed tokens.
pub(super) async fn with_tokens(store: &dyn Store, login: &str) -> (Account, NewSession) {
    let account = admit(store, &admission(login)).await;
    let new = NewSession {
        tokens: Some("first".to_owned()),
        ..new_session(&account, at(0))
    };
    assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
    (account, new)
}

fn renewal(new: &NewSession, version: u64, sealed: &str) -> TokenUpdate {
    TokenUpdate {
        session: new.record.key,
        version,
        sealed: sealed.to_owned(),
        identity: None,
        at: at(60),
    }
}

fn identity(entitlements: &str) -> IdentityUpdate {
    IdentityUpdate {
        entitlements: entitlements.to_owned(),
        fields: DirectoryFields::default(),
        vouched: mobile("13800000000"),
    }
}

async fn stored(store: &dyn Store, new: &NewSession) -> Option<StoredTokens> {
    store.session(&new.record.key).await.unwrap()?.tokens
}

/// The epoch of entitlements that were stored at noon and never changed.
fn epoch_at_noon() -> u64 {
    u64::try_from(at(0).unix_ms()).unwrap()
}

#[tokio::test]
async fn tokens_are_found_with_their_session() {
    for Backend { name, store, .. } in backends().await {
        let (_, new) = with_tokens(&*store, "zhangsan").await;
        let first = StoredTokens {
            version: 1,
            sealed: "first".to_owned(),
        };
        assert_eq!(stored(&*store, &new).await, Some(first), "{name}");
        let (_, without) = somebody(&*store, "lisi").await;
        assert_eq!(stored(&*store, &without).await, None, "{name}");
    }
}

#[tokio::test]
async fn a_session_that_is_not_minted_leaves_no_tokens() {
    for Backend { name, store, .. } in backends().await {
        let (account, new) = with_tokens(&*store, "zhangsan").await;
        store
            .revoke(&RevocationScope::Everyone, at(1))
            .await
            .unwrap();
        let late = NewSession {
            tokens: Some("late".to_owned()),
            ..new_session(&account, at(0))
        };
        assert_eq!(
            store.mint(&late).await.unwrap(),
            MintOutcome::Revoked,
            "{name}"
        );
        let renewed = store
            .update_tokens(&renewal(&late, 1, "second"))
            .await
            .unwrap();
        assert_eq!(renewed, TokenUpdateOutcome::SessionGone, "{name}");
        assert_eq!(stored(&*store, &new).await, None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_renew_the_same_version_one_is_first() {
    for Backend { name, store, .. } in backends().await {
        let (_, new) = with_tokens(&*store, "zhangsan").await;
        let mut asks = tokio::task::JoinSet::new();
        for n in 0..20 {
            let (store, renewal) = (Arc::clone(&store), renewal(&new, 1, &format!("by {n}")));
            asks.spawn(async move {
                (
                    renewal.sealed.clone(),
                    store.update_tokens(&renewal).await.unwrap(),
                )
            });
        }
        let first = TokenUpdateOutcome::Stored {
            version: 2,
            entitlements_epoch: epoch_at_noon(),
        };
        let (stored_by, overtaken): (Vec<_>, Vec<_>) = asks
            .join_all()
            .await
            .into_iter()
            .partition(|(_, renewed)| *renewed == first);
        assert_eq!((stored_by.len(), overtaken.len()), (1, 19), "{name}");
        assert!(
            overtaken
                .iter()
                .all(|(_, it)| *it == TokenUpdateOutcome::VersionConflict),
            "{name}"
        );
        let now = stored(&*store, &new).await.unwrap();
        assert_eq!((now.version, &now.sealed), (2, &stored_by[0].0), "{name}");
    }
}

#[tokio::test]
async fn a_renewal_says_what_the_person_may_do_now_and_numbers_what_changed() {
    for Backend { name, store, .. } in backends().await {
        let (account, new) = with_tokens(&*store, "zhangsan").await;
        for (version, entitlements, epoch) in
            [(1, "{}", 0), (2, r#"{"a":1}"#, 1), (3, r#"{"a":1}"#, 1)]
        {
            let renewal = TokenUpdate {
                identity: Some(identity(entitlements)),
                ..renewal(&new, version, "next")
            };
            let renewed = TokenUpdateOutcome::Stored {
                version: version + 1,
                entitlements_epoch: epoch_at_noon() + epoch,
            };
            assert_eq!(
                store.update_tokens(&renewal).await.unwrap(),
                renewed,
                "{name}"
            );
        }
        let found = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(found.entitlements, r#"{"a":1}"#, "{name}");
        assert_eq!(found.entitlements_epoch, epoch_at_noon() + 1, "{name}");
        // What is vouched for by a refresh joins a later login by another source.
        let joining = Admission {
            connector: github(),
            links: mobile("13800000000"),
            ..admission("somebody-else")
        };
        assert_eq!(admit(&*store, &joining).await.id, account.id, "{name}");
        // One that says nothing changes nothing.
        store
            .update_tokens(&renewal(&new, 4, "last"))
            .await
            .unwrap();
        let found = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(found.entitlements_epoch, epoch_at_noon() + 1, "{name}");
    }
}

#[tokio::test]
async fn an_overtaken_renewal_says_nothing_of_the_person() {
    for Backend { name, store, .. } in backends().await {
        let (_, new) = with_tokens(&*store, "zhangsan").await;
        store
            .update_tokens(&renewal(&new, 1, "second"))
            .await
            .unwrap();
        let late = TokenUpdate {
            identity: Some(identity(r#"{"stale":1}"#)),
            ..renewal(&new, 1, "late")
        };
        assert_eq!(
            store.update_tokens(&late).await.unwrap(),
            TokenUpdateOutcome::VersionConflict,
            "{name}"
        );
        let found = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(
            (found.entitlements.as_str(), found.entitlements_epoch),
            ("{}", epoch_at_noon()),
            "{name}"
        );
        assert_eq!(found.tokens.unwrap().sealed, "second", "{name}");
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_not_renewed_and_brought_back() {
    for at_scope in 0..4 {
        for Backend { name, store, .. } in backends().await {
            let (account, new) = with_tokens(&*store, "zhangsan").await;
            let scope = match at_scope {
                0 => RevocationScope::Session(new.record.key),
                1 => RevocationScope::Account(account.id),
                2 => RevocationScope::Connector(corp()),
                _ => RevocationScope::Everyone,
            };
            store.revoke(&scope, at(1)).await.unwrap();
            let late = TokenUpdate {
                identity: Some(identity(r#"{"late":1}"#)),
                ..renewal(&new, 1, "late")
            };
            let renewed = store.update_tokens(&late).await.unwrap();
            assert_eq!(renewed, TokenUpdateOutcome::SessionGone, "{name} {scope:?}");
            assert!(!has_session(&*store, &new).await, "{name} {scope:?}");
            let (_, _, entitlements) = store.identities(&account.id).await.unwrap().remove(0);
            assert_eq!(entitlements, "{}", "{name} {scope:?}");
        }
    }
}

#[tokio::test]
async fn a_closed_account_and_a_session_past_its_end_are_not_renewed() {
    for Backend { name, store, .. } in backends().await {
        let (account, closed) = with_tokens(&*store, "zhangsan").await;
        store
            .close_account(&account.id, &closing("left"), at(1))
            .await
            .unwrap();
        let renewed = store
            .update_tokens(&renewal(&closed, 1, "late"))
            .await
            .unwrap();
        assert_eq!(renewed, TokenUpdateOutcome::SessionGone, "{name}");

        let (_, over) = with_tokens(&*store, "lisi").await;
        let late = TokenUpdate {
            at: over.record.expires_at,
            ..renewal(&over, 1, "late")
        };
        assert_eq!(
            store.update_tokens(&late).await.unwrap(),
            TokenUpdateOutcome::SessionGone,
            "{name}"
        );
    }
}
