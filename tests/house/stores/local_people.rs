//! Local people: created, changed and removed as expected or not at all, and what their passwords led to ends
//! with them.

use menshen::secret::Secret;
use menshen::store::{
    AccessTokenOutcome, LocalPeopleOutcome, LocalPerson, LocalPersonWrite, NewAccessToken,
};

use super::*;

fn house() -> ConnectorId {
    "house".parse().unwrap()
}

fn person(login: &str) -> LocalPerson {
    LocalPerson {
        subject: login.to_lowercase().parse().unwrap(),
        login: login.parse().unwrap(),
        password_hash: Secret::new("$2b$04$hash".to_owned()),
        credential: format!("credential of {login}"),
        fields: r#"{"name":"张三"}"#.to_owned(),
        disabled: false,
        must_change: false,
        created_at: at(1),
        changed_at: at(2),
        password_changed_at: at(3),
        place: 7,
        revision: i64::MIN,
    }
}

fn creating(person: &LocalPerson) -> LocalPersonWrite {
    LocalPersonWrite {
        subject: person.subject.clone(),
        expected: None,
        person: Some(person.clone()),
        ends_logins: true,
        identity: None,
    }
}

fn changing(person: &LocalPerson, expected: i64, ends_logins: bool) -> LocalPersonWrite {
    LocalPersonWrite {
        expected: Some(expected),
        ends_logins,
        ..creating(person)
    }
}

fn removing(person: &LocalPerson) -> LocalPersonWrite {
    LocalPersonWrite {
        expected: Some(person.revision),
        person: None,
        ..creating(person)
    }
}

async fn write(store: &dyn Store, writes: &[LocalPersonWrite]) -> LocalPeopleOutcome {
    let written = store.write_local_people(&house(), writes, at(9)).await;
    written.unwrap()
}

async fn create(store: &dyn Store, person: &LocalPerson) {
    let written = write(store, &[creating(person)]).await;
    assert!(matches!(written, LocalPeopleOutcome::Written(_)));
}

async fn find(store: &dyn Store, login: &str) -> Option<LocalPerson> {
    let subject = login.parse().unwrap();
    store.local_person(&house(), &subject).await.unwrap()
}

/// The account of a local person, and a session to which their password leads.
async fn session_of(store: &dyn Store, person: &LocalPerson) -> NewSession {
    let mut admission = admission(person.login.as_str());
    admission.connector = house();
    admission.subject = person.subject.clone();
    let account = admit(store, &admission).await;
    let mut new = new_session(&account, at(5));
    new.record.connector = house();
    new.record.subject = person.subject.clone();
    new.record.provider_sid = Some(person.credential.clone());
    new.needs_current_password = true;
    new
}

#[tokio::test]
async fn nobody_is_admitted_with_fields_from_before_a_change() {
    for Backend { name, store, .. } in backends().await {
        let old = person("ZhangSan");
        create(&*store, &old).await;
        let admission = |groups: &str, revision| Admission {
            connector: house(),
            subject: old.subject.clone(),
            entitlements: format!(r#"{{"groups":["{groups}"]}}"#),
            local_revision: Some(revision),
            ..admission("ZhangSan")
        };
        let first = admission("admins", old.revision);
        let account = admit(&*store, &first).await;
        let new = LocalPerson {
            revision: 5,
            ..old.clone()
        };
        let mut change = changing(&new, old.revision, false);
        change.identity = Some(admission("staff", 5));
        let written = write(&*store, &[change]).await;
        assert!(matches!(written, LocalPeopleOutcome::Written(_)), "{name}");
        let late = store.admit(&first).await.unwrap();
        assert_eq!(late, AdmissionOutcome::LocalPersonChanged, "{name}");
        let gone = admission("admins", 7);
        let unknown = Admission {
            subject: "nobody".parse().unwrap(),
            ..gone
        };
        let unknown = store.admit(&unknown).await.unwrap();
        assert_eq!(unknown, AdmissionOutcome::LocalPersonChanged, "{name}");
        let stored = store.identities(&account.id).await.unwrap();
        assert_eq!(stored[0].2, r#"{"groups":["staff"]}"#, "{name}");
        let now = admission("ops", 5);
        assert_eq!(admit(&*store, &now).await.id, account.id, "{name}");
    }
}

async fn access_token_of(store: &dyn Store, session: &NewSession) -> SessionKey {
    let new = NewAccessToken {
        key: SessionKey::new(keys::random()),
        public_id: SessionId::new(keys::random()),
        session: session.record.key,
        name: "laptop".to_owned(),
        routes: None,
        created_at: at(6),
        expires_at: at(6000),
    };
    let made = store.create_access_token(&new, 50).await.unwrap();
    assert_eq!(made, AccessTokenOutcome::Created);
    new.key
}

#[tokio::test]
async fn a_person_is_kept_as_written() {
    for Backend { name, store, .. } in backends().await {
        let written = person("ZhangSan");
        create(&*store, &written).await;
        let found = find(&*store, "zhangsan").await.unwrap();
        assert_eq!(found.password_hash.expose(), written.password_hash.expose());
        assert_eq!(format!("{found:?}"), format!("{written:?}"), "{name}");
        assert!(!format!("{found:?}").contains("$2b$"), "{name}");
        // Another connector has other people, and the login in another case is no subject.
        let corp = store.local_person(&corp(), &found.subject).await.unwrap();
        assert!(corp.is_none(), "{name}");
        assert!(find(&*store, "ZhangSan").await.is_none(), "{name}");
        // With everything else, as a change writes it.
        let changed = LocalPerson {
            login: "zhangSAN".parse().unwrap(),
            credential: "other".to_owned(),
            fields: "{}".to_owned(),
            disabled: true,
            must_change: true,
            changed_at: at(20),
            password_changed_at: at(21),
            revision: 5,
            ..written.clone()
        };
        write(&*store, &[changing(&changed, written.revision, false)]).await;
        let found = find(&*store, "zhangsan").await.unwrap();
        assert_eq!(format!("{found:?}"), format!("{changed:?}"), "{name}");
    }
}

#[tokio::test]
async fn people_are_listed_by_subject_page_by_page() {
    for Backend { name, store, .. } in backends().await {
        for login in ["c", "A", "b", "张三"] {
            create(&*store, &person(login)).await;
        }
        let list = async |after: Option<&str>, max| {
            let after = after.map(|after| after.parse().unwrap());
            let people = store.local_people(&house(), after.as_ref(), max).await;
            let people = people.unwrap().into_iter();
            people.map(|it| it.login.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 3).await, ["A", "b", "c"], "{name}");
        assert_eq!(list(Some("b"), 9).await, ["c", "张三"], "{name}");
        assert_eq!(list(Some("张三"), 9).await, [""; 0], "{name}");
        assert!(
            store
                .local_people(&corp(), None, 9)
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn writes_that_do_not_find_what_they_expect_change_nobody() {
    for Backend { name, store, .. } in backends().await {
        let (first, second) = (person("first"), person("second"));
        create(&*store, &first).await;
        let moved = LocalPerson {
            revision: 2,
            ..first.clone()
        };
        for (writes, index) in [
            (vec![creating(&second), creating(&first)], 1),
            (vec![creating(&second), creating(&second)], 1),
            (vec![creating(&second), changing(&moved, 3, false)], 1),
            (vec![changing(&second, 1, false)], 0),
            (vec![removing(&second)], 0),
            (vec![creating(&second), removing(&moved)], 1),
        ] {
            let outcome = write(&*store, &writes).await;
            assert_eq!(outcome, LocalPeopleOutcome::Conflict { index }, "{name}");
            assert!(find(&*store, "second").await.is_none(), "{name}");
            let found = find(&*store, "first").await.unwrap();
            assert_eq!(found.revision, first.revision, "{name}");
        }
        // Somebody who is removed and added again is another one.
        write(&*store, &[removing(&first)]).await;
        create(
            &*store,
            &LocalPerson {
                revision: 8,
                ..first.clone()
            },
        )
        .await;
        let outcome = write(&*store, &[changing(&moved, first.revision, true)]).await;
        assert_eq!(outcome, LocalPeopleOutcome::Conflict { index: 0 }, "{name}");
    }
}

#[tokio::test]
async fn a_write_that_ends_logins_ends_sessions_and_access_tokens_of_that_person_only() {
    for Backend { name, store, .. } in backends().await {
        let (zhangsan, lisi) = (person("zhangsan"), person("lisi"));
        let mut kept = Vec::new();
        for person in [&zhangsan, &lisi] {
            create(&*store, person).await;
            let new = session_of(&*store, person).await;
            assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
            let token = access_token_of(&*store, &new).await;
            kept.push((new, token));
        }
        let has = async |at: usize| {
            let (session, token) = &kept[at];
            let token = store.access_token(token).await.unwrap().is_some();
            (has_session(&*store, session).await, token)
        };
        let moved = LocalPerson {
            revision: 2,
            ..zhangsan.clone()
        };
        write(&*store, &[changing(&moved, zhangsan.revision, false)]).await;
        assert_eq!(has(0).await, (true, true), "{name}");
        let last = store.epochs().await.unwrap().log_position.number;
        let outcome = write(&*store, &[removing(&moved)]).await;
        let LocalPeopleOutcome::Written(ended) = outcome else {
            panic!("{name}: {outcome:?}")
        };
        assert_eq!((ended.sessions, ended.access_tokens), (1, 1), "{name}");
        let logged = store.revocations_after(last, 9).await.unwrap().entries;
        assert_eq!(logged, ended.entries, "{name}");
        assert_eq!(has(0).await, (false, false), "{name}");
        assert_eq!(has(1).await, (true, true), "{name}");
    }
}

#[tokio::test]
async fn a_session_is_minted_only_with_the_current_password() {
    for Backend { name, store, .. } in backends().await {
        let person = person("zhangsan");
        create(&*store, &person).await;
        let minted = async |change: &dyn Fn(&mut LocalPerson)| {
            let now = find(&*store, "zhangsan").await.unwrap();
            let mut changed = LocalPerson {
                disabled: false,
                must_change: false,
                credential: person.credential.clone(),
                revision: now.revision + 1,
                ..person.clone()
            };
            change(&mut changed);
            write(&*store, &[changing(&changed, now.revision, false)]).await;
            let new = session_of(&*store, &person).await;
            store.mint(&new).await.unwrap()
        };
        assert_eq!(minted(&|_| ()).await, MintOutcome::Session, "{name}");
        for change in [
            (|it| it.credential = "another".to_owned()) as fn(&mut LocalPerson),
            |it| it.disabled = true,
            |it| it.must_change = true,
        ] {
            assert_eq!(minted(&change).await, MintOutcome::LoggedOut, "{name}");
        }
        // Where a file lists the people, the store is not asked.
        let mut new = session_of(&*store, &person).await;
        new.needs_current_password = false;
        assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
    }
}

#[tokio::test]
async fn what_no_current_password_led_to_ends() {
    for Backend { name, store, .. } in backends().await {
        let logins = ["current", "former", "disabled", "removed", "unnamed"];
        let mut kept = Vec::new();
        for login in logins {
            let mut person = person(login);
            let mut new = session_of(&*store, &person).await;
            new.needs_current_password = false;
            match login {
                "former" => person.credential = "another".to_owned(),
                "disabled" => person.disabled = true,
                "unnamed" => new.record.provider_sid = None,
                _ => {}
            }
            if login != "removed" {
                create(&*store, &person).await;
            }
            assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::Session);
            kept.push((access_token_of(&*store, &new).await, new));
        }
        // Of another connector.
        let (_, other) = somebody(&*store, "other").await;
        let ended = store.end_outdated_local_logins(&house(), at(9)).await;
        let ended = ended.unwrap();
        assert_eq!((ended.sessions, ended.access_tokens), (4, 4), "{name}");
        assert_eq!(ended.entries.len(), 8, "{name}");
        for (token, new) in &kept {
            let is_current = new.record.subject.as_str() == "current";
            assert_eq!(has_session(&*store, new).await, is_current, "{name}");
            let token = store.access_token(token).await.unwrap();
            assert_eq!(token.is_some(), is_current, "{name}");
        }
        assert!(has_session(&*store, &other).await, "{name}");
        let again = store.end_outdated_local_logins(&house(), at(9)).await;
        assert!(again.unwrap().entries.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_person_at_a_place_is_the_next_one_or_the_first() {
    for Backend { name, store, .. } in backends().await {
        let at_place = async |login: &str, place| {
            let subject = login.parse().unwrap();
            let house = house();
            let found = store.local_person_and_one_at(&house, &subject, place);
            let (person, other) = found.await.unwrap();
            let login = |it: LocalPerson| it.login.to_string();
            (person.map(login), other.map(login))
        };
        assert_eq!(at_place("a", 0).await, (None, None), "{name}");
        for (login, place) in [("a", -5), ("b", 10), ("c", i64::MAX)] {
            let new = LocalPerson {
                place,
                ..person(login)
            };
            create(&*store, &new).await;
        }
        for (place, expected) in [
            (i64::MIN, "a"),
            (-5, "a"),
            (-4, "b"),
            (11, "c"),
            (i64::MAX, "c"),
        ] {
            let found = at_place("nobody", place).await;
            assert_eq!(found, (None, Some(expected.to_owned())), "{name} {place}");
        }
        let found = at_place("b", 11).await;
        assert_eq!(
            found,
            (Some("b".to_owned()), Some("c".to_owned())),
            "{name}"
        );
        write(
            &*store,
            &[removing(&LocalPerson {
                place: i64::MAX,
                ..person("c")
            })],
        )
        .await;
        let found = at_place("c", 11).await;
        assert_eq!(found, (None, Some("a".to_owned())), "{name}");
    }
}
