//! Directory syncs through the admin API.

use super::*;
use crate::sessions::eventually;
use crate::wecom::Department;

/// The API call that lists the members of a department.
const MEMBERS: &str = "/cgi-bin/user/list";

fn setup_without_brake() -> Setup {
    setup().wecom("sync_brake = 100")
}

async fn call(menshen: &Menshen, method: &str, path: &str) -> Answer {
    call_api(menshen, method, path, &Value::Null).await
}

/// The report of a sync that is waited for.
async fn report(menshen: &Menshen, path: &str) -> Value {
    let answer = call(menshen, "POST", path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_sync_is_started_and_its_report_can_be_asked_for() {
    let menshen = setup_without_brake().start().await;
    let idle = call(&menshen, "GET", "/api/sync/corp").await.json();
    assert_eq!(idle["running"], Value::Null);
    assert_eq!(idle["last"], Value::Null);
    let started = call(&menshen, "POST", "/api/sync/corp").await;
    assert_eq!(started.status, 202, "{}", started.text());
    eventually("over", async || {
        let status = call(&menshen, "GET", "/api/sync/corp").await.json();
        status["running"].is_null() && !status["last"].is_null()
    })
    .await;
    let status = call(&menshen, "GET", "/api/sync/corp").await.json();
    let last = &status["last"];
    assert_eq!(last["outcome"], "done", "{last}");
    assert_eq!(last["people"]["created"], 3, "{last}");
    assert_eq!(last["departments"]["created"], 9, "{last}");
    assert_eq!(last["by"], "token:admin");
    assert!(last["started_at"].as_i64().unwrap() < 10_000_000_000);
    let people = call(&menshen, "GET", "/api/people").await.json();
    assert_eq!(people["people"].as_array().unwrap().len(), 3);
    let audit = menshen.audit();
    let synced = audit.iter().find(|line| line["event"] == "synced").unwrap();
    assert_eq!(
        (&synced["by"], &synced["connector"]),
        (&"token:admin".into(), &"corp".into())
    );
}

#[tokio::test]
async fn departments_and_people_are_synced_by_the_ids_of_the_source() {
    let menshen = setup_without_brake().start().await;
    let department = report(&menshen, "/api/sync/corp/department/3?wait=true").await;
    assert_eq!(department["people"]["created"], 1, "{department}");
    let person = report(&menshen, "/api/sync/corp/person/LiSi").await;
    assert_eq!(person["people"]["created"], 1, "{person}");
    assert_eq!(person["scope"]["person"], "ww6d656e7368656e01:lisi");
    let forced = report(&menshen, "/api/sync/corp/person/lisi?force=true").await;
    assert_eq!(forced["people"]["updated"], 1, "{forced}");
    let unforced = report(&menshen, "/api/sync/corp/person/lisi?force=false").await;
    assert_eq!(unforced["people"]["updated"], 0, "{unforced}");
    let nobody = report(&menshen, "/api/sync/corp/person/nobody").await;
    assert_eq!(nobody["outcome"], "not_found", "{nobody}");
    let dry_run = report(&menshen, "/api/sync/corp?dry_run=true&wait=true").await;
    assert_eq!(dry_run["people"]["created"], 1, "{dry_run}");
    // 王芳, and the departments beside 研发中心.
    assert_eq!(dry_run["changes"].as_array().unwrap().len(), 1 + 5);
}

#[tokio::test]
async fn wrong_requests_say_what_is_wrong() {
    let menshen = setup().start().await;
    for (method, path, status, words) in [
        ("GET", "/api/sync/nobody", 404, "connector nobody"),
        ("POST", "/api/sync/NOBODY", 404, "connector NOBODY"),
        ("POST", "/api/sync/nobody/person/x", 404, "connector nobody"),
        ("POST", "/api/sync/corp?dryrun=true", 400, "dryrun"),
        ("POST", "/api/sync/corp?dry_run=yes", 400, "dry_run"),
        ("POST", "/api/sync/corp/person/ww2%2Fli", 400, "ww2/li"),
        ("GET", "/api/sync/corp/person/lisi", 405, "POST"),
        ("DELETE", "/api/sync/corp", 405, "GET"),
    ] {
        let answer = call(&menshen, method, path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{path}: {error}");
    }
    assert_eq!(menshen.wecom.calls(MEMBERS), 0);
}

#[tokio::test]
async fn one_sync_runs_at_a_time_and_shows_its_progress() {
    let menshen = setup_without_brake().start().await;
    menshen.wecom.hang(MEMBERS);
    let started = call(&menshen, "POST", "/api/sync/corp").await;
    let run = started.json()["running"]["run"].clone();
    eventually("asked", async || menshen.wecom.calls(MEMBERS) > 0).await;
    let joined = call(&menshen, "POST", "/api/sync/corp").await;
    assert_eq!(joined.json()["running"]["run"], run);
    let status = call(&menshen, "GET", "/api/sync/corp").await.json();
    assert_eq!(status["running"]["progress"]["departments"], 9, "{status}");
    let other = call(&menshen, "POST", "/api/sync/corp?dry_run=true").await;
    assert_eq!(other.status, 409, "{}", other.text());
    menshen.wecom.clear_faults(MEMBERS);
    let joined = report(&menshen, "/api/sync/corp?wait=true").await;
    assert_eq!(joined["outcome"], "done", "{joined}");
}

#[tokio::test]
async fn a_name_of_a_department_is_shown_as_text() {
    let menshen = setup_without_brake().start().await;
    menshen.wecom.departments(|all| {
        all.push(Department {
            id: 99,
            parent: 1,
            name: "<script>\n\u{1b}[2J".to_owned(),
            name_en: String::new(),
            visible: true,
        });
    });
    let dry_run = report(&menshen, "/api/sync/corp?dry_run=true&wait=true").await;
    let text = dry_run.to_string();
    assert!(text.contains("\\n\\u001b[2J"), "{text}");
}
