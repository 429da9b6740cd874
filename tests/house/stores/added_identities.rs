//! Identities that are added to an account, by its person or by an import.

use menshen::store::{ExpectOutcome, ImportedPerson, PersonEdit, RevocationScope};

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
