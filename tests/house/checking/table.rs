//! Every face gives the same verdict for the same caller, and redirects to the same login.

mod random;
mod requests;

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use super::TRUST_LOOPBACK;
use super::faces::{Face, OriginalRequest, Verdict};
use crate::browser::Browser;
use crate::ext_authz::GRPC_ON_MAIN;
use crate::logging_in::OWN_PAGES;
use crate::mirror::Mirror;
use crate::passing::guest_connector;
use crate::provider::Provider;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::{session_cookie_after, session_cookie_of};
use crate::wecom::OTHER_AGENT_ID;

use Verdict::{Allow, Deny, Login, Unauthorized};

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]
[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{mirror}"]
connectors = ["corp"]
assertion = true
check_headers = "all"
allow = "'财务部' in user.departments"
[route.headers]
X-Remote-User = "user.login + '@' + request.ip"
[[route]]
name = "api"
host = "sso.test"
path = "/api"
upstream = ["{mirror}"]
issuers = ["ci"]
[[route]]
name = "hours"
host = "sso.test"
path = "/hours"
access = "rule"
upstream = ["{mirror}"]
allow = "request.method == 'GET' && request.ip == '192.0.2.7' && request.path != '/hours/no'"
[[route]]
name = "costly"
host = "sso.test"
path = "/costly"
access = "rule"
upstream = ["{mirror}"]
allow = """!request.headers['x-list'].split(',').exists(i,
  request.headers['x-list'].split(';').exists(j, i == j && request.path == j))"""
[[route]]
name = "costly-header"
host = "sso.test"
path = "/costly-header"
access = "public"
check_headers = "all"
upstream = ["{mirror}"]
[route.headers]
X-Remote-User = """request.headers['x-list'].split(',').exists(i,
  request.headers['x-list'].contains('no' + i)) ? 'a' : 'b'"""
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
preflight = "pass"
upstream = ["{mirror}"]
[[route]]
name = "shop"
host = "sso.test"
path = "/shop"
check_headers = "all"
upstream = ["{mirror}"]
allow = "user.login == 'zhangsan'"
public_paths = ["/shop/manifest.webmanifest", "/shop"]
[route.headers]
X-Remote-User = "user.login"
[[route]]
name = "wild"
host = "*.apps.test"
access = "public"
upstream = ["{mirror}"]
[[route]]
name = "port"
host = "sso.test:8443"
access = "public"
upstream = ["{mirror}"]
"#;

struct Faces {
    menshen: Menshen,
    provider: Provider,
    _mirror: Mirror,
}

impl Faces {
    async fn start() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, Algorithm::ES256).await;
        let mirror = Mirror::start().await;
        let issuer = format!(
            "[issuer.ci]\nurl = \"{}\"\naudiences = [\"menshen\"]\n",
            provider.issuer()
        );
        let setup = Setup::default()
            .server(TRUST_LOOPBACK)
            .clock(&clock)
            .access_log()
            .tables(&format!(
                "{GRPC_ON_MAIN}{}{issuer}{NO_LOGIN_LIMITS}",
                guest_connector()
            ))
            .routes(&ROUTES.replace("{mirror}", &mirror.base_url()));
        let menshen = setup.start().await;
        menshen
            .wecom
            .set_agent_domains(OTHER_AGENT_ID, &["sso.test"]);
        Self {
            menshen,
            provider,
            _mirror: mirror,
        }
    }

    fn token(&self, audience: &str) -> String {
        let claims = self.provider.access_token_claims("zhangsan", audience);
        format!("Bearer {}", self.provider.sign(&claims, &json!({})))
    }

    /// Asserts that every face gives this verdict, with the same reason, route, login and identity.
    async fn assert_all_decide(&self, what: &str, original: &OriginalRequest, verdict: Verdict) {
        let mut first = None;
        for face in Face::ALL {
            let response = original.send_to(face, self.menshen.address()).await;
            assert_eq!(
                response.verdict, verdict,
                "{what}: {face:?}: {:?}",
                response.answer
            );
            let access_line = self.last_access_line();
            let outcome = (
                response.identity,
                access_line["verdict"].clone(),
                access_line["reason"].clone(),
                access_line["route"].clone(),
                access_line["login"].clone(),
                // A refused target is logged as it arrived, which differs between the faces.
                Some(access_line["path"].clone()).filter(|_| access_line["route"].is_string()),
                Some(access_line["client"].clone()).filter(|_| access_line["route"].is_string()),
            );
            let expected = first.get_or_insert_with(|| outcome.clone());
            assert_eq!(&outcome, expected, "{what}: {face:?}");
        }
    }

    fn last_access_line(&self) -> Value {
        self.menshen.running.live().services().telemetry.flush();
        let text = self.menshen.records.text();
        let mut lines = text.lines().rev();
        let last = lines.find(|line| line.contains("menshen::access")).unwrap();
        serde_json::from_str(last).unwrap()
    }
}

fn page(target: &str) -> OriginalRequest {
    OriginalRequest::get(target).header("Accept", "text/html")
}

fn with_session(original: OriginalRequest, cookie: &str) -> OriginalRequest {
    original.header("Cookie", &format!("other=1; menshen={cookie}"))
}

#[tokio::test]
async fn every_face_gives_every_caller_the_same_verdict() {
    let faces = Faces::start().await;
    let menshen = &faces.menshen;
    let signed_out = session_cookie_of(menshen, "lisi").await;
    let mut browser = Browser::new(menshen);
    browser.set_cookie("sso.test", "menshen", &signed_out);
    let post = browser
        .send(
            "POST",
            &format!("{OWN_PAGES}/sign_out"),
            &[("Origin", SSO_URL)],
            b"",
        )
        .await;
    assert!(post.status < 400, "{}", post.text());
    let lisi = session_cookie_of(menshen, "lisi").await;
    let zhangsan = session_cookie_of(menshen, "zhangsan").await;
    let guest =
        session_cookie_after(menshen, "/.menshen/start?connector=guests&rd=/echo", "lisi").await;
    let other = if lisi.ends_with('A') { 'E' } else { 'A' };
    let forged = format!("{}{other}", &lisi[..lisi.len() - 1]);

    let people: [(&str, &str, [Verdict; 3]); 7] = [
        ("nobody", "", [Login, Login, Allow]),
        ("a member who is allowed", &lisi, [Allow, Allow, Allow]),
        ("a member who is not", &zhangsan, [Allow, Deny, Allow]),
        (
            "a person of another connector",
            &guest,
            [Allow, Login, Allow],
        ),
        (
            "a person who signed out",
            &signed_out,
            [Login, Login, Allow],
        ),
        ("a forged cookie", &forged, [Login, Login, Allow]),
        ("an invalid cookie", "garbage", [Login, Login, Allow]),
    ];
    for (what, cookie, verdicts) in people {
        for (target, verdict) in ["/app?x=1", "/finance/x", "/public"].iter().zip(verdicts) {
            for original in [page(target), OriginalRequest::get(target)] {
                let what = format!("{what} at {target}");
                faces
                    .assert_all_decide(&what, &with_session(original, cookie), verdict)
                    .await;
            }
        }
    }
    assert_tokens_are_decided_alike(&faces, &lisi).await;
    let two = with_session(page("/app"), &lisi).header("Cookie", &format!("menshen={zhangsan}"));
    faces.assert_all_decide("two cookies", &two, Login).await;

    menshen.advance(Duration::from_secs(13 * 3600));
    for target in ["/app", "/finance"] {
        faces
            .assert_all_decide("expired", &with_session(page(target), &lisi), Login)
            .await;
    }
}

async fn assert_tokens_are_decided_alike(faces: &Faces, lisi: &str) {
    let (good, bad) = (faces.token("menshen"), faces.token("somebody-else"));
    for (what, token, cookie, verdict) in [
        ("a good token", good.as_str(), "", Allow),
        ("a bad token", bad.as_str(), "", Unauthorized),
        ("garbage for a token", "Bearer garbage", "", Unauthorized),
        ("a token beside a person", good.as_str(), lisi, Deny),
        (
            "a bad token beside a person",
            bad.as_str(),
            lisi,
            Unauthorized,
        ),
        ("no token", "Basic eA==", "", Login),
    ] {
        let original =
            with_session(OriginalRequest::get("/api/x"), cookie).header("Authorization", token);
        faces.assert_all_decide(what, &original, verdict).await;
    }
    let elsewhere = OriginalRequest::get("/app").header("Authorization", &good);
    faces
        .assert_all_decide("a token on a route without issuers", &elsewhere, Login)
        .await;
}

#[tokio::test]
async fn a_page_requested_by_a_service_worker_leads_to_login_on_every_face() {
    let faces = Faces::start().await;
    for face in Face::ALL.into_iter().filter(|face| face.can_redirect()) {
        for (site, redirects) in [
            ("same-origin", true),
            ("same-site", false),
            ("cross-site", false),
        ] {
            let original = OriginalRequest::get("/app")
                .header("Sec-Fetch-Mode", "navigate")
                .header("Sec-Fetch-Dest", "empty")
                .header("Sec-Fetch-Site", site);
            let response = original.send_to(face, faces.menshen.address()).await;
            assert_eq!(response.verdict, Login, "{face:?} {site}");
            let is_redirected = response.answer.header("location").is_some();
            assert_eq!(
                is_redirected, redirects,
                "{face:?} {site}: {:?}",
                response.answer
            );
        }
    }
}

#[tokio::test]
async fn every_face_redirects_to_the_same_login_url() {
    let faces = Faces::start().await;
    for face in Face::ALL.into_iter().filter(|face| face.can_redirect()) {
        let response = page("/app?x=1&y=%2f")
            .send_to(face, faces.menshen.address())
            .await;
        let mut to = response.answer.header("location").unwrap().to_owned();
        if to.starts_with('/') {
            to = format!("{SSO_URL}{to}");
        }
        let mut browser = Browser::new(&faces.menshen);
        let page = browser.sign_in(&to, "lisi").await;
        assert_eq!(
            (page.answer.status, page.url),
            (200, format!("{SSO_URL}/app?x=1&y=%2f")),
            "{face:?}"
        );
    }
}
