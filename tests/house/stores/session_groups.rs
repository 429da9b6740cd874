//! A logout at a provider that names a person, and not one of the person's sessions there.

use menshen::store::LogoutTarget;

use super::*;

#[tokio::test]
async fn a_group_of_sessions_at_the_provider_ends_together() {
    for Backend { name, store, .. } in backends().await {
        let zhangsan = admit(&*store, &admission("zhangsan")).await;
        let named = |began: u64, sid: Option<&str>| {
            let mut new = new_session(&zhangsan, at(began));
            new.record.provider_sid = sid.map(str::to_owned);
            new
        };
        let of_group = ["g1.one", "g1.two", "g1."].map(|sid| named(5, Some(sid)));
        let others = [Some("g1"), Some("g11.one"), Some("xg1.one"), None].map(|sid| named(5, sid));
        for new in of_group.iter().chain(&others) {
            let minted = store.mint(new).await.unwrap();
            assert_eq!(minted, MintOutcome::Session, "{name}");
        }
        let group = LogoutTarget::SessionGroup("g1".to_owned());
        let message_id = menshen::keys::random();
        let corp = corp();
        let ended = store.apply_provider_logout(&corp, &group, Some(&message_id), at(10), at(600));
        assert_eq!(ended.await.unwrap().unwrap().len(), 3, "{name}");
        for new in &of_group {
            assert!(!has_session(&*store, new).await, "{name}");
        }
        for new in &others {
            assert!(has_session(&*store, new).await, "{name}");
        }
        // Logins that were under way.
        for (new, minted) in [
            (named(9, Some("g1.three")), MintOutcome::LoggedOut),
            (named(9, Some("g1.")), MintOutcome::LoggedOut),
            (named(9, Some("g11.three")), MintOutcome::Session),
            (named(9, None), MintOutcome::Session),
            (named(11, Some("g1.three")), MintOutcome::Session),
        ] {
            assert_eq!(store.mint(&new).await.unwrap(), minted, "{name}");
        }
    }
}
