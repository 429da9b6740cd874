//! A node whose clock is wrong, beside others on one database.

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::run::Running;
use menshen::telemetry::Telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

async fn node(database_url: &str, clock: &Clock) -> Running {
    keys::install_crypto();
    let text = format!(
        "[server]\nlisten = ['127.0.0.1:0']\nexternal_url = 'http://sso.test'\n\
         [admin]\nlisten = '127.0.0.1:0'\n[store]\nurl = '{database_url}'\n\
         [connector.corp.oidc]\nissuer = 'https://idp.test'\nclient_id = 'menshen'\n\
         [[route]]\nname = 'app'\nupstream = ['http://127.0.0.1:9']\n"
    );
    let config = Config::parse(&text, "test.toml").unwrap_or_else(|error| panic!("{error}"));
    let telemetry = Telemetry::writing_to(&config.log, Box::new(std::io::sink()));
    let started = menshen::run::start_with_telemetry(config, clock.clone(), telemetry);
    started.await.unwrap()
}

async fn readiness(node: &Running) -> String {
    let mut stream = TcpStream::connect(node.admin_address().unwrap())
        .await
        .unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_clock_is_ahead_deletes_no_session_that_lasts() {
    let database = server::shared().new_database().await;
    let (now, hour) = (Clock::system().now(), Duration::from_secs(3_600));
    for (ahead, text) in [
        (5 * hour, "s ahead of that of the database"),
        (Duration::ZERO, "\"degraded\":[]"),
    ] {
        let node = node(&database.url(), &Clock::manual(now.plus(ahead))).await;
        let store = open(&database.url(), true).await;
        let (account, _) = somebody(&*store, "zhangsan").await;
        let session = |expires_at| {
            let mut new = new_session(&account, now);
            new.record.expires_at = expires_at;
            new
        };
        let an_hour_ago = menshen::clock::Timestamp::from_unix_ms(now.unix_ms() - 3_600_000);
        let (lasts, is_over) = (session(now.plus(hour)), session(an_hour_ago));
        for new in [&lasts, &is_over] {
            assert_eq!(store.mint(new).await.unwrap(), MintOutcome::Session);
        }
        let sessions = &node.live().services().sessions;
        sessions.delete_expired().await.unwrap();
        assert!(has_session(&*store, &lasts).await, "{ahead:?}");
        assert!(!has_session(&*store, &is_over).await, "{ahead:?}");
        let ready = readiness(&node).await;
        assert!(
            ready.contains("200 OK") && ready.contains(text),
            "{ahead:?}: {ready}"
        );
        node.stop().await;
    }
}
