//! A soak: three nodes under load, while people sign in and are signed out in every way, configurations are
//! reloaded and nodes are killed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, ORIGIN};
use serde_json::json;

use super::super::processes::until;
use super::cluster::{Cluster, Session};
use super::oracle::{Oracle, Readers};

const NODES: usize = 3;
/// The bounds of the soak.
const ROUNDS: usize = 28;
const SOAKED_FOR: Duration = Duration::from_secs(40);
/// After so many rounds a node is killed.
const ROUNDS_PER_KILL: usize = 9;
const PEOPLE: [&str; 3] = ["zhangsan", "lisi", "wangfang"];

/// A way in which sessions end.
#[derive(Clone, Copy, Debug)]
enum End {
    Session,
    SignOut,
    SignOutEverywhere,
    Person,
    Close,
    Connector,
    Everyone,
}

impl End {
    const ALL: [Self; 7] = [
        Self::Session,
        Self::SignOut,
        Self::SignOutEverywhere,
        Self::Person,
        Self::Close,
        Self::Connector,
        Self::Everyone,
    ];

    /// Whether it ends another session, too, of this person.
    fn ends_others_of(self, person: &str, target: &str) -> bool {
        match self {
            Self::Session | Self::SignOut => false,
            Self::SignOutEverywhere | Self::Person | Self::Close => person == target,
            Self::Connector | Self::Everyone => true,
        }
    }

    /// Ends sessions through a node; returns the status.
    async fn send(self, cluster: &Cluster, node: usize, session: &Session, person: &str) -> u16 {
        let front = &cluster.front;
        match self {
            Self::Session => cluster.revoke(node, session).await,
            Self::SignOut => {
                let request = front.request(node, session, "/.menshen/sign_out");
                status(request.header(ACCEPT, "text/html")).await
            }
            Self::SignOutEverywhere => {
                let request = front.post(node, session, "/.menshen/sign_out?everywhere=1");
                let request = request.header(ORIGIN, front.origin());
                status(request.header(ACCEPT, "text/html")).await
            }
            Self::Person => cluster.revoke_person(node, person).await,
            Self::Close => {
                let path = format!("people/{person}/close");
                let reason = json!({ "reason": "the soak" });
                cluster.post(node, &path, &reason).await
            }
            Self::Connector => {
                let connector = json!({ "connector": "corp" });
                cluster.post(node, "revoke", &connector).await
            }
            Self::Everyone => {
                let everyone = json!({ "everyone": true });
                cluster.post(node, "revoke", &everyone).await
            }
        }
    }
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

/// Signs each person in, and waits until every node has allowed each session. Returns the number of the
/// session of `person`.
async fn sign_everybody_in(cluster: &Cluster, oracle: &Oracle, person: &str) -> usize {
    let mut numbers = Vec::new();
    for one in PEOPLE {
        let session = cluster.sign_in(one).await;
        numbers.push((one, oracle.add(session, one, true)));
    }
    until("every node has allowed the new sessions", async || {
        oracle.check();
        let mut all = numbers.iter();
        all.all(|(_, number)| oracle.is_known_everywhere(*number))
    })
    .await;
    let own = numbers.iter().find(|(one, _)| *one == person);
    own.unwrap().1
}

/// Ends sessions through a node while somebody signs in.
async fn end_sessions(cluster: &Cluster, oracle: &Oracle, round: usize, target: usize) {
    let (end, node) = (End::ALL[round % End::ALL.len()], round % NODES);
    let person = PEOPLE[round % PEOPLE.len()];
    let session = oracle.session(target);
    let ended =
        oracle.begin_end(|number, owner| number == target || end.ends_others_of(owner, person));
    let beside = PEOPLE[(round + round / PEOPLE.len()) % PEOPLE.len()];
    let sending = end.send(cluster, node, &session, person);
    let (status, cookies) = tokio::join!(sending, cluster.try_sign_in(beside));
    assert_eq!(status, 200, "{end:?} through node {node}");
    oracle.acknowledge(&ended, node);
    for number in ended {
        let session = oracle.session(number);
        let reply = cluster.front.get(node, &session, "/echo").await;
        assert_ne!(reply.status, 200, "{end:?}: the node that ended it");
    }
    // This login began beside the end: the nodes must agree whether it has a session, and nothing more.
    if let Ok(cookies) = cookies {
        oracle.add(Session::with_unknown_id(cookies), beside, false);
    }
    if matches!(end, End::Close) {
        let path = format!("people/{person}/open");
        let opened = cluster.post(node, &path, &json!({})).await;
        assert_eq!(opened, 200, "{person} is reopened");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ended_session_is_allowed_while_nodes_are_reloaded_and_killed() {
    let mut cluster = Cluster::start(&[true; NODES], "5m").await;
    let oracle = Arc::new(Oracle::new(NODES));
    let readers = Readers::start(&cluster.front, NODES, &oracle);
    let (began, mut rounds, mut kills) = (Instant::now(), 0, 0);
    while rounds < ROUNDS && began.elapsed() < SOAKED_FOR {
        let person = PEOPLE[rounds % PEOPLE.len()];
        let target = sign_everybody_in(&cluster, &oracle, person).await;
        cluster.reload_node((rounds + 1) % NODES);
        end_sessions(&cluster, &oracle, rounds, target).await;
        rounds += 1;
        if rounds.is_multiple_of(ROUNDS_PER_KILL) {
            // People sign in at the first node.
            let killed = 1 + kills % (NODES - 1);
            cluster.restart_node(killed).await;
            kills += 1;
        }
        oracle.check();
    }
    cluster.wait_until_ready().await;
    for number in 0..oracle.sessions() {
        let session = oracle.session(number);
        let what = format!("the nodes agree about session {number}");
        until(&what, async || {
            let mut statuses = Vec::new();
            for node in 0..NODES {
                statuses.push(cluster.front.get(node, &session, "/echo").await.status);
            }
            let allowed = statuses.iter().filter(|status| **status == 200).count();
            let expected = oracle.expects_allow(number);
            allowed
                == if expected.unwrap_or(allowed > 0) {
                    NODES
                } else {
                    0
                }
        })
        .await;
    }
    readers.stop().await;
    let summary = oracle.check();
    println!("{rounds} rounds, {kills} nodes killed, {rounds} reloads: {summary}");
    assert!(summary.allowed > 0 && summary.refused > 0, "{summary}");
    cluster.assert_alive();
}
