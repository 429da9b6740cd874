//! Chinese pages of the console have no English sentence: not in the audit trail, in findings, reports or
//! explanations.

use menshen::store::AuditQuery;

use super::*;
use crate::chinese::english_in;
use crate::sessions::eventually;

/// The text of the main part of a page: a line for each element, without what people wrote as code.
pub(super) fn words_of(html: &str) -> String {
    let main = html.split_once("<main").map_or(html, |(_, main)| main);
    let mut rest = main.split_once("</main>").map_or(main, |(main, _)| main);
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        text.push('\n');
        let hidden = ["textarea", "code", "style", "script"];
        let hidden = hidden.into_iter().find(|name| after.starts_with(name));
        rest = match hidden {
            Some(name) => after.split_once(&format!("</{name}>")).unwrap().1,
            None => after.split_once('>').unwrap().1,
        };
    }
    let text = format!("{text}{rest}");
    text.replace("&#34;", "\"").replace("&#39;", "'")
}

/// Opens a page in Chinese and checks it; returns its words.
async fn chinese(visit: &mut Visit, path: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    let html = visit.get(&format!("{path}{separator}lang=zh")).await.text();
    let words = words_of(&html);
    assert_eq!(words.lines().find_map(english_in), None, "{path}: {words}");
    words
}

/// Waits until a stored audit line contains each of these texts, and returns the lines. The store gets the lines
/// some time after the answer that they are about.
async fn stored_lines(menshen: &Menshen, texts: &[&str]) -> Vec<String> {
    let audit = &menshen.running.live().services().audit;
    let query = AuditQuery {
        max: 99,
        ..AuditQuery::default()
    };
    let lines = async || {
        let lines = audit.search(&query).await.unwrap();
        lines.into_iter().map(|line| line.json).collect::<Vec<_>>()
    };
    let has = |lines: &[String], text| lines.iter().any(|line| line.contains(text));
    eventually("the audit lines are stored", async || {
        let lines = lines().await;
        texts.iter().all(|text| has(&lines, text))
    })
    .await;
    lines().await
}

#[tokio::test]
async fn the_audit_trail_gives_its_reasons_in_the_language_of_the_page() {
    let menshen = setup().start().await;
    for userid in ["zhangsan", "lisi"] {
        sign_in_elsewhere(&menshen, userid).await;
    }
    let mut visit = Visit::new(&menshen);
    visit.sign_in("root", "wrong").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let person = format!("/console/people/{}", account_of(&menshen, "lisi").await);
    visit.get(&person).await;
    for fields in [
        &[("action", "close"), ("reason", "离职")][..],
        &[("action", "open")],
    ] {
        assert_eq!(visit.post(&person, fields).await.status, 303);
    }
    let end = [
        ("action", "end-all"),
        ("everyone", "yes"),
        ("confirm", "yes"),
    ];
    assert_eq!(visit.post("/console/sessions", &end).await.status, 303);
    visit.get("/console/connectors").await;
    let test = [("action", "test"), ("id", "corp"), ("etag", "0")];
    assert_eq!(visit.post("/console/connectors", &test).await.status, 200);
    let disable = [("action", "disable"), ("id", "corp"), ("etag", "0")];
    assert_eq!(
        visit.post("/console/connectors", &disable).await.status,
        303
    );
    // A callback that belongs to no login, and a request with a wrong token.
    let mut stranger = Browser::new(&menshen);
    stranger
        .visit("http://sso.test/.menshen/callback/corp?code=a&state=b")
        .await;
    let request = "GET /api/people HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let answer = crate::wire::send(console_address(&menshen), request.as_bytes()).await;
    assert_eq!(answer.status, 401);
    let reasons = [
        "通过控制台：离职",
        "通过控制台：所有人",
        "用密码登录",
        "通过控制台测试认证源 corp：访问",
        "通过控制台：停用认证源 corp",
        "管理 API：请求没有令牌",
    ];
    stored_lines(&menshen, &reasons).await;

    let words = chinese(&mut visit, "/console/audit").await;
    for reason in reasons {
        assert!(words.contains(reason), "{reason}: {words}");
    }
    let english = visit.get("/console/audit?lang=en").await.text();
    for reason in [
        "through the console: 离职",
        "through the console: everyone",
        "signed in with a password",
        "disable connector corp through the console",
    ] {
        assert!(english.contains(reason), "{reason}: {english}");
    }
    let words = chinese(&mut visit, "/console/").await;
    assert!(words.contains("最近的修改"), "{words}");
}

#[tokio::test]
async fn the_log_has_the_reasons_in_english_only() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let end = [
        ("action", "end-all"),
        ("everyone", "yes"),
        ("confirm", "yes"),
    ];
    assert_eq!(visit.post("/console/sessions", &end).await.status, 303);
    let logged = menshen.audit();
    let ended = logged
        .iter()
        .find(|line| line["event"] == "revoked")
        .unwrap();
    assert_eq!(ended["reason"], "through the console: everyone");
    assert!(ended.get("reason_zh").is_none(), "{ended}");
    let lines = stored_lines(&menshen, &["\"revoked\""]).await;
    let stored = lines.iter().find(|line| line.contains("\"revoked\""));
    let stored: serde_json::Value = serde_json::from_str(stored.unwrap()).unwrap();
    assert_eq!(stored["reason"], ended["reason"]);
    assert_eq!(stored["reason_zh"], "通过控制台：所有人");
}

#[tokio::test]
async fn explanations_and_reports_are_chinese() {
    let menshen = setup().start().await;
    sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    for (query, words) in [
        ("url=http://sso.test/finance%26as=zhangsan", "结论："),
        ("url=http://sso.test/finance", "需要登录（未登录）"),
        ("url=http://sso.test/public", "身份：未登录"),
        ("url=http://nowhere.test/", "没有路由"),
        ("url=http://sso.test/a%252f..%252fb", "结论：拒绝"),
        (
            "url=http://sso.test/.menshen/sign_in",
            "由 menshen 自己响应",
        ),
        ("url=x", "请写完整的地址"),
        (
            "url=http://sso.test/%26as=nobody",
            "没有登录名为 nobody 的账号",
        ),
    ] {
        let query = query.replace("%26", "&");
        let shown = chinese(&mut visit, &format!("/console/routes?{query}")).await;
        assert!(shown.contains(words), "{query} {words}: {shown}");
    }
    menshen.running.note_unparsable_config();
    let shown = chinese(&mut visit, "/console/").await;
    assert!(shown.contains("最近一次重新加载被拒绝"), "{shown}");
}
