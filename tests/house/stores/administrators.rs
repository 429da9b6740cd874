//! Administrators and the sessions of the console.

use menshen::secret::Secret;
use menshen::store::{Administrator, AdministratorName, ConsoleHolder, ConsoleSession};

use super::*;

fn name(text: &str) -> AdministratorName {
    text.parse().unwrap()
}

fn administrator(text: &str) -> Administrator {
    Administrator {
        name: name(text),
        password_hash: Secret::new("$2b$04$hash".to_owned()),
        credential: "first".to_owned(),
        created_at: at(1),
        password_changed_at: at(2),
    }
}

fn session_of(holder: ConsoleHolder) -> ConsoleSession {
    ConsoleSession {
        key: SessionKey::new(keys::random()),
        holder,
        began_at: at(3),
        used_at: at(4),
        expires_at: at(100),
    }
}

/// A stored session of an administrator.
async fn session(store: &dyn Store, text: &str, credential: &str) -> ConsoleSession {
    let session = session_of(ConsoleHolder::Administrator {
        name: name(text),
        credential: credential.to_owned(),
    });
    store.begin_console_session(&session).await.unwrap();
    session
}

async fn found(store: &dyn Store, session: &ConsoleSession) -> Option<ConsoleSession> {
    store.console_session(&session.key).await.unwrap()
}

#[tokio::test]
async fn administrators_are_added_once_and_listed_by_name() {
    for Backend {
        name: backend,
        store,
        ..
    } in backends().await
    {
        for (text, added) in [("b", true), ("a", true), ("运维", true), ("B", false)] {
            let outcome = store.add_administrator(&administrator(text)).await;
            assert_eq!(outcome.unwrap(), added, "{backend} {text}");
        }
        let listed = store.administrators(9).await.unwrap();
        let names: Vec<_> = listed.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "运维"], "{backend}");
        assert_eq!(store.administrators(1).await.unwrap().len(), 1);
        let found = store.administrator(&name("A")).await.unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", administrator("a")));
        assert_eq!(found.password_hash.expose(), "$2b$04$hash");
        assert!(store.administrator(&name("c")).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn another_password_and_a_removal_end_the_sessions_of_that_administrator_only() {
    for Backend {
        name: backend,
        store,
        ..
    } in backends().await
    {
        for text in ["a", "b"] {
            store.add_administrator(&administrator(text)).await.unwrap();
        }
        let of_a = session(&*store, "a", "first").await;
        let of_b = session(&*store, "b", "first").await;
        assert_eq!(
            found(&*store, &of_a).await.as_ref(),
            Some(&of_a),
            "{backend}"
        );
        let (hash, a) = (Secret::new("other".to_owned()), name("a"));
        let change = store.change_administrator_password(&a, &hash, "second", at(5));
        assert!(change.await.unwrap());
        assert_eq!(found(&*store, &of_a).await, None, "{backend}");
        assert!(found(&*store, &of_b).await.is_some(), "{backend}");
        // The password was verified before it changed, and the session is stored after it.
        let late = session(&*store, "a", "first").await;
        assert_eq!(found(&*store, &late).await, None, "{backend}");
        let current = session(&*store, "a", "second").await;
        assert!(found(&*store, &current).await.is_some(), "{backend}");
        assert!(store.remove_administrator(&name("a")).await.unwrap());
        assert_eq!(found(&*store, &current).await, None, "{backend}");
        assert!(!store.remove_administrator(&name("a")).await.unwrap());
        let change = store.change_administrator_password(&a, &hash, "x", at(5));
        assert!(!change.await.unwrap(), "{backend}");
        assert!(found(&*store, &of_b).await.is_some(), "{backend}");
    }
}

#[tokio::test]
async fn a_session_is_used_ended_and_deleted_when_it_has_expired() {
    for Backend {
        name: backend,
        store,
        ..
    } in backends().await
    {
        let holder = ConsoleHolder::Person(SessionKey::new([7; 32]));
        let session = session_of(holder);
        store.begin_console_session(&session).await.unwrap();
        assert_eq!(found(&*store, &session).await.as_ref(), Some(&session));
        for (used, expected) in [(at(9), at(9)), (at(8), at(9))] {
            let touched = store.touch_console_session(&session.key, used).await;
            touched.unwrap();
            let found = found(&*store, &session).await.unwrap();
            assert_eq!(found.used_at, expected, "{backend}");
        }
        assert!(store.end_console_session(&session.key).await.unwrap());
        assert!(!store.end_console_session(&session.key).await.unwrap());
        assert_eq!(found(&*store, &session).await, None, "{backend}");
        store.begin_console_session(&session).await.unwrap();
        store.delete_expired(at(99), at(0), 9).await.unwrap();
        assert!(found(&*store, &session).await.is_some(), "{backend}");
        store.delete_expired(at(100), at(0), 9).await.unwrap();
        assert_eq!(found(&*store, &session).await, None, "{backend}");
    }
}
