//! Sessions: minted while everything stands, found while it still does.

use menshen::store::{
    AccountId, ListedSession, LogoutTarget, RevocationScope, SessionOrigin, SessionsQuery,
};

use super::*;

#[tokio::test]
async fn a_session_is_found_with_what_it_stands_on() {
    for Backend { name, store, .. } in backends().await {
        let (account, new) = somebody(&*store, "zhangsan").await;
        let found = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(found.session, new.record, "{name}");
        assert_eq!(found.account, account, "{name}");
        assert_eq!(
            (found.connector_epoch, found.everyone_epoch),
            (0, 0),
            "{name}"
        );
        let key = store.session_key(&new.record.public_id).await.unwrap();
        assert_eq!(key, Some(new.record.key), "{name}");

        let nobody = SessionKey::new(keys::random());
        assert_eq!(store.session(&nobody).await.unwrap(), None, "{name}");
        let nobody = SessionId::new(keys::random());
        assert_eq!(store.session_key(&nobody).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn the_subjects_with_sessions_are_listed_once_for_each_provider_session() {
    for Backend { name, store, .. } in backends().await {
        let (zhangsan, first) = somebody(&*store, "zhangsan").await;
        let (_, other) = somebody(&*store, "lisi").await;
        for sid in [None, Some("a"), Some("a"), Some("b")] {
            let mut new = new_session(&zhangsan, at(1));
            new.record.provider_sid = sid.map(str::to_owned);
            assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
        }
        let mut found = store.subjects_with_sessions(&corp()).await.unwrap();
        found.sort();
        let subject = |new: &NewSession| new.record.subject.clone();
        let sid = |sid: &str| Some(sid.to_owned());
        let mut expected = vec![
            (subject(&first), None),
            (subject(&first), sid("a")),
            (subject(&first), sid("b")),
            (subject(&first), first.record.provider_sid.clone()),
            (subject(&other), other.record.provider_sid.clone()),
        ];
        expected.sort();
        assert_eq!(found, expected, "{name}");
        let of_github = store.subjects_with_sessions(&github()).await.unwrap();
        assert_eq!(of_github, [], "{name}");
        let ended = RevocationScope::Session(other.record.key);
        store.revoke(&ended, at(2)).await.unwrap();
        let found = store.subjects_with_sessions(&corp()).await.unwrap();
        assert_eq!(found.len(), 4, "{name}");
    }
}

#[tokio::test]
async fn a_session_key_is_used_once() {
    for Backend { name, store, .. } in backends().await {
        let (_, new) = somebody(&*store, "zhangsan").await;
        assert!(store.mint(&new).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_closed_account_gets_no_session() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        store
            .close_account(&account.id, &closing("left"), at(1))
            .await
            .unwrap();
        let new = new_session(&account, at(2));
        assert_eq!(
            store.mint(&new).await.unwrap(),
            MintOutcome::AccountClosed,
            "{name}"
        );
        assert!(!has_session(&*store, &new).await, "{name}");
    }
}

#[tokio::test]
async fn an_account_that_is_gone_gets_no_session() {
    for Backend { name, store, .. } in backends().await {
        let mut account = admit(&*store, &admission("zhangsan")).await;
        account.id = menshen::store::AccountId::new(keys::random());
        let new = new_session(&account, at(2));
        assert_eq!(
            store.mint(&new).await.unwrap(),
            MintOutcome::AccountClosed,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_person_revoked_since_the_login_began_gets_no_session() {
    for Backend { name, store, .. } in backends().await {
        let before = admit(&*store, &admission("zhangsan")).await;
        store
            .revoke(&RevocationScope::Account(before.id), at(10))
            .await
            .unwrap();
        let stale_number = new_session(&before, at(11));
        assert_eq!(
            store.mint(&stale_number).await.unwrap(),
            MintOutcome::Revoked,
            "{name}"
        );

        // Admitted after the revocation, so the number is right; but the login began before it.
        let account = admit(&*store, &admission("zhangsan")).await;
        for began_at in [at(9), at(10)] {
            let new = new_session(&account, began_at);
            assert_eq!(
                store.mint(&new).await.unwrap(),
                MintOutcome::Revoked,
                "{name}"
            );
            assert!(!has_session(&*store, &new).await, "{name}");
        }
        let fresh = new_session(&account, at(11));
        assert_eq!(
            store.mint(&fresh).await.unwrap(),
            MintOutcome::Session,
            "{name}"
        );
        assert!(has_session(&*store, &fresh).await, "{name}");
    }
}

#[tokio::test]
async fn a_connector_or_everyone_revoked_since_the_login_began_gives_no_session() {
    for scope in [
        RevocationScope::Connector(corp()),
        RevocationScope::Everyone,
    ] {
        for Backend { name, store, .. } in backends().await {
            let account = admit(&*store, &admission("zhangsan")).await;
            let epoch = store.revoke(&scope, at(1)).await.unwrap().epoch;
            let mut new = new_session(&account, at(2));
            assert_eq!(
                store.mint(&new).await.unwrap(),
                MintOutcome::Revoked,
                "{name} {scope:?}"
            );
            assert!(!has_session(&*store, &new).await, "{name} {scope:?}");
            match &scope {
                RevocationScope::Connector(_) => new.connector_epoch = epoch,
                _ => new.everyone_epoch = epoch,
            }
            assert_eq!(
                store.mint(&new).await.unwrap(),
                MintOutcome::Session,
                "{name} {scope:?}"
            );
            let found = store.session(&new.record.key).await.unwrap().unwrap();
            let numbers = (found.connector_epoch, found.everyone_epoch);
            assert_eq!(
                numbers,
                (new.connector_epoch, new.everyone_epoch),
                "{name} {scope:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_session_ended_at_its_provider_meanwhile_is_not_minted() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let marks = [
            LogoutTarget::Session("sid at the provider".to_owned()),
            LogoutTarget::Subject("subject:zhangsan".parse().unwrap()),
        ];
        for (mark, ended_at) in marks.iter().zip([at(10), at(20)]) {
            store
                .apply_provider_logout(&corp(), mark, Some(&keys::random()), ended_at, at(600))
                .await
                .unwrap();
            // An older mark that arrives late takes nothing back.
            store
                .apply_provider_logout(&corp(), mark, Some(&keys::random()), at(1), at(2))
                .await
                .unwrap();
            let during = new_session(&account, ended_at);
            assert_eq!(
                store.mint(&during).await.unwrap(),
                MintOutcome::LoggedOut,
                "{name} {mark:?}"
            );
            let after = new_session(&account, ended_at.plus(Duration::from_secs(1)));
            assert_eq!(
                store.mint(&after).await.unwrap(),
                MintOutcome::Session,
                "{name} {mark:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_anybody_can_say_is_noted_once_and_for_a_while() {
    for Backend { name, store, .. } in backends().await {
        let (corp, account) = (corp(), admit(&*store, &admission("zhangsan")).await);
        let sid = LogoutTarget::Session("sid at the provider".to_owned());
        let said = store.apply_provider_logout(&corp, &sid, None, at(10), at(600));
        assert_eq!(said.await.unwrap(), Some(Vec::new()), "{name}");
        assert_eq!(
            store.revocations_after(0, 9).await.unwrap().entries,
            [],
            "{name}"
        );
        // A login that was under way then mints nothing; one that began later does.
        let new = new_session(&account, at(5));
        assert_eq!(
            store.mint(&new).await.unwrap(),
            MintOutcome::LoggedOut,
            "{name}"
        );
        let said = store.apply_provider_logout(&corp, &sid, None, at(11), at(601));
        said.await.unwrap();
        assert_eq!(
            store.delete_expired(at(700), at(0), 9).await.unwrap(),
            1,
            "{name}"
        );
        // What is over at once is not noted.
        let said = store.apply_provider_logout(&corp, &sid, None, at(10), at(10));
        assert_eq!(said.await.unwrap(), Some(Vec::new()), "{name}");
        assert_eq!(
            store.mint(&new).await.unwrap(),
            MintOutcome::Session,
            "{name}"
        );
        let said = store.apply_provider_logout(&corp, &sid, None, at(10), at(600));
        assert_eq!(said.await.unwrap().unwrap().len(), 1, "{name}");
        assert!(!has_session(&*store, &new).await, "{name}");
    }
}

#[tokio::test]
async fn a_session_without_a_name_at_its_provider_ends_with_one_of_its_person() {
    for Backend { name, store, .. } in backends().await {
        let zhangsan = admit(&*store, &admission("zhangsan")).await;
        let named = |began: u64, sid: Option<&str>| {
            let mut new = new_session(&zhangsan, at(began));
            new.record.provider_sid = sid.map(str::to_owned);
            new
        };
        let (other, unnamed) = (named(5, Some("other")), named(5, None));
        for new in [&other, &unnamed] {
            assert_eq!(
                store.mint(new).await.unwrap(),
                MintOutcome::Session,
                "{name}"
            );
        }
        let of = |subject: &str| LogoutTarget::SessionAndSubject {
            sid: "one".to_owned(),
            subject: subject.parse().unwrap(),
        };
        let end = async |connector: &ConnectorId, mark: &LogoutTarget| {
            let message_id = menshen::keys::random();
            let said =
                store.apply_provider_logout(connector, mark, Some(&message_id), at(10), at(600));
            said.await.unwrap().unwrap().len()
        };
        assert_eq!(end(&corp(), &of("subject:lisi")).await, 0, "{name}");
        assert_eq!(end(&github(), &of("subject:zhangsan")).await, 0, "{name}");
        assert!(has_session(&*store, &unnamed).await, "{name}");
        assert_eq!(end(&corp(), &of("subject:zhangsan")).await, 1, "{name}");
        assert!(!has_session(&*store, &unnamed).await, "{name}");
        assert!(has_session(&*store, &other).await, "{name}");
        // Logins that were under way.
        for (new, minted) in [
            (named(9, None), MintOutcome::LoggedOut),
            (named(9, Some("one")), MintOutcome::LoggedOut),
            (named(9, Some("another")), MintOutcome::Session),
            (named(11, None), MintOutcome::Session),
        ] {
            assert_eq!(store.mint(&new).await.unwrap(), minted, "{name}");
        }
    }
}

#[tokio::test]
async fn a_logout_of_somebody_else_ends_nothing() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let sid = LogoutTarget::Session("another sid".to_owned());
        let subject = LogoutTarget::Subject("subject:lisi".parse().unwrap());
        let elsewhere = LogoutTarget::Subject("subject:zhangsan".parse().unwrap());
        // The name of a session is not the name of a person, and the other way round.
        let swapped = LogoutTarget::Subject("sid at the provider".parse().unwrap());
        store
            .apply_provider_logout(&corp(), &sid, None, at(10), at(600))
            .await
            .unwrap();
        store
            .apply_provider_logout(&corp(), &subject, None, at(10), at(600))
            .await
            .unwrap();
        store
            .apply_provider_logout(&corp(), &swapped, None, at(10), at(600))
            .await
            .unwrap();
        store
            .apply_provider_logout(&github(), &elsewhere, None, at(10), at(600))
            .await
            .unwrap();
        let new = new_session(&account, at(5));
        assert_eq!(
            store.mint(&new).await.unwrap(),
            MintOutcome::Session,
            "{name}"
        );
        let mut without_sid = new_session(&account, at(5));
        without_sid.record.provider_sid = None;
        assert_eq!(
            store.mint(&without_sid).await.unwrap(),
            MintOutcome::Session,
            "{name}"
        );
    }
}

#[tokio::test]
async fn touch_passes_over_those_who_are_gone_and_never_goes_back() {
    for Backend { name, store, .. } in backends().await {
        let (_, here) = somebody(&*store, "zhangsan").await;
        let gone = SessionKey::new(keys::random());
        store.touch(&[]).await.unwrap();
        store
            .touch(&[(gone, at(60)), (here.record.key, at(60))])
            .await
            .unwrap();
        store.touch(&[(here.record.key, at(30))]).await.unwrap();
        let found = store.session(&here.record.key).await.unwrap().unwrap();
        assert_eq!(found.session.used_at, at(60), "{name}");
        assert_eq!(store.session(&gone).await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn sessions_are_listed_newest_first_and_at_most_so_many() {
    for Backend { name, store, .. } in backends().await {
        let (account, oldest) = somebody(&*store, "zhangsan").await;
        let (_, other) = somebody(&*store, "lisi").await;
        let newest = new_session(&account, at(100));
        let middle = new_session(&account, at(50));
        store.mint(&newest).await.unwrap();
        store.mint(&middle).await.unwrap();
        let mine = store
            .sessions(&SessionsQuery {
                account: Some(account.id),
                max: 10,
                ..Default::default()
            })
            .await
            .unwrap();
        let sorted = [&newest, &middle, &oldest].map(|new| new.record.clone());
        let records = |listed: Vec<ListedSession>| {
            let listed = listed.into_iter();
            listed.map(|one| one.session).collect::<Vec<_>>()
        };
        assert_eq!(records(mine), sorted, "{name}");
        let query = SessionsQuery {
            account: Some(account.id),
            max: 2,
            ..Default::default()
        };
        let two = store.sessions(&query).await.unwrap();
        assert_eq!(records(two), sorted[..2], "{name}");
        let all = store
            .sessions(&SessionsQuery {
                max: 10,
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(all.len(), 4, "{name}");
        assert!(records(all).contains(&other.record), "{name}");
    }
}

#[tokio::test]
async fn what_a_provider_ends_is_gone_and_in_the_log_and_nothing_else_is() {
    for Backend { name, store, .. } in backends().await {
        let zhangsan = admit(&*store, &admission("zhangsan")).await;
        let lisi = admit(&*store, &admission("lisi")).await;
        let mint = async |account: &Account, who: &str, sid: &str, began: u64| {
            let mut new = new_session(account, at(began));
            new.record.key = SessionKey::new(menshen::keys::random());
            new.record.public_id = SessionId::new(menshen::keys::random());
            new.record.subject = format!("subject:{who}").parse().unwrap();
            new.record.provider_sid = Some(sid.to_owned());
            assert_eq!(
                store.mint(&new).await.unwrap(),
                MintOutcome::Session,
                "{name}"
            );
            new.record.key
        };
        let here = async |key: &SessionKey| store.session(key).await.unwrap().is_some();
        let (first, second) = (
            mint(&zhangsan, "zhangsan", "one", 0).await,
            mint(&zhangsan, "zhangsan", "two", 0).await,
        );
        let other = mint(&lisi, "lisi", "three", 0).await;

        let sid = LogoutTarget::Session("one".to_owned());
        let elsewhere = store
            .apply_provider_logout(&github(), &sid, None, at(10), at(600))
            .await;
        assert_eq!(elsewhere.unwrap(), Some(Vec::new()), "{name}");
        let ended = store
            .apply_provider_logout(&corp(), &sid, Some(&[7; 32]), at(10), at(600))
            .await
            .unwrap()
            .unwrap();
        let scopes: Vec<_> = ended.iter().map(|entry| entry.scope.clone()).collect();
        assert_eq!(scopes, [RevocationScope::Session(first)], "{name}");
        assert_eq!(
            store.revocations_after(0, 9).await.unwrap().entries,
            ended,
            "{name}"
        );
        assert!(
            !here(&first).await && here(&second).await && here(&other).await,
            "{name}"
        );

        // The same logout message again does nothing: they may have come back meanwhile.
        let back = mint(&zhangsan, "zhangsan", "one", 11).await;
        let again = store
            .apply_provider_logout(&corp(), &sid, Some(&[7; 32]), at(10), at(600))
            .await;
        assert_eq!(again.unwrap(), None, "{name}");
        assert!(here(&back).await, "{name}");

        let subject = LogoutTarget::Subject("subject:zhangsan".parse().unwrap());
        let ended = store
            .apply_provider_logout(&corp(), &subject, None, at(20), at(600))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(ended.len(), 2, "{name}");
        assert!(
            !here(&second).await && !here(&back).await && here(&other).await,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_listed_session_has_its_person_and_its_origin() {
    for Backend { name, store, .. } in backends().await {
        let (account, plain) = somebody(&*store, "zhangsan").await;
        let origin = SessionOrigin {
            address: Some("2001:db8::7".parse().unwrap()),
            user_agent: Some("Mozilla/5.0 (手机)".to_owned()),
        };
        let known = NewSession {
            origin: origin.clone(),
            ..new_session(&account, at(100))
        };
        store.mint(&known).await.unwrap();
        let list = async |account, connector: Option<ConnectorId>| {
            let query = SessionsQuery {
                account,
                connector,
                max: 10,
            };
            store.sessions(&query).await.unwrap()
        };
        let listed = list(None, None).await;
        let origins: Vec<_> = listed.iter().map(|one| one.origin.clone()).collect();
        assert_eq!(origins, [origin, SessionOrigin::default()], "{name}");
        assert!(listed.iter().all(|one| one.login.as_str() == "zhangsan"));
        assert_eq!(listed[1].session, plain.record, "{name}");
        let (id, other) = (Some(account.id), Some(AccountId::new([9; 16])));
        for (account, connector, expected) in [
            (id, None, 2),
            (None, Some(corp()), 2),
            (id, Some(corp()), 2),
            (other, None, 0),
            (None, Some(github()), 0),
            (id, Some(github()), 0),
            (other, Some(corp()), 0),
        ] {
            let found = list(account, connector.clone()).await.len();
            assert_eq!(found, expected, "{name}: {account:?} {connector:?}");
        }
    }
}
