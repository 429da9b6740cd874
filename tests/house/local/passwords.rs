//! Who signs in with which password, and what everybody else reads.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use menshen::face::page::Cause;
use serde_json::json;

use super::*;
use crate::records::Records;

#[tokio::test]
async fn a_listed_person_signs_in_under_the_login_of_the_file() {
    let (menshen, _folder) = start_menshen().await;
    for typed in ["ZhangSan", " zhangsan ", "ZHANGSAN"] {
        let mut browser = signed_in(Browser::new(&menshen), typed, ZHANGSAN.1).await;
        let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.echoed("x-forwarded-user"), ["ZhangSan"], "{typed}");
        assert_eq!(echo.echoed("x-forwarded-groups"), ["it,ops"]);
        assert_eq!(echo.echoed("x-forwarded-email"), ["zhangsan@corp.example"]);
        let userinfo = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        assert_eq!(userinfo["name"], json!("张三"));
        assert_eq!(userinfo["mobile"], json!("13800000000"));
        // A field, a further key, and the time of the login.
        for path in ["/finance/echo", "/badge/echo", "/fresh/echo"] {
            assert_eq!(status_at(&mut browser, path).await, 200, "{path}");
        }
    }
    let mut browser = signed_in(Browser::new(&menshen), "wang.wu", WANGWU.1).await;
    for path in ["/finance/echo", "/badge/echo"] {
        assert_eq!(status_at(&mut browser, path).await, 403, "{path}");
    }
    let audit = menshen.audit();
    let logins = audit.iter().filter(|line| line["event"] == "login");
    let subjects: Vec<_> = logins.map(|line| line["subject"].clone()).collect();
    let zhangsan = json!("zhangsan");
    assert_eq!(
        subjects,
        [
            zhangsan.clone(),
            zhangsan.clone(),
            zhangsan,
            json!("wang.wu")
        ]
    );
}

/// A page without what differs between two requests for different login names.
fn without_request(answer: &Answer, login: &str) -> String {
    let html = answer.text();
    let request_id = html.split("<code>").nth(1).unwrap_or_default();
    let request_id = request_id.split('<').next().unwrap_or_default().to_owned();
    let flow = flow_id_in(&html);
    let mut html = html.replace(&flow, "").replace(login, "");
    if !request_id.is_empty() {
        html = html.replace(&request_id, "");
    }
    html
}

#[tokio::test]
async fn unknown_and_disabled_people_and_wrong_passwords_get_the_same_page() {
    let (menshen, _folder) = start_menshen().await;
    let mut pages = Vec::new();
    for (login, password) in [
        ("ZhangSan", "correct horse 密码 "),
        ("ZhangSan", "Correct horse 密码"),
        ("ZhangSan", LISI.1),
        ("wang.wu", ZHANGSAN.1),
        ("zhaoliu", "wrong"),
        ("nobody", ZHANGSAN.1),
        ("zhang", ZHANGSAN.1),
        ("张三", ZHANGSAN.1),
        ("zhangsan@corp.example", ZHANGSAN.1),
    ] {
        let mut browser = Browser::new(&menshen);
        let answer = sign_in(&mut browser, login, password).await;
        assert_eq!(answer.status, 401, "{login}: {}", answer.text());
        assert!(browser.cookie("menshen").is_none(), "{login}");
        pages.push(without_request(&answer, login));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    let audit = menshen.audit();
    let says = |text: &str| {
        let lines = audit.iter().filter(|line| {
            let error = line["error"].as_str().unwrap_or_default();
            line["event"] == "refused" && error.contains(text)
        });
        lines.count()
    };
    assert_eq!(says("no such user name"), 4, "{audit:?}");
    assert_eq!(says("the password for zhangsan is wrong"), 3, "{audit:?}");
    assert_eq!(says("the password for zhaoliu is wrong"), 1, "{audit:?}");
}

/// Hashes of `right`. No other test has their costs, so the log tells how many were computed.
fn counted_hashes() -> [(&'static str, String); 2] {
    let params = Params::new(40, 3, 1, None).unwrap();
    let argon2id = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = b"salt of 16 bytes";
    let mut hash = [0; 32];
    argon2id
        .hash_password_into(b"right", salt, &mut hash)
        .unwrap();
    let [salt, hash] = [&salt[..], &hash].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    let argon2id = format!("$argon2id$v=19$m=40,t=3,p=1${salt}${hash}");
    let bcrypt = "$2y$06$IbUV1CqRq4ysU4x1n6irn.1nmdgF9Y2xRT9XltWW25KMPp/tKq4Xq";
    [
        ("argon2id with m=40,t=3,p=1", argon2id),
        ("bcrypt with cost 6", bcrypt.to_owned()),
    ]
}

#[tokio::test]
async fn an_unknown_login_name_costs_the_same_work_as_a_wrong_password() {
    let log = Records::process_log();
    let long = "x".repeat(1_025);
    for (cost, hash) in counted_hashes() {
        let people =
            person("zhangsan", (&hash, ""), "") + &person("lisi", (&hash, ""), "disabled=true");
        let folder = PeopleFolder::new(&people);
        let menshen = folder.setup("").start().await;
        for (login, password, status, hashes) in [
            ("zhangsan", "right", 303, 1),
            ("zhangsan", "wrong", 401, 1),
            ("lisi", "right", 403, 1),
            ("lisi", "wrong", 401, 1),
            ("nobody", "wrong", 401, 1),
            ("nobody", "right", 401, 1),
            ("无名氏", "wrong", 401, 1),
            // Refused before anybody is looked for.
            ("zhangsan", "", 401, 0),
            ("nobody", "", 401, 0),
            ("zhangsan", &long, 401, 0),
            ("nobody", &long, 401, 0),
        ] {
            let before = log.text().matches(cost).count();
            let answer = sign_in(&mut Browser::new(&menshen), login, password).await;
            assert_eq!(answer.status, status, "{login}: {}", answer.text());
            let computed = log.text().matches(cost).count() - before;
            assert_eq!(computed, hashes, "{cost}: {login} {password}");
        }
    }
}

#[tokio::test]
async fn only_who_knows_the_password_reads_that_the_person_is_disabled() {
    let (menshen, _folder) = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let answer = sign_in(&mut browser, "zhaoliu", ZHAOLIU.1).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (403, Some(Cause::InactiveMember))
    );
    assert!(browser.cookie("menshen").is_none());
    let wrong = sign_in(&mut browser, "zhaoliu", ZHANGSAN.1).await;
    assert_eq!(wrong.status, 401);
}

#[tokio::test]
async fn bcrypt_refuses_a_password_that_is_longer_than_72_bytes() {
    let hash = "$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q";
    let folder = PeopleFolder::new(&person("long", (hash, ""), ""));
    let menshen = folder.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    for length in [71, 73, 1_024] {
        let answer = sign_in(&mut browser, "long", &"x".repeat(length)).await;
        assert_eq!(answer.status, 401, "{length}");
    }
    signed_in(browser, "long", &"x".repeat(72)).await;
}

#[tokio::test]
async fn no_password_and_no_hash_is_logged_or_shown() {
    let log = Records::process_log();
    let (menshen, _folder) = start_menshen().await;
    let mut shown = String::new();
    for (login, password) in [
        ("zhangsan", ZHANGSAN.1),
        ("zhangsan", LISI.1),
        ("zhaoliu", ZHAOLIU.1),
        ("nobody", WANGWU.1),
    ] {
        let answer = sign_in(&mut Browser::new(&menshen), login, password).await;
        shown.push_str(&answer.text());
        shown.push_str(&format!("{:?}", answer.headers));
    }
    let site = menshen.running.live().site();
    shown.push_str(&format!("{:?}", site.login));
    menshen.audit();
    shown.push_str(&menshen.records.text());
    // At `trace`, and with what the store and the network log.
    shown.push_str(&log.text());
    for (hash, password) in [ZHANGSAN, LISI, ZHAOLIU, WANGWU] {
        assert!(!shown.contains(password), "{password}");
        assert!(!shown.contains(&hash[hash.len() - 20..]), "{hash}");
    }
}

#[tokio::test]
async fn a_front_end_signs_people_in_with_json() {
    let (menshen, _folder) = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let headers = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/json"),
    ];
    let url = format!("{OWN_PAGES}/login-config/house");
    let config = browser.send("GET", &url, &headers[..2], b"").await.json();
    assert_eq!(config["kind"], json!("local"), "{config}");
    let url = format!("{OWN_PAGES}/login/house");
    for (password, status) in [("wrong", 401), (ZHANGSAN.1, 200)] {
        let body = json!({ "login": "zhangsan", "password": password, "state": config["state"] });
        let body = body.to_string();
        let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 200 {
            assert_eq!(answer.json()["user"]["login"], json!("ZhangSan"));
        }
    }
    assert_eq!(status_at(&mut browser, "/echo").await, 200);
}

#[tokio::test]
async fn an_address_in_the_file_links_a_person_to_their_account_if_the_settings_ask_for_it() {
    let people = "email = \"zhangsan@corp.example\"";
    let (first, second) = (
        PeopleFolder::new(&person("ZhangSan", ZHANGSAN, people)),
        PeopleFolder::new(&(person("zs", LISI, people) + &person("ww", WANGWU, ""))),
    );
    for (link_by, is_linked) in [("[\"email\"]", true), ("[\"mobile\"]", false)] {
        let more = format!(
            "[connector.second]\nlink_by = {link_by}\n[connector.second.local]\npeople = \"{}\"\n",
            second.path().display()
        );
        let menshen = first.setup(&more).start().await;
        let mut ids = Vec::new();
        for (connector, login, password) in [
            ("house", "zhangsan", ZHANGSAN.1),
            ("second", "zs", LISI.1),
            ("second", "ww", WANGWU.1),
        ] {
            let mut browser = Browser::new(&menshen);
            let answer = sign_in_with(connector, &mut browser, login, password).await;
            assert_eq!(answer.status, 303, "{login}");
            let userinfo = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
            ids.push(userinfo["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(ids[0] == ids[1], is_linked, "{link_by}");
        assert_ne!(ids[0], ids[2]);
    }
}

#[tokio::test]
async fn many_people_sign_in_at_once_although_few_hashes_are_computed_at_once() {
    let (menshen, _folder) = start_menshen().await;
    let logins = (0..24).map(|number| {
        let browser = Browser::new(&menshen);
        let (login, password) = match number % 2 {
            0 => ("zhangsan", ZHANGSAN.1),
            _ => ("wang.wu", WANGWU.1),
        };
        signed_in(browser, login, password)
    });
    futures_util::future::join_all(logins).await;
}
