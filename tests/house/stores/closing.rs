//! Closing and reopening accounts: who did it and why, and identities that their source no longer has.

use menshen::store::{AccountChangeKind, PersonEdit};

use super::*;

fn gone(subject: &str) -> Closing {
    Closing {
        by: "wecom events".to_owned(),
        reason: "deleted at WeCom".to_owned(),
        gone: Some((corp(), subject.parse().unwrap())),
        by_sync_of: None,
    }
}

#[tokio::test]
async fn the_history_says_who_closed_and_reopened_an_account() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let other = admit(&*store, &admission("lisi")).await;
        let before = store.account_changes(&account.id, None, 100).await.unwrap();
        for (reason, seconds) in [("left", 1), ("left again", 2)] {
            let closed = store
                .close_account(&account.id, &closing(reason), at(seconds))
                .await;
            closed.unwrap().unwrap();
        }
        let reopened = store.reopen_account(&account.id, "hr", at(3)).await;
        assert_eq!(reopened.unwrap().unwrap().taken, [], "{name}");
        // Reopening an open account changes nothing.
        store
            .reopen_account(&account.id, "hr", at(4))
            .await
            .unwrap();

        let changes = store.account_changes(&account.id, None, 100).await.unwrap();
        let new = &changes[..changes.len() - before.len()];
        let said: Vec<_> = new
            .iter()
            .map(|change| (change.kind, change.by.as_str(), change.detail.as_str()))
            .collect();
        let expected = [
            (AccountChangeKind::Reopened, "hr", ""),
            (AccountChangeKind::Closed, "boss", "left"),
        ];
        assert_eq!(said, expected, "{name}");
        assert_eq!((new[0].at, new[1].at), (at(3), at(1)), "{name}");
        let older = store.account_changes(&account.id, Some(new[0].number), 1);
        assert_eq!(older.await.unwrap(), [new[1].clone()], "{name}");
        let others = store.account_changes(&other.id, None, 100).await.unwrap();
        let is_closing = |kind| kind == AccountChangeKind::Closed;
        assert!(
            !others.iter().any(|change| is_closing(change.kind)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_subject_that_was_gone_and_returns_is_somebody_else() {
    for Backend { name, store, .. } in backends().await {
        let (first, session) = somebody(&*store, "zhangsan").await;
        let closed = store
            .close_account(&first.id, &gone("subject:zhangsan"), at(1))
            .await;
        closed.unwrap().unwrap();
        assert!(!has_session(&*store, &session).await, "{name}");
        assert_eq!(store.identities(&first.id).await.unwrap(), [], "{name}");
        // Its login name stays taken: applications know the first person by it.
        let again = store.admit(&admission("zhangsan")).await.unwrap();
        let taken = AdmissionOutcome::LoginTaken { by: first.id };
        assert_eq!(again, taken, "{name}");
        // With a login name of its own it is a new account.
        let another = Admission {
            login: "zhangsan2".parse().unwrap(),
            entitlements: r#"{"groups":["new"]}"#.to_owned(),
            ..admission("zhangsan")
        };
        let second = admit(&*store, &another).await;
        assert_ne!(second.id, first.id, "{name}");
        assert!(!second.closed, "{name}");

        // An administrator reopens the first one: the subject stays with the second.
        let reopened = store.reopen_account(&first.id, "hr", at(2)).await;
        let taken = reopened.unwrap().unwrap().taken;
        assert_eq!(taken, [(corp(), another.subject.clone())], "{name}");
        assert_eq!(admit(&*store, &another).await.id, second.id, "{name}");
    }
}

#[tokio::test]
async fn reopening_restores_what_was_gone() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            entitlements: r#"{"groups":["a"]}"#.to_owned(),
            ..admission("zhangsan")
        };
        let first = admit(&*store, &known).await;
        let mut last_epoch = None;
        for round in 0..2 {
            let closed = store
                .close_account(&first.id, &gone("subject:zhangsan"), at(1))
                .await;
            closed.unwrap().unwrap();
            let reopened = store.reopen_account(&first.id, "hr", at(2)).await;
            assert_eq!(reopened.unwrap().unwrap().taken, [], "{name}");
            let account = admit(&*store, &known).await;
            assert_eq!(account.id, first.id, "{name}");
            // Entitlements that are cached for the subject never count as newer.
            let new = new_session(&account, at(10 + round));
            assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
            let found = store.session(&new.record.key).await.unwrap().unwrap();
            assert!(Some(found.entitlements_epoch) > last_epoch, "{name}");
            last_epoch = Some(found.entitlements_epoch);
            assert_eq!(found.entitlements, known.entitlements, "{name}");
        }
    }
}

#[tokio::test]
async fn a_login_given_by_hand_to_a_closed_account_stays_when_it_is_reopened() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let closing = gone("subject:zhangsan");
        let closed = store.close_account(&account.id, &closing, at(1)).await;
        closed.unwrap().unwrap();
        let renamed = PersonEdit {
            login: Some("zhang.san".parse().unwrap()),
            ..PersonEdit::default()
        };
        let edited = store.edit_person(&account.id, &renamed, "hr", at(2)).await;
        edited.unwrap();
        let reopened = store.reopen_account(&account.id, "hr", at(3)).await;
        reopened.unwrap().unwrap();
        let next = admit(&*store, &admission("zhangsan")).await;
        assert_eq!(next.login.as_str(), "zhang.san", "{name}");
    }
}

#[tokio::test]
async fn only_an_identity_of_the_closed_account_is_detached() {
    for Backend { name, store, .. } in backends().await {
        let zhang = admit(&*store, &admission("zhangsan")).await;
        let (li, session) = somebody(&*store, "lisi").await;
        for subject in ["subject:lisi", "subject:nobody"] {
            let closed = store.close_account(&zhang.id, &gone(subject), at(1)).await;
            closed.unwrap().unwrap();
        }
        assert!(has_session(&*store, &session).await, "{name}");
        assert_eq!(admit(&*store, &admission("lisi")).await.id, li.id, "{name}");
        let own = store.identities(&zhang.id).await.unwrap();
        assert_eq!(own.len(), 1, "{name}");
        let own = store.account_by_identity(&corp(), &own[0].1).await.unwrap();
        assert_eq!(
            own.map(|account| (account.id, account.closed)),
            Some((zhang.id, true))
        );
    }
}

#[tokio::test]
async fn nobody_is_reopened_who_does_not_exist() {
    for Backend { name, store, .. } in backends().await {
        let nobody = menshen::store::AccountId::new([7; 16]);
        let reopened = store.reopen_account(&nobody, "hr", at(1)).await.unwrap();
        assert_eq!(reopened, None, "{name}");
        let subject = "subject:nobody".parse().unwrap();
        let found = store.account_by_identity(&corp(), &subject).await.unwrap();
        assert_eq!(found, None, "{name}");
    }
}

#[tokio::test]
async fn a_subject_that_another_account_expects_stays_with_that_account() {
    for Backend { name, store, .. } in backends().await {
        let first = admit(&*store, &admission("zhangsan")).await;
        let second = admit(&*store, &elsewhere("lisi")).await;
        let left = gone("subject:zhangsan");
        let closed = store.close_account(&first.id, &left, at(1));
        closed.await.unwrap().unwrap();
        // The source gave the subject to lisi, who has not signed in with it yet.
        let subject: menshen::store::Subject = "subject:zhangsan".parse().unwrap();
        let expected = menshen::store::ImportedPerson {
            login: "lisi".parse().unwrap(),
            name: None,
            email: None,
            mobile: None,
            vouched: Vec::new(),
            expected: Some((corp(), Some(subject.clone()))),
        };
        let people = [expected];
        let imported = store.import_people(&people, "hr", at(2));
        imported.await.unwrap();
        let reopened = store.reopen_account(&first.id, "hr", at(3)).await;
        let taken = reopened.unwrap().unwrap().taken;
        assert_eq!(taken, [(corp(), subject)], "{name}");
        let login = admit(&*store, &admission("zhangsan")).await;
        assert_eq!(login.id, second.id, "{name}");
        // Whom the account itself expects is no reason to keep the identity from it.
        let third = admit(&*store, &admission("wang")).await;
        let left = gone("subject:wang");
        let closed = store.close_account(&third.id, &left, at(4));
        closed.await.unwrap().unwrap();
        let reopened = store.reopen_account(&third.id, "hr", at(5)).await;
        assert_eq!(reopened.unwrap().unwrap().taken, [], "{name}");
        assert_eq!(admit(&*store, &admission("wang")).await.id, third.id);
    }
}

/// A first login through another source.
fn elsewhere(login: &str) -> Admission {
    Admission {
        connector: github(),
        ..admission(login)
    }
}
