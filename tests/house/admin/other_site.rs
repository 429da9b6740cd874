//! Two sites on one database: the second one says so.

use super::*;
use crate::sessions::eventually;
use crate::stores::TempDir;

const WARNING: &str = "a menshen with another external_url uses this database";

/// Whether readiness names another site. It never makes a node unready.
async fn names_another(menshen: &Menshen) -> bool {
    let ready = send_request(menshen, "GET", "/readyz", "", "").await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    ready.json()["degraded"].to_string().contains(WARNING)
}

async fn claims(menshen: &Menshen, site: &str) -> bool {
    let people = &menshen.running.live().services().people;
    people.claim_database(site).await.unwrap()
}

#[tokio::test]
async fn a_second_site_on_the_same_database_is_reported() {
    let dir = TempDir::new();
    let first = setup().store(&dir.url()).start().await;
    assert!(claims(&first, SSO_URL).await);
    // Another node of the same site.
    let node = setup().store(&dir.url()).clock(&first.clock).start().await;
    assert!(claims(&node, SSO_URL).await);
    // Another site.
    let other = setup()
        .external_url("http://other.test")
        .store(&dir.url())
        .clock(&first.clock)
        .start()
        .await;
    eventually("the other site reports it", async || {
        names_another(&other).await
    })
    .await;
    assert!(!names_another(&first).await && !names_another(&node).await);
    // The site gets the name of the other one: three minutes later nothing is left of the old name.
    first.running.stop().await;
    node.running.stop().await;
    other.clock.advance(Duration::from_secs(181));
    let renamed = setup()
        .external_url("http://other.test")
        .store(&dir.url())
        .clock(&other.clock)
        .start()
        .await;
    assert!(claims(&renamed, "http://other.test").await);
    assert!(!names_another(&renamed).await);
}
