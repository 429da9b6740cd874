//! What happens once: spending, leases, keys; and the broom.

use menshen::store::{LogoutTarget, RevocationScope};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spent_is_spent_once_however_many_ask() {
    for Backend { name, store, .. } in backends().await {
        let ticket = keys::random();
        let mut asks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let store = Arc::clone(&store);
            asks.spawn(async move { store.spend(&ticket, at(60)).await.unwrap() });
        }
        let yes = asks
            .join_all()
            .await
            .into_iter()
            .filter(|first| *first)
            .count();
        assert_eq!(yes, 1, "{name}");
        assert!(
            store.spend(&keys::random(), at(60)).await.unwrap(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_admitted_once_with_a_one_time_value() {
    for Backend { name, store, .. } in backends().await {
        let ticket = keys::random();
        let once = async |admission: &Admission, ticket| {
            let admitted = store.admit_once(admission, ticket, at(60)).await;
            admitted.unwrap()
        };
        // Whoever is not admitted has not spent it.
        let unknown = Admission {
            create: false,
            ..admission("zhangsan")
        };
        let refused = once(&unknown, &ticket).await;
        assert_eq!(refused, Some(AdmissionOutcome::Unknown), "{name}");
        let account = match once(&admission("zhangsan"), &ticket).await {
            Some(AdmissionOutcome::Account(admitted)) => admitted.account,
            other => panic!("{name}: {other:?}"),
        };
        // A repetition changes nothing, neither of this person nor of another one.
        let changed = Admission {
            entitlements: r#"{"name":"changed"}"#.to_owned(),
            ..admission("zhangsan")
        };
        assert_eq!(once(&changed, &ticket).await, None, "{name}");
        let identities = store.identities(&account.id).await.unwrap();
        assert_eq!(identities[0].2, "{}", "{name}");
        assert_eq!(once(&admission("lisi"), &ticket).await, None, "{name}");
        let lisi = "lisi".parse().unwrap();
        assert_eq!(store.account_by_login(&lisi).await.unwrap(), None, "{name}");
        assert!(!store.spend(&ticket, at(60)).await.unwrap(), "{name}");
        // Of many at the same time, one is admitted.
        let ticket = keys::random();
        let mut asks = tokio::task::JoinSet::new();
        for number in 0..20 {
            let store = Arc::clone(&store);
            let admission = admission(&format!("person-{}", number % 3));
            asks.spawn(async move { store.admit_once(&admission, &ticket, at(60)).await });
        }
        let admitted = asks.join_all().await.into_iter();
        let admitted = admitted.filter(|outcome| outcome.as_ref().unwrap().is_some());
        assert_eq!(admitted.count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_ends() {
    for Backend { name, store, .. } in backends().await {
        let lease = async |holder, now, until| {
            store
                .lease("sync", holder, at(now), at(until))
                .await
                .unwrap()
        };
        assert!(lease("a", 0, 30).await, "{name}");
        assert!(!lease("b", 10, 40).await, "{name}");
        assert!(lease("a", 20, 50).await, "the holder renews: {name}");
        assert!(!lease("b", 49, 80).await, "{name}");
        assert!(lease("b", 50, 80).await, "{name}");
        assert!(!lease("a", 60, 90).await, "{name}");
        assert!(lease("b", 60, 60).await, "the holder gives it back: {name}");
        assert!(lease("a", 60, 90).await, "{name}");
        assert!(
            store.lease("other", "b", at(60), at(90)).await.unwrap(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_first_key_stays_the_only_one() {
    for Backend { name, store, .. } in backends().await {
        let (first, second) = (keys::generate(), keys::generate());
        for candidate in [&first, &second] {
            let ring = store.load_or_create_keys(candidate).await.unwrap();
            let ring: Vec<_> = ring.iter().map(|key| key.expose()).collect();
            assert_eq!(ring, [first.expose()], "{name}");
        }
    }
}

#[tokio::test]
async fn the_broom_takes_only_what_is_over() {
    for Backend { name, store, .. } in backends().await {
        let day = 24 * 3600;
        let (account, expired) = somebody(&*store, "zhangsan").await;
        let mut idle = new_session(&account, at(0));
        let mut here = new_session(&account, at(0));
        for new in [&mut idle, &mut here] {
            new.record.expires_at = at(10 * day);
            store.mint(new).await.unwrap();
        }
        let now = at(2 * day);
        let used = [(expired.record.key, now), (here.record.key, now)];
        store.touch(&used).await.unwrap();
        let (old, fresh) = (keys::random(), keys::random());
        assert!(store.spend(&old, at(60)).await.unwrap());
        assert!(store.spend(&fresh, now).await.unwrap());
        let subject = |text: &str| LogoutTarget::Subject(text.parse().unwrap());
        store
            .apply_provider_logout(&corp(), &subject("subject:lisi"), None, at(0), at(60))
            .await
            .unwrap();
        store
            .apply_provider_logout(&corp(), &subject("subject:nobody"), None, at(0), now)
            .await
            .unwrap();
        let mut old = Vec::new();
        for _ in 0..2 {
            let scope = RevocationScope::Connector(github());
            old.push(store.revoke(&scope, at(0)).await.unwrap());
        }
        let newest_old = old.remove(1);
        let kept = store
            .revoke(&RevocationScope::Connector(github()), now)
            .await
            .unwrap();

        assert_eq!(
            store.delete_expired(now, at(day), 100).await.unwrap(),
            5,
            "{name}"
        );
        assert_eq!(
            store.delete_expired(now, at(day), 100).await.unwrap(),
            0,
            "{name}"
        );
        assert!(!has_session(&*store, &expired).await, "{name}");
        assert!(!has_session(&*store, &idle).await, "{name}");
        assert!(has_session(&*store, &here).await, "{name}");
        assert!(!store.spend(&fresh, now).await.unwrap(), "{name}");
        assert_eq!(
            store.revocations_after(0, 9).await.unwrap().entries,
            [newest_old, kept],
            "{name}"
        );
        let mut late = new_session(&account, at(0));
        late.record.subject = "subject:nobody".parse().unwrap();
        let marked = store.mint(&late).await.unwrap();
        assert_eq!(marked, MintOutcome::LoggedOut, "{name}");
    }
}

#[tokio::test]
async fn the_broom_takes_no_more_than_it_may_and_leaves_the_last_entry() {
    for Backend { name, store, .. } in backends().await {
        for _ in 0..5 {
            store.spend(&keys::random(), at(1)).await.unwrap();
            store
                .revoke(&RevocationScope::Everyone, at(1))
                .await
                .unwrap();
        }
        let before = store.epochs().await.unwrap();
        let later = at(30 * 24 * 3600);
        assert_eq!(
            store.delete_expired(later, at(0), 2).await.unwrap(),
            4,
            "{name}"
        );
        assert_eq!(
            store.delete_expired(later, at(0), 2).await.unwrap(),
            4,
            "{name}"
        );
        assert_eq!(
            store.delete_expired(later, at(0), 2).await.unwrap(),
            1,
            "{name}"
        );
        assert_eq!(
            store.delete_expired(later, at(0), 2).await.unwrap(),
            0,
            "{name}"
        );
        assert_eq!(store.epochs().await.unwrap(), before, "{name}");
    }
}

#[tokio::test]
async fn the_end_of_a_lease_is_told() {
    for Backend { name, store, .. } in backends().await {
        assert_eq!(store.lease_end("schedule").await.unwrap(), None, "{name}");
        for until in [60, 90] {
            let taken = store.lease("schedule", "a", at(1), at(until)).await;
            assert!(taken.unwrap(), "{name}");
            let end = store.lease_end("schedule").await.unwrap();
            assert_eq!(end, Some(at(until)), "{name}");
        }
        assert!(!store.lease("schedule", "b", at(2), at(99)).await.unwrap());
        assert_eq!(store.lease_end("schedule").await.unwrap(), Some(at(90)));
    }
}
