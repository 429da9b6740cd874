//! Two nodes of one store: whoever leaves is out on both, whichever gets the event.

use std::time::{Duration, Instant};

use super::events::{all_handled, deliver_to, now, setup_with};
use super::{CONTACTS, account_is_closed, cookie_of};
use crate::lark::{ContactChange, EventSealer, Lark, event};
use crate::sessions::eventually;
use crate::sessions::tunnels::{CLOSE_1008, Socket};
use crate::setup::run;
use crate::stores::TempDir;
use crate::test_request::{TestRequest, repeat_until};

#[tokio::test]
async fn whoever_leaves_is_out_on_both_nodes_whichever_gets_the_event() {
    for receiver in 0..2 {
        let (dir, lark) = (TempDir::new(), Lark::start().await.unwrap());
        let setup = setup_with(&lark, CONTACTS).store(&dir.url());
        let menshen = setup.start().await;
        let text = menshen.setup.text(&menshen.wecom, &menshen.app);
        let other = run(&text, &menshen.clock).await;
        let nodes = [menshen.address(), other.addresses()[0]];
        let zhang = cookie_of(&menshen, &lark, "zhangsan").await;
        let li = cookie_of(&menshen, &lark, "lisi").await;
        let ask = |cookie: &str| TestRequest::get("/echo").session(cookie);
        let mut open = Vec::new();
        for node in nodes {
            for cookie in [&zhang, &li] {
                repeat_until(&ask(cookie), node, |answer| answer.status == 200).await;
            }
            open.push(Socket::open(node, "/ws", &zhang).await);
        }
        let message = event(ContactChange::UserDeleted("zhangsan"), now(&menshen));
        let sealed = EventSealer::default().seal(&message, now(&menshen));
        // Lark does not confirm this one.
        assert_eq!(deliver_to(nodes[receiver], &sealed).await.status, 200);
        all_handled([&menshen.running, &other][receiver]).await;
        for node in nodes {
            assert_eq!(ask(&zhang).send_to(node).await.status, 200);
        }
        lark.delete_person("zhangsan");
        menshen.advance(Duration::from_secs(1));
        let message = event(ContactChange::UserDeleted("zhangsan"), now(&menshen));
        let sealed = EventSealer::default().seal(&message, now(&menshen));
        let reported_at = Instant::now();
        assert_eq!(deliver_to(nodes[receiver], &sealed).await.status, 200);
        for socket in open {
            assert_eq!(socket.read_to_end("deleted").await, CLOSE_1008);
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
            account_is_closed(&menshen, "zhangsan").await
        })
        .await;
    }
}
