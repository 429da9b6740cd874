//! Problems for programs (`application/problem+json`): the document states the status of its response, says
//! what happened, and is in the language of the request, whatever the kind.

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::access_tokens::basic;
use crate::browser::{Browser, navigation_headers};
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::logging_in::OWN_PAGES;
use crate::mirror::Mirror;
use crate::provider::Provider;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]
[[route]]
name = "api"
host = "sso.test"
path = "/api"
upstream = ["{mirror}"]
issuers = ["ci", "away"]
scopes = ["deploy"]
[[route]]
name = "git"
host = "sso.test"
path = "/git"
upstream = ["{mirror}"]
access_tokens = true
[[route]]
name = "nobody"
host = "sso.test"
path = "/nobody"
upstream = ["{mirror}"]
allow = "false"
[[route]]
name = "reading"
host = "sso.test"
path = "/reading"
upstream = ["{mirror}"]
allow = "request.method == 'GET'"
[[route]]
name = "away"
host = "sso.test"
path = "/away"
upstream = ["http://127.0.0.1:1"]
access = "public"
[[route]]
name = "other"
host = "oa.test"
upstream = ["{mirror}"]
"#;

/// An issuer at which nothing answers.
const AWAY: &str = "http://127.0.0.1:1";

struct Site {
    menshen: Menshen,
    provider: Provider,
    _mirror: Mirror,
}

impl Site {
    async fn start() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, Algorithm::ES256).await;
        let mirror = Mirror::start().await;
        let issuer = |id: &str, url: &str| {
            format!("[issuer.{id}]\nurl = \"{url}\"\naudiences = [\"menshen\"]\n")
        };
        let issuers = issuer("ci", provider.issuer()) + &issuer("away", AWAY);
        let setup = Setup::default()
            .server(TRUST_LOOPBACK)
            .clock(&clock)
            .tables(&format!("{GRPC_ON_MAIN}{NO_LOGIN_LIMITS}{issuers}"))
            .routes(&ROUTES.replace("{mirror}", &mirror.base_url()));
        Self {
            menshen: setup.start().await,
            provider,
            _mirror: mirror,
        }
    }

    fn bearer(&self, change: &Value) -> String {
        let mut claims = self.provider.access_token_claims("zhangsan", "menshen");
        let changed = change.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(changed);
        format!("Bearer {}", self.provider.sign(&claims, &json!({})))
    }
}

fn kind(answer: &Answer) -> String {
    let kind = answer.json()["type"].as_str().unwrap().to_owned();
    kind.replace("urn:menshen:problem:", "")
}

/// The document, whose status is that of the response and whose texts are there, in this language.
#[track_caller]
fn problem(what: &str, answer: &Answer, language: &str) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{what}: {answer:?}"
    );
    let document = answer.json();
    assert_eq!(document["status"], answer.status, "{what}: {document}");
    for member in ["title", "detail"] {
        let text = document[member].as_str().unwrap();
        assert!(!text.is_empty(), "{what}: {member}: {document}");
    }
    assert_eq!(
        answer.header("content-language"),
        Some(language),
        "{what}: {document}"
    );
    let varies = answer.header_values("vary").collect::<Vec<_>>().join(",");
    assert!(varies.contains("accept-language"), "{what}: {varies}");
    let is_chinese = |text: &str| text.chars().any(|letter| letter as u32 > 0x2e80);
    assert_eq!(
        is_chinese(document["title"].as_str().unwrap()),
        language == "zh-CN",
        "{what}: {document}"
    );
    document
}

/// The languages that requests ask for, and that of the problem.
const LANGUAGES: [(Option<&str>, &str); 4] = [
    (None, "en"),
    (Some("*"), "en"),
    (Some("en-GB,zh;q=0.5"), "en"),
    (Some("zh-CN,zh;q=0.9,en;q=0.8"), "zh-CN"),
];

#[tokio::test]
async fn every_face_states_the_status_that_it_sends() {
    let site = Site::start().await;
    let session = format!("menshen={}", session_cookie_of(&site.menshen, "lisi").await);
    let good = site.bearer(&json!({ "scope": "deploy" }));
    let narrow = site.bearer(&json!({}));
    let away = site.bearer(&json!({ "iss": AWAY }));
    let get = OriginalRequest::get;
    let elsewhere = OriginalRequest {
        host: "nowhere.test".to_owned(),
        ..get("/")
    };
    // It has the form of a token, and was never issued.
    let unknown = basic("lisi", &format!("mst_{}", "A".repeat(43)));
    for (slug, original) in [
        ("login-needed", get("/app")),
        ("not-found", elsewhere),
        ("ambiguous-path", get("/api%2fx")),
        (
            "bad-request",
            get("/reading").method("get").header("Cookie", &session),
        ),
        ("forbidden", get("/nobody").header("Cookie", &session)),
        (
            "bad-token",
            get("/api").header("Authorization", "Bearer a.b.c"),
        ),
        (
            "insufficient-scope",
            get("/api").header("Authorization", &narrow),
        ),
        ("issuer-away", get("/api").header("Authorization", &away)),
        (
            "two-callers",
            get("/api")
                .header("Authorization", &good)
                .header("Cookie", &session),
        ),
        (
            "bad-access-token",
            get("/git").header("Authorization", &unknown),
        ),
    ] {
        for face in Face::ALL {
            for (asked, language) in LANGUAGES {
                let original = match asked {
                    Some(asked) => original.clone().header("Accept-Language", asked),
                    None => original.clone(),
                };
                let response = original.send_to(face, site.menshen.address()).await;
                let what = format!("{slug} at {face:?} for {asked:?}");
                problem(&what, &response.answer, language);
                assert_eq!(kind(&response.answer), slug, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_malformed_request_gets_a_problem_too() {
    let site = Site::start().await;
    let request = OriginalRequest::get("/a/..;/b");
    let response = request.send_to(Face::Proxy, site.menshen.address()).await;
    problem("a malformed path", &response.answer, "en");
    assert_eq!(kind(&response.answer), "bad-request");
}

#[tokio::test]
async fn own_paths_and_failed_upstreams_state_their_status_in_the_language_of_the_request() {
    let site = Site::start().await;
    let post = |path: &str| {
        TestRequest::get(path)
            .method("POST")
            .header("Content-Length", "0")
    };
    let foreign = |request: TestRequest| request.header("Origin", "http://evil.test");
    for (slug, status, request) in [
        ("login-needed", 401, TestRequest::get("/.menshen/userinfo")),
        (
            "login-needed",
            401,
            TestRequest::get("/.menshen/start?rd=/app"),
        ),
        (
            "foreign-origin",
            403,
            TestRequest::get("/.menshen/sign_out"),
        ),
        (
            "foreign-origin",
            403,
            TestRequest::get("/.menshen/ticket?t=AAAA"),
        ),
        ("foreign-origin", 403, foreign(post("/.menshen/start"))),
        ("foreign-origin", 403, foreign(post("/.menshen/login/corp"))),
        ("foreign-origin", 403, foreign(post("/.menshen/tokens"))),
        ("bad-request", 400, post("/.menshen/login/corp")),
        ("not-found", 404, TestRequest::get("/.menshen/nothing")),
        ("upstream-down", 502, TestRequest::get("/away")),
    ] {
        for (asked, language) in LANGUAGES {
            let request = match asked {
                Some(asked) => request.clone().header("Accept-Language", asked),
                None => request.clone(),
            };
            let answer = request.send(&site.menshen).await;
            let what = format!("{slug} for {asked:?} of {request:?}");
            problem(&what, &answer, language);
            assert_eq!(
                (kind(&answer).as_str(), answer.status),
                (slug, status),
                "{what}"
            );
        }
    }
}

#[tokio::test]
async fn a_check_that_cannot_be_decided_says_so() {
    let site = Site::start().await;
    let check = TestRequest::get("/.menshen/auth").header("Accept-Language", "zh");
    let answer = check.send(&site.menshen).await;
    assert_eq!(answer.header("x-menshen-reason"), Some("untold"));
    let document = problem("untold", &answer, "zh-CN");
    assert_eq!((answer.status, kind(&answer).as_str()), (403, "untold"));
    assert_eq!(document.get("login_url"), None);
}

/// The `rd` of the URL where a person can log in.
fn return_address(answer: &Answer) -> String {
    let url = answer.json()["login_url"].as_str().unwrap().to_owned();
    let url = url::Url::parse(&url).unwrap();
    assert_eq!(url.path(), "/.menshen/sign_in");
    let mut pairs = url.query_pairs();
    pairs.find(|(name, _)| name == "rd").unwrap().1.into_owned()
}

#[tokio::test]
async fn a_program_that_starts_a_login_gets_a_login_url_with_its_return_address() {
    let site = Site::start().await;
    for (host, rd, kept) in [
        ("sso.test", "/app%3Fx%3D1", "http://sso.test/app?x=1"),
        (
            "sso.test",
            "http://oa.test/a%3Fb%3Dc",
            "http://oa.test/a?b=c",
        ),
        ("oa.test", "/a", "http://oa.test/a"),
        ("oa.test", "http://sso.test/a", "http://sso.test/a"),
        ("oa.test", "http://evil.test/a", "http://oa.test/"),
        ("oa.test", "", "http://oa.test/"),
    ] {
        let request = TestRequest::get(&format!("/.menshen/start?rd={rd}")).host(host);
        let answer = request.send(&site.menshen).await;
        assert_eq!(answer.status, 401, "{host} {rd}");
        assert_eq!(return_address(&answer), kept, "{host} {rd}");
        assert_eq!(answer.json()["detail"], "navigation", "{host} {rd}");
        assert_eq!(answer.header("set-cookie"), None, "{host} {rd}");
    }
    // The link of the page in a frame keeps it, too.
    let mut framed = navigation_headers();
    framed[2].1 = "iframe";
    let url = format!("{OWN_PAGES}/start?rd=/app");
    let page = Browser::new(&site.menshen)
        .send("GET", &url, &framed, b"")
        .await;
    let link = format!("{SSO_URL}/.menshen/sign_in?rd=http%3A//sso.test/app");
    assert!(page.text().contains(&link), "{}", page.text());
}

#[tokio::test]
async fn userinfo_says_why_nobody_is_signed_in() {
    let site = Site::start().await;
    let cookie = session_cookie_of(&site.menshen, "lisi").await;
    let userinfo = TestRequest::get("/.menshen/userinfo");
    let answer = userinfo.send(&site.menshen).await;
    assert_eq!(answer.json()["detail"], "nobody");
    site.menshen
        .advance(std::time::Duration::from_secs(13 * 3600));
    let answer = userinfo.session(&cookie).send(&site.menshen).await;
    assert_eq!(answer.json()["detail"], "expired");
}
