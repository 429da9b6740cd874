//! Checks by a gRPC client with Envoy's own definitions: Python with grpcio and envoy-data-plane.
//! `tests/peers/grpc/install` installs them.

use std::collections::BTreeMap;
use std::process::Command;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use super::legacy_app::LegacyApp;
use super::processes::{Program, counterparts, free_ports};
use super::setup::{Menshen, Setup};
use super::wecom::{Options, WeCom};

/// The `Cookie` header of a person who logs in.
pub(crate) async fn signed_in(url: &str, userid: &str) -> String {
    menshen::keys::install_crypto();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let begin = format!("{url}/.menshen/start?connector=corp&mode=web&rd=%2Fecho");
    let begun = client.get(begin).header("accept", "text/html").send();
    let begun = begun.await.unwrap();
    let flow = begun.headers()[SET_COOKIE].to_str().unwrap();
    let flow = flow.split(';').next().unwrap().to_owned();
    let source = begun.headers()[LOCATION].to_str().unwrap();
    let chosen = client.get(WeCom::choose(source, userid)).send();
    let chosen = chosen.await.unwrap();
    let back = chosen.headers()[LOCATION].to_str().unwrap();
    let back = client.get(back).header(COOKIE, flow).send().await.unwrap();
    let cookies = back.headers().get_all(SET_COOKIE).iter();
    let pairs = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    let session = pairs.into_iter().find(|pair| pair.starts_with("menshen="));
    session.expect("a login sets the session cookie").to_owned()
}

/// The client's responses by the name of the check.
fn asked(address: &str, site: &str, cookie: &str) -> BTreeMap<String, Value> {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/grpc/client.py");
    let mut command = Command::new(counterparts().join("grpc/bin/python"));
    command.args(["-B", here, address, site, cookie]);
    let mut client = Program::start("the gRPC client", &mut command);
    let mut answers = BTreeMap::new();
    loop {
        let line = client.line(|line| match line {
            "done" => Some(None),
            line => serde_json::from_str::<Value>(line).ok().map(Some),
        });
        let Some(answer) = line.expect("the client comes to its end") else {
            return answers;
        };
        let question = answer["question"].as_str().unwrap().to_owned();
        answers.insert(question, answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_own_proto_definitions_are_answered() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后");
    let app = app.await.unwrap();
    let address = format!("127.0.0.1:{}", free_ports(1));
    let rest = format!(
        r#"
        [ext_authz]
        grpc_listen = "{address}"
        [[route]]
        name = "everybody"
        host = "127.0.0.1"
        upstream = ["{}"]
        "#,
        app.base_url()
    );
    let setup = Setup {
        server: "trusted_proxies = [\"127.0.0.1\"]",
        rest: &rest,
        ..Setup::default()
    };
    let menshen = Menshen::start(&wecom, setup).await;
    let cookie = signed_in(&menshen.url, "zhangsan").await;
    let site = menshen.url.trim_start_matches("http://").to_owned();
    let answers = tokio::task::spawn_blocking(move || asked(&address, &site, &cookie));
    let answers = answers.await.unwrap();
    assert_eq!(answers.len(), 16, "{answers:#?}");
    for (question, answer) in &answers {
        assert_eq!(answer.get("error"), None, "{question}");
        let (code, status) = match question.as_str() {
            "stranger" | "forged" => (16, json!(401)),
            "stranger who navigates" => (16, json!(302)),
            question if question.starts_with("member") => (0, Value::Null),
            _ => (7, json!(403)),
        };
        assert_eq!(
            (&answer["code"], &answer["status"]),
            (&json!(code), &status),
            "{question}: {answer}"
        );
        if code == 0 {
            assert_eq!(answer["set"]["x-forwarded-user"], "zhangsan", "{question}");
            let removed = answer["removed"].as_array().unwrap();
            assert!(removed.contains(&json!("cookie")), "{question}: {answer}");
            assert!(
                removed.contains(&json!("x-auth-request-user")),
                "{question}"
            );
            let told = answer["metadata"].to_string();
            assert!(
                told.contains("zhangsan") && told.contains("everybody"),
                "{told}"
            );
        } else {
            assert!(answer["set"]["x-menshen-reason"].is_string(), "{question}");
        }
    }
    let location = answers["stranger who navigates"]["set"]["location"].as_str();
    assert!(
        location.unwrap().contains("/.menshen/start?rd="),
        "{location:?}"
    );
}
