//! DingTalk as libraries of others speak it: dingtalk-sdk and dingtalk-encrypt read and produce events, and
//! DingTalk's own client and dingtalk-sdk ask the simulated DingTalk.
//! `tests/peers/dingtalk_sdk/install` installs them.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use menshen::clock::Clock;
use serde_json::{Value, json};

use super::dingtalk_source::{
    APP_KEY, APP_SECRET, CORP_ID, CodeKind, DingTalk, DirectoryEvent, EVENT_AES_KEY, EVENT_TOKEN,
    STRANGER, seal, sealer,
};
use super::legacy_app::LegacyApp;
use super::processes::counterparts;
use super::setup::Menshen;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/dingtalk_sdk");

fn json_of(output: &Output, what: &str) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a script of Node with the libraries from npm.
fn node(script: &str, arguments: &[&str]) -> Value {
    let output = Command::new("node")
        .arg(format!("{SCRIPTS}/{script}"))
        .args(arguments)
        .env(
            "NODE_PATH",
            counterparts().join("dingtalk-npm/node_modules"),
        )
        .output()
        .unwrap();
    json_of(&output, script)
}

/// Runs a command of dingtalk-sdk.
fn dingtalk_sdk(arguments: &[&str]) -> Value {
    let output = Command::new(counterparts().join("dingtalk-sdk/bin/python"))
        .arg("-B")
        .arg(format!("{SCRIPTS}/messages.py"))
        .args(arguments)
        .output()
        .unwrap();
    json_of(&output, "messages.py")
}

fn host_of(dingtalk: &DingTalk) -> String {
    dingtalk.base_url().trim_start_matches("http://").to_owned()
}

/// Reads an encrypted answer of menshen with both libraries.
fn read_by_both(answer: &str, receiver: &str) -> [String; 2] {
    let keys = [EVENT_TOKEN, EVENT_AES_KEY, receiver];
    let python = dingtalk_sdk(&[&["read"], &keys[..], &[answer]].concat());
    let sealed: Value = serde_json::from_str(answer).unwrap();
    let text = |name: &str| sealed[name].as_str().unwrap().to_owned();
    let parts = ["msg_signature", "timeStamp", "nonce", "encrypt"].map(text);
    let parts = parts.each_ref().map(String::as_str);
    let javascript = node("encrypt.cjs", &[&keys[..], &parts].concat());
    [python, javascript].map(|read| read["text"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_client_of_dingtalk_redeems_codes_of_the_simulation_once() {
    let dingtalk = DingTalk::start().await.unwrap();
    let host = host_of(&dingtalk);
    let ask = |secret: &str, arguments: &[&str]| {
        let app = [host.as_str(), APP_KEY, secret];
        let arguments = [&app, arguments].concat();
        tokio::task::block_in_place(|| node("api.cjs", &arguments))
    };
    let token = ask(APP_SECRET, &["token"]);
    assert_eq!(token[0]["lifetime"], 7200, "{token}");
    let refused = ask("not-the-secret", &["token"]);
    assert_eq!(refused[0]["code"], "invalidClientIdOrSecret", "{refused}");
    let corp_id = Some(CORP_ID.to_owned());
    let code = dingtalk.issue_code(CodeKind::Web(corp_id), "zhangsan");
    let users = ask(APP_SECRET, &["user", &code, &code]);
    assert_eq!(users[0]["unionId"], "union-zhangsan-iE", "{users}");
    assert_eq!(users[0]["corpId"], CORP_ID);
    assert_eq!(users[1]["code"], "invalidParameter.authCode.notFound");
    dingtalk.deny_permission("Contact.User.Read");
    let code = dingtalk.issue_code(CodeKind::Web(None), "zhangsan");
    let denied = ask(APP_SECRET, &["user", &code]);
    let name = "Forbidden.AccessDenied.AccessTokenPermissionDenied";
    assert_eq!(denied[0]["code"], name, "{denied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_sdk_reads_the_directory_of_the_simulation() {
    let dingtalk = DingTalk::start().await.unwrap();
    let base = dingtalk.base_url();
    let union_id = |userid: &str| json!({ "unionid": format!("union-{userid}-iE") }).to_string();
    let in_app = dingtalk.issue_code(CodeKind::InApp, "lisi");
    let in_app = json!({ "code": in_app }).to_string();
    let calls = [
        ("/topapi/v2/user/get", r#"{"userid":"lisi"}"#.to_owned()),
        ("/topapi/user/getbyunionid", union_id("lisi")),
        ("/topapi/user/getbyunionid", union_id(STRANGER)),
        ("/topapi/v2/user/getuserinfo", in_app.clone()),
        ("/topapi/v2/user/getuserinfo", in_app),
        (
            "/topapi/v2/department/listsub",
            r#"{"dept_id":1}"#.to_owned(),
        ),
        (
            "/topapi/v2/user/list",
            r#"{"dept_id":101,"cursor":0,"size":100}"#.to_owned(),
        ),
    ];
    let mut arguments = vec!["ask", &base, APP_KEY, APP_SECRET];
    for (path, body) in &calls {
        arguments.extend([path, body.as_str()]);
    }
    let answers = tokio::task::block_in_place(|| dingtalk_sdk(&arguments));
    assert_eq!(answers[0]["result"]["name"], "李四", "{answers}");
    assert_eq!(answers[1]["result"]["contact_type"], 0);
    assert_eq!(answers[2]["errcode"], 60121);
    assert_eq!(answers[3]["result"]["userid"], "lisi");
    assert_eq!(answers[4]["errcode"], 40078);
    assert_eq!(answers[5]["result"].as_array().unwrap().len(), 3);
    assert_eq!(answers[6]["result"]["list"][0]["userid"], "lisi");
}

#[test]
fn both_libraries_read_the_events_of_the_simulation() {
    let now = std::time::SystemTime::now();
    for event in [
        DirectoryEvent::CheckUrl,
        DirectoryEvent::Left(&["zhangsan"]),
        DirectoryEvent::DepartmentModified(&[101, 102]),
    ] {
        let message = event.message(now);
        let (query, body) = seal(&sealer(), &message, now);
        let mut sealed: Value = serde_json::from_str(&body).unwrap();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let name = match &*name {
                "timestamp" => "timeStamp",
                name => name,
            };
            sealed[name] = json!(value);
        }
        let read = read_by_both(&sealed.to_string(), APP_KEY);
        assert_eq!(read, [message.clone(), message]);
    }
}

fn configuration(dingtalk: &DingTalk, app: &LegacyApp, url: &str, folder: &str) -> String {
    format!(
        r#"
        [server]
        listen = ["{listen}"]
        external_url = "{url}"
        [log]
        access = false
        [store]
        url = "sqlite://{folder}/menshen.db"
        [connector.ding.dingtalk]
        {settings}
        [connector.ding.dingtalk.events]
        token = "{EVENT_TOKEN}"
        encoding_aes_key = "{EVENT_AES_KEY}"
        [[route]]
        name = "everybody"
        host = "127.0.0.1"
        upstream = ["{app}"]
        "#,
        listen = url.trim_start_matches("http://"),
        settings = dingtalk.settings(),
        app = app.base_url(),
    )
}

/// The session cookie of a person whose app brings a code of the client.
async fn signed_in(client: &reqwest::Client, url: &str, dingtalk: &DingTalk) -> String {
    let config = client.get(format!("{url}/.menshen/login-config/ding"));
    let config: Value =
        serde_json::from_str(&config.send().await.unwrap().text().await.unwrap()).unwrap();
    let body = json!({
        "code": dingtalk.issue_code(CodeKind::InApp, "zhangsan"),
        "state": config["state"],
        "flow": config["flow"],
    });
    let login = client
        .post(format!("{url}/.menshen/login/ding"))
        .header("content-type", "application/json")
        .body(body.to_string());
    let login = login.send().await.unwrap();
    let cookies = login.headers().get_all("set-cookie").iter();
    let pairs = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
    let session = pairs.into_iter().find(|pair| pair.starts_with("menshen="));
    session.expect("a login sets the session cookie").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn menshen_reads_the_events_of_dingtalk_sdk_and_both_libraries_read_its_answer() {
    menshen::keys::install_crypto();
    let dingtalk = DingTalk::start().await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后");
    let app = app.await.unwrap();
    let menshen = Menshen::built(Clock::system(), |url, dir| {
        configuration(&dingtalk, &app, url, &dir.path().display().to_string())
    })
    .await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let cookie = signed_in(&client, &menshen.url, &dingtalk).await;
    let status = async || {
        let page = client.get(format!("{}/echo", menshen.url));
        let page = page.header("cookie", &cookie).send().await.unwrap();
        page.status().as_u16()
    };
    assert_eq!(status().await, 200);
    dingtalk.delete_member("zhangsan");
    let message =
        json!({ "EventType": "user_leave_org", "UserId": ["zhangsan"], "CorpId": CORP_ID });
    // Messages of every length, for both receivers.
    for blanks in 0..32 {
        let receiver = [APP_KEY, CORP_ID][blanks % 2];
        let message = format!("{message}{}", " ".repeat(blanks));
        let nonce = format!("nonce-{blanks}");
        let arguments = [
            "seal",
            EVENT_TOKEN,
            EVENT_AES_KEY,
            receiver,
            &message,
            &nonce,
        ];
        let sealed = tokio::task::block_in_place(|| dingtalk_sdk(&arguments));
        let text = |name: &str| sealed[name].as_str().unwrap().to_owned();
        let query = format!(
            "signature={}&timestamp={}&nonce={nonce}",
            text("msg_signature"),
            text("timeStamp")
        );
        let delivered = client
            .post(format!("{}/.menshen/events/ding?{query}", menshen.url))
            .body(json!({ "encrypt": text("encrypt") }).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(delivered.status(), 200, "{blanks}");
        let answer = delivered.text().await.unwrap();
        if blanks < 2 {
            let read = tokio::task::block_in_place(|| read_by_both(&answer, receiver));
            assert_eq!(read, ["success", "success"]);
        }
    }
    let begun = Instant::now();
    while status().await == 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "still signed in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
