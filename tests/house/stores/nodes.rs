//! What nodes say about themselves.

use menshen::store::NodeRecord;

use super::*;

fn node(id: &str, name: &str) -> NodeRecord {
    NodeRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        program_version: "0.1.0".to_owned(),
        settings_version: 7,
        problem: None,
        started_at: at(1),
        seen_at: at(1),
    }
}

#[tokio::test]
async fn a_node_is_listed_as_it_last_described_itself_until_it_stops() {
    for Backend { name, store, .. } in backends().await {
        let (first, mut second) = (node("2", "a"), node("1", "b"));
        store.report_node(&second).await.unwrap();
        store.report_node(&first).await.unwrap();
        second.settings_version = 8;
        second.problem = Some("connector corp: it is missing".to_owned());
        second.seen_at = at(31);
        store.report_node(&second).await.unwrap();
        let listed = store.nodes(10).await.unwrap();
        assert_eq!(listed, [first.clone(), second.clone()], "{name}");
        assert_eq!(
            store.nodes(1).await.unwrap(),
            std::slice::from_ref(&first),
            "{name}"
        );
        store.remove_node(&first.id).await.unwrap();
        store.remove_node("unknown").await.unwrap();
        assert_eq!(store.nodes(10).await.unwrap(), [second], "{name}");
    }
}

#[tokio::test]
async fn a_node_of_which_nothing_was_heard_for_ten_minutes_is_deleted() {
    for Backend { name, store, .. } in backends().await {
        store.report_node(&node("1", "a")).await.unwrap();
        for (now, deleted) in [(601, 0), (602, 1), (603, 0)] {
            let found = store.delete_expired(at(now), at(0), 100).await.unwrap();
            assert_eq!(found, deleted, "{name} at {now}");
        }
        assert_eq!(store.nodes(10).await.unwrap(), [], "{name}");
    }
}
