//! Who was signed in and is not any more: the very next request is refused.

use std::time::Duration;

use reqwest::Method;

use super::client::Ask;
use super::{Stage, ZHANG_SAN, promised};

promised! {
    who_signed_out_is_nobody_on_the_next_request
    whose_session_is_revoked_or_over_is_nobody_on_the_next_request
}

impl Stage {
    /// How a program with this cookie fares.
    async fn fares(&self, cookie: &str) -> u16 {
        self.client
            .send(&Ask::get("/data").with("cookie", cookie))
            .await
            .status
    }
}

async fn who_signed_out_is_nobody_on_the_next_request(stage: Stage) {
    let (mut visitor, cookie) = stage.member(ZHANG_SAN).await;
    assert_eq!(stage.fares(&cookie).await, 200);
    let page = visitor.open(&stage.at("/.menshen/sign_out")).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(!visitor.has("__Host-menshen"));
    assert_eq!(stage.fares(&cookie).await, 401);
}

async fn whose_session_is_revoked_or_over_is_nobody_on_the_next_request(stage: Stage) {
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
