//! The simulated Lark and its events, as the SDKs of Lark for Node and Python read them, and events that the SDK for
//! Python produces.
//! `tests/peers/lark_sdk/install` installs them.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::lark::{
    APP_ID, APP_SECRET, CodeRequest, ContactChange, DeliveredEvent, ENCRYPT_KEY, EventSealer, Lark,
    Person, TENANT_KEY, VERIFICATION_TOKEN, event,
};
use super::legacy_app::LegacyApp;
use super::processes::counterparts;
use super::setup::Menshen;

/// The languages of the SDKs.
#[derive(Clone, Copy, Debug)]
enum Sdk {
    Node,
    Python,
}

const SDKS: [Sdk; 2] = [Sdk::Node, Sdk::Python];

/// What a script with an SDK prints.
fn run(sdk: Sdk, script: &str, arguments: &[&str]) -> Value {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/lark_sdk");
    let installed = counterparts().join("lark_sdk");
    let mut command = match sdk {
        Sdk::Node => {
            let mut command = Command::new(counterparts().join("bin/node"));
            command.env("NODE_PATH", installed.join("npm/node_modules"));
            command.arg(format!("{scripts}/{script}.cjs"));
            command
        }
        Sdk::Python => {
            let mut command = Command::new(installed.join("python/bin/python"));
            command.args(["-B", &format!("{scripts}/{script}.py")]);
            command
        }
    };
    let output = command
        .env("NO_PROXY", "127.0.0.1")
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{sdk:?} {arguments:?}: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.trim_end().lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{sdk:?}: {text} {errors}"))
}

/// What a client with an SDK gets from the simulated Lark.
fn ask(sdk: Sdk, lark: &Lark, secret: &str, arguments: &[&str]) -> Value {
    let base = lark.base_url();
    let app = [base.as_str(), APP_ID, secret];
    tokio::task::block_in_place(|| run(sdk, "client", &[&app, arguments].concat()))
}

/// What an SDK makes of a delivery with these keys.
fn read(sdk: Sdk, delivered: &DeliveredEvent, encrypt_key: &str) -> Value {
    // Servers for Node have lower-case names.
    let name = |name: &str| match sdk {
        Sdk::Node => name.to_ascii_lowercase(),
        Sdk::Python => name.to_owned(),
    };
    let headers = delivered.headers.iter();
    let headers: serde_json::Map<_, _> = headers
        .map(|(header, value)| (name(header), Value::from(value.as_str())))
        .collect();
    let headers = Value::from(headers).to_string();
    let keys = [VERIFICATION_TOKEN, encrypt_key];
    let command: &[&str] = match sdk {
        Sdk::Node => &[],
        Sdk::Python => &["read"],
    };
    let delivery = [headers.as_str(), delivered.body.as_str()];
    run(sdk, "events", &[&keys, command, &delivery].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sdks_read_the_directory_of_the_simulated_lark() {
    let lark = Lark::start().await.unwrap();
    for sdk in SDKS {
        let directory = ask(sdk, &lark, APP_SECRET, &["directory"]);
        assert_eq!(directory["tenant"], TENANT_KEY, "{sdk:?} {directory}");
        let departments = directory["departments"].as_array().unwrap();
        assert_eq!(departments.len(), 6, "{sdk:?} {directory}");
        assert!(departments.contains(&json!(["od-platform", "平台部"])));
        let mut people = directory["members"].as_array().unwrap().clone();
        people.sort_by_key(Value::to_string);
        people.dedup();
        assert_eq!(people.len(), 5, "{sdk:?} {directory}");
        assert!(
            people.contains(&json!(["on_zhangsan", "张三", true])),
            "{sdk:?} {directory}"
        );
        let person = ask(sdk, &lark, APP_SECRET, &["person", "on_lisi"]);
        assert_eq!(person, json!({ "name": "李四" }), "{sdk:?}");
        let nobody = ask(sdk, &lark, APP_SECRET, &["person", "on_nobody"]);
        assert_eq!(nobody, json!({ "code": 41012 }), "{sdk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sdks_redeem_a_code_of_the_simulated_lark_once() {
    let lark = Lark::start().await.unwrap();
    for sdk in SDKS {
        let code = lark.issue_code(CodeRequest {
            user_id: "zhangsan",
            app_id: APP_ID,
            redirect_uri: None,
            challenge: None,
        });
        let owners = ask(sdk, &lark, APP_SECRET, &["code", &code, &code, "made-up"]);
        let owner = json!({ "union_id": "on_zhangsan", "tenant": TENANT_KEY });
        assert_eq!(owners[0], owner, "{sdk:?} {owners}");
        assert_eq!(owners[1], json!({ "code": 20065 }), "{sdk:?} {owners}");
        assert_eq!(owners[2], json!({ "code": 20003 }), "{sdk:?} {owners}");
    }
}

#[test]
fn both_sdks_read_the_events_of_the_simulated_lark_and_refuse_others() {
    let now = SystemTime::now();
    let mut left = Person::new("lisi", "李四", &[]);
    left.is_resigned = true;
    let sealer = EventSealer::default();
    for (change, kind, union_id) in [
        (
            ContactChange::UserDeleted("zhangsan"),
            "contact.user.deleted_v3",
            "on_zhangsan",
        ),
        (
            ContactChange::UserUpdated(&left),
            "contact.user.updated_v3",
            "on_lisi",
        ),
    ] {
        let sealed = sealer.seal(&event(change, now), now);
        let mut changed = sealed.clone();
        changed.headers[1].1 = "1700000000".to_owned();
        for sdk in SDKS {
            let expected = json!({ "type": kind, "union_id": union_id });
            assert_eq!(read(sdk, &sealed, ENCRYPT_KEY), expected, "{sdk:?}");
            assert_eq!(read(sdk, &changed, ENCRYPT_KEY), Value::Null, "{sdk:?}");
        }
    }
    let verification = json!({
        "type": "url_verification", "challenge": "c1", "token": VERIFICATION_TOKEN,
    });
    let sealed = sealer.seal(&verification, now);
    for sdk in SDKS {
        assert_eq!(
            read(sdk, &sealed, ENCRYPT_KEY),
            json!({ "challenge": "c1" }),
            "{sdk:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn menshen_reads_the_events_that_the_sdk_seals() {
    let lark = Lark::start().await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后");
    let app = app.await.unwrap();
    let menshen = Menshen::built(menshen::clock::Clock::system(), |url, dir| {
        lark.register_redirect(&format!("{url}/.menshen/callback/fs"));
        format!(
            "[server]\nlisten = [\"{}\"]\nexternal_url = \"{url}\"\n[log]\naccess = false\n\
             [store]\nurl = \"sqlite://{}/menshen.db\"\n{}{}\n[[route]]\nname = \"all\"\n\
             host = \"127.0.0.1\"\nupstream = [\"{}\"]\n",
            url.trim_start_matches("http://"),
            dir.path().display(),
            lark.connector_toml("fs", "contacts = true"),
            Lark::events_toml("fs"),
            app.base_url()
        )
    })
    .await;
    let cookie = signed_in(&menshen.url).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let deliver = async |message: &Value, nonce: &str| {
        let delivered = tokio::task::block_in_place(|| seal(message, nonce));
        let mut post = client.post(format!("{}/.menshen/events/fs", menshen.url));
        for (name, value) in delivered["headers"].as_object().unwrap() {
            post = post.header(name, value.as_str().unwrap());
        }
        let body = delivered["body"].as_str().unwrap().to_owned();
        post.body(body).send().await.unwrap()
    };
    let verification = json!({
        "type": "url_verification", "challenge": "c2", "token": VERIFICATION_TOKEN,
    });
    let verified = deliver(&verification, "n0").await;
    assert_eq!(verified.status(), 200);
    let answer: Value = serde_json::from_str(&verified.text().await.unwrap()).unwrap();
    assert_eq!(answer, json!({ "challenge": "c2" }));

    let status = async || {
        let page = client.get(format!("{}/echo", menshen.url));
        let page = page.header("cookie", &cookie).send().await.unwrap();
        page.status().as_u16()
    };
    assert_eq!(status().await, 200);
    lark.delete_person("zhangsan");
    let mut message = event(ContactChange::UserDeleted("zhangsan"), SystemTime::now());
    // Padded messages of every length are read.
    for length in 0..16 {
        message["header"]["create_time"] = json!("1".repeat(length));
        let answer = deliver(&message, &format!("n{length}")).await;
        assert_eq!(answer.status(), 200, "{length}");
    }
    let begun = std::time::Instant::now();
    while status().await == 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "still signed in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A delivery that the SDK for Python encrypts and signs.
fn seal(message: &Value, nonce: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (message, timestamp) = (message.to_string(), now.as_secs().to_string());
    let arguments = [
        VERIFICATION_TOKEN,
        ENCRYPT_KEY,
        "seal",
        &message,
        &timestamp,
        nonce,
    ];
    run(Sdk::Python, "events", &arguments)
}

/// Signs 张三 in and returns the session cookie.
async fn signed_in(url: &str) -> String {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let location = |answer: &reqwest::Response| {
        let location = answer.headers().get("location").expect("a redirect");
        location.to_str().unwrap().to_owned()
    };
    let cookies = |answer: &reqwest::Response| -> Vec<String> {
        let cookies = answer.headers().get_all("set-cookie").iter();
        let pairs = cookies.map(|one| one.to_str().unwrap().split(';').next().unwrap());
        pairs.map(str::to_owned).collect()
    };
    let begin = format!("{url}/.menshen/start?connector=fs&rd=%2Fecho");
    let begun = client.get(begin).header("accept", "text/html");
    let begun = begun.send().await.unwrap();
    let chosen = client.get(Lark::choose(&location(&begun), "zhangsan"));
    let chosen = chosen.send().await.unwrap();
    let back = client.get(location(&chosen));
    let back = back
        .header("cookie", &cookies(&begun)[0])
        .send()
        .await
        .unwrap();
    let session = cookies(&back).into_iter();
    let mut session = session.filter(|pair| pair.starts_with("menshen="));
    session.next().expect("a login sets the session cookie")
}
