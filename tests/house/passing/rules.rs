//! Rules over user, request and session; a rule that fails denies; a host matches in every
//! spelling.

use std::time::Duration;

use super::{Outcome, assert_outcome};
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::mirror::Mirror;
use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_of};

/// An instance of menshen with one route below `/r0`, `/r1`, … for each rule.
async fn start_with_rules(rules: &[&str]) -> Menshen {
    let mut routes = String::from("[[route]]\nname = 'app'\nupstream = ['{app}']\n");
    for (nth, rule) in rules.iter().enumerate() {
        routes.push_str(&format!(
            "[[route]]\nname = 'r{nth}'\nhost = 'sso.test'\npath = '/r{nth}'\nstrip_path = true\n\
             upstream = ['{{app}}']\nallow = \"{rule}\"\n"
        ));
    }
    let routes = routes.replacen("name = 'app'\n", "name = 'app'\nhost = 'sso.test'\n", 1);
    let setup = Setup::default().routes(&routes);
    setup.access_log().start().await
}

#[tokio::test]
async fn a_rule_reads_user_request_and_session() {
    // A rule, and whether 张三 (平台部, 应用部) and 李四 (财务部) satisfy it.
    let table = [
        ("'财务部' in user.departments", false, true),
        (
            "user.departments.exists(d, d.startsWith('平台'))",
            true,
            false,
        ),
        ("user.name == '张三'", true, false),
        ("user.login == 'lisi' || user.name == '张三'", true, true),
        ("!(user.login in ['lisi', 'wangfang'])", true, false),
        ("user.email == null", true, true),
        ("user.connector == 'corp'", true, true),
        ("user.connector == 'guests'", false, false),
        ("request.method == 'GET'", true, true),
        ("request.method in ['POST', 'PUT']", false, false),
        ("request.host == 'sso.test'", true, true),
        ("request.path.startsWith('/r11/')", true, true),
        ("in_network(request.ip, '127.0.0.0/8')", true, true),
        ("in_network(request.ip, '10.0.0.0/8')", false, false),
        ("request.headers['x-branch'] == 'east'", true, true),
        ("request.headers['X-Branch'] == 'west'", false, false),
        ("session.age < 60", true, true),
        ("session.age > 60", false, false),
        ("request.tls.subject != null", false, false),
    ];
    let rules: Vec<_> = table.iter().map(|(rule, ..)| *rule).collect();
    let menshen = start_with_rules(&rules).await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    let li = session_cookie_of(&menshen, "lisi").await;
    for (nth, (rule, for_zhang, for_li)) in table.iter().enumerate() {
        for (cookie, login, passes) in [(&zhang, "zhangsan", for_zhang), (&li, "lisi", for_li)] {
            let request = TestRequest::get(&format!("/r{nth}/echo")).session(cookie);
            let answer = request.header("X-Branch", "east").send(&menshen).await;
            let expected = match *passes {
                true => Outcome::Passes(Some(if login == "lisi" { "lisi" } else { "zhangsan" })),
                false => Outcome::Forbidden,
            };
            assert_outcome(&answer, expected, &format!("{login}: {rule}"));
        }
    }
}

#[tokio::test]
async fn a_rule_that_fails_denies() {
    let rules = [
        "user.attributes.no_such_thing == 'x'",
        "user.departments[99] == '财务部'",
        "request.headers['x-absent'] == 'y'",
        "request.headers['x-absent'] != 'y'",
        "!(request.headers['x-absent'] == 'y')",
        "int(user.login) > 0",
        "1 / (session.age - session.age) == 1",
        "in_network(request.headers['x-net'], '10.0.0.0/8')",
        "!in_network(request.headers['x-net'], '10.0.0.0/8')",
        "user.name",
    ];
    let menshen = start_with_rules(&rules).await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    for (nth, rule) in rules.iter().enumerate() {
        let request = TestRequest::get(&format!("/r{nth}/echo")).session(&cookie);
        let answer = request.header("X-Net", "no address").send(&menshen).await;
        assert_outcome(&answer, Outcome::Forbidden, rule);
        let without_session = TestRequest::get(&format!("/r{nth}/echo"))
            .send(&menshen)
            .await;
        assert_outcome(&without_session, Outcome::Login, rule);
    }
}

#[tokio::test]
async fn a_field_without_a_value_is_the_reason_with_the_connector_that_gives_none() {
    let menshen =
        start_with_rules(&["user.email.endsWith('@corp.example')", "user.name > 1"]).await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    for (path, reason) in [
        (
            "/r0/echo",
            "`user.email` is empty: the connector corp gives no value for it (wrong type: `endsWith` \
             cannot be applied to null and a text)",
        ),
        (
            "/r1/echo",
            "rule failed: wrong type: `>` cannot be applied to a text and a whole number",
        ),
    ] {
        let request = TestRequest::get(path).session(&cookie);
        let answer = request.send(&menshen).await;
        assert_outcome(&answer, Outcome::Forbidden, path);
        menshen.running.live().services().telemetry.flush();
        let records = menshen.records.text();
        assert!(records.contains(reason), "{reason}: {records}");
    }
}

#[tokio::test]
async fn a_repeated_header_has_no_value_in_a_rule() {
    let menshen = start_with_rules(&["request.headers['x-branch'] == 'east'"]).await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let once = TestRequest::get("/r0/echo")
        .session(&cookie)
        .header("x-branch", "east");
    assert_outcome(
        &once.send(&menshen).await,
        Outcome::Passes(Some("zhangsan")),
        "once",
    );
    let twice = once.header("X-Branch", "west");
    assert_outcome(&twice.send(&menshen).await, Outcome::Forbidden, "twice");
}

#[tokio::test]
async fn a_new_department_takes_effect_at_the_next_login() {
    let menshen = start_with_rules(&["'财务部' in user.departments"]).await;
    let li = session_cookie_of(&menshen, "lisi").await;
    let request = TestRequest::get("/r0/echo").session(&li);
    assert_outcome(
        &request.send(&menshen).await,
        Outcome::Passes(Some("lisi")),
        "before",
    );
    menshen.wecom.member("lisi", |member| {
        member.department = vec![4];
        member.is_leader_in_dept = vec![0];
        member.main_department = 4;
    });
    menshen.advance(Duration::from_secs(60));
    let new_cookie = session_cookie_of(&menshen, "lisi").await;
    let with_new_session = TestRequest::get("/r0/echo").session(&new_cookie);
    assert_outcome(
        &with_new_session.send(&menshen).await,
        Outcome::Forbidden,
        "the new session",
    );
    // Departments belong to the account, so the older session has the new ones too.
    assert_outcome(
        &request.send(&menshen).await,
        Outcome::Forbidden,
        "the old session",
    );
}

#[tokio::test]
async fn a_host_matches_in_every_spelling() {
    let routes = r#"
[[route]]
name = "finance"
host = "Finance.Test"
allow = "'财务部' in user.departments && request.host == 'finance.test'"
upstream = ["{app}"]
[[route]]
name = "any"
access = "public"
upstream = ["{app}"]
[[route]]
name = "port"
host = "finance.test:8443"
access = "public"
upstream = ["{app}"]
"#;
    let menshen = Setup::default().routes(routes).start().await;
    for spelled in [
        "finance.test",
        "FINANCE.TEST",
        "Finance.Test.",
        "finance.test.",
        "finance.test:80",
        "fInAnCe.TeSt.:80",
        "finance.test:81",
    ] {
        let answer = TestRequest::get("/echo").host(spelled).send(&menshen).await;
        assert_outcome(&answer, Outcome::Login, spelled);
    }
    for (spelled, expected) in [
        ("finance.test:8443", Outcome::Passes(None)),
        ("FINANCE.test.:8443", Outcome::Passes(None)),
        ("other.test", Outcome::Passes(None)),
    ] {
        let answer = TestRequest::get("/echo").host(spelled).send(&menshen).await;
        assert_outcome(&answer, expected, spelled);
    }
    for invalid in [
        "finance.test:",
        "finance.test:x",
        "finance.test:0",
        "finance.test:99999",
        "finance..test",
        "finance.test..",
        "finance.test/",
        "a@finance.test",
        "finance.test, other.test",
        "",
    ] {
        let answer = TestRequest::get("/echo").host(invalid).send(&menshen).await;
        assert_eq!(answer.status, 400, "{invalid:?}");
    }
}

#[tokio::test]
async fn two_hosts_in_one_request_are_refused() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let request = |target: &str| TestRequest::get(target).session(&cookie);
    let two = request("/echo").header("Host", "sso.test");
    assert_eq!(two.send(&menshen).await.status, 400);
    for target in ["http://oa.test/echo", "http://sso.test:8080/echo"] {
        assert_eq!(request(target).send(&menshen).await.status, 400, "{target}");
    }
    for target in ["http://sso.test/echo", "http://SSO.test./echo"] {
        let answer = request(target).send(&menshen).await;
        assert_outcome(&answer, Outcome::Passes(Some("zhangsan")), target);
    }
}

#[tokio::test]
async fn a_host_is_found_among_150_routes_in_every_spelling() {
    let mut routes =
        String::from("[[route]]\nname = 'any'\naccess = 'public'\nupstream = ['{app}']\n");
    for nth in 0..150 {
        routes.push_str(&format!(
            "[[route]]\nname = 'r{nth}'\nhost = 'app{nth}.test'\nupstream = ['{{app}}']\n"
        ));
    }
    let menshen = Setup::default().routes(&routes).start().await;
    for nth in [0, 1, 99, 100, 101, 149] {
        for spelled in [
            format!("app{nth}.test"),
            format!("APP{nth}.Test."),
            format!("aPp{nth}.test:80"),
        ] {
            let answer = TestRequest::get("/echo")
                .host(&spelled)
                .send(&menshen)
                .await;
            assert_outcome(&answer, Outcome::Login, &spelled);
        }
    }
    let answer = TestRequest::get("/echo")
        .host("app150.test")
        .send(&menshen)
        .await;
    assert_outcome(&answer, Outcome::Passes(None), "a host without a route");
}

const PUBLIC_CSS_ROUTE: &str = r#"
[[route]]
name = "styles"
host = "sso.test"
access = "rule"
allow = "user != null || request.path.endsWith('.css')"
upstream = ["{mirror}"]
"#;

#[tokio::test]
async fn a_rule_checks_a_path_with_and_without_its_semicolon_parameters() {
    let mirror = Mirror::start().await;
    let routes = PUBLIC_CSS_ROUTE.replace("{mirror}", &mirror.base_url());
    let setup = Setup::default().routes(&routes).server(TRUST_LOOPBACK);
    let menshen = setup.tables(GRPC_ON_MAIN).start().await;
    for (path, verdict) in [
        ("/echo/x.css", Verdict::Allow),
        ("/echo/x.css;v=1", Verdict::Deny),
        ("/echo/x.css;a.css", Verdict::Allow),
        ("/echo/x", Verdict::Login),
        ("/echo/x;v=1/y", Verdict::Login),
        ("/admin/delete.action;/x.css", Verdict::Deny),
        ("/admin/delete.action%3b/x.css", Verdict::Deny),
        ("/admin/delete.action%253b/x.css", Verdict::Deny),
        ("/admin/delete.action;a/b;c/x.css", Verdict::Deny),
    ] {
        for face in Face::ALL {
            let response = OriginalRequest::get(path)
                .send_to(face, menshen.address())
                .await;
            assert_eq!(response.verdict, verdict, "{face:?} {path}");
        }
    }
}
