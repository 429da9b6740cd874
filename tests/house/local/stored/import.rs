//! Imports of people with their passwords.

use super::*;

async fn import(menshen: &Menshen, text: &str) -> (u16, Value) {
    call(menshen, "POST", PEOPLE, &json!(text)).await
}

#[tokio::test]
async fn every_format_brings_people_who_can_sign_in() {
    let menshen = start().await;
    let csv = format!(
        "login,password,name,groups,departments,must_change\nZhangSan,\"{}\",张三,it;ops,财务部,false\n",
        ZHANGSAN.0
    );
    let json_text = json!([{
        "login": "lisi", "password": LISI.0, "attributes": { "badge": 7 }, "groups": ["it"],
    }]);
    let htpasswd = format!("# comment\nwang.wu:{}\n", WANGWU.0);
    for text in [&csv, &json_text.to_string(), &htpasswd] {
        let (status, answer) = import(&menshen, text).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["created"], &answer["updated"]),
            (&json!(1), &json!(0))
        );
        // The same again changes nothing.
        let (_, answer) = import(&menshen, text).await;
        let nothing = json!({ "sessions": 0, "access_tokens": 0 });
        assert_eq!(
            answer,
            json!({ "created": 0, "updated": 0, "unchanged": 1, "ended": nothing })
        );
    }
    let mut zhangsan = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    assert_eq!(status_at(&mut zhangsan, "/finance/echo").await, 200);
    let mut lisi = signed_in(Browser::new(&menshen), "lisi", LISI.1).await;
    assert_eq!(status_at(&mut lisi, "/badge/echo").await, 200);
    signed_in(Browser::new(&menshen), "wang.wu", WANGWU.1).await;
}

#[tokio::test]
async fn a_second_import_updates_and_signs_out_whose_password_changed() {
    let menshen = start().await;
    let first = format!(
        "login,password,departments\na,\"{0}\",财务部\nb,\"{0}\",财务部\nc,\"{0}\",财务部\n",
        ZHANGSAN.0
    );
    assert_eq!(import(&menshen, &first).await.0, 200);
    let mut browsers = Vec::new();
    for login in ["a", "b", "c"] {
        browsers.push(signed_in(Browser::new(&menshen), login, ZHANGSAN.1).await);
    }
    let second = format!(
        "login,password,departments,disabled\na,\"{}\",,\nB,,it,\nc,,,true\nd,\"{}\",,\n",
        LISI.0, LISI.0
    );
    let (status, answer) = import(&menshen, &second).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["created"], &answer["updated"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(answer["ended"]["sessions"], 2);
    let [mut a, mut b, mut c] = browsers.try_into().unwrap();
    assert_ne!(status_at(&mut a, "/echo").await, 200);
    assert_ne!(status_at(&mut c, "/echo").await, 200);
    let cookie = b.cookie("menshen").unwrap().value.clone();
    let finance = TestRequest::get("/finance/echo").session(&cookie);
    repeat_until(&finance, menshen.address(), |answer| answer.status == 403).await;
    assert_eq!(status_at(&mut b, "/echo").await, 200);
    let mut a = signed_in(Browser::new(&menshen), "a", LISI.1).await;
    assert_eq!(status_at(&mut a, "/finance/echo").await, 200);
}

#[tokio::test]
async fn the_audit_log_names_everybody_whom_an_import_changed() {
    let menshen = start().await;
    for login in ["a", "b", "c", "d"] {
        add(&menshen, login, json!({})).await;
    }
    let before = menshen.audit().len();
    let csv = format!(
        "login,password,groups,disabled\nA,\"{0}\",,\nb,,it,\nc,\"{0}\",,true\nd,,,\nE,\"{0}\",,\n",
        LISI.0
    );
    assert_eq!(import(&menshen, &csv).await.0, 200);
    let audit = menshen.audit();
    let record = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("connector"), "house");
        // The name of the token.
        assert_eq!(line["by"], audit[0]["by"], "{line}");
        assert!(!line.to_string().contains("argon2"), "{line}");
        // In the case of the file.
        assert_eq!(text("login").to_lowercase(), text("subject"), "{line}");
        (text("event"), text("subject"))
    };
    let records: Vec<_> = audit[before..].iter().map(record).collect();
    let expected = [
        ("imported", ""),
        ("password-changed", "a"),
        ("changed", "b"),
        ("password-changed", "c"),
        ("changed", "c"),
        ("added", "e"),
    ];
    let expected = expected.map(|(event, subject)| (event.to_owned(), subject.to_owned()));
    assert_eq!(records, expected);
    // Nobody is imported, so nobody is named.
    let before = menshen.audit().len();
    assert_eq!(
        import(&menshen, "login,groups\nb,ops\nnew,it\n").await.0,
        400
    );
    assert_eq!(menshen.audit().len(), before);
}

#[tokio::test]
async fn an_import_with_a_bad_line_imports_nobody_and_names_every_one() {
    let menshen = start().await;
    add(&menshen, "known", json!({})).await;
    let bad = format!(
        "login,password,name\nok,\"{0}\",\nplain,hunter22,\n,\"{0}\",\nnew,,\nOK,\"{0}\",\nknown,,改名\n",
        ZHANGSAN.0
    );
    let (status, answer) = import(&menshen, &bad).await;
    assert_eq!(status, 400, "{answer}");
    let problems = answer["problems"].as_array().unwrap();
    let lines: Vec<_> = problems.iter().map(|problem| &problem["line"]).collect();
    assert_eq!(lines, [3, 4, 6], "{answer}");
    assert!(!answer.to_string().contains("hunter22"));
    // What only the store knows is found when every line can be read.
    let bad = format!(
        "login,password,name\nok,\"{0}\",\nnew,,\nknown,,改名\n",
        ZHANGSAN.0
    );
    let (status, answer) = import(&menshen, &bad).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(answer["problems"][0]["line"], 3, "{answer}");
    let why = answer["problems"][0]["why"].as_str().unwrap();
    assert!(why.contains("needs a password"), "{why}");
    for login in ["ok", "new"] {
        let (status, _) = call(&menshen, "GET", &format!("{PEOPLE}/{login}"), &Value::Null).await;
        assert_eq!(status, 404, "{login}");
    }
    let known = must(&menshen, "GET", "/known", Value::Null).await;
    assert_eq!(known["name"], Value::Null);
    for (text, status) in [("", 400), ("name\nx\n", 400), ("login\n", 200), ("[]", 200)] {
        assert_eq!(import(&menshen, text).await.0, status, "{text}");
    }
    let large = format!("login\n{}", "x".repeat(9 << 20));
    assert_eq!(import(&menshen, &large).await.0, 413);
}

#[tokio::test]
async fn a_hash_that_takes_much_memory_is_refused_at_its_line() {
    let menshen = start().await;
    let hash = |kib: u32| {
        format!("$argon2id$v=19$m={kib},t=1,p=1$c2FsdHNhbHRzYWx0MDAwMQ$SIvjSCzzIqRmWInu9Drbbw")
    };
    let csv = format!(
        "login,password\nfits,\"{}\"\ncostly,\"{}\"\n",
        hash(262_144),
        hash(262_145)
    );
    let (status, answer) = import(&menshen, &csv).await;
    assert_eq!(status, 400, "{answer}");
    let problems = answer["problems"].as_array().unwrap();
    assert_eq!((problems.len(), &problems[0]["line"]), (1, &json!(3)));
    let why = problems[0]["why"].as_str().unwrap();
    assert!(why.contains("more than 256 MiB"), "{why}");
    for (kib, expected) in [(262_145, 400), (262_144, 200)] {
        let body = json!({ "password_hash": hash(kib) });
        let (status, answer) = call(&menshen, "POST", &format!("{PEOPLE}/one"), &body).await;
        assert_eq!(status, expected, "{kib}: {answer}");
    }
}

#[tokio::test]
async fn thousands_are_imported_in_one_piece() {
    let menshen = start().await;
    let lines: String = (0..5_000)
        .map(|number| format!("user{number}:{}\n", WANGWU.0))
        .collect();
    let (status, answer) = import(&menshen, &lines).await;
    assert_eq!(
        (status, &answer["created"]),
        (200, &json!(5_000)),
        "{answer}"
    );
    signed_in(Browser::new(&menshen), "user4999", WANGWU.1).await;
    let more = format!("{lines}more:{}\n", WANGWU.0);
    let (status, answer) = import(&menshen, &more).await;
    assert_eq!(status, 400, "{answer}");
}

#[tokio::test]
async fn no_answer_to_an_import_repeats_a_hash_or_a_password() {
    let log = Records::process_log();
    let menshen = start().await;
    let bcrypt = WANGWU.0;
    let secret = "5Zq1uHn7Jw2oYx9c";
    for text in [
        // Files of htpasswd with other hashes, and with none.
        format!("zhangsan:{{SHA}}{secret}=\n"),
        format!("zhangsan:$apr1$r31.....${secret}\n"),
        format!("zhangsan:{secret}\n"),
        format!("zhangsan:{secret},more\n"),
        // Files without a header.
        format!("zhangsan,{secret}\n"),
        format!("{secret},login\n"),
        format!("zhangsan,$2y$05${secret}\n"),
        format!("\"{bcrypt}\",zhangsan\n"),
        format!("login,{secret}\nzhangsan,{bcrypt}\n"),
        json!([{ "login": "zhangsan", secret: "password" }]).to_string(),
        json!([{ "login": "zhangsan", "password": secret }]).to_string(),
        json!([{ "login": "zhangsan", "password": [bcrypt] }]).to_string(),
    ] {
        let (status, answer) = call(&menshen, "POST", PEOPLE, &json!(text)).await;
        assert_eq!(status, 400, "{text}: {answer}");
        let answer = answer.to_string().to_lowercase();
        for part in [secret, bcrypt] {
            assert!(!answer.contains(&part.to_lowercase()), "{text}: {answer}");
            assert!(!log.text().contains(part), "{text}");
        }
    }
    // What looks like the name of a column is shown, so that a mistake is found.
    for (text, shown) in [
        ("login,pasword\n", "\"pasword\""),
        ("login,Kennwort1\n", "number 2"),
    ] {
        let (_, answer) = call(&menshen, "POST", PEOPLE, &json!(text)).await;
        let why = answer["problems"][0]["why"].as_str().unwrap();
        assert!(why.contains(shown), "{why}");
    }
}
