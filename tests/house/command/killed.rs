//! A server that is killed in the middle of changes keeps each one as a whole or not at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::serving::{Program, write_config};
use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::stores::Meddler;
use crate::upstream::{TempFolder, wait_until};
use crate::wecom::{AGENT_ID, CORP_ID, SECRET};
use crate::wire::{self, Answer};

const TOKEN: &str = "correct-horse-battery-staple";
const CHANGES: usize = 50;
/// The server is killed after as many answers.
const ANSWERED: usize = 12;

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn get(admin: SocketAddr, path: &str) -> Value {
    let answer = wire::send(admin, request("GET", path, "").as_bytes()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// The settings with this number in two places: a mixture of two changes would have two numbers.
fn settings(menshen: &Menshen, number: usize) -> Value {
    let wecom = &menshen.wecom;
    json!({
        "display_name": format!("name {number}"),
        "login_prefix": format!("p{number}-"),
        "wecom": {
            "corp_id": CORP_ID, "agent_id": AGENT_ID, "secret": SECRET,
            "api_base": wecom.base_url(), "authorize_url": wecom.authorize_url(),
            "login_url": wecom.login_url(),
        },
    })
}

/// The number in the settings of a connector, which must be the same in both places.
fn number_of(connector: &Value) -> usize {
    let name = connector["display_name"].as_str().unwrap();
    let prefix = connector["login_prefix"].as_str().unwrap();
    let number = name.strip_prefix("name ").unwrap();
    assert_eq!(prefix, format!("p{number}-"), "a mixture: {connector}");
    number.parse().unwrap()
}

/// Sends all changes at once and kills the server in the middle; returns the numbers of the settings that it
/// confirmed, by their versions.
async fn change_and_kill(
    menshen: &Menshen,
    program: Program,
    admin: SocketAddr,
) -> Vec<(u64, usize)> {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut changes = JoinSet::new();
    for number in 1..=CHANGES {
        let body = settings(menshen, number).to_string();
        let request = request("PUT", "/api/connectors/corp", &body);
        let answered = Arc::clone(&answered);
        changes.spawn(async move {
            let answer: Option<Answer> = wire::try_send(admin, request.as_bytes()).await;
            answered.fetch_add(usize::from(answer.is_some()), Ordering::Relaxed);
            (number, answer)
        });
    }
    wait_until("some changes are confirmed", || {
        answered.load(Ordering::Relaxed) >= ANSWERED
    })
    .await;
    program.signal("-KILL");
    let answers = changes.join_all().await;
    drop(program);
    let confirmed = answers.into_iter().filter_map(|(number, answer)| {
        let answer = answer?;
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
        let etag = answer.header("etag").unwrap().trim_matches('"');
        Some((etag.parse().unwrap(), number))
    });
    confirmed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_has_every_confirmed_change_and_only_whole_ones() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let tables = format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n");
    let setup = Setup::default().without_connector().tables(&tables);
    let config = write_config(&folder, &menshen, &setup);
    let (program, _) = Program::run(&config).await;
    let admin = program.address("admin");
    let confirmed = change_and_kill(&menshen, program, admin).await;
    assert!(confirmed.len() >= ANSWERED, "{confirmed:?}");

    let (program, address) = Program::run(&config).await;
    let admin = program.address("admin");
    let listed = get(admin, "/api/config/versions?max=200").await;
    let listed = listed["versions"].as_array().unwrap();
    let newest = listed.len() as u64;
    assert!(newest as usize >= confirmed.len());
    let mut stored = Vec::new();
    for number in 1..=newest {
        let version = get(admin, &format!("/api/config/versions/{number}")).await;
        assert_eq!(version["version"], number);
        stored.push(number_of(&version["connectors"]["corp"]));
    }
    for (version, number) in confirmed {
        let index = usize::try_from(version).unwrap() - 1;
        assert_eq!(
            stored.get(index),
            Some(&number),
            "version {version} is lost"
        );
    }
    let mut unique = stored.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), stored.len(), "a change is there twice");
    // The newest is in force, with its secret, and the next change follows it.
    let shown = get(admin, "/api/connectors/corp").await;
    let number = number_of(&shown);
    assert_eq!(Some(&number), stored.last());
    let mut browser = Browser::at(address);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(
        page.answer.echoed("x-forwarded-user"),
        [format!("p{number}-zhangsan")]
    );
    let next = settings(&menshen, CHANGES + 1).to_string();
    let next = request("PUT", "/api/connectors/corp", &next);
    let answer = wire::send(admin, next.as_bytes()).await;
    assert_eq!(
        answer.header("etag"),
        Some(format!("\"{}\"", newest + 1).as_str())
    );
    assert_eq!(program.end().await.0, Some(0));
    let url = format!("sqlite://{}", folder.path("menshen.db").display());
    assert_eq!(
        Meddler::at(&url).await.text("PRAGMA integrity_check").await,
        "ok"
    );
}
