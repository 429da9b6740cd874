//! Which callers reach which routes, which are sent to log in, and which are refused.

mod headers;
mod login;
mod rules;

use std::time::Duration;

use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_after, session_cookie_of};
use crate::wecom::{CORP_ID, OTHER_AGENT_ID, OTHER_SECRET};
use crate::wire::Answer;

/// A route of each `access`, to an application that echoes the request.
const ROUTES: &str = r#"
[[route]]
name = "public"
path = "/public"
access = "public"
host = "sso.test"
upstream = ["{app}"]
strip_path = true

[[route]]
name = "signed-in"
host = "sso.test"
upstream = ["{app}"]

[[route]]
name = "members"
host = "sso.test"
path = "/members"
connectors = ["corp"]
upstream = ["{app}"]
strip_path = true

[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
allow = "'财务部' in user.departments"
upstream = ["{app}"]
strip_path = true

[[route]]
name = "rule"
host = "sso.test"
path = "/rule"
access = "rule"
allow = "user != null && '财务部' in user.departments"
connectors = ["corp"]
upstream = ["{app}"]
strip_path = true

[[route]]
name = "open"
host = "sso.test"
path = "/open"
access = "rule"
allow = "user == null || user.connector == 'corp'"
upstream = ["{app}"]
strip_path = true
"#;

/// A second connector to the simulated WeCom; its people get accounts of their own.
pub(crate) fn guest_connector() -> String {
    format!(
        r#"
[connector.guests]
display_name = "访客"
login_prefix = "guest-"
auto_login = "never"
[connector.guests.wecom]
corp_id = "{CORP_ID}"
agent_id = {OTHER_AGENT_ID}
secret = "{OTHER_SECRET}"
api_base = "{{api}}"
authorize_url = "{{authorize}}"
login_url = "{{login}}"
"#
    )
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The application received the request, with this `X-Forwarded-User`.
    Passes(Option<&'static str>),
    /// 401 with a login URL.
    Login,
    Forbidden,
    NotFound,
}

/// Classifies a response; any other response fails the test.
pub(crate) fn outcome(answer: &Answer) -> (Outcome, Option<String>) {
    let echo = answer.text().contains("\"target\"");
    match (answer.status, echo) {
        (200, true) => {
            let user = answer.echoed("x-forwarded-user");
            assert!(user.len() <= 1, "{user:?}");
            (Outcome::Passes(None), user.first().cloned())
        }
        (401, false) => {
            assert!(answer.json()["login_url"].is_string(), "{}", answer.text());
            (Outcome::Login, None)
        }
        (403, false) => (Outcome::Forbidden, None),
        (404, false) => (Outcome::NotFound, None),
        (status, _) => panic!("{status}: {}", answer.text()),
    }
}

fn assert_outcome(answer: &Answer, expected: Outcome, what: &str) {
    let (actual, user) = outcome(answer);
    match expected {
        Outcome::Passes(expected_user) => {
            assert_eq!(actual, Outcome::Passes(None), "{what}");
            assert_eq!(user.as_deref(), expected_user, "{what}");
        }
        other => assert_eq!(actual, other, "{what}"),
    }
}

/// One session cookie for each kind of caller.
async fn callers(menshen: &Menshen) -> Vec<(&'static str, String)> {
    menshen
        .wecom
        .set_agent_domains(OTHER_AGENT_ID, &["sso.test"]);
    let expired = session_cookie_of(menshen, "wangfang").await;
    menshen.advance(Duration::from_secs(12 * 3600));
    let denied = session_cookie_of(menshen, "zhangsan").await;
    let allowed = session_cookie_of(menshen, "lisi").await;
    let start = "/.menshen/start?connector=guests&rd=%2Fecho";
    let other = session_cookie_after(menshen, start, "zhangsan").await;
    let tail = if denied.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{tail}", &denied[..denied.len() - 1]);
    vec![
        ("nobody", String::new()),
        ("a member the rule denies", denied.clone()),
        ("a member the rule allows", allowed.clone()),
        ("a person of another connector", other),
        ("an expired session", expired),
        ("a forged cookie", forged),
        (
            "the cookies of two people",
            format!("{denied}; menshen={allowed}"),
        ),
    ]
}

#[tokio::test]
async fn each_caller_reaches_exactly_the_routes_that_admit_them() {
    use Outcome::{Forbidden, Login, Passes};
    let menshen = Setup::default()
        .tables(&guest_connector())
        .routes(ROUTES)
        .start()
        .await;
    let zhang = Passes(Some("zhangsan"));
    let li = Passes(Some("lisi"));
    let guest = Passes(Some("guest-zhangsan"));
    let stranger = Passes(None);
    // In the order of `callers`; the callers after the fourth get the results of the first.
    let table = [
        ("/public/echo", [stranger, zhang, li, guest]),
        ("/echo", [Login, zhang, li, guest]),
        ("/members/echo", [Login, zhang, li, Login]),
        ("/finance/echo", [Login, Forbidden, li, Forbidden]),
        ("/rule/echo", [Login, Forbidden, li, Login]),
        ("/open/echo", [stranger, zhang, li, Forbidden]),
    ];
    let callers = callers(&menshen).await;
    for (path, expected) in table {
        for (nth, (who, cookie)) in callers.iter().enumerate() {
            let expected = expected[if nth < 4 { nth } else { 0 }];
            let request = match cookie.as_str() {
                "" => TestRequest::get(path),
                cookie => TestRequest::get(path).session(cookie),
            };
            assert_outcome(
                &request.send(&menshen).await,
                expected,
                &format!("{who} on {path}"),
            );
        }
    }
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_application() {
    let menshen = Setup::default()
        .tables(&guest_connector())
        .routes(ROUTES)
        .start()
        .await;
    let callers = callers(&menshen).await;
    let before = menshen.app.requests();
    for (who, cookie) in callers.iter().filter(|(who, _)| !who.contains("allows")) {
        let get = TestRequest::get("/finance/echo").session(cookie);
        let post = get.clone().method("POST").header("Content-Length", "2");
        for request in [get.clone(), get.navigating(), post.body(b"hi")] {
            let answer = request.send(&menshen).await;
            assert!(answer.status >= 300, "{who}: {}", answer.status);
            assert!(!answer.text().contains("\"target\""), "{who}");
        }
    }
    assert_eq!(menshen.app.requests(), before);
}

#[tokio::test]
async fn two_copies_of_one_session_cookie_identify_one_person() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let twice = TestRequest::get("/echo").session(&format!("{cookie}; menshen={cookie}"));
    assert_outcome(
        &twice.send(&menshen).await,
        Outcome::Passes(Some("zhangsan")),
        "twice",
    );
    let with_invalid = TestRequest::get("/echo")
        .session(&cookie)
        .session("another");
    assert_outcome(
        &with_invalid.send(&menshen).await,
        Outcome::Passes(Some("zhangsan")),
        "a cookie with an invalid signature in a second header",
    );
}

#[tokio::test]
async fn a_host_or_path_without_a_route_is_not_found() {
    let routes = "[[route]]\nname = 'a'\nhost = 'sso.test'\npath = '/a'\nupstream = ['{app}']\n\
                [[route]]\nname = 'b'\nhost = '*.sso.test'\nupstream = ['{app}']\n";
    let menshen = Setup::default().routes(routes).start().await;
    for (host, path, expected) in [
        ("sso.test", "/a", Outcome::Login),
        ("sso.test", "/a/b", Outcome::Login),
        ("sso.test", "/ab", Outcome::NotFound),
        ("sso.test", "/", Outcome::NotFound),
        ("sso.test", "/A", Outcome::NotFound),
        ("x.sso.test", "/", Outcome::Login),
        // The wildcard matches whole labels only, and not the domain itself.
        ("xsso.test", "/", Outcome::NotFound),
        (".sso.test", "/a", Outcome::NotFound),
        ("other.test", "/a", Outcome::NotFound),
        ("127.0.0.1", "/a", Outcome::NotFound),
    ] {
        let answer = TestRequest::get(path).host(host).send(&menshen).await;
        if host.starts_with('.') {
            assert_eq!(answer.status, 400, "{host}");
            continue;
        }
        assert_outcome(&answer, expected, &format!("{host}{path}"));
    }
}

#[tokio::test]
async fn a_route_path_with_a_trailing_slash_matches_the_path_without_it() {
    let route = |name: &str, path: &str, lines: &str| {
        format!(
            "[[route]]\nname = '{name}'\nhost = 'sso.test'\npath = '{path}'\n\
             upstream = ['{{app}}']\n{lines}\n"
        )
    };
    let public = "access = 'public'";
    let routes = route("all", "/", public)
        + &route("archive", "/archive/", "")
        + &route("deep", "/a/deep/", "")
        + &route("bare", "/bare", "");
    let menshen = Setup::default().routes(&routes).start().await;
    for path in [
        "/archive",
        "/archive/",
        "/archive/x",
        "/archive?x",
        "/a/deep",
        "/a/deep/x",
        "/bare",
        "/bare/",
        "/bare/x",
    ] {
        let answer = TestRequest::get(path).send(&menshen).await;
        assert_outcome(&answer, Outcome::Login, path);
    }
    for path in ["/archives", "/archiv", "/a", "/a/deeper", "/echo"] {
        let answer = TestRequest::get(path).send(&menshen).await;
        assert!(
            ![401, 403].contains(&answer.status),
            "{path}: {}",
            answer.status
        );
    }
}
