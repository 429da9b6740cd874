//! Where it is asked: on a listener of its own, on a unix socket, on the main one when wanted.

use serde_json::json;

use super::client::{CHECK, Client, framed};
use super::{asking, plan};
use crate::house::Plan;
use crate::wire;

const MAIN: &str = "[ext_authz]\non_main = true\n";
const TRUSTING: &str = "trusted_proxies = [\"127.0.0.1\"]";

#[tokio::test]
async fn its_own_listener_tells_http1_what_it_is() {
    let house = plan().start().await;
    let address = house.running.grpc_address().unwrap();
    let answer = wire::raw(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.status, 505);
    assert!(answer.text().contains("gRPC"), "{}", answer.text());
    assert!(
        wire::try_raw(address, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
            .await
            .is_none_or(|a| a.status == 400 || a.status == 505)
    );
    let mut client = asking(&house).await;
    client.check(&json!({})).await;
}

#[tokio::test]
async fn the_main_listener_answers_it_only_when_wanted() {
    let house = Plan::default().server(TRUSTING).more(MAIN).start().await;
    assert_eq!(house.running.grpc_address(), None);
    let mut client = Client::connect(house.address()).await;
    let answer = client.check(&json!({})).await;
    assert!(answer.get("denied_response").is_some());
    // What else is asked there is asked as ever: a page that does not exist, over HTTP/2 or 1.1.
    let called = client
        .call(
            "/grpc.health.v1.Health/Check",
            &[("host", "nobody.test")],
            framed(b""),
        )
        .await;
    assert_eq!((called.http, called.status), (400, None));
    let answer = wire::raw(
        house.address(),
        b"GET /public/echo HTTP/1.1\r\nHost: sso.test\r\n\r\n",
    )
    .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_main_listener_without_it_speaks_no_http2_and_knows_no_such_path() {
    let house = plan().start().await;
    let request = format!(
        "POST {CHECK} HTTP/1.1\r\nHost: nobody.test\r\nContent-Type: application/grpc\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\n\0\0\0\0\0"
    );
    let answer = wire::raw(house.address(), request.as_bytes()).await;
    assert_eq!(answer.status, 404);
    let answer = wire::try_raw(house.address(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_none_or(|answer| answer.status == 400));
}
