//! People who leave WeCom, Lark or DingTalk are out on both nodes within a second of the event.

use std::time::{Duration, Instant, SystemTime};

use reqwest::header::CONTENT_TYPE;

use super::super::dingtalk_source::{self, DingTalk, DirectoryEvent};
use super::super::lark::{self, Lark};
use super::super::visitor::Visitor;
use super::super::wecom::{self, WeCom};
use super::cluster::{Cluster, Session};
use super::timing;

/// The promise for the time from the event until both nodes refuse the session.
const PROMISED: Duration = Duration::from_secs(1);
/// How many people leave each source.
const LEAVERS: usize = 10;

/// A source that sends events.
#[derive(Clone, Copy, Debug)]
enum SourceKind {
    WeCom,
    Lark,
    DingTalk,
}

impl SourceKind {
    const ALL: [Self; 3] = [Self::WeCom, Self::Lark, Self::DingTalk];

    fn connector(self) -> &'static str {
        match self {
            Self::WeCom => "corp",
            Self::Lark => "fs",
            Self::DingTalk => "ding",
        }
    }
}

/// Two nodes, and the sources of their people.
struct Scene {
    cluster: Cluster,
    lark: Lark,
    dingtalk: DingTalk,
}

impl Scene {
    async fn start() -> Self {
        let lark = Lark::start().await.unwrap();
        let dingtalk = DingTalk::start().await.unwrap();
        let tables = [
            events_table("corp.wecom", wecom::EVENT_TOKEN, wecom::EVENT_AES_KEY),
            lark.connector_toml("fs", "contacts = true"),
            Lark::events_toml("fs"),
            format!("[connector.ding.dingtalk]\n{}\n", dingtalk.settings()),
            events_table(
                "ding.dingtalk",
                dingtalk_source::EVENT_TOKEN,
                dingtalk_source::EVENT_AES_KEY,
            ),
        ];
        let cluster = Cluster::with_tables(&tables.concat()).await;
        let callback = |id: &str| format!("{}/.menshen/callback/{id}", cluster.front.origin());
        lark.register_redirect(&callback("fs"));
        dingtalk.set_redirect_urls(&[&callback("ding")]);
        Self {
            cluster,
            lark,
            dingtalk,
        }
    }

    /// Signs a new person of the source in at the first node.
    async fn sign_in(&self, source: SourceKind, person: &str) -> Session {
        match source {
            SourceKind::WeCom => self.cluster.wecom.member(person, |_| {}),
            SourceKind::Lark => self.lark.person(person, |_| {}),
            SourceKind::DingTalk => self.dingtalk.member(person, |_| {}),
        }
        let origin = self.cluster.front.origin();
        let connector = source.connector();
        let start = format!("{origin}/.menshen/start?connector={connector}&rd=/echo");
        let mut visitor = Visitor::new();
        let page = visitor.open(&start).await;
        let chosen = match source {
            SourceKind::WeCom => WeCom::choose(page.url.as_str(), person),
            SourceKind::Lark => Lark::choose(page.url.as_str(), person),
            SourceKind::DingTalk => DingTalk::choose(page.url.as_str(), person),
        };
        let page = visitor.open(&chosen).await;
        assert_eq!(page.status, 200, "{source:?}: {} {}", page.url, page.body);
        Session::with_unknown_id(visitor.cookies(&page.url))
    }

    /// A person leaves the source, which reports it to one node.
    async fn leave(&self, source: SourceKind, person: &str, node: usize) {
        let now = SystemTime::now();
        let front = &self.cluster.front;
        let request = match source {
            SourceKind::WeCom => {
                self.cluster.wecom.delete_member(person);
                let message = wecom::ContactChange::UserDeleted(person).message(now);
                let event = wecom::EventSealer::default().seal(&message, now);
                let path = format!("/.menshen/events/corp?{}", event.query);
                let request = front.event(node, &path).body(event.body);
                request.header(CONTENT_TYPE, "text/xml")
            }
            SourceKind::Lark => {
                self.lark.delete_person(person);
                let message = lark::event(lark::ContactChange::UserDeleted(person), now);
                let event = lark::EventSealer::default().seal(&message, now);
                let request = front.event(node, "/.menshen/events/fs").body(event.body);
                let request = request.header(CONTENT_TYPE, "application/json; charset=utf-8");
                let headers = event.headers.iter();
                headers.fold(request, |request, (name, value)| {
                    request.header(name, value)
                })
            }
            SourceKind::DingTalk => {
                self.dingtalk.delete_member(person);
                let message = DirectoryEvent::Left(&[person]).message(now);
                let (query, body) =
                    dingtalk_source::seal(&dingtalk_source::sealer(), &message, now);
                let path = format!("/.menshen/events/ding?{query}");
                let request = front.event(node, &path).body(body);
                request.header(CONTENT_TYPE, "application/json")
            }
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{source:?}");
    }

    async fn assert_passes(&self, session: &Session) {
        for node in 0..self.cluster.nodes.len() {
            let reply = self.cluster.front.get(node, session, "/echo").await;
            assert_eq!(reply.status, 200, "node {node}");
        }
    }

    /// One person after another leaves; the nodes get the events in turn. Returns the time until each node
    /// refuses each person.
    async fn measure(&self, source: SourceKind) -> Vec<Duration> {
        let mut delays = Vec::new();
        for number in 0..LEAVERS {
            let person = format!("{}-{number}", source.connector());
            let session = self.sign_in(source, &person).await;
            self.assert_passes(&session).await;
            let began = Instant::now();
            let nodes = 0..self.cluster.nodes.len();
            self.leave(source, &person, number % nodes.end).await;
            let refused =
                nodes.map(|node| timing::refused_after(&self.cluster, node, &session, began));
            delays.extend(futures_util::future::join_all(refused).await);
        }
        delays.sort();
        delays
    }
}

fn events_table(connector: &str, token: &str, aes_key: &str) -> String {
    format!(
        "[connector.{connector}.events]\ntoken = \"{token}\"\nencoding_aes_key = \"{aes_key}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_a_source_is_out_on_both_nodes_within_a_second() {
    let mut scene = Scene::start().await;
    for source in SourceKind::ALL {
        let stays = scene
            .sign_in(source, &format!("{}-stays", source.connector()))
            .await;
        let delays = scene.measure(source).await;
        let what = format!("left {source:?}, two nodes");
        timing::report(&what, &delays, PROMISED);
        scene.assert_passes(&stays).await;
    }
    scene.cluster.assert_alive();
}
