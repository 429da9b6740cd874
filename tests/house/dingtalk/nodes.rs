//! Two nodes of one store: whoever leaves is out on both, whichever gets the event.

use std::time::{Duration, Instant};

use super::events::{all_handled, events, is_closed, now, post_to};
use super::{session_cookie_of, setup};
use crate::dingtalk_source::{DingTalk, DirectoryEvent, is_success, seal, sealer};
use crate::sessions::eventually;
use crate::sessions::tunnels::{CLOSE_1008, Socket};
use crate::setup::run;
use crate::stores::TempDir;
use crate::test_request::{TestRequest, repeat_until};

#[tokio::test]
async fn whoever_leaves_is_out_on_both_nodes_whichever_gets_the_event() {
    for receiver in 0..2 {
        let (dir, dingtalk) = (TempDir::new(), DingTalk::start().await.unwrap());
        let menshen = setup(&dingtalk, &events()).store(&dir.url()).start().await;
        let text = menshen.setup.text(&menshen.wecom, &menshen.app);
        let other = run(&text, &menshen.clock).await;
        let nodes = [menshen.address(), other.addresses()[0]];
        let (zhang, li) = (
            session_cookie_of(&menshen, "zhangsan").await,
            session_cookie_of(&menshen, "lisi").await,
        );
        let ask = |cookie: &str| TestRequest::get("/echo").session(cookie);
        let mut open = Vec::new();
        for node in nodes {
            for cookie in [&zhang, &li] {
                repeat_until(&ask(cookie), node, |answer| answer.status == 200).await;
            }
            open.push(Socket::open(node, "/ws", &zhang).await);
        }
        let report = async || {
            let message = DirectoryEvent::Left(&["zhangsan"]).message(now(&menshen));
            let (query, body) = seal(&sealer(), &message, now(&menshen));
            let answer = post_to(nodes[receiver], &query, &body).await;
            assert!(is_success(&sealer(), &answer.body), "{}", answer.text());
        };
        // DingTalk does not confirm this one.
        report().await;
        all_handled([&menshen.running, &other][receiver]).await;
        for node in nodes {
            assert_eq!(ask(&zhang).send_to(node).await.status, 200);
        }
        dingtalk.delete_member("zhangsan");
        // The same event at the same time would be a repetition.
        menshen.advance(Duration::from_secs(1));
        let reported_at = Instant::now();
        report().await;
        for socket in open {
            assert_eq!(socket.read_to_end("left").await, CLOSE_1008);
        }
        // The promise is a second on a machine that is not busy with other tests.
        println!(
            "out on both nodes {:?} after the event",
            reported_at.elapsed()
        );
        for node in nodes {
            assert_eq!(ask(&zhang).send_to(node).await.status, 401);
            assert_eq!(ask(&li).send_to(node).await.status, 200);
        }
        eventually("the account is closed", async || {
            is_closed(&menshen, "zhangsan").await
        })
        .await;
    }
}
