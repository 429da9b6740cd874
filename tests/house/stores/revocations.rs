//! Revocations: what is ended stays ended, and everybody hears of it in order.

use menshen::store::{CurrentEpochs, LogoutTarget, RevocationScope};

use super::*;

#[tokio::test]
async fn each_scope_ends_its_sessions_and_no_others() {
    for Backend { name, store, .. } in backends().await {
        let (zhang, zhang_here) = somebody(&*store, "zhangsan").await;
        let twin = new_session(&zhang, at(0));
        store.mint(&twin).await.unwrap();
        let (lisi, lisi_here) = somebody(&*store, "lisi").await;
        let elsewhere = Admission {
            connector: github(),
            ..admission("wangwu")
        };
        let wangwu = admit(&*store, &elsewhere).await;
        let mut wangwu_here = new_session(&wangwu, at(0));
        wangwu_here.record.connector = github();
        store.mint(&wangwu_here).await.unwrap();
        let all = [&zhang_here, &twin, &lisi_here, &wangwu_here];
        let here = async || {
            let mut here = Vec::new();
            for new in all {
                here.push(has_session(&*store, new).await);
            }
            here
        };
        let sessions_of = async |account| {
            let query = menshen::store::SessionsQuery {
                account,
                max: 9,
                ..Default::default()
            };
            store.sessions(&query).await.unwrap()
        };

        assert_eq!(here().await, [true, true, true, true], "{name}");
        store
            .revoke(&RevocationScope::Session(zhang_here.record.key), at(1))
            .await
            .unwrap();
        assert_eq!(here().await, [false, true, true, true], "{name}");
        store
            .revoke(&RevocationScope::Account(zhang.id), at(1))
            .await
            .unwrap();
        assert_eq!(here().await, [false, false, true, true], "{name}");
        assert_eq!(sessions_of(Some(zhang.id)).await, [], "{name}");
        store
            .revoke(&RevocationScope::Connector(corp()), at(1))
            .await
            .unwrap();
        assert_eq!(here().await, [false, false, false, true], "{name}");
        store
            .revoke(&RevocationScope::Everyone, at(1))
            .await
            .unwrap();
        assert_eq!(here().await, [false, false, false, false], "{name}");
        assert_eq!(sessions_of(Some(lisi.id)).await, [], "{name}");
        assert_eq!(sessions_of(None).await, [], "{name}");
    }
}

#[tokio::test]
async fn closing_ends_all_sessions_and_opening_brings_none_back() {
    for Backend { name, store, .. } in backends().await {
        let (account, new) = somebody(&*store, "zhangsan").await;
        let closed = store
            .close_account(&account.id, &closing("left"), at(1))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (closed.scope.clone(), closed.epoch),
            (RevocationScope::Account(account.id), 1),
            "{name}"
        );
        assert!(!has_session(&*store, &new).await, "{name}");
        let opened = store
            .reopen_account(&account.id, "boss", at(2))
            .await
            .unwrap();
        let current = opened.map(|opened| opened.log_position);
        assert_eq!(current, Some(closed), "opening raises nothing: {name}");
        assert!(!has_session(&*store, &new).await, "{name}");
        let account = store
            .account_by_login(&account.login)
            .await
            .unwrap()
            .unwrap();
        assert!(!account.closed, "{name}");
        assert_eq!(
            store.mint(&new_session(&account, at(3))).await.unwrap(),
            MintOutcome::Session
        );

        let nobody = menshen::store::AccountId::new(keys::random());
        assert_eq!(
            store
                .close_account(&nobody, &closing("left"), at(1))
                .await
                .unwrap(),
            None,
            "{name}"
        );
        assert!(
            store
                .revoke(&RevocationScope::Account(nobody), at(1))
                .await
                .is_err(),
            "{name}"
        );
        assert_eq!(
            store.revocations_after(0, 9).await.unwrap().entries.len(),
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_log_tells_every_revocation_in_order() {
    for Backend { name, store, .. } in backends().await {
        assert_eq!(
            store.epochs().await.unwrap(),
            CurrentEpochs::default(),
            "{name}"
        );
        let account = admit(&*store, &admission("zhangsan")).await;
        let scopes = [
            RevocationScope::Everyone,
            RevocationScope::Connector(corp()),
            RevocationScope::Session(SessionKey::new([1; 32])),
            RevocationScope::Account(account.id),
            RevocationScope::Everyone,
        ];
        let mut entries = Vec::new();
        for scope in &scopes {
            entries.push(store.revoke(scope, at(1)).await.unwrap());
        }
        let said: Vec<_> = entries
            .iter()
            .map(|entry| (entry.scope.clone(), entry.epoch))
            .collect();
        let expected: Vec<_> = scopes.into_iter().zip([1, 1, 0, 1, 2]).collect();
        assert_eq!(said, expected, "{name}");
        assert!(entries.is_sorted_by(|a, b| a.number < b.number), "{name}");
        assert_eq!(
            store.revocations_after(0, 100).await.unwrap().entries,
            entries,
            "{name}"
        );
        let rest = store.revocations_after(entries[1].number, 2).await.unwrap();
        let rest = rest.entries;
        assert_eq!(rest, entries[2..4], "{name}");
        let log_position = store
            .revocations_after(entries[3].number, 9)
            .await
            .unwrap()
            .end
            .unwrap();
        assert_eq!(log_position.number, entries[4].number, "{name}");
        let now = CurrentEpochs {
            everyone: 2,
            connectors: vec![(corp(), 1)],
            log_position,
        };
        assert_eq!(store.epochs().await.unwrap(), now, "{name}");
    }
}

#[tokio::test]
async fn a_change_of_departments_is_in_the_log_and_ends_no_session() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let new = new_session(&account, at(5));
        store.mint(&new).await.unwrap();
        let before = store.epochs().await.unwrap();
        let entry = store.log_department_change(&corp(), at(6)).await.unwrap();
        assert_eq!(entry.department_change(), Some(&corp()), "{name}");
        let log = store.revocations_after(0, 9).await.unwrap().entries;
        assert_eq!(log, [entry], "{name}");
        let after = store.epochs().await.unwrap();
        assert_eq!(after.connectors, before.connectors, "{name}");
        assert!(has_session(&*store, &new).await, "{name}");
        let scope = RevocationScope::Connector(corp());
        let revoked = store.revoke(&scope, at(7)).await.unwrap();
        assert_eq!(revoked.department_change(), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_minted_beside_a_revocation_outlives_it() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        for scope in [
            RevocationScope::Account(account.id),
            RevocationScope::Connector(corp()),
            RevocationScope::Everyone,
        ] {
            let account = store
                .account_by_login(&account.login)
                .await
                .unwrap()
                .unwrap();
            let now = store.epochs().await.unwrap();
            // The revocation falls at the very moment the logins begin, or just after.
            let began_at = at(account.epoch * 100 + 50);
            let mut mints = tokio::task::JoinSet::new();
            for n in 0..40 {
                let mut new = new_session(&account, began_at);
                new.connector_epoch = now.connectors.first().map_or(0, |(_, epoch)| *epoch);
                new.everyone_epoch = now.everyone;
                let (store, scope) = (Arc::clone(&store), scope.clone());
                mints.spawn(async move {
                    if n == 20 {
                        store.revoke(&scope, began_at).await.unwrap();
                    }
                    (store.mint(&new).await.unwrap(), new)
                });
            }
            for (minted, new) in mints.join_all().await {
                assert!(
                    matches!(minted, MintOutcome::Session | MintOutcome::Revoked),
                    "{minted:?}"
                );
                assert!(!has_session(&*store, &new).await, "{name} {scope:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_minted_beside_a_provider_logout_outlives_it() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        for round in 0..100 {
            let sid = format!("provider session {round}");
            let mut new = new_session(&account, at(0));
            new.record.provider_sid = Some(sid.clone());
            // A front-channel logout has no message ID, a back-channel logout has one.
            let message_id: Option<[u8; 32]> = (round % 4 == 3).then(keys::random);
            let target = LogoutTarget::Session(sid);
            let connector = corp();
            let logout = store.apply_provider_logout(
                &connector,
                &target,
                message_id.as_ref(),
                at(1),
                at(600),
            );
            let mint = store.mint(&new);
            let (minted, logout) = match round % 2 {
                0 => tokio::join!(mint, logout),
                _ => {
                    let (logout, minted) = tokio::join!(logout, mint);
                    (minted, logout)
                }
            };
            logout.unwrap();
            let minted = minted.unwrap();
            assert!(
                matches!(minted, MintOutcome::Session | MintOutcome::LoggedOut),
                "{minted:?}"
            );
            assert!(
                !has_session(&*store, &new).await,
                "{name}, round {round}: {minted:?} beside the logout, message {message_id:?}"
            );
        }
    }
}
