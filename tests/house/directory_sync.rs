//! Directory syncs: what the directory takes over from WeCom, whom it closes, and what it refuses.

mod closings;
mod failures;
mod killed;
mod nodes;
mod numbers;
mod schedule;

use std::sync::Arc;

use menshen::login::directory_sync::{SyncRefused, SyncRequest};
use menshen::people::directory_sync::{SyncOutcome, SyncReport, SyncScope};
use menshen::store::{Account, ConnectorId, PeopleQuery};

use crate::browser::Browser;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wecom::{CONTACT_SECRET, CORP_ID, Department, Tag};

/// The API call that lists the members of a department.
const MEMBERS: &str = "/cgi-bin/user/list";

/// A setup whose brake does not matter: the sample corporation has four visible members.
fn setup() -> Setup {
    Setup::default()
        .wecom("sync_brake = 100")
        .tables(NO_LOGIN_LIMITS)
}

fn corp() -> ConnectorId {
    "corp".parse().unwrap()
}

fn request(scope: SyncScope) -> SyncRequest {
    SyncRequest {
        scope,
        dry_run: false,
        force: false,
        by: "boss".to_owned(),
    }
}

fn person(userid: &str) -> SyncScope {
    let subject = format!("{CORP_ID}:{userid}").to_lowercase();
    SyncScope::Person(subject.parse().unwrap())
}

/// Starts a sync of a connector and waits for its report.
async fn sync_requested(
    menshen: &Menshen,
    connector: &ConnectorId,
    request: SyncRequest,
) -> Arc<SyncReport> {
    let login = menshen.running.live().site().login.clone();
    let running = login.start_sync(connector, request).unwrap();
    running.report().await.unwrap()
}

async fn sync_with(menshen: &Menshen, request: SyncRequest) -> Arc<SyncReport> {
    sync_requested(menshen, &corp(), request).await
}

/// The report of a sync of a connector.
pub(crate) async fn sync_scope(
    menshen: &Menshen,
    connector: &str,
    scope: SyncScope,
) -> Arc<SyncReport> {
    sync_requested(menshen, &connector.parse().unwrap(), request(scope)).await
}

/// Syncs everything of a connector, which succeeds.
pub(crate) async fn sync_all(menshen: &Menshen, connector: &str) -> Arc<SyncReport> {
    let report = sync_scope(menshen, connector, SyncScope::Everything).await;
    assert_eq!(report.outcome, SyncOutcome::Done, "{report:?}");
    report
}

pub(crate) async fn sync(menshen: &Menshen) -> Arc<SyncReport> {
    sync_all(menshen, "corp").await
}

async fn account(menshen: &Menshen, login: &str) -> Option<Account> {
    let people = &menshen.running.live().services().people;
    let login = login.parse().unwrap();
    people.directory().account_by_login(&login).await.unwrap()
}

async fn is_closed(menshen: &Menshen, login: &str) -> bool {
    account(menshen, login).await.unwrap().closed
}

/// The logins of all people whom menshen knows.
pub(crate) async fn all_logins(menshen: &Menshen) -> Vec<String> {
    logins(menshen, PeopleQuery::default()).await
}

/// The logins of the people whom a query finds.
async fn logins(menshen: &Menshen, query: PeopleQuery) -> Vec<String> {
    let people = &menshen.running.live().services().people;
    let query = PeopleQuery {
        max: 1_000,
        ..query
    };
    let found = people.list(&query).await.unwrap();
    let logins = found.into_iter().map(|one| one.login.to_string());
    logins.collect()
}

/// The logins of the people of a department, and of those below it.
pub(crate) async fn logins_in_department(menshen: &Menshen, department: &str) -> Vec<String> {
    let department = Some(department.to_owned());
    let query = PeopleQuery {
        department,
        ..PeopleQuery::default()
    };
    logins(menshen, query).await
}

async fn status(menshen: &Menshen, path: &str, cookie: &str) -> u16 {
    let ask = TestRequest::get(path).session(cookie);
    ask.send(menshen).await.status
}

#[tokio::test]
async fn everybody_whom_the_application_may_see_is_in_the_directory_after_the_first_sync() {
    let menshen = setup().start().await;
    let report = sync(&menshen).await;
    // 赵敏 is disabled, and 陈工 is outside of the visible range.
    let people = report.people;
    assert_eq!(
        (people.listed, people.created, people.ignored),
        (4, 3, 1),
        "{report:?}"
    );
    let departments = report.departments;
    assert_eq!((departments.listed, departments.created), (9, 9));
    assert_eq!(report.problems, []);
    let all = logins(&menshen, PeopleQuery::default()).await;
    assert_eq!(all, ["lisi", "wangfang", "zhangsan"]);
    assert_eq!(
        logins_in_department(&menshen, "研发中心").await,
        ["zhangsan"]
    );
    let people = &menshen.running.live().services().people;
    let zhang = account(&menshen, "zhangsan").await.unwrap();
    let record = people.person(&zhang.id).await.unwrap().unwrap();
    assert_eq!(record.name.as_deref(), Some("张三"));
    assert_eq!(record.seen_at, None, "never signed in");
    // The account is that of the first login.
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let again = account(&menshen, "zhangsan").await.unwrap();
    assert_eq!(again.id, zhang.id);
    let audit = menshen.audit();
    let synced = audit.iter().find(|line| line["event"] == "synced").unwrap();
    let reason = synced["reason"].as_str().unwrap();
    assert!(reason.contains("3 created"), "{reason}");
    assert_eq!(synced["by"], "boss");
}

#[tokio::test]
async fn a_second_sync_changes_only_what_differs() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    let report = sync(&menshen).await;
    let people = report.people;
    let changed = people.created + people.updated + people.closed + people.reopened;
    assert_eq!((people.listed, changed), (4, 0), "{report:?}");
    let departments = report.departments;
    let changed = departments.created + departments.updated + departments.removed;
    assert_eq!(changed, 0, "{report:?}");
    menshen
        .wecom
        .member("lisi", |one| one.name = "李思".to_owned());
    menshen
        .wecom
        .member("newcomer", |one| one.department = vec![8]);
    menshen.wecom.departments(|all| {
        all.retain(|one| one.id != 9);
        all.push(Department {
            id: 77,
            parent: 3,
            name: "安全部".to_owned(),
            name_en: String::new(),
            visible: true,
        });
        all.iter_mut().find(|one| one.id == 4).unwrap().parent = 3;
    });
    let report = sync(&menshen).await;
    let people = report.people;
    // 王芳 has a new department path.
    assert_eq!((people.created, people.updated), (1, 2), "{report:?}");
    let departments = report.departments;
    assert_eq!(
        (
            departments.created,
            departments.updated,
            departments.removed
        ),
        (1, 1, 1)
    );
    let in_center = logins_in_department(&menshen, "研发中心").await;
    assert_eq!(in_center, ["newcomer", "wangfang", "zhangsan"]);
}

#[tokio::test]
async fn a_login_before_the_sync_and_its_department_are_the_same() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let report = sync(&menshen).await;
    assert_eq!(report.people.created, 2, "{report:?}");
    assert_eq!(report.people.updated, 0, "{report:?}");
    assert_eq!(report.departments.updated, 0, "{report:?}");
    assert_eq!(status(&menshen, "/echo", &cookie).await, 200);
}

#[tokio::test]
async fn rules_see_the_departments_of_a_sync_on_the_next_request() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, "/finance", &cookie).await, 403);
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    assert_eq!(sync(&menshen).await.people.updated, 1);
    assert_eq!(status(&menshen, "/finance", &cookie).await, 200);
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![5]);
    sync(&menshen).await;
    assert_eq!(status(&menshen, "/finance", &cookie).await, 403);
}

#[tokio::test]
async fn without_the_update_of_fields_a_sync_creates_and_closes_only() {
    let setup = setup().connector("sync = false");
    let menshen = setup.start().await;
    sync(&menshen).await;
    menshen
        .wecom
        .member("lisi", |one| one.name = "李思".to_owned());
    menshen.wecom.delete_member("zhangsan");
    let report = sync(&menshen).await;
    assert_eq!((report.people.updated, report.people.closed), (0, 1));
    // Unless it is forced for one person.
    let forced = SyncRequest {
        force: true,
        ..request(person("lisi"))
    };
    assert_eq!(sync_with(&menshen, forced).await.people.updated, 1);
}

#[tokio::test]
async fn a_connector_that_creates_no_accounts_admits_only_whom_it_expects() {
    let setup = setup().connector("admission = \"existing\"");
    let menshen = setup.start().await;
    let people = &menshen.running.live().services().people;
    let file = "login,connector\nlisi,corp\n";
    let import = menshen::people::import::Import::parse(file.as_bytes(), |_| true).unwrap();
    people.import(&import.people, "boss").await.unwrap();
    let dry_run = SyncRequest {
        dry_run: true,
        ..request(SyncScope::Everything)
    };
    let report = sync_with(&menshen, dry_run).await;
    assert_eq!(report.people.created, 0, "{report:?}");
    let people = report.changes.iter().filter(|one| one.kind == "person");
    let mut details = people.map(|one| one.detail.as_str());
    assert!(details.all(|detail| detail.contains("expects the identity")));
    let report = sync(&menshen).await;
    assert_eq!(
        (report.people.created, report.people.ignored),
        (1, 3),
        "{report:?}"
    );
    assert_eq!(logins(&menshen, PeopleQuery::default()).await, ["lisi"]);
    assert_eq!(logins_in_department(&menshen, "财务部").await, ["lisi"]);
}

#[tokio::test]
async fn a_login_name_of_somebody_else_is_a_problem_of_the_report() {
    let menshen = setup().start().await;
    let people = &menshen.running.live().services().people;
    let file = "login,name\nlisi,另一个人\n";
    let import = menshen::people::import::Import::parse(file.as_bytes(), |_| true).unwrap();
    people.import(&import.people, "boss").await.unwrap();
    let report = sync(&menshen).await;
    assert_eq!((report.people.created, report.people.refused), (2, 1));
    let problem = &report.problems[0];
    assert!(
        problem.what.to_string().contains("lisi") && problem.what.to_string().contains("belongs")
    );
    assert!(
        problem.remedy.to_string().contains("link_by"),
        "{}",
        problem.remedy
    );
}

#[tokio::test]
async fn a_dry_run_shows_the_difference_and_changes_nothing() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    menshen
        .wecom
        .member("lisi", |one| one.name = "李思".to_owned());
    menshen
        .wecom
        .member("newcomer", |one| one.department = vec![8]);
    menshen.wecom.delete_member("zhangsan");
    menshen.wecom.set_status("wangfang", 2);
    let dry_run = SyncRequest {
        dry_run: true,
        ..request(SyncScope::Everything)
    };
    let report = sync_with(&menshen, dry_run).await;
    let people = report.people;
    assert_eq!(
        (people.created, people.updated, people.closed),
        (1, 1, 2),
        "{report:?}"
    );
    let mut changes: Vec<_> = report
        .changes
        .iter()
        .map(|change| format!("{} {} {}", change.change, change.id, change.detail))
        .collect();
    changes.sort_unstable();
    assert_eq!(changes[0], "close wangfang disabled at WeCom (已禁用)");
    assert!(changes[1].starts_with("close zhangsan user/get answered 60111"));
    assert_eq!(changes[2], "create newcomer ");
    assert_eq!(changes[3], "update lisi name");
    let all = logins(&menshen, PeopleQuery::default()).await;
    assert_eq!(all, ["lisi", "wangfang", "zhangsan"]);
    assert!(!is_closed(&menshen, "zhangsan").await);
    let report = sync(&menshen).await;
    assert_eq!(report.people, people, "what the dry run announced");
    assert_eq!(report.changes, []);
}

#[tokio::test]
async fn one_department_is_synced_with_those_below_it() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    for (userid, department) in [("in-platform", 5), ("in-group", 8), ("in-sales", 7)] {
        menshen
            .wecom
            .member(userid, |one| one.department = vec![department]);
    }
    menshen.wecom.delete_member("zhangsan");
    menshen.wecom.delete_member("lisi");
    let before = menshen.wecom.calls(MEMBERS);
    let scope = SyncScope::Department("5".to_owned());
    let report = sync_with(&menshen, request(scope)).await;
    assert_eq!(menshen.wecom.calls(MEMBERS), before + 2);
    assert_eq!(
        (report.people.created, report.people.closed),
        (2, 1),
        "{report:?}"
    );
    assert!(account(&menshen, "in-sales").await.is_none());
    assert!(is_closed(&menshen, "zhangsan").await);
    assert!(!is_closed(&menshen, "lisi").await);
    let scope = SyncScope::Department("4711".to_owned());
    let report = sync_with(&menshen, request(scope)).await;
    assert_eq!(report.outcome, SyncOutcome::NotFound);
    assert!(
        report.problems[0]
            .what
            .to_string()
            .contains("department 4711")
    );
}

#[tokio::test]
async fn whoever_moves_out_of_a_synced_department_stays_open() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    let scope = SyncScope::Department("5".to_owned());
    let report = sync_with(&menshen, request(scope)).await;
    assert_eq!(
        (report.people.updated, report.people.closed),
        (1, 0),
        "{report:?}"
    );
    let in_finance = logins_in_department(&menshen, "财务部").await;
    assert_eq!(in_finance, ["lisi", "zhangsan"]);
}

#[tokio::test]
async fn one_person_is_created_updated_and_closed() {
    let menshen = setup().start().await;
    let sync_person = async |userid: &str| {
        let report = sync_with(&menshen, request(person(userid))).await;
        let people = report.people;
        (
            report.outcome,
            [people.created, people.updated, people.closed],
        )
    };
    assert_eq!(sync_person("LiSi").await, (SyncOutcome::Done, [1, 0, 0]));
    assert_eq!(sync_person("lisi").await, (SyncOutcome::Done, [0, 0, 0]));
    menshen
        .wecom
        .member("lisi", |one| one.name = "李思".to_owned());
    assert_eq!(sync_person("lisi").await, (SyncOutcome::Done, [0, 1, 0]));
    assert_eq!(menshen.wecom.calls(MEMBERS), 0);
    menshen.wecom.delete_member("lisi");
    assert_eq!(sync_person("lisi").await, (SyncOutcome::Done, [0, 0, 1]));
    assert_eq!(sync_person("nobody").await.0, SyncOutcome::NotFound);
    assert!(is_closed(&menshen, "lisi").await);
}

#[tokio::test]
async fn only_connectors_with_a_directory_are_synced() {
    let oidc = "[connector.idp.oidc]\nissuer = \"https://idp.test\"\nclient_id = \"menshen\"\n";
    let menshen = Setup::default().tables(oidc).start().await;
    let login = menshen.running.live().site().login.clone();
    for (id, expected) in [
        ("idp", "has no directory"),
        ("corpse", "no connector corpse"),
    ] {
        let refused = login.start_sync(&id.parse().unwrap(), request(SyncScope::Everything));
        let refused: SyncRefused = refused.unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

#[tokio::test]
async fn tags_reach_rules_at_logins_and_in_syncs() {
    let routes = format!(
        "{}\n[[route]]\nname = \"remote\"\nhost = \"sso.test\"\npath = \"/remote\"\n\
         upstream = [\"{{app}}\"]\nallow = \"'远程' in user.tags\"\n",
        crate::setup::ROUTES
    );
    let menshen = setup().routes(&routes).start().await;
    menshen.wecom.tags(|tags| {
        tags.push(Tag {
            id: 7,
            name: "远程".to_owned(),
            users: vec!["LiSi".to_owned()],
            departments: vec![3],
        });
    });
    let [zhang, li, wang] = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
        session_cookie_of(&menshen, "wangfang").await,
    ];
    for (cookie, expected) in [(&zhang, 200), (&li, 200), (&wang, 403)] {
        assert_eq!(status(&menshen, "/remote", cookie).await, expected);
    }
    menshen.wecom.tags(|tags| {
        tags[0].departments = vec![4];
        tags[0].users.clear();
    });
    assert_eq!(sync(&menshen).await.people.updated, 3);
    for (cookie, expected) in [(&zhang, 403), (&li, 403), (&wang, 200)] {
        assert_eq!(status(&menshen, "/remote", cookie).await, expected);
    }
    // An application that may not read tags is no failure of the sync.
    menshen.wecom.fail("/cgi-bin/tag/list", 48002, usize::MAX);
    let report = sync(&menshen).await;
    assert!(
        report.problems[0]
            .what
            .to_string()
            .contains("tags are not read")
    );
}
