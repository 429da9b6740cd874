//! What a directory sync reads and writes.

use menshen::store::{
    Admission, AdmissionOutcome, AdmittedIdentity, Department, PeopleQuery, SourceIdentity,
};

use super::*;

/// The admission of a person whom a source lists.
fn listed(login: &str) -> Admission {
    Admission {
        is_login: false,
        ..admission(login)
    }
}

fn by_sync(reason: &str) -> Closing {
    Closing {
        by_sync_of: Some(corp()),
        ..closing(reason)
    }
}

async fn identity(store: &dyn Store, login: &str) -> Option<SourceIdentity> {
    let subject = format!("subject:{login}").parse().unwrap();
    store.source_identity(&corp(), &subject).await.unwrap()
}

#[tokio::test]
async fn many_people_are_admitted_at_once_and_a_refusal_changes_nothing() {
    for Backend { name, store, .. } in backends().await {
        let known = admit(&*store, &admission("zhangsan")).await;
        let closed = admit(&*store, &admission("closed")).await;
        let left = closing("left");
        let done = store.close_account(&closed.id, &left, at(1));
        done.await.unwrap();
        let elsewhere = Admission {
            connector: github(),
            ..admission("taken")
        };
        let owner = admit(&*store, &elsewhere).await;
        let people = [
            listed("lisi"),
            listed("zhangsan"),
            listed("closed"),
            listed("taken"),
            Admission {
                create: false,
                ..listed("nobody")
            },
            listed("wangfang"),
        ];
        let outcomes = store.admit_listed(&people).await.unwrap();
        assert!(
            matches!(&outcomes[0], AdmissionOutcome::Account(one) if one.account.login.as_str() == "lisi"),
            "{name}"
        );
        let expected = [
            AdmissionOutcome::Account(AdmittedIdentity {
                account: known.clone(),
                entitlements_epoch: u64::try_from(at(0).unix_ms()).unwrap(),
            }),
            AdmissionOutcome::Closed(closed.id),
            AdmissionOutcome::LoginTaken { by: owner.id },
            AdmissionOutcome::Unknown,
        ];
        assert_eq!(outcomes[1..5], expected, "{name}");
        assert!(matches!(&outcomes[5], AdmissionOutcome::Account(_)));
        let query = PeopleQuery {
            max: 10,
            ..PeopleQuery::default()
        };
        let people = store.people(&query).await.unwrap();
        let logins: Vec<_> = people.iter().map(|one| one.login.as_str()).collect();
        let expected = ["closed", "lisi", "taken", "wangfang", "zhangsan"];
        assert_eq!(logins, expected, "{name}");
        let li = people.iter().find(|one| one.login.as_str() == "lisi");
        assert_eq!(li.unwrap().seen_at, None, "{name}: never signed in");
    }
}

#[tokio::test]
async fn a_refused_expectation_is_still_expected() {
    for Backend { name, store, .. } in backends().await {
        let expected = menshen::store::ImportedPerson {
            login: "lisi".parse().unwrap(),
            name: None,
            email: None,
            mobile: None,
            vouched: Vec::new(),
            expected: Some((corp(), None)),
        };
        let people = [expected];
        let imported = store.import_people(&people, "boss", at(0));
        imported.await.unwrap();
        let login = "lisi".parse().unwrap();
        let account = store.account_by_login(&login).await.unwrap().unwrap();
        let left = closing("left");
        let closed = store.close_account(&account.id, &left, at(1));
        closed.await.unwrap();
        let refused = [AdmissionOutcome::Closed(account.id)];
        let people = [listed("lisi")];
        assert_eq!(
            store.admit_listed(&people).await.unwrap(),
            refused,
            "{name}"
        );
        let reopened = store.reopen_account(&account.id, "boss", at(2));
        reopened.await.unwrap();
        let admitted = store.admit_listed(&people).await.unwrap();
        assert!(
            matches!(&admitted[..], [AdmissionOutcome::Account(one)] if one.account.id == account.id),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_listing_is_no_use_of_an_identity() {
    for Backend { name, store, .. } in backends().await {
        store.admit_listed(&[listed("lisi")]).await.unwrap();
        let login = "lisi".parse().unwrap();
        let account = store.account_by_login(&login).await.unwrap().unwrap();
        let other = Admission {
            connector: github(),
            links: mobile("1"),
            vouched: mobile("1"),
            ..admission("lisi")
        };
        // Only a vouched field links.
        let vouched = Admission {
            vouched: mobile("1"),
            ..listed("lisi")
        };
        store.admit_listed(&[vouched]).await.unwrap();
        assert_eq!(admit(&*store, &other).await.id, account.id, "{name}");
        let used: Vec<_> = store.identities(&account.id).await.unwrap();
        assert_eq!(used[0].0, github(), "{name}: the only one that was used");
        // A new value replaces the old one, and a listing without it does not.
        let moved = Admission {
            vouched: mobile("2"),
            ..listed("lisi")
        };
        for listed in [moved, listed("lisi")] {
            store.admit_listed(&[listed]).await.unwrap();
        }
        let by = |number| Admission {
            links: mobile(number),
            create: false,
            connector: "third".parse().unwrap(),
            ..admission("somebody")
        };
        let linked = store.admit(&by("2")).await.unwrap();
        assert!(
            matches!(linked, AdmissionOutcome::Account(found) if found.account.id == account.id)
        );
    }
}

#[tokio::test]
async fn the_people_of_a_connector_are_read_in_pages() {
    for Backend { name, store, .. } in backends().await {
        for login in ["c", "a", "b"] {
            admit(&*store, &admission(login)).await;
        }
        let elsewhere = Admission {
            connector: github(),
            ..admission("d")
        };
        admit(&*store, &elsewhere).await;
        let first = store.source_identities(&corp(), None, 2).await.unwrap();
        let subjects: Vec<_> = first.iter().map(|one| one.subject.as_str()).collect();
        assert_eq!(subjects, ["subject:a", "subject:b"], "{name}");
        let after = Some(&first[1].subject);
        let rest = store.source_identities(&corp(), after, 2).await.unwrap();
        assert_eq!(rest.len(), 1, "{name}");
        assert_eq!(rest[0].login.as_str(), "c");
        assert!(rest[0].sets_login && !rest[0].closed && rest[0].fields == "{}");
        assert_eq!(identity(&*store, "c").await.as_ref(), rest.first());
        assert_eq!(identity(&*store, "d").await, None, "{name}");
    }
}

#[tokio::test]
async fn only_a_closing_by_the_same_sync_is_undone() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("lisi")).await;
        let close = async |closing: Closing, second| {
            let closed = store.close_account(&account.id, &closing, at(second));
            closed.await.unwrap().unwrap();
        };
        let reopens = async |connector| {
            let reopened = store.reopen_after_sync(&account.id, &connector, "sync", at(9));
            reopened.await.unwrap().is_some()
        };
        let is_marked = async || identity(&*store, "lisi").await.unwrap().closed_by_sync;
        assert!(!reopens(corp()).await, "{name}: it is open");
        close(by_sync("inactive"), 1).await;
        assert!(is_marked().await, "{name}");
        assert!(!reopens(github()).await, "{name}");
        assert!(reopens(corp()).await, "{name}");
        let person = store.person(&account.id).await.unwrap().unwrap();
        assert!(!person.closed && person.closed_reason.is_none(), "{name}");
        close(by_sync("inactive"), 2).await;
        close(closing("stole"), 3).await;
        assert!(!is_marked().await, "{name}");
        assert!(!reopens(corp()).await, "{name}");
        let person = store.person(&account.id).await.unwrap().unwrap();
        assert_eq!(person.closed_reason.as_deref(), Some("stole"), "{name}");
        // A sync does not take over what somebody else closed.
        close(by_sync("inactive"), 4).await;
        assert!(!is_marked().await && !reopens(corp()).await, "{name}");
        let reopened = store.reopen_account(&account.id, "boss", at(5));
        reopened.await.unwrap();
        close(closing("left"), 6).await;
        assert!(!is_marked().await, "{name}");
    }
}

#[tokio::test]
async fn departments_are_changed_and_removed_one_by_one() {
    for Backend { name, store, .. } in backends().await {
        let department = |id: &str, name: &str| Department {
            id: id.to_owned(),
            name: name.to_owned(),
            parent: None,
        };
        let both = [department("1", "公司"), department("2", "研发")];
        let change = async |changed: &[Department], removed: &[&str]| {
            let removed: Vec<_> = removed.iter().map(|id| (*id).to_owned()).collect();
            let connector = corp();
            let changes = store.change_departments(&connector, changed, &removed);
            changes.await.unwrap()
        };
        assert_eq!(change(&both, &[]).await, 2, "{name}");
        assert_eq!(change(&both, &["9"]).await, 0, "{name}");
        let renamed = [department("2", "研发中心")];
        assert_eq!(change(&renamed, &["1"]).await, 2, "{name}");
        let all = store.departments(&corp(), None, 10).await.unwrap();
        assert_eq!(all, renamed, "{name}");
    }
}
