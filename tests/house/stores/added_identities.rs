//! Identities that are added to an account, by its person or by an import.

use menshen::store::{
    AccountChangeKind, ExpectOutcome, ImportedPerson, PersonEdit, RevocationScope,
};

use super::directory_import::{import, imported};
use super::*;

/// A login of octocat, who is added to an account and gets none of their own.
fn octocat(login: &str) -> Admission {
    Admission {
        connector: github(),
        subject: "subject:octocat".parse().unwrap(),
        create: false,
        ..admission(login)
    }
}

#[tokio::test]
async fn an_identity_that_is_added_never_sets_a_login_name_chosen_by_hand() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let edit = PersonEdit {
            login: Some("zhang.san".parse().unwrap()),
            ..PersonEdit::default()
        };
        let renamed = store.edit_person(&account.id, &edit, "hr", at(1));
        renamed.await.unwrap();
        let expected = ImportedPerson {
            expected: Some((github(), Some("subject:octocat".parse().unwrap()))),
            ..imported("zhang.san")
        };
        import(&*store, &[expected]).await;
        // The mapped login name is the chosen one at first, and another one later.
        for login in ["zhang.san", "octocat"] {
            let found = admit(&*store, &octocat(login)).await;
            assert_eq!(found.id, account.id, "{name}: {login}");
            assert_eq!(found.login.as_str(), "zhang.san", "{name}: {login}");
        }
        // The first identity of an imported person sets the login name.
        let expected = ImportedPerson {
            expected: Some((corp(), None)),
            ..imported("lisi")
        };
        import(&*store, &[expected]).await;
        let first = admit(&*store, &admission("lisi")).await;
        let renamed = Admission {
            login: "li.si".parse().unwrap(),
            ..admission("lisi")
        };
        let again = admit(&*store, &renamed).await;
        assert_eq!((again.id, again.login.as_str()), (first.id, "li.si"));
    }
}

#[tokio::test]
async fn only_a_standing_session_of_an_open_account_adds_an_identity() {
    for Backend { name, store, .. } in backends().await {
        let expect = async |session: &SessionKey, at| {
            let (github, subject) = (github(), octocat("x").subject);
            let identity = (&github, &subject);
            let expected = store.expect_identity(session, identity, "zhangsan", at);
            expected.await.unwrap()
        };
        let (account, ended) = somebody(&*store, "zhangsan").await;
        let (standing, revoked) = (new_session(&account, at(0)), new_session(&account, at(0)));
        for new in [&standing, &revoked] {
            assert_eq!(store.mint(new).await.unwrap(), MintOutcome::Session);
        }
        let key = ended.record.key;
        store
            .revoke(&RevocationScope::Session(key), at(1))
            .await
            .unwrap();
        let (standing, revoked) = (standing.record.key, revoked.record.key);
        let unknown = SessionKey::new(keys::random());
        let refused = ExpectOutcome::SessionEnded;
        for (session, at) in [(key, at(2)), (unknown, at(2)), (revoked, at(12 * 3600))] {
            assert_eq!(expect(&session, at).await, refused, "{name}");
        }
        // The account of a standing session is closed, or all its sessions ended.
        let (other, of_other) = somebody(&*store, "wang").await;
        let left = closing("left");
        let closed = store.close_account(&other.id, &left, at(3));
        closed.await.unwrap();
        assert_eq!(expect(&of_other.record.key, at(4)).await, refused, "{name}");
        let refused_login = store.admit(&octocat("x")).await.unwrap();
        assert_eq!(refused_login, AdmissionOutcome::Unknown, "{name}");
        let accepted = ExpectOutcome::Expected;
        assert_eq!(expect(&standing, at(5)).await, accepted, "{name}");
        assert_eq!(admit(&*store, &octocat("x")).await.id, account.id, "{name}");
        let everywhere = RevocationScope::Account(account.id);
        store.revoke(&everywhere, at(6)).await.unwrap();
        assert_eq!(expect(&revoked, at(7)).await, refused, "{name}");
    }
}

/// The identities of an account: known, gone and expected.
async fn identities_of(store: &dyn Store, account: &Account) -> Vec<ConnectorId> {
    let records = store.identity_records(&account.id).await.unwrap();
    records.into_iter().map(|record| record.connector).collect()
}

#[tokio::test]
async fn an_identity_is_taken_off_its_account_with_its_sessions() {
    for Backend { name, store, .. } in backends().await {
        let (account, standing) = somebody(&*store, "zhangsan").await;
        let (other, of_other) = somebody(&*store, "wang").await;
        let remove = async |account: &Account, connector: ConnectorId, subject: &str, at| {
            let subject = subject.parse().unwrap();
            let removed = store.remove_identity(&account.id, (&connector, &subject), "hr", at);
            removed.await.unwrap()
        };
        let (github, of_octocat) = (github(), octocat("x").subject);
        let identity = (&github, &of_octocat);
        let expected = store.expect_identity(&standing.record.key, identity, "zhangsan", at(1));
        assert_eq!(expected.await.unwrap(), ExpectOutcome::Expected, "{name}");
        // Identities of another account stay.
        let nothing = remove(&other, github.clone(), "subject:octocat", at(2)).await;
        assert_eq!(nothing, None, "{name}");
        let nothing = remove(&account, corp(), "subject:wang", at(2)).await;
        assert_eq!(nothing, None, "{name}");
        // One that is expected.
        let entries = remove(&account, github.clone(), "subject:octocat", at(2)).await;
        assert_eq!(entries, Some(Vec::new()), "{name}");
        let refused = store.admit(&octocat("x")).await.unwrap();
        assert_eq!(refused, AdmissionOutcome::Unknown, "{name}");
        assert!(has_session(&*store, &standing).await, "{name}");
        // One that is known.
        let entries = remove(&account, corp(), "subject:zhangsan", at(3)).await;
        let scopes: Vec<_> = entries.unwrap().into_iter().map(|it| it.scope).collect();
        let ended = RevocationScope::Session(standing.record.key);
        assert_eq!(scopes, [ended], "{name}");
        assert!(!has_session(&*store, &standing).await, "{name}");
        assert!(has_session(&*store, &of_other).await, "{name}");
        assert_eq!(identities_of(&*store, &account).await, [], "{name}");
        let changes = store.account_changes(&account.id, None, 1).await.unwrap();
        let last = (changes[0].kind, changes[0].detail.as_str());
        let expected = (AccountChangeKind::IdentityRemoved, "corp: subject:zhangsan");
        assert_eq!(last, expected, "{name}");
        // A login that began before gets no session.
        let late = store.mint(&new_session(&account, at(2))).await.unwrap();
        assert_eq!(late, MintOutcome::Revoked, "{name}");
        let again = remove(&account, corp(), "subject:zhangsan", at(4)).await;
        assert_eq!(again, None, "{name}");
    }
}

#[tokio::test]
async fn an_identity_that_was_taken_off_does_not_come_back_and_is_new_for_the_next_person() {
    for Backend { name, store, .. } in backends().await {
        let first = admit(&*store, &admission("zhangsan")).await;
        let subject = admission("zhangsan").subject;
        for group in ["a", "b", "c"] {
            let changed = Admission {
                entitlements: format!("[{group:?}]"),
                ..admission("zhangsan")
            };
            admit(&*store, &changed).await;
        }
        let epoch_of = async |account: &Account, began| {
            let mut new = new_session(account, began);
            new.record.subject = subject.clone();
            assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
            let found = store.session(&new.record.key).await.unwrap();
            found.unwrap().entitlements_epoch
        };
        let cached = epoch_of(&first, at(1)).await;
        let left = Closing {
            gone: Some((corp(), subject.clone())),
            ..closing("left")
        };
        store.close_account(&first.id, &left, at(2)).await.unwrap();
        let corp = corp();
        let removed = store.remove_identity(&first.id, (&corp, &subject), "hr", at(3));
        assert!(removed.await.unwrap().is_some(), "{name}");
        let reopened = store.reopen_account(&first.id, "hr", at(4)).await;
        assert_eq!(reopened.unwrap().unwrap().taken, [], "{name}");
        assert_eq!(identities_of(&*store, &first).await, [], "{name}");
        // Entitlements of the first person that a process has cached never count as newer.
        let next = Admission {
            login: "lisi".parse().unwrap(),
            at: at(5),
            ..admission("zhangsan")
        };
        let second = admit(&*store, &next).await;
        assert_ne!(second.id, first.id, "{name}");
        assert!(epoch_of(&second, at(6)).await > cached, "{name}");
    }
}

#[tokio::test]
async fn to_take_off_a_former_identity_ends_nothing_of_the_account_that_has_it_now() {
    for Backend { name, store, .. } in backends().await {
        let first = admit(&*store, &admission("zhangsan")).await;
        let (corp, subject) = (corp(), admission("zhangsan").subject);
        let left = Closing {
            gone: Some((corp.clone(), subject.clone())),
            ..closing("left")
        };
        store.close_account(&first.id, &left, at(1)).await.unwrap();
        let next = Admission {
            login: "lisi".parse().unwrap(),
            at: at(2),
            ..admission("zhangsan")
        };
        let second = admit(&*store, &next).await;
        let mut session = new_session(&second, at(3));
        session.record.subject = subject.clone();
        let minted = store.mint(&session).await.unwrap();
        assert_eq!(minted, MintOutcome::Session, "{name}");
        let removed = store.remove_identity(&first.id, (&corp, &subject), "hr", at(4));
        assert_eq!(removed.await.unwrap(), Some(Vec::new()), "{name}");
        assert!(has_session(&*store, &session).await, "{name}");
        assert_eq!(identities_of(&*store, &second).await, [corp], "{name}");
        assert_eq!(identities_of(&*store, &first).await, [], "{name}");
    }
}
