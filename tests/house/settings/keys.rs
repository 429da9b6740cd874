//! Another session key: secrets are sealed again, or the ring is refused with the remedy.

use super::*;

const OLD_KEY: &str = "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSAxMjM0";
const NEW_KEY: &str = "bmV3IGtleSBuZXcga2V5IG5ldyBrZXkgbmV3IGtleSAxMjM0";
const THIRD_KEY: &str = "dGhpcmQga2V5IHRoaXJkIGtleSB0aGlyZCBrZXkgMTIzNDU2";

fn ring(keys: &[&str]) -> String {
    format!("[session]\nkeys = {keys:?}\n")
}

#[tokio::test]
async fn secrets_are_sealed_again_with_a_new_key_and_then_the_old_one_can_go() {
    let site = ManagedSite::start_with(&ring(&[OLD_KEY])).await;
    site.put("corp", &site.wecom_table()).await;
    let mut table = site.wecom_table();
    table["display_name"] = json!("总部");
    site.put("corp", &table).await;
    site.reload(&ring(&[NEW_KEY, OLD_KEY])).await.unwrap();
    assert!(signs_in(site.browser()).await);
    site.reload(&ring(&[NEW_KEY])).await.unwrap();
    assert!(signs_in(site.browser()).await);
    // The older version can be opened, too.
    let rollback = json!({ "version": 1 });
    let answer = site.api("POST", "/api/config/rollback", &rollback).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(signs_in(site.browser()).await);
    let restarted = site.node(&ring(&[NEW_KEY])).await.unwrap();
    assert!(signs_in(Browser::at(restarted.addresses()[0])).await);
}

#[tokio::test]
async fn a_ring_that_opens_no_secret_is_refused_with_the_remedy() {
    let site = ManagedSite::start_with(&ring(&[OLD_KEY])).await;
    site.put("corp", &site.wecom_table()).await;
    let reloaded = site.reload(&ring(&[THIRD_KEY])).await.unwrap_err();
    let started = site.node(&ring(&[THIRD_KEY])).await.unwrap_err();
    for error in [reloaded, started] {
        for part in ["corp", "wecom.secret", "[session] keys", "put the key"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains(SECRET));
    }
    // The node that runs goes on.
    assert!(signs_in(site.browser()).await);
    site.reload(&ring(&[THIRD_KEY, OLD_KEY])).await.unwrap();
    assert!(signs_in(site.browser()).await);
}
