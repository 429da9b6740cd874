//! Versions of the managed settings: each follows the newest or is refused, and the log of revocations
//! announces it.

use menshen::store::{
    ConnectorId, ManagedVersion, NewManagedVersion, Revocation, RevocationScope, Store,
};

use super::*;

fn version<'a>(after: u64, document: &'a str, ended: &'a [ConnectorId]) -> NewManagedVersion<'a> {
    NewManagedVersion {
        after,
        made_at: at(7),
        author: "管理员",
        means: "api",
        fields: &[],
        document,
        ended,
        versions_kept: 10,
        audit: None,
    }
}

async fn newest(store: &dyn Store) -> Option<ManagedVersion> {
    store.managed_version(None).await.unwrap()
}

async fn add(store: &dyn Store, new: NewManagedVersion<'_>) -> Option<Vec<Revocation>> {
    store.add_managed_version(&new).await.unwrap()
}

#[tokio::test]
async fn a_version_follows_the_newest_one_or_changes_nothing() {
    for Backend { name, store, .. } in backends().await {
        assert_eq!(store.newest_managed_version().await.unwrap(), 0, "{name}");
        assert_eq!(newest(&*store).await, None, "{name}");
        let fields = ["connector.corp.secret".to_owned()];
        let first = NewManagedVersion {
            fields: &fields,
            ..version(0, "{\"a\":1}", &[])
        };
        assert!(add(&*store, first).await.is_some(), "{name}");
        for outdated in [0, 2] {
            let added = add(&*store, version(outdated, "{}", &[])).await;
            assert_eq!(added, None, "{name} {outdated}");
        }
        let stored = newest(&*store).await.unwrap();
        assert_eq!(stored.document, "{\"a\":1}", "{name}");
        assert_eq!(stored.record.number, 1, "{name}");
        assert_eq!(stored.record.author, "管理员", "{name}");
        assert_eq!(stored.record.means, "api", "{name}");
        assert_eq!(stored.record.fields, fields, "{name}");
        assert_eq!(stored.record.made_at, at(7), "{name}");
    }
}

#[tokio::test]
async fn the_audit_line_of_a_version_is_stored_with_it_or_not_at_all() {
    for Backend { name, store, .. } in backends().await {
        let lines = super::audit_log::Trail::new().lines(&["made", "refused"]);
        let with_line = |after, line| NewManagedVersion {
            audit: Some(line),
            ..version(after, "{}", &[])
        };
        assert!(
            add(&*store, with_line(0, &lines[0])).await.is_some(),
            "{name}"
        );
        assert_eq!(add(&*store, with_line(0, &lines[1])).await, None, "{name}");
        let query = menshen::store::AuditQuery {
            max: 10,
            ..Default::default()
        };
        let stored = store.audit_lines(&query).await.unwrap();
        let stored: Vec<_> = stored.iter().map(|line| &line.json).collect();
        assert_eq!(stored, [&lines[0].json], "{name}");
    }
}

#[tokio::test]
async fn the_newest_versions_are_kept_and_listed() {
    for Backend { name, store, .. } in backends().await {
        for after in 0..12 {
            let document = format!("{{\"n\":{after}}}");
            let added = add(&*store, version(after, &document, &[])).await;
            assert!(added.is_some(), "{name}");
        }
        let numbers = async |before, max| {
            let versions = store.managed_versions(before, max).await.unwrap();
            let numbers = versions.into_iter().map(|version| version.number);
            numbers.collect::<Vec<_>>()
        };
        let kept: Vec<_> = (3..=12).rev().collect();
        assert_eq!(numbers(None, 100).await, kept, "{name}");
        assert_eq!(numbers(None, 2).await, [12, 11], "{name}");
        assert_eq!(numbers(Some(5), 100).await, [4, 3], "{name}");
        let third = store.managed_version(Some(3)).await.unwrap().unwrap();
        assert_eq!(third.document, "{\"n\":2}", "{name}");
        assert_eq!(
            store.managed_version(Some(2)).await.unwrap(),
            None,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_version_ends_sessions_of_the_named_connectors_only_and_is_announced() {
    for Backend { name, store, .. } in backends().await {
        let (_, zhangsan) = somebody(&*store, "zhangsan").await;
        let elsewhere = menshen::store::Admission {
            connector: github(),
            ..admission("wangwu")
        };
        let wangwu = admit(&*store, &elsewhere).await;
        let mut of_github = new_session(&wangwu, at(0));
        of_github.record.connector = github();
        store.mint(&of_github).await.unwrap();

        let entries = add(&*store, version(0, "{}", &[corp()])).await.unwrap();
        assert!(!has_session(&*store, &zhangsan).await, "{name}");
        assert!(has_session(&*store, &of_github).await, "{name}");
        let page = store.revocations_after(0, 100).await.unwrap();
        assert_eq!(page.entries, entries, "{name}");
        assert_eq!(entries.len(), 2, "{name}");
        assert_eq!(entries[0].scope, RevocationScope::Connector(corp()));
        assert!(!entries[0].is_settings_change(), "{name}");
        assert!(entries[1].is_settings_change(), "{name}");

        // A version that is refused ends nothing.
        let refused = add(&*store, version(0, "{}", &[github()])).await;
        assert_eq!(refused, None, "{name}");
        assert!(has_session(&*store, &of_github).await, "{name}");
        // The end of all sessions is something else.
        let all = store.revoke(&RevocationScope::Everyone, at(9)).await;
        assert!(!all.unwrap().is_settings_change(), "{name}");
    }
}

#[tokio::test]
async fn only_the_document_that_was_read_is_sealed_again() {
    for Backend { name, store, .. } in backends().await {
        add(&*store, version(0, "old", &[])).await.unwrap();
        let stale = store.reseal_managed_version(1, "other", "new").await;
        assert!(!stale.unwrap(), "{name}");
        assert_eq!(newest(&*store).await.unwrap().document, "old", "{name}");
        let resealed = store.reseal_managed_version(1, "old", "new").await;
        assert!(resealed.unwrap(), "{name}");
        assert_eq!(newest(&*store).await.unwrap().document, "new", "{name}");
        assert_eq!(store.newest_managed_version().await.unwrap(), 1, "{name}");
    }
}

#[tokio::test]
async fn of_many_writers_one_makes_each_version() {
    for Backend { name, store, .. } in backends().await {
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let store = std::sync::Arc::clone(&store);
            writers.spawn(async move { add(&*store, version(0, "{}", &[])).await.is_some() });
        }
        let outcomes = writers.join_all().await;
        let made = outcomes.iter().filter(|made| **made).count();
        assert_eq!(made, 1, "{name}");
    }
}
