//! What menshen itself gives a person: given with the account, and changed by administrators alone.

use menshen::store::{LocalEntitlements, PeopleQuery, PersonEdit, RevocationScope};

use super::*;

fn local(department: &str, groups: &[&str]) -> Arc<LocalEntitlements> {
    let groups = groups.iter().map(|group| group.to_string().try_into());
    Arc::new(LocalEntitlements {
        department: Some(department.to_owned().try_into().unwrap()),
        groups: groups.collect::<Result<_, _>>().unwrap(),
    })
}

fn joining(login: &str) -> Admission {
    Admission {
        join: Some(local("公司/外包", &["guests", "wiki"])),
        ..admission(login)
    }
}

async fn edit(store: &dyn Store, account: &Account, edit: &PersonEdit) -> bool {
    let before = store.epochs().await.unwrap().log_position.number;
    let edited = store.edit_person(&account.id, edit, "boss", at(5)).await;
    edited.unwrap();
    let page = store.revocations_after(before, 10).await.unwrap();
    let scopes: Vec<_> = page.entries.into_iter().map(|entry| entry.scope).collect();
    let scope = RevocationScope::Account(account.id);
    assert!(scopes.iter().all(|logged| *logged == scope) && scopes.len() < 2);
    !scopes.is_empty()
}

#[tokio::test]
async fn a_new_account_gets_them_and_later_logins_leave_them() {
    for Backend { name, store, .. } in backends().await {
        let expected = Some(local("公司/外包", &["guests", "wiki"]));
        let account = admit(&*store, &joining("zhangsan")).await;
        assert_eq!(account.local, expected, "{name}");
        let other = Admission {
            join: Some(local("别处", &["others"])),
            ..admission("zhangsan")
        };
        for later in [admission("zhangsan"), other] {
            assert_eq!(admit(&*store, &later).await, account, "{name}");
        }
        let new = new_session(&account, at(0));
        store.mint(&new).await.unwrap();
        let session = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(session.account, account, "{name}");
        let person = store.person(&account.id).await.unwrap().unwrap();
        assert_eq!(Some(Arc::new(person.local)), expected, "{name}");
        // A bearer token and a listing create accounts, too.
        let token = Admission {
            is_login: false,
            sync: false,
            ..joining("lisi")
        };
        assert_eq!(admit(&*store, &token).await.local, expected, "{name}");
        let listed = Admission {
            is_login: false,
            ..joining("wangfang")
        };
        let outcome = store.admit_listed(&[listed]).await.unwrap().remove(0);
        let AdmissionOutcome::Account(listed) = outcome else {
            panic!("{name}: {outcome:?}");
        };
        assert_eq!(listed.account.local, expected, "{name}");
    }
}

#[tokio::test]
async fn an_account_that_exists_gets_nothing() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("1"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        assert_eq!(account.local, None, "{name}");
        let linked = Admission {
            connector: github(),
            links: mobile("1"),
            ..joining("zs")
        };
        for later in [linked, joining("zhangsan")] {
            let same = admit(&*store, &later).await;
            assert_eq!((same.id, same.local), (account.id, None), "{name}");
        }
    }
}

#[tokio::test]
async fn an_edit_changes_them_and_the_log_says_that_the_account_changed() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &joining("zhangsan")).await;
        let groups = PersonEdit {
            local_groups: Some(vec!["wiki".to_owned().try_into().unwrap()]),
            ..PersonEdit::default()
        };
        assert!(edit(&*store, &account, &groups).await, "{name}");
        assert!(!edit(&*store, &account, &groups).await, "{name}");
        let same = admit(&*store, &joining("zhangsan")).await;
        assert_eq!(same.local, Some(local("公司/外包", &["wiki"])), "{name}");
        let both = PersonEdit {
            login: Some("zhang".parse().unwrap()),
            local_department: Some(None),
            local_groups: Some(Vec::new()),
            ..PersonEdit::default()
        };
        assert!(edit(&*store, &account, &both).await, "{name}");
        let same = admit(&*store, &joining("zhangsan")).await;
        assert_eq!((same.login.as_str(), same.local), ("zhang", None), "{name}");
        let other = PersonEdit {
            name: Some(Some("张三".to_owned())),
            ..PersonEdit::default()
        };
        assert!(!edit(&*store, &account, &other).await, "{name}");
        let changes = store.account_changes(&account.id, None, 100).await.unwrap();
        let mut details: Vec<_> = changes
            .iter()
            .filter(|change| change.detail.contains("local_"))
            .map(|change| format!("{} {}", change.by, change.detail))
            .collect();
        details.reverse();
        let expected = [
            "corp local_department, local_groups",
            "boss local_groups",
            "boss local_department, local_groups",
        ];
        assert_eq!(details, expected, "{name}");
    }
}

#[tokio::test]
async fn people_are_found_by_the_path_of_their_department() {
    for Backend { name, store, .. } in backends().await {
        admit(&*store, &joining("zhangsan")).await;
        admit(&*store, &admission("lisi")).await;
        for (department, found) in [
            ("公司/外包", true),
            ("公司", true),
            ("公", false),
            ("外包", false),
            ("公司/外包/x", false),
            ("", false),
        ] {
            let query = PeopleQuery {
                department: Some(department.to_owned()),
                max: 10,
                ..PeopleQuery::default()
            };
            let people = store.people(&query).await.unwrap();
            let logins: Vec<_> = people.iter().map(|one| one.login.as_str()).collect();
            let expected: &[&str] = if found { &["zhangsan"] } else { &[] };
            assert_eq!(logins, expected, "{name}: {department}");
        }
    }
}
