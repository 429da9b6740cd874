//! Events of WeCom as wechatpy, an independent library, produces and reads them, and the simulated WeCom as
//! a client of this library reads it.
//! `tests/peers/wechatpy/install` installs it.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::grpc::signed_in;
use super::legacy_app::LegacyApp;
use super::processes::counterparts;
use super::setup::{Menshen, Setup};
use super::wecom::{
    AGENT_ID, CORP_ID, ContactChange, EVENT_AES_KEY, EVENT_TOKEN, EventSealer, Options, SECRET,
    SealedEvent, WeCom,
};

/// What wechatpy answers to a command about events.
fn wechatpy(arguments: &[&str]) -> Value {
    let keys = [EVENT_TOKEN, EVENT_AES_KEY, CORP_ID];
    run_script("messages.py", &[&keys, arguments].concat())
}

/// What a client of wechatpy gets from the simulated WeCom.
fn wechatpy_client(wecom: &WeCom, arguments: &[&str]) -> Value {
    let base = wecom.base_url();
    let app = [&*base, CORP_ID, SECRET];
    run_script("client.py", &[&app, arguments].concat())
}

fn run_script(name: &str, arguments: &[&str]) -> Value {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/wechatpy");
    let output = Command::new(counterparts().join("wechatpy/bin/python"))
        .arg("-B")
        .arg(format!("{scripts}/{name}"))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The value of a parameter in the query of a callback.
fn parameter<'a>(sealed: &'a SealedEvent, name: &str) -> &'a str {
    let mut pairs = sealed
        .query
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).unwrap().1
}

fn signed_parts(sealed: &SealedEvent) -> [&str; 3] {
    ["msg_signature", "timestamp", "nonce"].map(|name| parameter(sealed, name))
}

/// A callback that wechatpy signs and encrypts.
fn sealed_by_wechatpy(message: &str, nonce: &str) -> SealedEvent {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let timestamp = now.as_secs().to_string();
    let sealed = wechatpy(&["seal", message, &timestamp, nonce]);
    let encrypted = sealed["encrypted"].as_str().unwrap().to_owned();
    SealedEvent {
        query: format!(
            "msg_signature={}&timestamp={timestamp}&nonce={nonce}",
            sealed["signature"].as_str().unwrap()
        ),
        body: format!("<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"),
        encrypted,
    }
}

#[test]
fn wechatpy_reads_the_events_of_the_simulated_wecom() {
    let now = SystemTime::now();
    for (change, kind, userid) in [
        (
            ContactChange::UserDeleted("zhangsan"),
            "delete_user",
            Some("zhangsan"),
        ),
        (
            ContactChange::UserUpdated("李四"),
            "update_user",
            Some("李四"),
        ),
        (ContactChange::DepartmentUpdated(2), "update_party", None),
    ] {
        let sealed = EventSealer::default().seal(&change.message(now), now);
        let [signature, timestamp, nonce] = signed_parts(&sealed);
        let read = wechatpy(&["read", signature, timestamp, nonce, &sealed.body]);
        let fields = &read["fields"];
        assert_eq!(fields["Event"], "change_contact", "{fields}");
        assert_eq!(fields["ChangeType"], kind);
        assert_eq!(fields["UserID"].as_str(), userid);
    }
    let sealed = EventSealer::default().seal("1616140317555161061", now);
    let [signature, timestamp, nonce] = signed_parts(&sealed);
    let read = wechatpy(&["echo", signature, timestamp, nonce, &sealed.encrypted]);
    assert_eq!(read["echo"], "1616140317555161061");
}

#[tokio::test(flavor = "multi_thread")]
async fn menshen_reads_the_events_of_wechatpy() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后");
    let app = app.await.unwrap();
    let rest = format!(
        r#"
        [connector.corp.wecom.events]
        token = "{EVENT_TOKEN}"
        encoding_aes_key = "{EVENT_AES_KEY}"
        [[route]]
        name = "everybody"
        host = "127.0.0.1"
        upstream = ["{}"]
        "#,
        app.base_url()
    );
    let setup = Setup {
        rest: &rest,
        ..Setup::default()
    };
    let menshen = Menshen::start(&wecom, setup).await;
    let cookie = signed_in(&menshen.url, "zhangsan").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let events = format!("{}/.menshen/events/corp", menshen.url);
    let echo = sealed_by_wechatpy("wechatpy-asks", "echo-nonce");
    let verified = client.get(format!("{events}?{}", echo.verification_query()));
    let verified = verified.send().await.unwrap();
    assert_eq!(verified.status(), 200);
    assert_eq!(verified.text().await.unwrap(), "wechatpy-asks");

    let status = async || {
        let page = client.get(format!("{}/echo", menshen.url));
        let page = page.header("cookie", &cookie).send().await.unwrap();
        page.status().as_u16()
    };
    assert_eq!(status().await, 200);
    wecom.delete_member("zhangsan");
    let message = ContactChange::UserDeleted("zhangsan").message(SystemTime::now());
    // Padded messages of every length are read.
    for blanks in 0..32 {
        let message = format!("{message}{}", " ".repeat(blanks));
        let sealed = sealed_by_wechatpy(&message, &format!("nonce-{blanks}"));
        let delivered = client
            .post(format!("{events}?{}", sealed.query))
            .body(sealed.body)
            .send()
            .await
            .unwrap();
        assert_eq!(delivered.status(), 200, "{blanks}");
    }
    let begun = std::time::Instant::now();
    while status().await == 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "still signed in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wechatpy_reads_the_directory_of_the_simulated_wecom() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let ask =
        |arguments: &[&str]| tokio::task::block_in_place(|| wechatpy_client(&wecom, arguments));
    let listed = ask(&["members"]);
    let names = |list: &Value, key: &str| {
        let items = list.as_array().unwrap().iter();
        items.map(|item| item[key].clone()).collect::<Vec<_>>()
    };
    let mut departments = Vec::new();
    wecom.departments(|all| departments.extend(all.iter().map(|it| Value::from(it.id))));
    // The app sees only a part of the company.
    let visible = names(&listed["departments"], "id");
    assert!(visible.len() > 1 && visible.iter().all(|id| departments.contains(id)));
    let mut members = Vec::new();
    wecom.members(|all| members.extend(all.iter().map(|it| Value::from(it.userid.as_str()))));
    let visible = names(&listed["members"], "userid");
    assert!(visible.len() > 1 && visible.iter().all(|userid| members.contains(userid)));
    let userid = &visible[0];
    let member = ask(&["member", userid.as_str().unwrap()]);
    assert_eq!(&member["userid"], userid);
    assert_eq!(ask(&["member", "nobody"])["errcode"], 60111);
}

#[tokio::test(flavor = "multi_thread")]
async fn wechatpy_redeems_a_code_of_the_simulated_wecom_once() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    wecom.set_agent_domains(AGENT_ID, &["oa.example"]);
    let code = wecom.issue_code("zhangsan", "oa.example");
    let redeemed = tokio::task::block_in_place(|| wechatpy_client(&wecom, &["code", &code, &code]));
    assert_eq!(redeemed[0]["UserId"], "zhangsan", "{redeemed}");
    assert_eq!(redeemed[1]["errcode"], 40029, "{redeemed}");
}
