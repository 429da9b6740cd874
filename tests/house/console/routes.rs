//! `/console/routes`: the routes, and explanations.

use super::*;

#[tokio::test]
async fn routes_are_listed_with_host_rule_and_upstream() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get("/console/routes").await.text();
    for shown in [
        "sso.test/finance",
        "&#39;财务部&#39; in user.departments",
        "hr.test/",
        &menshen.app.base_url()["http://".len()..],
    ] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
}

#[tokio::test]
async fn an_explanation_has_the_lines_of_the_command() {
    let menshen = setup().start().await;
    sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let query = "url=http%3A%2F%2Fsso.test%2Ffinance&as=zhangsan&method=GET&action=explain&lang=en";
    let html = visit.get(&format!("/console/routes?{query}")).await.text();
    for line in ["route: finance", "caller: zhangsan", "verdict: "] {
        assert!(html.contains(line), "{line}: {html}");
    }
    let query = "url=http%3A%2F%2Fsso.test%2Fpublic";
    let html = visit.get(&format!("/console/routes?{query}")).await.text();
    assert!(html.contains("caller: nobody"), "{html}");
    for bad in [
        "url=x",
        "url=http%3A%2F%2Fsso.test&as=nobody",
        "url=http%3A%2F%2Fsso.test&method=G%20T",
    ] {
        let answer = visit.get(&format!("/console/routes?{bad}")).await;
        assert_eq!(answer.status, 422, "{bad}");
        assert!(answer.text().contains("role=\"alert\""), "{bad}");
    }
}

#[tokio::test]
async fn a_sync_is_started_and_its_report_is_shown() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get("/console/sync?lang=en").await.text();
    assert!(html.contains("No sync since"), "{html}");
    for bad in [
        &[("action", "sync"), ("connector", "other")][..],
        &[("action", "sync")],
        &[("action", "x"), ("connector", "corp")],
    ] {
        let answer = visit.post("/console/sync", bad).await;
        assert_eq!(answer.status, 409, "{bad:?}");
        assert!(answer.text().contains("role=\"alert\""), "{bad:?}");
    }
    let fields = [
        ("action", "sync"),
        ("connector", "corp"),
        ("dry_run", "true"),
    ];
    let answer = visit.post("/console/sync", &fields).await;
    assert_eq!(answer.header("location"), Some("/console/sync?done=sync"));
    let login = &menshen.running.live().site().login;
    let corp = "corp".parse().unwrap();
    if let Some(running) = login.sync_status(&corp).unwrap().running {
        running.report().await;
    }
    let html = visit.get("/console/sync").await.text();
    assert!(
        html.contains("Last sync") && html.contains("Dry run"),
        "{html}"
    );
}
