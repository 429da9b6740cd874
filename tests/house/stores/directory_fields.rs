//! What the directory keeps of a person at a login: fields, departments, tags, when they were seen.

use menshen::store::{AccountChangeKind, Department, Membership, PersonRecord};

use super::*;

fn fields(name: &str, email: Option<&str>) -> DirectoryFields {
    DirectoryFields {
        name: Some(name.to_owned()),
        email: email.map(str::to_owned),
        ..DirectoryFields::default()
    }
}

async fn person(store: &dyn Store, account: &Account) -> PersonRecord {
    store.person(&account.id).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_naming_identity_sets_fields_and_others_only_add_what_is_missing() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            fields: fields("张三", None),
            vouched: mobile("1"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        let linked = Admission {
            connector: github(),
            fields: fields("Zhang San", Some("zs@github.example")),
            links: mobile("1"),
            at: at(5),
            ..admission("zs")
        };
        admit(&*store, &linked).await;
        let found = person(&*store, &account).await;
        assert_eq!(found.name.as_deref(), Some("张三"), "{name}");
        assert_eq!(found.email.as_deref(), Some("zs@github.example"), "{name}");
        assert_eq!(
            (found.created_at, found.seen_at),
            (at(0), Some(at(5))),
            "{name}"
        );

        // The source of the account's name changes it; what it does not tell stays.
        let renamed = Admission {
            fields: fields("张三丰", None),
            at: at(6),
            ..known.clone()
        };
        admit(&*store, &renamed).await;
        let found = person(&*store, &account).await;
        assert_eq!(found.name.as_deref(), Some("张三丰"), "{name}");
        assert_eq!(found.email.as_deref(), Some("zs@github.example"), "{name}");
        let unsynced = Admission {
            fields: fields("没有", None),
            sync: false,
            ..known
        };
        admit(&*store, &unsynced).await;
        let found = person(&*store, &account).await;
        assert_eq!(found.name.as_deref(), Some("张三丰"), "{name}");
        assert_eq!(found.seen_at, Some(at(6)), "seen never goes back: {name}");

        let changes = store.account_changes(&account.id, None, 10).await.unwrap();
        let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
        let expected = [
            AccountChangeKind::FieldsChanged,
            AccountChangeKind::FieldsChanged,
            AccountChangeKind::Linked,
            AccountChangeKind::FieldsChanged,
            AccountChangeKind::Created,
        ];
        assert_eq!(kinds, expected, "{name}: {changes:?}");
        assert_eq!(
            (changes[0].by.as_str(), changes[0].detail.as_str()),
            ("corp", "name")
        );
    }
}

#[tokio::test]
async fn departments_and_tags_follow_the_identity() {
    for Backend { name, store, .. } in backends().await {
        let member = |department: &str, leads| Membership {
            department: department.to_owned(),
            leads,
        };
        let department = |id: &str, parent: Option<&str>| Department {
            id: id.to_owned(),
            name: format!("name of {id}"),
            parent: parent.map(str::to_owned),
        };
        let with = |memberships: Vec<Membership>, tags: &[&str]| DirectoryFields {
            memberships,
            departments: vec![department("1", None), department("2", Some("1"))],
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..DirectoryFields::default()
        };
        let first = Admission {
            fields: with(vec![member("1", false), member("2", true)], &["a", "b"]),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &first).await;
        let known = async || {
            let mut records = store.identity_records(&account.id).await.unwrap();
            records.remove(0)
        };
        assert_eq!(
            known().await.memberships,
            first.fields.memberships,
            "{name}"
        );
        assert_eq!(known().await.tags, ["a", "b"], "{name}");
        let second = Admission {
            fields: with(vec![member("2", false)], &[]),
            ..admission("zhangsan")
        };
        admit(&*store, &second).await;
        assert_eq!(
            known().await.memberships,
            second.fields.memberships,
            "{name}"
        );
        assert_eq!(known().await.tags, Vec::<String>::new(), "{name}");
        let departments = store.departments(&corp(), None, 10).await.unwrap();
        assert_eq!(departments, second.fields.departments, "{name}");
        let after = store.departments(&corp(), Some("1"), 10).await.unwrap();
        assert_eq!(after, departments[1..], "{name}");
        assert_eq!(store.departments(&github(), None, 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_use_of_a_session_is_when_its_person_was_seen() {
    for Backend { name, store, .. } in backends().await {
        let (account, new) = somebody(&*store, "zhangsan").await;
        assert_eq!(
            person(&*store, &account).await.seen_at,
            Some(at(0)),
            "{name}"
        );
        store.touch(&[(new.record.key, at(60))]).await.unwrap();
        store.touch(&[(new.record.key, at(30))]).await.unwrap();
        assert_eq!(
            person(&*store, &account).await.seen_at,
            Some(at(60)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn changed_departments_are_counted() {
    for Backend { name, store, .. } in backends().await {
        let department = |id: &str, name: &str, parent: Option<&str>| Department {
            id: id.to_owned(),
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
        };
        // Two roots, a parent that is missing, and a circle.
        let tree = [
            department("1", "a", None),
            department("2", "b", Some("1")),
            department("3", "c", Some("missing")),
            department("4", "d", Some("5")),
            department("5", "e", Some("4")),
        ];
        let change = async |changed: &[Department], removed: &[String]| {
            let changed = store.change_departments(&corp(), changed, removed).await;
            changed.unwrap()
        };
        assert_eq!(change(&tree, &[]).await, 5, "{name}");
        assert_eq!(change(&tree, &[]).await, 0, "{name}");
        let moved = [department("1", "a", None), department("2", "b2", None)];
        let removed = ["3", "4", "5", "6"].map(str::to_owned);
        assert_eq!(change(&moved, &removed).await, 4, "{name}");
        let found = store.departments(&corp(), None, 10).await.unwrap();
        assert_eq!(found, moved, "{name}");
    }
}
