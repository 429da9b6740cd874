//! A source gives the same person another subject: account, sessions and verified fields stay.

use menshen::store::{AccountChangeKind, RevocationScope, SubjectRename, SubjectRenameOutcome};

use super::*;

fn rename(from: &str, to: &str) -> SubjectRename {
    SubjectRename {
        connector: corp(),
        from: format!("subject:{from}").parse().unwrap(),
        to: format!("subject:{to}").parse().unwrap(),
        by: "wecom events".to_owned(),
    }
}

#[tokio::test]
async fn account_and_sessions_keep_their_person() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("1"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        let new = new_session(&account, at(0));
        assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
        let before = store.epochs().await.unwrap().log_position.number;

        let renamed = store
            .rename_subject(&rename("zhangsan", "zhang.san"), at(1))
            .await;
        let SubjectRenameOutcome::Renamed {
            account: same,
            log_position: log,
        } = renamed.unwrap()
        else {
            panic!("{name}: not renamed");
        };
        assert_eq!(same, account, "{name}");
        // The log says that the account changed, and revokes nothing.
        assert_eq!(log.scope, RevocationScope::Account(account.id), "{name}");
        assert_eq!(log.epoch, account.epoch, "{name}");
        let page = store.revocations_after(before, 10).await.unwrap();
        assert_eq!(page.entries, [log], "{name}");

        let found = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(
            found.session.subject.as_str(),
            "subject:zhang.san",
            "{name}"
        );
        let now = Admission {
            subject: "subject:zhang.san".parse().unwrap(),
            ..known.clone()
        };
        assert_eq!(admit(&*store, &now).await.id, account.id, "{name}");
        let linked = Admission {
            connector: github(),
            links: mobile("1"),
            create: false,
            ..admission("zs")
        };
        assert_eq!(admit(&*store, &linked).await.id, account.id, "{name}");
        // The old subject is nobody's.
        let old = store.account_by_identity(&corp(), &known.subject).await;
        assert_eq!(old.unwrap(), None, "{name}");
        let changes = store.account_changes(&account.id, None, 10).await.unwrap();
        let renamed = changes
            .iter()
            .find(|change| change.kind == AccountChangeKind::SubjectRenamed)
            .unwrap();
        assert_eq!(renamed.by, "wecom events", "{name}");
    }
}

#[tokio::test]
async fn a_subject_of_another_account_is_not_taken_over() {
    for Backend { name, store, .. } in backends().await {
        let (_, zhang) = somebody(&*store, "zhangsan").await;
        let (li, _) = somebody(&*store, "lisi").await;
        let outcome = store
            .rename_subject(&rename("zhangsan", "lisi"), at(1))
            .await;
        let taken = SubjectRenameOutcome::Taken { by: li.id };
        assert_eq!(outcome.unwrap(), taken, "{name}");
        let found = store.session(&zhang.record.key).await.unwrap().unwrap();
        assert_eq!(found.session.subject, zhang.record.subject, "{name}");
        let unknown = store.rename_subject(&rename("nobody", "wang"), at(1)).await;
        assert_eq!(unknown.unwrap(), SubjectRenameOutcome::Unknown, "{name}");
    }
}

#[tokio::test]
async fn two_identities_of_one_account_become_one() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("1"),
            ..admission("zhangsan")
        };
        let (account, new) = {
            let account = admit(&*store, &known).await;
            let new = new_session(&account, at(0));
            store.mint(&new).await.unwrap();
            (account, new)
        };
        // The person signed in under the new subject before the rename was known.
        let early = Admission {
            subject: "subject:zhang.san".parse().unwrap(),
            links: mobile("1"),
            vouched: mobile("2"),
            ..admission("zhang.san")
        };
        assert_eq!(admit(&*store, &early).await.id, account.id, "{name}");
        let renamed = store
            .rename_subject(&rename("zhangsan", "zhang.san"), at(1))
            .await;
        let renamed = renamed.unwrap();
        assert!(
            matches!(renamed, SubjectRenameOutcome::Renamed { .. }),
            "{name}"
        );
        let identities = store.identities(&account.id).await.unwrap();
        assert_eq!(identities.len(), 1, "{name}");
        let found = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(found.session.subject, early.subject, "{name}");
        // The login name follows the identity that is left, as it followed the first one.
        assert_eq!(
            admit(&*store, &early).await.login.as_str(),
            "zhang.san",
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_login_that_the_rename_overtook_gets_no_session() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let new = new_session(&account, at(0));
        store
            .rename_subject(&rename("zhangsan", "zhang.san"), at(1))
            .await
            .unwrap();
        let minted = store.mint(&new).await.unwrap();
        assert_eq!(minted, MintOutcome::Revoked, "{name}");
    }
}
