//! Which callers reach which routes, which are sent to log in, and which are refused.

mod headers;
mod login;
mod rules;

use std::time::Duration;

use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_after, session_cookie_of};
use crate::wecom::{CORP_ID, OTHER_AGENT_ID, OTHER_SECRET};
use crate::wire::Answer;

/// A route of every kind, each to an application that echoes the request.
const KINDS: &str = r#"
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

/// A second connector of the same source, whose accounts are different ones.
pub(crate) fn guests() -> String {
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

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The application received it, with this user.
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
    let (found, user) = outcome(answer);
    match expected {
        Outcome::Passes(whom) => {
            assert_eq!(found, Outcome::Passes(None), "{what}");
            assert_eq!(user.as_deref(), whom, "{what}");
        }
        other => assert_eq!(found, other, "{what}"),
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
        ("somebody of another connector", other),
        ("an expired session", expired),
        ("a forged cookie", forged),
        ("two people at once", format!("{denied}; menshen={allowed}")),
    ]
}

#[tokio::test]
async fn each_caller_reaches_exactly_the_routes_that_admit_them() {
    use Outcome::{Forbidden, Login, Passes};
    let menshen = Setup::default()
        .tables(&guests())
        .routes(KINDS)
        .start()
        .await;
    let zhang = Passes(Some("zhangsan"));
    let li = Passes(Some("lisi"));
    let guest = Passes(Some("guest-zhangsan"));
    let stranger = Passes(None);
    // In the order of `callers`; the kinds after the fourth get the results of the first.
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
        for (at, (who, cookie)) in callers.iter().enumerate() {
            let expected = expected[if at < 4 { at } else { 0 }];
            let ask = match cookie.as_str() {
                "" => TestRequest::get(path),
                cookie => TestRequest::get(path).session(cookie),
            };
            assert_outcome(
                &ask.send(&menshen).await,
                expected,
                &format!("{who} on {path}"),
            );
        }
    }
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_application() {
    let menshen = Setup::default()
        .tables(&guests())
        .routes(KINDS)
        .start()
        .await;
    let callers = callers(&menshen).await;
    let before = menshen.app.requests();
    for (who, cookie) in callers.iter().filter(|(who, _)| !who.contains("allows")) {
        let ask = TestRequest::get("/finance/echo").session(cookie);
        let post = ask.clone().method("POST").header("Content-Length", "2");
        for ask in [ask.clone(), ask.navigating(), post.body(b"hi")] {
            let answer = ask.send(&menshen).await;
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
    let differ = TestRequest::get("/echo")
        .session(&cookie)
        .session("another");
    assert_outcome(
        &differ.send(&menshen).await,
        Outcome::Passes(Some("zhangsan")),
        "one that we did not sign beside it, in another header",
    );
}

#[tokio::test]
async fn a_host_or_path_without_a_route_is_not_found() {
    let only = "[[route]]\nname = 'a'\nhost = 'sso.test'\npath = '/a'\nupstream = ['{app}']\n\
                [[route]]\nname = 'b'\nhost = '*.sso.test'\nupstream = ['{app}']\n";
    let menshen = Setup::default().routes(only).start().await;
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
    let route = |name: &str, path: &str, more: &str| {
        format!(
            "[[route]]\nname = '{name}'\nhost = 'sso.test'\npath = '{path}'\n\
             upstream = ['{{app}}']\n{more}\n"
        )
    };
    let open = "access = 'public'";
    let routes = route("all", "/", open)
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
