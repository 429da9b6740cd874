//! What somebody tries who should not get in, or should not stay in.

use super::change::{CHANGE, change, form_headers, send_form};
use super::*;

/// The audit records of refusals.
fn refusals(menshen: &Menshen) -> Vec<String> {
    let audit = menshen.audit();
    let refused = audit.iter().filter(|line| line["event"] == "refused");
    refused.map(|line| line["error"].to_string()).collect()
}

#[tokio::test]
async fn guesses_on_the_change_page_count_as_those_of_the_login_form() {
    let setup = stored_setup("");
    let limit = format!("{NO_LOGIN_LIMITS}wrong_passwords_per_login = 4\n");
    let setup = setup.clone().tables(&format!(
        "{limit}[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         [connector.house]\n[connector.house.local]\n"
    ));
    let menshen = setup.start().await;
    add(&menshen, "zhangsan", json!({})).await;
    let mut stolen = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    for _ in 0..2 {
        let answer = sign_in(&mut Browser::new(&menshen), "ZHANGSAN", "a guess").await;
        assert_eq!(answer.status, 401);
        let answer = change(&mut stolen, "another guess", NEW).await;
        assert_eq!(answer.status, 401);
    }
    // The limit is reached: neither place verifies anything, the right password included.
    let page = stolen.visit(CHANGE).await.text();
    let answer = send_form(&mut stolen, &page, (OLD, NEW, NEW)).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    let answer = sign_in(&mut Browser::new(&menshen), "zhangsan", OLD).await;
    assert_eq!(answer.status, 429);
    menshen.advance(Duration::from_secs(300));
    assert_eq!(change(&mut stolen, OLD, NEW).await.status, 303);
}

#[tokio::test]
async fn a_front_end_does_not_pass_by_the_change_of_a_password() {
    let menshen = start().await;
    add(&menshen, "zhangsan", json!({ "must_change": true })).await;
    let mut browser = Browser::new(&menshen);
    let headers = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/json"),
    ];
    let url = format!("{OWN_PAGES}/login-config/house");
    let config = browser.send("GET", &url, &headers[..2], b"").await.json();
    let url = format!("{OWN_PAGES}/login/house");
    let body = json!({ "login": "zhangsan", "password": OLD, "state": config["state"] });
    let text = body.to_string();
    let answer = browser.send("POST", &url, &headers, text.as_bytes()).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(
        answer.text().contains("password-expired"),
        "{}",
        answer.text()
    );
    assert!(browser.cookie("menshen").is_none());
    // A new password in the request changes nothing.
    let mut body = body;
    body["new_password"] = json!(NEW);
    let text = body.to_string();
    let answer = browser.send("POST", &url, &headers, text.as_bytes()).await;
    assert_eq!(answer.status, 400);
    // The pending change is no pending login: neither of the forms that sign in takes it.
    let answer = sign_in(&mut browser, "zhangsan", OLD).await;
    let to = answer.header("location").unwrap().to_owned();
    let flow = to.split("flow=").nth(1).unwrap();
    let body = json!({ "login": "zhangsan", "password": OLD, "state": flow });
    let text = body.to_string();
    let answer = browser.send("POST", &url, &headers, text.as_bytes()).await;
    assert_eq!(answer.status, 400);
    let form = format!("flow={flow}&rd=%2Fecho&login=zhangsan&password=the+first+password");
    let url = format!("{OWN_PAGES}/password/house");
    let answer = browser
        .send("POST", &url, &form_headers(), form.as_bytes())
        .await;
    assert_eq!(answer.status, 400);
    assert!(browser.cookie("menshen").is_none());
    assert_ne!(status_at(&mut browser, "/echo").await, 200);
}

#[tokio::test]
async fn a_pending_change_is_for_its_own_person_only() {
    let menshen = start().await;
    for login in ["zhangsan", "boss"] {
        add(&menshen, login, json!({})).await;
    }
    let mut zhangsan = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    let page = zhangsan.visit(CHANGE).await.text();
    let form = format!(
        "flow={}&login=boss&subject=boss&password=the+first+password&new_password=12345678&\
         new_password_again=12345678",
        flow_id_in(&page)
    );
    let answer = zhangsan
        .send("POST", CHANGE, &form_headers(), form.as_bytes())
        .await;
    assert_eq!(answer.status, 303);
    signed_in(Browser::new(&menshen), "boss", OLD).await;
    signed_in(Browser::new(&menshen), "zhangsan", "12345678").await;
}

#[tokio::test]
async fn somebody_who_is_added_again_has_the_account_but_no_old_session_token_or_password() {
    let menshen = start().await;
    add(&menshen, "zhangsan", json!({})).await;
    let mut old = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    let token = access_tokens::make_token(&mut old, "laptop", &[]).await;
    let authorization = access_tokens::basic("zhangsan", &token);
    let form = old.visit(CHANGE).await.text();
    let id = async |browser: &mut Browser| {
        let userinfo = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        userinfo["id"].as_str().unwrap().to_owned()
    };
    let before = id(&mut old).await;
    must(&menshen, "DELETE", "/ZhangSan", Value::Null).await;
    let (status, _) = call(
        &menshen,
        "DELETE",
        &format!("{PEOPLE}/zhangsan"),
        &Value::Null,
    )
    .await;
    assert_eq!(status, 404);
    // With the same password, hence the same hash would match: the old logins stay ended.
    add(&menshen, "ZHANGSAN", json!({})).await;
    assert_ne!(status_at(&mut old, "/echo").await, 200);
    let answer = access_tokens::send(&menshen, "/git/x", &authorization).await;
    assert_ne!(answer.status, 200);
    let answer = send_form(&mut old, &form, (OLD, NEW, NEW)).await;
    assert!(answer.header("location").unwrap().contains("/start?"));
    let mut new = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    assert_eq!(id(&mut new).await, before);
    assert_ne!(status_at(&mut old, "/echo").await, 200);
}

#[tokio::test]
async fn logins_that_differ_only_in_case_are_one_person() {
    let menshen = start().await;
    add(&menshen, "Ünal", json!({})).await;
    for login in ["ünal", "ÜNAL", "Ünal"] {
        let (status, answer) = call(
            &menshen,
            "POST",
            &format!("{PEOPLE}/{}", urlencode(login)),
            &json!({ "password": NEW }),
        )
        .await;
        assert_eq!(status, 409, "{login}: {answer}");
        signed_in(Browser::new(&menshen), login, OLD).await;
    }
    // Another form of the same letter, and a letter that looks the same, are other people.
    for login in ["u\u{308}nal", "Unal"] {
        let answer = sign_in(&mut Browser::new(&menshen), login, OLD).await;
        assert_eq!(answer.status, 401, "{login}");
    }
    let path = format!("{PEOPLE}/{}", urlencode("ünal"));
    let renamed = json!({ "login": "ÜNAL" });
    assert_eq!(call(&menshen, "PATCH", &path, &renamed).await.0, 200);
    let (status, answer) = call(&menshen, "PATCH", &path, &json!({ "login": "boss" })).await;
    assert_eq!(status, 400, "{answer}");
    let mut browser = signed_in(Browser::new(&menshen), "ünal", OLD).await;
    let userinfo = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(userinfo["login"], "ÜNAL");
}

pub(super) fn urlencode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn a_file_and_the_store_do_not_take_over_each_others_sessions() {
    let folder = PeopleFolder::new(&(person("zhangsan", ZHANGSAN, "") + &person("lisi", LISI, "")));
    let with_file = folder.setup(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n[connector.house.mapping]\n"
    ));
    let menshen = with_file.clone().start().await;
    let mut lisi = signed_in(Browser::new(&menshen), "lisi", LISI.1).await;
    let mut of_file = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    let token = access_tokens::make_token(&mut of_file, "laptop", &[]).await;
    let authorization = access_tokens::basic("zhangsan", &token);
    // From the file to the store, under the same ID: nobody is there yet.
    menshen.reload(&stored_setup("")).await.unwrap();
    for browser in [&mut lisi, &mut of_file] {
        let cookie = browser.cookie("menshen").unwrap().value.clone();
        let request = TestRequest::get("/echo").session(&cookie);
        repeat_until(&request, menshen.address(), |answer| answer.status != 200).await;
    }
    let with_token = TestRequest::get("/git/x").header("Authorization", &authorization);
    repeat_until(&with_token, menshen.address(), |answer| {
        answer.status != 200
    })
    .await;
    let answer = sign_in(&mut Browser::new(&menshen), "lisi", LISI.1).await;
    assert_eq!(answer.status, 401);
    must(
        &menshen,
        "POST",
        "/zhangsan",
        json!({ "password_hash": ZHANGSAN.0 }),
    )
    .await;
    menshen.advance(Duration::from_secs(1));
    let mut of_store = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    assert_ne!(status_at(&mut of_file, "/echo").await, 200);
    // And back.
    menshen.reload(&with_file).await.unwrap();
    let cookie = of_store.cookie("menshen").unwrap().value.clone();
    let request = TestRequest::get("/echo").session(&cookie);
    repeat_until(&request, menshen.address(), |answer| answer.status != 200).await;
    menshen.advance(Duration::from_secs(1));
    signed_in(Browser::new(&menshen), "lisi", LISI.1).await;
    assert_ne!(status_at(&mut of_store, "/echo").await, 200);
}

#[tokio::test]
async fn an_import_takes_no_groups_away_that_it_does_not_name() {
    let menshen = start().await;
    let groups = json!({ "groups": ["admins"], "departments": ["财务部"] });
    add(&menshen, "boss", groups).await;
    let mut boss = signed_in(Browser::new(&menshen), "boss", OLD).await;
    let local = json!({ "local_groups": ["owners"] });
    let (status, _) = call(&menshen, "PATCH", "/api/people/boss", &local).await;
    assert_eq!(status, 200);
    let csv = json!("login,name,groups\nBOSS,老板,\n");
    let answer = must(&menshen, "POST", "", csv).await;
    assert_eq!(answer["updated"], 1);
    assert_eq!(
        answer["ended"],
        json!({ "sessions": 0, "access_tokens": 0 })
    );
    let htpasswd = json!(format!("boss:{}\n", WANGWU.0));
    let answer = must(&menshen, "POST", "", htpasswd).await;
    // Another password signs out, as everywhere, and the audit log says so.
    assert_eq!(answer["ended"]["sessions"], 1);
    assert_ne!(status_at(&mut boss, "/echo").await, 200);
    let audit = menshen.audit();
    let imported = audit
        .iter()
        .rfind(|line| line["event"] == "imported")
        .unwrap();
    let reason = imported["reason"].as_str().unwrap();
    assert!(reason.contains("1 changed, 1 sessions"), "{reason}");
    let mut boss = signed_in(Browser::new(&menshen), "boss", WANGWU.1).await;
    let echo = boss.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-groups"), ["admins,owners"]);
    assert_eq!(status_at(&mut boss, "/finance/echo").await, 200);
    let shown = must(&menshen, "GET", "/boss", Value::Null).await;
    assert_eq!(
        (&shown["name"], &shown["login"]),
        (&json!("老板"), &json!("boss"))
    );
}

#[tokio::test]
async fn a_person_of_another_source_with_the_same_login_is_somebody_else() {
    let menshen = start().await;
    let mut of_wecom = Browser::new(&menshen);
    of_wecom.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let answer = must(&menshen, "POST", "/lisi", json!({ "password": OLD })).await;
    assert_eq!(answer["login_taken"], true);
    let answer = sign_in(&mut Browser::new(&menshen), "lisi", OLD).await;
    assert_eq!(answer.cause(), Some(Cause::LoginTaken));
    // Removing the local one ends no session of the other.
    must(&menshen, "DELETE", "/lisi", Value::Null).await;
    assert_eq!(status_at(&mut of_wecom, "/echo").await, 200);
    let answer = must(&menshen, "POST", "/free", json!({ "password": OLD })).await;
    assert_eq!(answer["login_taken"], false);
}

#[tokio::test]
async fn bcrypt_refuses_what_it_would_cut_and_a_new_password_may_be_longer() {
    let hash = "$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q";
    let menshen = start().await;
    must(&menshen, "POST", "/long", json!({ "password_hash": hash })).await;
    for length in [71, 73, 1_024] {
        let answer = sign_in(&mut Browser::new(&menshen), "long", &"x".repeat(length)).await;
        assert_eq!(answer.status, 401, "{length}");
    }
    let mut browser = signed_in(Browser::new(&menshen), "long", &"x".repeat(72)).await;
    let new = "密".repeat(100);
    assert_eq!(
        change(&mut browser, &"x".repeat(72), &new).await.status,
        303
    );
    let cut: String = new.chars().take(24).collect();
    let answer = sign_in(&mut Browser::new(&menshen), "long", &cut).await;
    assert_eq!(answer.status, 401);
    signed_in(Browser::new(&menshen), "long", &new).await;
}

#[tokio::test]
async fn no_password_and_no_hash_is_logged_or_shown() {
    let log = Records::process_log();
    let menshen = start().await;
    let secrets = [
        "shown nowhere 1",
        "shown nowhere 2",
        "shown nowhere 3",
        "nowhere 4",
    ];
    let mut shown = String::new();
    let body = json!({ "password": secrets[0] });
    shown += &must(&menshen, "POST", "/zhangsan", body).await.to_string();
    let mut browser = signed_in(Browser::new(&menshen), "zhangsan", secrets[0]).await;
    shown += &change(&mut browser, "shown nowhere 3", secrets[1])
        .await
        .text();
    let changed = change(&mut browser, secrets[0], secrets[1]).await;
    shown += &format!("{:?} {}", changed.headers, changed.text());
    let path = format!("{PEOPLE}/zhangsan/password");
    for body in [
        json!({ "password": secrets[2] }),
        json!({ "password": [secrets[3]] }),
        json!({ "password_hash": secrets[3] }),
        json!({ "password": "a\nb and nowhere 4" }),
    ] {
        shown += &call(&menshen, "POST", &path, &body).await.1.to_string();
    }
    for text in [
        "login,password\nx,nowhere 4\n",
        "x:$1$nowhere 4$\n",
        "[{\"login\": \"x\", \"password\": \"nowhere 4\"}]",
    ] {
        shown += &call(&menshen, "POST", PEOPLE, &json!(text))
            .await
            .1
            .to_string();
    }
    for rest in ["", "/zhangsan"] {
        shown += &must(&menshen, "GET", rest, Value::Null).await.to_string();
    }
    let site = menshen.running.live().site();
    shown += &format!("{:?}", site.login);
    let people = site.login.entry(&"house".parse().unwrap()).unwrap();
    let people = people.connector.local_people().unwrap();
    let person = people
        .find(&"zhangsan".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    shown += &format!("{person:?} {people:?}");
    let hash = person.password_hash.expose().clone();
    refusals(&menshen);
    shown += &menshen.records.text();
    // At `trace`, and with what the store and the network log.
    shown += &log.text();
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret}");
        assert!(!shown.contains(&urlencode(secret)), "{secret}");
    }
    assert!(!shown.contains(&hash[hash.len() - 20..]));
    // Only this test may have it, or the check above says nothing.
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{}",
        hash.len()
    );
}
