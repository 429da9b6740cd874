//! People whom an administrator imports or changes, and their first login.

use menshen::store::{
    AccountChangeKind, EditOutcome, ExpectOutcome, IdentityState, ImportConflict, ImportCounts,
    ImportOutcome, ImportedPerson, PersonEdit, RevocationScope,
};

use super::*;

pub(super) fn imported(login: &str) -> ImportedPerson {
    ImportedPerson {
        login: login.parse().unwrap(),
        name: None,
        email: None,
        mobile: None,
        vouched: Vec::new(),
        expected: None,
    }
}

pub(super) async fn import(store: &dyn Store, people: &[ImportedPerson]) -> ImportOutcome {
    store.import_people(people, "boss", at(0)).await.unwrap()
}

pub(super) fn counts(created: u64, updated: u64, unchanged: u64) -> ImportOutcome {
    ImportOutcome::Imported(ImportCounts {
        created,
        updated,
        unchanged,
    })
}

async fn id(store: &dyn Store, login: &str) -> menshen::store::AccountId {
    let found = store.account_by_login(&login.parse().unwrap()).await;
    found.unwrap().unwrap().id
}

/// A login where only people of the directory are admitted.
fn existing_only(login: &str) -> Admission {
    Admission {
        create: false,
        ..admission(login)
    }
}

#[tokio::test]
async fn whoever_is_expected_signs_in_without_having_been_here_before() {
    for Backend { name, store, .. } in backends().await {
        let by_login = ImportedPerson {
            expected: Some((corp(), None)),
            ..imported("ZhangSan")
        };
        let by_subject = ImportedPerson {
            expected: Some((corp(), Some("subject:li".parse().unwrap()))),
            ..imported("lisi")
        };
        let unexpected = imported("wang");
        let all = [by_login, by_subject, unexpected];
        assert_eq!(import(&*store, &all).await, counts(3, 0, 0), "{name}");
        assert_eq!(import(&*store, &all).await, counts(0, 0, 3), "{name}");

        let zhang = admit(&*store, &existing_only("zhangsan")).await;
        assert_eq!(zhang.id, id(&*store, "zhangsan").await, "{name}");
        // The subject decides, whatever the login name is; the login given by hand stays.
        let li = existing_only("li");
        let account = admit(&*store, &li).await;
        assert_eq!(account.login.as_str(), "lisi", "{name}");
        assert_eq!(admit(&*store, &li).await.login.as_str(), "lisi", "{name}");
        // Nobody is expected under this login name, or through this connector.
        let wang = store.admit(&existing_only("wang")).await.unwrap();
        let taken = AdmissionOutcome::LoginTaken {
            by: id(&*store, "wang").await,
        };
        assert_eq!(wang, taken, "{name}");
        let elsewhere = Admission {
            connector: github(),
            ..existing_only("zhangsan")
        };
        let answer = store.admit(&elsewhere).await.unwrap();
        assert_eq!(
            answer,
            AdmissionOutcome::LoginTaken { by: zhang.id },
            "{name}"
        );
        // An expectation counts once.
        let again = Admission {
            subject: "subject:other".parse().unwrap(),
            ..existing_only("zhangsan")
        };
        let answer = store.admit(&again).await.unwrap();
        assert_eq!(
            answer,
            AdmissionOutcome::LoginTaken { by: zhang.id },
            "{name}"
        );
        let records = store.identity_records(&zhang.id).await.unwrap();
        assert_eq!(records.len(), 1, "{name}");
        assert_eq!(records[0].state, IdentityState::Known, "{name}");
    }
}

#[tokio::test]
async fn an_expected_person_who_is_closed_stays_out_and_stays_expected() {
    for Backend { name, store, .. } in backends().await {
        let expected = ImportedPerson {
            expected: Some((corp(), None)),
            ..imported("zhangsan")
        };
        import(&*store, &[expected]).await;
        let account = id(&*store, "zhangsan").await;
        store
            .close_account(&account, &closing("left"), at(1))
            .await
            .unwrap();
        let refused = store.admit(&existing_only("zhangsan")).await.unwrap();
        assert_eq!(refused, AdmissionOutcome::Closed(account), "{name}");
        store.reopen_account(&account, "boss", at(2)).await.unwrap();
        assert_eq!(
            admit(&*store, &existing_only("zhangsan")).await.id,
            account,
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_expectation_by_login_name_ends_when_the_person_comes_by_their_number() {
    for Backend { name, store, .. } in backends().await {
        let expected = ImportedPerson {
            vouched: mobile("13800000001"),
            expected: Some((corp(), None)),
            ..imported("zhangsan")
        };
        import(&*store, &[expected]).await;
        let by_number = Admission {
            links: mobile("13800000001"),
            ..existing_only("zs")
        };
        let account = admit(&*store, &by_number).await;
        assert_eq!(account.id, id(&*store, "zhangsan").await, "{name}");
        let records = store.identity_records(&account.id).await.unwrap();
        assert_eq!(records.len(), 1, "{name}");
        // The next holder of the login name at the source is another person.
        let refused = store.admit(&existing_only("zhangsan")).await.unwrap();
        let taken = AdmissionOutcome::LoginTaken { by: account.id };
        assert_eq!(refused, taken, "{name}");
    }
}

#[tokio::test]
async fn whoever_left_is_not_expected_again() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let gone = Closing {
            gone: Some((corp(), "subject:zhangsan".parse().unwrap())),
            ..closing("left")
        };
        store
            .close_account(&account.id, &gone, at(1))
            .await
            .unwrap();
        // The list of people is imported again.
        let subject = Some("subject:zhangsan".parse().unwrap());
        for subject in [None, subject] {
            let listed = ImportedPerson {
                expected: Some((corp(), subject)),
                ..imported("zhangsan")
            };
            assert_eq!(import(&*store, &[listed]).await, counts(0, 0, 1), "{name}");
        }
        let newcomer = Admission {
            login: "zhang.san".parse().unwrap(),
            ..admission("zhangsan")
        };
        let other = admit(&*store, &newcomer).await;
        assert_ne!(other.id, account.id, "{name}");

        // Open again, the account still is not whoever has the login name now.
        store
            .reopen_account(&account.id, "hr", at(2))
            .await
            .unwrap();
        let by_login = ImportedPerson {
            expected: Some((corp(), None)),
            ..imported("zhangsan")
        };
        import(&*store, &[by_login]).await;
        let third = Admission {
            subject: "subject:third".parse().unwrap(),
            ..existing_only("zhangsan")
        };
        let refused = store.admit(&third).await.unwrap();
        let taken = AdmissionOutcome::LoginTaken { by: account.id };
        assert_eq!(refused, taken, "{name}");
    }
}

#[tokio::test]
async fn the_history_says_who_bound_an_identity_and_a_number_to_an_account() {
    for Backend { name, store, .. } in backends().await {
        let account = admit(&*store, &admission("zhangsan")).await;
        let listed = ImportedPerson {
            vouched: mobile("13800000001"),
            expected: Some((github(), Some("zs".parse().unwrap()))),
            ..imported("zhangsan")
        };
        let history = async || {
            let changes = store.account_changes(&account.id, None, 100).await.unwrap();
            let by_boss = changes.into_iter().filter(|change| change.by == "boss");
            by_boss
                .map(|change| (change.kind, change.detail))
                .collect::<Vec<_>>()
        };
        // An import that changes nothing says nothing.
        for _ in 0..2 {
            import(&*store, std::slice::from_ref(&listed)).await;
            let expected = [
                (AccountChangeKind::IdentityExpected, "github: zs".to_owned()),
                (AccountChangeKind::Vouched, "mobile".to_owned()),
            ];
            assert_eq!(history().await, expected, "{name}");
        }
        let removed = PersonEdit {
            vouched: vec![(LinkField::Mobile, None)],
            ..PersonEdit::default()
        };
        store
            .edit_person(&account.id, &removed, "boss", at(1))
            .await
            .unwrap();
        let newest = (AccountChangeKind::Vouched, "mobile".to_owned());
        assert_eq!(history().await.first(), Some(&newest), "{name}");
    }
}

#[tokio::test]
async fn a_number_given_by_hand_links_and_one_that_two_accounts_have_refuses() {
    for Backend { name, store, .. } in backends().await {
        let with_mobile = |login: &str| ImportedPerson {
            mobile: Some("13800000001".to_owned()),
            vouched: mobile("13800000001"),
            ..imported(login)
        };
        import(&*store, &[with_mobile("zhangsan")]).await;
        let login = Admission {
            links: mobile("13800000001"),
            ..existing_only("zs")
        };
        let account = admit(&*store, &login).await;
        assert_eq!(account.id, id(&*store, "zhangsan").await, "{name}");

        import(&*store, &[with_mobile("lisi")]).await;
        let other = Admission {
            connector: github(),
            create: true,
            ..login
        };
        let field = LinkField::Mobile;
        let refused = store.admit(&other).await.unwrap();
        assert_eq!(refused, AdmissionOutcome::AmbiguousLink { field }, "{name}");
        // Known identities are not linked anew.
        let again = admit(&*store, &existing_only("zs")).await;
        assert_eq!(again.id, account.id, "{name}");
    }
}

#[tokio::test]
async fn a_subject_of_somebody_else_refuses_the_whole_import() {
    for Backend { name, store, .. } in backends().await {
        admit(&*store, &admission("zhangsan")).await;
        let expected = |login: &str, subject: &str| ImportedPerson {
            expected: Some((corp(), Some(subject.parse().unwrap()))),
            ..imported(login)
        };
        let people = [
            expected("lisi", "subject:lisi"),
            expected("wang", "subject:zhangsan"),
            imported("zhao"),
        ];
        let taken_by = "zhangsan".parse().unwrap();
        let conflict = ImportConflict { index: 1, taken_by };
        let refused = ImportOutcome::Refused(vec![conflict]);
        assert_eq!(import(&*store, &people).await, refused, "{name}");
        for login in ["lisi", "wang", "zhao"] {
            let found = store.account_by_login(&login.parse().unwrap()).await;
            assert_eq!(found.unwrap(), None, "{name}: {login}");
        }
        // The subject of the person themselves is no conflict.
        let own = [expected("zhangsan", "subject:zhangsan")];
        assert_eq!(import(&*store, &own).await, counts(0, 0, 1), "{name}");
    }
}

#[tokio::test]
async fn a_conflict_at_the_end_of_a_long_import_changes_nothing() {
    for Backend { name, store, .. } in backends().await {
        admit(&*store, &admission("zhangsan")).await;
        let expected = |login: &str, subject: &str| ImportedPerson {
            expected: Some((corp(), Some(subject.parse().unwrap()))),
            ..imported(login)
        };
        let mut people: Vec<_> = (0..450).map(|n| imported(&format!("person-{n}"))).collect();
        people.push(expected("lisi", "subject:one"));
        people.push(expected("wang", "subject:zhangsan"));
        people.push(expected("zhao", "subject:one"));
        let conflict = |index, taken_by: &str| ImportConflict {
            index,
            taken_by: taken_by.parse().unwrap(),
        };
        let conflicts = vec![conflict(451, "zhangsan"), conflict(452, "lisi")];
        let refused = ImportOutcome::Refused(conflicts);
        assert_eq!(import(&*store, &people).await, refused, "{name}");
        for login in ["person-0", "lisi", "wang", "zhao"] {
            let found = store.account_by_login(&login.parse().unwrap()).await;
            assert_eq!(found.unwrap(), None, "{name}: {login}");
        }
        // A subject that the import takes from one person may go to the next.
        let given = [expected("lisi", "subject:one")];
        assert_eq!(import(&*store, &given).await, counts(1, 0, 0), "{name}");
        let moved = [
            expected("lisi", "subject:two"),
            expected("zhao", "subject:one"),
        ];
        assert_eq!(import(&*store, &moved).await, counts(1, 1, 0), "{name}");
    }
}

#[tokio::test]
async fn an_edit_changes_fields_and_login_and_sessions_hear_of_it() {
    for Backend { name, store, .. } in backends().await {
        let (account, new) = somebody(&*store, "zhangsan").await;
        let lisi = admit(&*store, &admission("lisi")).await;
        let edit = PersonEdit {
            name: Some(Some("张三".to_owned())),
            mobile: Some(Some("1".to_owned())),
            vouched: vec![(LinkField::Mobile, Some("1".to_owned()))],
            ..PersonEdit::default()
        };
        let stored = store.edit_person(&account.id, &edit, "hr", at(1)).await;
        assert_eq!(
            stored.unwrap(),
            EditOutcome::Stored { log_position: None },
            "{name}"
        );
        let renamed = PersonEdit {
            login: Some("zhang.san".parse().unwrap()),
            mobile: Some(None),
            vouched: vec![(LinkField::Mobile, None)],
            ..PersonEdit::default()
        };
        let stored = store.edit_person(&account.id, &renamed, "hr", at(2)).await;
        let EditOutcome::Stored {
            log_position: Some(log),
        } = stored.unwrap()
        else {
            panic!("{name}: not logged");
        };
        assert_eq!(log.scope, RevocationScope::Account(account.id), "{name}");
        let found = store.session(&new.record.key).await.unwrap().unwrap();
        assert_eq!(found.account.login.as_str(), "zhang.san", "{name}");
        let person = store.person(&account.id).await.unwrap().unwrap();
        assert_eq!(
            (person.name.as_deref(), person.mobile),
            (Some("张三"), None),
            "{name}"
        );
        // The source does not take the login back at the next login.
        let next = admit(&*store, &admission("zhangsan")).await;
        assert_eq!(next.login.as_str(), "zhang.san", "{name}");
        // A number that was taken back links nobody.
        let linked = Admission {
            connector: github(),
            links: mobile("1"),
            ..existing_only("zs")
        };
        let answer = store.admit(&linked).await.unwrap();
        assert_eq!(answer, AdmissionOutcome::Unknown, "{name}");

        let taken = PersonEdit {
            login: Some("LISI".parse().unwrap()),
            name: Some(None),
            ..PersonEdit::default()
        };
        let refused = store.edit_person(&account.id, &taken, "hr", at(3)).await;
        assert_eq!(
            refused.unwrap(),
            EditOutcome::LoginTaken { by: lisi.id },
            "{name}"
        );
        let person = store.person(&account.id).await.unwrap().unwrap();
        assert_eq!(person.name.as_deref(), Some("张三"), "{name}");
        let nobody = menshen::store::AccountId::new([7; 16]);
        let unknown = store.edit_person(&nobody, &taken, "hr", at(3)).await;
        assert_eq!(unknown.unwrap(), EditOutcome::Unknown, "{name}");
    }
}

#[tokio::test]
async fn an_identity_is_added_to_one_account_and_never_to_a_second() {
    for Backend { name, store, .. } in backends().await {
        let (zhang, of_zhang) = somebody(&*store, "zhangsan").await;
        let (_, of_wang) = somebody(&*store, "wang").await;
        let (of_zhang, of_wang) = (of_zhang.record.key, of_wang.record.key);
        let subject: menshen::store::Subject = "subject:zhang".parse().unwrap();
        let expect = async |session| {
            let (github, at) = (github(), at(1));
            let expected = store.expect_identity(&session, (&github, &subject), "zhangsan", at);
            expected.await.unwrap()
        };
        assert_eq!(expect(of_zhang).await, ExpectOutcome::Expected, "{name}");
        assert_eq!(expect(of_zhang).await, ExpectOutcome::Expected, "{name}");
        let taken = ExpectOutcome::Taken {
            by: "zhangsan".parse().unwrap(),
        };
        assert_eq!(expect(of_wang).await, taken, "expected elsewhere, {name}");
        let changes = store.account_changes(&zhang.id, None, 10).await.unwrap();
        let added: Vec<_> = changes
            .iter()
            .filter(|change| change.kind == AccountChangeKind::IdentityExpected)
            .map(|change| (change.by.as_str(), change.detail.as_str()))
            .collect();
        assert_eq!(added, [("zhangsan", "github: subject:zhang")], "{name}");

        // It signs in to the account, whatever its login name is, and belongs to it from then on.
        let first = Admission {
            connector: github(),
            subject: subject.clone(),
            ..existing_only("octocat")
        };
        let signed_in = admit(&*store, &first).await;
        assert_eq!(
            (signed_in.id, signed_in.login.as_str()),
            (zhang.id, "zhangsan"),
            "{name}"
        );
        assert_eq!(expect(of_wang).await, taken, "known elsewhere, {name}");
        assert_eq!(expect(of_zhang).await, ExpectOutcome::Expected, "{name}");
        // An identity of another account stays there.
        let (corp, wangs) = (corp(), admission("wang").subject);
        let stolen = store.expect_identity(&of_zhang, (&corp, &wangs), "zhangsan", at(2));
        let taken = ExpectOutcome::Taken {
            by: "wang".parse().unwrap(),
        };
        assert_eq!(stolen.await.unwrap(), taken, "{name}");
    }
}
