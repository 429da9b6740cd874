//! The people of the admin API: list, search, show, import, change, and who may use a route.

use super::*;

fn logins(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let people = answer.json()["people"].as_array().unwrap().clone();
    let login = |person: &Value| person["login"].as_str().unwrap().to_owned();
    people.iter().map(login).collect()
}

async fn get(menshen: &Menshen, path: &str) -> Answer {
    call_api(menshen, "GET", path, &Value::Null).await
}

async fn import(menshen: &Menshen, path: &str, text: &str) -> Answer {
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    send_request(menshen, "POST", path, &headers, text).await
}

#[tokio::test]
async fn people_are_listed_searched_and_shown() {
    let menshen = setup().start().await;
    for userid in ["zhangsan", "lisi", "wangfang"] {
        sign_in_as(&menshen, userid).await;
    }
    let all = get(&menshen, "/api/people").await;
    assert_eq!(logins(&all), ["lisi", "wangfang", "zhangsan"]);
    assert_eq!(all.json()["next"], Value::Null);
    let page = get(&menshen, "/api/people?max=2").await;
    assert_eq!(logins(&page), ["lisi", "wangfang"]);
    assert_eq!(page.json()["next"], "wangfang");
    let page = get(&menshen, "/api/people?max=2&after=wangfang").await;
    assert_eq!(
        (logins(&page), page.json()["next"].clone()),
        (vec!["zhangsan".to_owned()], Value::Null)
    );
    for (query, expected) in [
        ("text=ANG", vec!["wangfang", "zhangsan"]),
        ("name=%E5%BC%A0", vec!["zhangsan"]),
        ("login=li", vec!["lisi"]),
        (
            "connector=corp&closed=false",
            vec!["lisi", "wangfang", "zhangsan"],
        ),
        ("connector=other", vec![]),
        ("closed=true", vec![]),
        // 研发中心 is above the departments of zhangsan.
        (
            "department=%E7%A0%94%E5%8F%91%E4%B8%AD%E5%BF%83",
            vec!["zhangsan"],
        ),
        ("department=5", vec!["zhangsan"]),
        ("department=1", vec!["lisi", "wangfang", "zhangsan"]),
    ] {
        let found = get(&menshen, &format!("/api/people?{query}")).await;
        assert_eq!(logins(&found), expected, "{query}");
    }
    for query in [
        "max=x",
        "closed=perhaps",
        "connector=%21",
        "who=zhangsan",
        "after=",
    ] {
        let refused = get(&menshen, &format!("/api/people?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
    }

    let shown = get(&menshen, "/api/people/LISI").await.json();
    assert_eq!(
        (&shown["login"], &shown["name"]),
        (&json!("lisi"), &json!("李四"))
    );
    assert_eq!(shown["identities"][0]["connector"], "corp");
    assert_eq!(
        shown["identities"][0]["departments"],
        json!([{ "id": "2", "leads": true }])
    );
    let first = shown["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(first["what"], "created");
    assert_eq!(first["by"], "corp");
    assert!(shown["seen_at"].is_number());
    let nobody = get(&menshen, "/api/people/nobody").await;
    assert_eq!(nobody.status, 404);
    assert!(nobody.text().contains("nobody has the login nobody"));
}

#[tokio::test]
async fn the_history_names_who_closed_and_reopened() {
    let menshen = setup().start().await;
    sign_in_as(&menshen, "zhangsan").await;
    let note = json!({ "reason": "left" });
    call_api(&menshen, "POST", "/api/people/zhangsan/close", &note).await;
    let shown = get(&menshen, "/api/people/zhangsan").await.json();
    assert_eq!(
        (&shown["closed"], &shown["closed_by"]),
        (&json!(true), &json!("token:admin"))
    );
    assert_eq!(shown["closed_reason"], "left");
    assert_eq!(
        logins(&get(&menshen, "/api/people?closed=true").await),
        ["zhangsan"]
    );
    let open = "/api/people/zhangsan/open";
    call_api(&menshen, "POST", open, &Value::Null).await;
    let shown = get(&menshen, "/api/people/zhangsan").await.json();
    assert_eq!(
        (&shown["closed"], &shown["closed_by"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (&shown["history"][0]["what"], &shown["history"][0]["by"]),
        (&json!("reopened"), &json!("token:admin"))
    );
}

#[tokio::test]
async fn imported_people_sign_in_where_nobody_new_is_admitted() {
    let menshen = setup().connector("admission = 'existing'").start().await;
    let csv = "login,name,connector\nzhangsan,张三,corp\nlisi,李四,\n";
    let imported = import(&menshen, "/api/people", csv).await;
    assert_eq!(imported.status, 200, "{}", imported.text());
    assert_eq!(
        imported.json(),
        json!({ "created": 2, "updated": 0, "unchanged": 0 })
    );
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "imported");
    assert_eq!(
        record["reason"],
        "through the admin API: 2 created, 0 changed"
    );
    assert_eq!(record["by"], "token:admin");
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    assert!(is_signed_in(&mut browser).await);
    for userid in ["lisi", "wangfang"] {
        let mut browser = Browser::new(&menshen);
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), userid).await;
        assert_eq!(page.answer.status, 403, "{userid}");
    }
    // One more person, as JSON.
    let one = r#"[{"login":"wangfang","connector":"corp"}]"#;
    assert_eq!(import(&menshen, "/api/people", one).await.status, 200);
    let mut browser = sign_in_as(&menshen, "wangfang").await;
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_file_with_bad_lines_imports_nobody_and_names_each() {
    let menshen = setup().start().await;
    sign_in_as(&menshen, "wangfang").await;
    let shown = get(&menshen, "/api/people/wangfang").await.json();
    let subject = shown["identities"][0]["subject"]
        .as_str()
        .unwrap()
        .to_owned();
    let csv = "login,connector,subject\nzhangsan,corp,\nlisi,nowhere,\n,corp,\n";
    let refused = import(&menshen, "/api/people", csv).await;
    assert_eq!(refused.status, 400);
    let problems = refused.json()["problems"].clone();
    let lines: Vec<_> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].clone())
        .collect();
    assert_eq!(lines, [3, 4], "{problems}");
    let csv = format!("login,connector,subject\nzhangsan,corp,\nlisi,corp,{subject}\n");
    let refused = import(&menshen, "/api/people", &csv).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["problems"][0]["line"], 3);
    assert!(refused.text().contains("wangfang"), "{}", refused.text());
    assert_eq!(logins(&get(&menshen, "/api/people").await), ["wangfang"]);
}

#[tokio::test]
async fn a_person_is_changed_by_hand() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    sign_in_as(&menshen, "lisi").await;
    let change = json!({ "login": "zhang.san", "mobile": "138 0000 0001" });
    let changed = call_api(&menshen, "PATCH", "/api/people/zhangsan", &change).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["login"]),
        (&json!("changed"), &json!("zhang.san"))
    );
    // The fields, but not their values.
    assert_eq!(
        (&record["by"], &record["reason"]),
        (
            &json!("token:admin"),
            &json!("through the admin API: login, mobile")
        )
    );
    // The session continues under the new login name.
    let page = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(page.echoed("x-forwarded-user"), ["zhang.san"]);
    assert_eq!(get(&menshen, "/api/people/zhangsan").await.status, 404);
    let shown = get(&menshen, "/api/people/zhang.san").await.json();
    assert_eq!(shown["mobile"], "138 0000 0001");
    let taken = json!({ "login": "LISI" });
    let refused = call_api(&menshen, "PATCH", "/api/people/zhang.san", &taken).await;
    assert_eq!(refused.status, 409);
    let removed = json!({ "mobile": null });
    call_api(&menshen, "PATCH", "/api/people/zhang.san", &removed).await;
    let shown = get(&menshen, "/api/people/zhang.san").await.json();
    assert_eq!(shown["mobile"], Value::Null);
    for bad in [
        json!({ "role": "x" }),
        json!({ "login": "" }),
        json!({ "name": "a\u{7}" }),
    ] {
        let refused = call_api(&menshen, "PATCH", "/api/people/zhang.san", &bad).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn who_may_use_a_route_is_said_by_person_and_by_route() {
    let routes = "[[route]]\nname = \"app\"\nupstream = [\"{app}\"]\n\
         [[route]]\nname = \"finance\"\npath = \"/finance\"\nupstream = [\"{app}\"]\n\
         allow = \"user.in_department('财务部')\"\n";
    let menshen = setup().routes(routes).start().await;
    for userid in ["zhangsan", "lisi"] {
        sign_in_as(&menshen, userid).await;
    }
    import(&menshen, "/api/people", "login\nnew\n").await;
    let access = async |login: &str| {
        let answer = get(&menshen, &format!("/api/people/{login}/access")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let routes = answer.json()["routes"].as_array().unwrap().clone();
        let allowed = |route: &Value| {
            (
                route["route"].as_str().unwrap().to_owned(),
                route["allowed"].clone(),
            )
        };
        let mut access: Vec<_> = routes.iter().map(allowed).collect();
        access.sort_by(|one, other| one.0.cmp(&other.0));
        access
    };
    let expected =
        |app: Value, finance: Value| vec![("app".to_owned(), app), ("finance".to_owned(), finance)];
    assert_eq!(access("lisi").await, expected(json!(true), json!(true)));
    assert_eq!(
        access("zhangsan").await,
        expected(json!(true), json!(false))
    );
    // Nothing is known of a person who never signed in.
    assert_eq!(access("new").await, expected(Value::Null, Value::Null));
    call_api(&menshen, "POST", "/api/people/lisi/close", &Value::Null).await;
    assert_eq!(access("lisi").await, expected(json!(false), json!(false)));

    let who = get(&menshen, "/api/routes/finance/people?max=2")
        .await
        .json();
    assert_eq!(who["people"][0]["login"], "lisi");
    assert_eq!(who["people"][0]["allowed"], false);
    assert_eq!(
        (&who["people"][1]["login"], &who["next"]),
        (&json!("new"), &json!("new"))
    );
    let rest = get(&menshen, "/api/routes/finance/people?max=2&after=new")
        .await
        .json();
    assert_eq!(rest["people"][0]["login"], "zhangsan");
    let all = get(&menshen, "/api/routes/finance/people").await.json();
    let count = all["people"].as_array().unwrap().len();
    let full_page = format!("/api/routes/finance/people?max={count}");
    assert_eq!(get(&menshen, &full_page).await.json()["next"], Value::Null);
    let unknown = get(&menshen, "/api/routes/nothing/people").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("there is no route nothing"));
}
