//! Ended sessions are refused on the next request, and continuing sessions get a new cookie after a
//! key change.

use std::time::Duration;

use menshen::keys;
use reqwest::Method;

use super::client::Ask;
use super::{Stage, ZHANG_SAN, promised};

promised! {
    a_signed_out_session_is_refused_on_the_next_request
    a_revoked_or_expired_session_is_refused_on_the_next_request
    a_session_gets_a_new_cookie_after_a_key_change
}

impl Stage {
    /// The status that a program gets with this cookie.
    async fn fares(&self, cookie: &str) -> u16 {
        self.client
            .send(&Ask::get("/data").with("cookie", cookie))
            .await
            .status
    }
}

async fn a_signed_out_session_is_refused_on_the_next_request(stage: Stage) {
    let (mut visitor, cookie) = stage.member(ZHANG_SAN).await;
    assert_eq!(stage.fares(&cookie).await, 200);
    let page = visitor.open(&stage.at("/.menshen/sign_out")).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(!visitor.has("__Host-menshen"));
    assert_eq!(stage.fares(&cookie).await, 401);
}

async fn a_revoked_or_expired_session_is_refused_on_the_next_request(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let (_, other) = stage.member(ZHANG_SAN).await;
    assert_eq!(stage.fares(&cookie).await, 200);
    assert_eq!(stage.fares(&other).await, 200);
    let listed = stage
        .administrate(Method::GET, "sessions?login=zhangsan")
        .await;
    let ids = listed["sessions"].as_array().unwrap();
    assert_eq!(ids.len(), 2, "{listed}");
    let path = format!("sessions/{}", ids[0]["id"].as_str().unwrap());
    stage.administrate(Method::DELETE, &path).await;
    let mut left = [stage.fares(&cookie).await, stage.fares(&other).await];
    left.sort_unstable();
    assert_eq!(left, [200, 401], "one of them, and only that one");
    stage.advance(Duration::from_secs(13 * 3600));
    assert_eq!(stage.fares(&cookie).await, 401);
    assert_eq!(stage.fares(&other).await, 401);
}

async fn a_session_gets_a_new_cookie_after_a_key_change(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let key = keys::generate();
    let more = format!("keys = [\"{}\", ", key.expose());
    let menshen = stage.menshen.as_ref().unwrap();
    menshen.reload(|text| text.replace("keys = [", &more)).await;
    let ask = Ask::get("/data").with("cookie", &cookie);
    let answer = stage.client.send(&ask).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let set = answer.headers.get_all("set-cookie").iter();
    let set: Vec<_> = set.map(|cookie| cookie.to_str().unwrap()).collect();
    let renewed = set.iter().find_map(|set| {
        let pair = set.split(';').next()?;
        pair.starts_with("__Host-menshen=").then_some(pair)
    });
    let renewed = renewed.unwrap_or_else(|| panic!("no new cookie: {answer:?}"));
    assert!(!cookie.contains(renewed), "{cookie}");
    assert!(set.contains(&"own=1; Path=/"), "{set:?}");
    assert_eq!(stage.fares(renewed).await, 200);
}
