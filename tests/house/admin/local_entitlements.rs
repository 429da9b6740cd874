//! The department and the groups that menshen itself gives a person: administrators see and change them.

use super::*;
use crate::directory_sync::sync;

const RULES: &str = "[[route]]\nname = \"app\"\nupstream = [\"{app}\"]\n\
     [[route]]\nname = \"guests\"\npath = \"/guests\"\nupstream = [\"{app}\"]\n\
     allow = \"'guests' in user.groups && user.in_department('外包')\"\n";

async fn start(join: bool) -> Menshen {
    let join = match join {
        true => "join = { department = '外包', groups = ['guests'] }",
        false => "",
    };
    setup().routes(RULES).connector(join).start().await
}

async fn may_enter(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/guests")).await.status == 200
}

async fn show(menshen: &Menshen, login: &str) -> (Value, Value) {
    let path = format!("/api/people/{login}");
    let shown = call_api(menshen, "GET", &path, &Value::Null).await;
    let shown = shown.json();
    (
        shown["local_department"].clone(),
        shown["local_groups"].clone(),
    )
}

async fn change(menshen: &Menshen, login: &str, change: &Value) -> Answer {
    call_api(menshen, "PATCH", &format!("/api/people/{login}"), change).await
}

#[tokio::test]
async fn what_an_administrator_takes_away_is_gone_with_the_next_request_and_stays_away() {
    let menshen = start(true).await;
    let mut zhang = sign_in_as(&menshen, "zhangsan").await;
    let mut li = sign_in_as(&menshen, "lisi").await;
    assert!(may_enter(&mut zhang).await && may_enter(&mut li).await);
    assert_eq!(
        show(&menshen, "zhangsan").await,
        (json!("外包"), json!(["guests"]))
    );
    let changed = change(&menshen, "zhangsan", &json!({ "local_groups": [] })).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert!(!may_enter(&mut zhang).await);
    assert!(may_enter(&mut li).await);
    let mut again = sign_in_as(&menshen, "zhangsan").await;
    assert!(!may_enter(&mut again).await && !may_enter(&mut zhang).await);
    assert_eq!(show(&menshen, "zhangsan").await, (json!("外包"), json!([])));
    change(&menshen, "zhangsan", &json!({ "local_department": null })).await;
    assert_eq!(show(&menshen, "zhangsan").await, (Value::Null, json!([])));
    let mut last = sign_in_as(&menshen, "zhangsan").await;
    assert!(is_signed_in(&mut last).await && is_signed_in(&mut zhang).await);
    assert_eq!(show(&menshen, "zhangsan").await, (Value::Null, json!([])));

    let path = "/api/people/zhangsan";
    let shown = call_api(&menshen, "GET", path, &Value::Null).await.json();
    let history = shown["history"].as_array().unwrap().iter();
    let of_local: Vec<_> = history
        .filter(|change| change["detail"].as_str().unwrap().contains("local_"))
        .map(|change| format!("{} {}", change["by"], change["detail"]).replace('"', ""))
        .collect();
    assert_eq!(
        of_local,
        [
            "token:admin local_department",
            "token:admin local_groups",
            "corp local_department, local_groups"
        ]
    );
}

#[tokio::test]
async fn an_administrator_gives_them_to_anybody() {
    let menshen = start(false).await;
    let mut zhang = sign_in_as(&menshen, "zhangsan").await;
    assert!(!may_enter(&mut zhang).await);
    assert_eq!(show(&menshen, "zhangsan").await, (Value::Null, json!([])));
    let given = json!({ "local_department": "公司/外包", "local_groups": ["a", "guests", "a"] });
    let changed = change(&menshen, "zhangsan", &given).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert!(may_enter(&mut zhang).await);
    let expected = (json!("公司/外包"), json!(["a", "guests"]));
    assert_eq!(show(&menshen, "zhangsan").await, expected);
    // The person is found by the path of the department and by one above it.
    sign_in_as(&menshen, "lisi").await;
    for (department, found) in [
        ("%E5%85%AC%E5%8F%B8/%E5%A4%96%E5%8C%85", 1),
        ("%E5%85%AC%E5%8F%B8", 1),
        ("%E5%85%AC", 0),
    ] {
        let path = format!("/api/people?department={department}");
        let people = call_api(&menshen, "GET", &path, &Value::Null).await.json();
        assert_eq!(people["people"].as_array().unwrap().len(), found, "{path}");
    }
    for bad in [
        json!({ "local_department": "公司//外包" }),
        json!({ "local_department": "2024" }),
        json!({ "local_department": ["外包"] }),
        json!({ "local_groups": "guests" }),
        json!({ "local_groups": ["a,b"] }),
        json!({ "local_groups": [""] }),
        json!({ "local_groups": (0..101).map(|n| format!("g{n}")).collect::<Vec<_>>() }),
    ] {
        let refused = change(&menshen, "zhangsan", &bad).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
    assert_eq!(show(&menshen, "zhangsan").await, expected);
    assert!(may_enter(&mut zhang).await);
    let removed = json!({ "local_department": null, "local_groups": null });
    change(&menshen, "zhangsan", &removed).await;
    assert!(!may_enter(&mut zhang).await);
}

#[tokio::test]
async fn whom_a_sync_creates_joins_and_no_sync_takes_it_away() {
    let menshen = start(true).await;
    sync(&menshen).await;
    let expected = (json!("外包"), json!(["guests"]));
    assert_eq!(show(&menshen, "zhangsan").await, expected);
    let mut zhang = sign_in_as(&menshen, "zhangsan").await;
    assert!(may_enter(&mut zhang).await);
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    sync(&menshen).await;
    assert!(may_enter(&mut zhang).await);
    change(&menshen, "zhangsan", &json!({ "local_groups": [] })).await;
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![3]);
    sync(&menshen).await;
    assert!(!may_enter(&mut zhang).await);
}
