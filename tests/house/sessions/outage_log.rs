//! A store outage is reported in the log at a limited rate, however many streams and requests it
//! affects.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::long_responses::open_events_at;
use super::watched::{Fault, WatchedMenshen};
use crate::frames::TRUST_ONLY_ANOTHER_HOST;
use crate::records::Records;
use crate::setup::{ROUTES, Setup};
use crate::test_request::{TestRequest, repeat_until};
use crate::upstream::bind_listener;

/// One warning a second is allowed, and a line may be dated a moment after it was allowed.
const LINES_PER_SECOND_MAX: usize = 2;

/// The number of warnings about a route, by the second they are dated.
fn warnings_by_second(log: &Records, route: &str) -> BTreeMap<String, usize> {
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains(route));
    let mut seconds = BTreeMap::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["level"] == "WARN" && line["fields"]["route"] == route {
            let second = line["timestamp"].as_str().unwrap()[..19].to_owned();
            *seconds.entry(second).or_default() += 1;
        }
    }
    seconds
}

#[tokio::test]
async fn a_store_outage_writes_at_most_one_warning_a_second_for_all_streams_and_requests() {
    let log = Records::process_log();
    for (name, lines) in [
        ("members during an outage", ""),
        ("public during an outage", "access = 'public'\n"),
    ] {
        let socket = bind_listener().await;
        let route = format!(
            "[[route]]\nname = '{name}'\nhost = 'sso.test'\npath = '/slow'\n\
             upstream = ['http://{}']\n{lines}",
            socket.local_addr().unwrap()
        );
        let setup = Setup::default()
            .routes(&format!("{ROUTES}{route}"))
            .session("store_outage_grace = \"1s\"\n")
            .server(&format!(
                "{TRUST_ONLY_ANOTHER_HOST}limits.judged_again_after = \"3s\"\n"
            ));
        let menshen = WatchedMenshen::start(setup).await;
        let cookie = menshen.session_cookie_of("zhangsan").await;
        let mut streams = Vec::new();
        for _ in 0..12 {
            streams.push(open_events_at(menshen.address, &socket, &cookie).await);
        }
        menshen.store.fail(Some(Fault::Failed));
        let ask = TestRequest::get("/echo").session(&cookie);
        repeat_until(&ask, menshen.address, |answer| answer.status == 503).await;
        // Streams are rechecked after three seconds and then every two; requests arrive in between.
        let warned = async {
            let ask = TestRequest::get("/slow").session(&cookie);
            while warnings_by_second(log, name).len() < 3 {
                if lines.is_empty() {
                    assert_eq!(ask.send_to(menshen.address).await.status, 503);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), warned).await.unwrap();
        for (second, count) in warnings_by_second(log, name) {
            assert!(count <= LINES_PER_SECOND_MAX, "{name}: {count} at {second}");
        }
        drop(streams);
    }
}
