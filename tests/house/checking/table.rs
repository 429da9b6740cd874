//! Every face gives the same verdict for the same request: a table of requests, and random ones.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

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

    /// Sends a request to every face. All must give this verdict, with the same reason and
    /// identity.
    async fn assert_all_decide(&self, what: &str, original: &OriginalRequest, verdict: Verdict) {
        let mut first = None;
        for face in Face::ALL {
            let response = original.send_to(face, self.menshen.address()).await;
            assert_eq!(
                response.verdict, verdict,
                "{what}: {face:?}: {:?}",
                response.answer
            );
            let record = self.last_record();
            let outcome = (
                response.identity,
                record["verdict"].clone(),
                record["reason"].clone(),
                record["route"].clone(),
                record["login"].clone(),
                // An unreadable request is recorded as it arrived.
                Some(record["path"].clone()).filter(|_| record["route"].is_string()),
                Some(record["client"].clone()).filter(|_| record["route"].is_string()),
            );
            let expected = first.get_or_insert_with(|| outcome.clone());
            assert_eq!(&outcome, expected, "{what}: {face:?}");
        }
    }

    fn last_record(&self) -> Value {
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
            "somebody of another connector",
            &guest,
            [Allow, Login, Allow],
        ),
        (
            "somebody who signed out",
            &signed_out,
            [Login, Login, Allow],
        ),
        ("a forged cookie", &forged, [Login, Login, Allow]),
        ("no cookie of ours", "garbage", [Login, Login, Allow]),
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
    programs(&faces, &lisi).await;
    let two = with_session(page("/app"), &lisi).header("Cookie", &format!("menshen={zhangsan}"));
    faces.assert_all_decide("two cookies", &two, Login).await;

    menshen.advance(Duration::from_secs(13 * 3600));
    for target in ["/app", "/finance"] {
        faces
            .assert_all_decide("expired", &with_session(page(target), &lisi), Login)
            .await;
    }
}

async fn programs(faces: &Faces, lisi: &str) {
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
        .assert_all_decide("a token where none counts", &elsewhere, Login)
        .await;
}

#[tokio::test]
async fn every_face_gives_every_request_the_same_verdict() {
    let faces = Faces::start().await;
    let lisi = session_cookie_of(&faces.menshen, "lisi").await;
    for (what, original, verdict) in requests(&lisi).into_iter().chain(ambiguous_requests(&lisi)) {
        faces.assert_all_decide(what, &original, verdict).await;
    }
}

#[tokio::test]
async fn a_public_path_is_public_only_as_written() {
    let faces = Faces::start().await;
    let lisi = session_cookie_of(&faces.menshen, "lisi").await;
    let path = "/shop/manifest.webmanifest";
    for (target, verdict) in [
        (path, Allow),
        ("/shop/manifest.webmanifest?v=1", Allow),
        ("/shop", Allow),
        ("/shop/", Login),
        ("/shop/manifest.webmanifest/", Login),
        ("/shop/manifest.webmanifest/x", Login),
        ("/shop/manifest.webmanifest;x", Login),
        ("/shop/manifest.webmanifestx", Login),
        ("/shop/Manifest.webmanifest", Login),
        ("/shop/manifest%2ewebmanifest", Login),
        ("/shop/manifest.webmanifest%3fx", Login),
        ("/shop//manifest.webmanifest", Login),
        ("/shop/x", Login),
    ] {
        faces
            .assert_all_decide(target, &OriginalRequest::get(target), verdict)
            .await;
        let signed_in = with_session(OriginalRequest::get(target), &lisi);
        let verdict = if verdict == Login { Deny } else { verdict };
        faces.assert_all_decide(target, &signed_in, verdict).await;
    }
    for method in ["HEAD", "POST", "OPTIONS"] {
        let original = OriginalRequest::get(path).method(method);
        let face = Face::Proxy;
        let response = original.send_to(face, faces.menshen.address()).await;
        assert_eq!(response.verdict, Allow, "{method}");
    }
    // A signed-in person is named there, as on a public route.
    for face in Face::ALL {
        let at = faces.menshen.address();
        let response = with_session(OriginalRequest::get(path), &lisi)
            .send_to(face, at)
            .await;
        assert_eq!(response.identity["x-remote-user"], "lisi", "{face:?}");
        let response = OriginalRequest::get(path).header("X-Remote-User", "root");
        let response = response.send_to(face, at).await;
        assert_eq!(response.identity.get("x-remote-user"), None, "{face:?}");
    }
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
async fn no_request_exceeds_the_cost_limit() {
    let faces = Faces::start().await;
    let list = |items: usize, bytes: usize| vec!["x".repeat(bytes); items].join(",");
    let with_list = |target: &str, list: &str| OriginalRequest::get(target).header("X-List", list);
    let (short, many, long) = (list(3, 3), list(900, 1), list(900, 40));
    let tricky = "/costly/x;y//z%20%5c";
    for (target, list, verdict) in [
        ("/costly", &short, Allow),
        ("/costly", &many, Allow),
        ("/costly", &long, Deny),
        // Every reading of a path is decided.
        (tricky, &short, Allow),
        (tricky, &many, Deny),
        ("/costly-header", &short, Allow),
        ("/costly-header", &many, Allow),
        ("/costly-header", &long, Deny),
    ] {
        let what = format!("{target}, a list of {} bytes", list.len());
        faces
            .assert_all_decide(&what, &with_list(target, list), verdict)
            .await;
        if verdict == Deny {
            assert_eq!(faces.last_record()["reason"], "too costly", "{what}");
        }
    }
    let metrics = faces.menshen.running.live().services().telemetry.render();
    let counted = format!("menshen_costly_requests_total {}\n", 3 * Face::ALL.len());
    assert!(metrics.contains(&counted), "{metrics}");
}

fn requests(lisi: &str) -> Vec<(&'static str, OriginalRequest, Verdict)> {
    let stranger = |target: &str| OriginalRequest::get(target);
    let host = |host: &str, target: &str| OriginalRequest {
        host: host.to_owned(),
        ..OriginalRequest::get(target)
    };
    vec![
        ("the rule's yes", stranger("/hours"), Allow),
        ("another method", stranger("/hours").method("POST"), Login),
        ("another path", stranger("/hours/no"), Login),
        (
            "another client",
            OriginalRequest {
                client: "198.51.100.1",
                ..stranger("/hours")
            },
            Login,
        ),
        ("a path of two minds", stranger("/hours/n%6f"), Deny),
        (
            "a disguised path",
            with_session(stranger("/%66inance"), lisi),
            Deny,
        ),
        (
            "an honest escape",
            with_session(stranger("/a%20b"), lisi),
            Allow,
        ),
        ("dots", with_session(stranger("/a/../b"), lisi), Deny),
        (
            "hidden dots",
            with_session(stranger("/a/%252e%252e/b"), lisi),
            Deny,
        ),
        (
            "a broken escape",
            with_session(stranger("/a%zz"), lisi),
            Deny,
        ),
        ("a NUL", with_session(stranger("/a%00"), lisi), Deny),
        (
            "no such host",
            with_session(host("nowhere.test", "/"), lisi),
            Deny,
        ),
        (
            "a host with a dot and case",
            with_session(host("SSO.Test.", "/"), lisi),
            Allow,
        ),
        ("a host below a domain", host("a.apps.test", "/x"), Allow),
        ("a host of another port", host("sso.test:8443", "/x"), Allow),
        (
            "no host name",
            with_session(host("s$o.test", "/"), lisi),
            Deny,
        ),
        (
            "our own page",
            with_session(stranger("/app/x"), lisi).method("DELETE"),
            Allow,
        ),
        (
            "a preflight",
            stranger("/public")
                .method("OPTIONS")
                .header("Origin", "http://a.test")
                .header("Access-Control-Request-Method", "PUT"),
            Allow,
        ),
        (
            "a preflight elsewhere",
            stranger("/app")
                .method("OPTIONS")
                .header("Origin", "http://a.test")
                .header("Access-Control-Request-Method", "PUT"),
            Login,
        ),
        (
            "a websocket of nobody",
            stranger("/app").header("Sec-WebSocket-Version", "13"),
            Login,
        ),
    ]
}

fn ambiguous_requests(lisi: &str) -> Vec<(&'static str, OriginalRequest, Verdict)> {
    let stranger = |target: &str| OriginalRequest::get(target);
    vec![
        (
            "a host within the path",
            with_session(stranger("//x/finance"), lisi),
            Deny,
        ),
        (
            "an escape that ends a path",
            with_session(stranger("/finance%3f"), lisi),
            Deny,
        ),
        (
            "a name that Windows shortens",
            with_session(stranger("/finance."), lisi),
            Deny,
        ),
        (
            "a host within a path that a rule looks at",
            stranger("//x/hours/no"),
            Deny,
        ),
        (
            "a method in small letters where a rule looks at it",
            stranger("/hours").method("get"),
            Deny,
        ),
        (
            "a method in small letters elsewhere",
            with_session(stranger("/app"), lisi).method("purge"),
            Allow,
        ),
        (
            "a method that is too long",
            with_session(stranger("/app"), lisi).method(&"M".repeat(65)),
            Deny,
        ),
        (
            "a long method",
            with_session(stranger("/app"), lisi).method(&"M".repeat(64)),
            Allow,
        ),
    ]
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

fn arbitrary_request() -> impl Strategy<Value = OriginalRequest> {
    let path = prop_oneof![
        "/(app|finance|hours|public|api|)(/[a-z%;.0-9]{0,6}){0,3}",
        r"/[\x21-\x7e]{0,24}",
    ];
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "OPTIONS", "DELETE", "QUERY"]);
    let host = prop::sample::select(vec![
        "sso.test",
        "SSO.test.",
        "sso.test:80",
        "sso.test:8443",
        "a.apps.test",
        "x",
        "sso.test:0",
    ]);
    let names = prop::sample::select(vec![
        "Accept",
        "Sec-Fetch-Mode",
        "Sec-Fetch-Dest",
        "X-Requested-With",
        "Origin",
        "Cookie",
        "X-Forwarded-User",
        "x_forwarded_user",
        "X-Auth-Request-Groups",
        "Authorization",
        "X-Remote-User",
        "X-HTTP-Method-Override",
    ]);
    let values = prop::sample::select(vec![
        "text/html",
        "navigate",
        "document",
        "iframe",
        "boss",
        "menshen=x",
        "menshen=x; menshen=y",
        "Bearer x",
        "a",
        "",
    ]);
    let headers = prop::collection::vec((names, values), 0..6);
    (method, host, path, headers, any::<bool>()).prop_map(|(method, host, target, headers, far)| {
        let original = OriginalRequest {
            method: method.to_owned(),
            host: host.to_owned(),
            client: if far { "198.51.100.1" } else { "192.0.2.7" },
            ..OriginalRequest::get(&target)
        };
        let add =
            |original: OriginalRequest, (name, value): (&str, &str)| original.header(name, value);
        headers.into_iter().fold(original, add)
    })
}

#[test]
fn the_faces_agree_on_random_requests() {
    let runtime = Runtime::new().unwrap();
    let (faces, lisi) = runtime.block_on(async {
        let faces = Faces::start().await;
        let lisi = session_cookie_of(&faces.menshen, "lisi").await;
        (faces, lisi)
    });
    let at = faces.menshen.address();
    let config = ProptestConfig {
        cases: 300,
        ..ProptestConfig::default()
    };
    proptest!(config, |(original in arbitrary_request(), has_session in any::<bool>())| {
        // Paths that the proxy itself answers are left out.
        prop_assume!(!original.target.starts_with(b"/.menshen"));
        let original = if has_session { with_session(original, &lisi) } else { original };
        runtime.block_on(async {
            let proxy = original.send_to(Face::Proxy, at).await;
            for face in Face::ALL {
                let response = original.send_to(face, at).await;
                assert_eq!(response.verdict, proxy.verdict, "{face:?} {original:?} {:?}", response.answer);
                // The mirror sends no body to HEAD.
                if original.method != "HEAD" {
                    assert_eq!(response.identity, proxy.identity, "{face:?} {original:?}");
                }
            }
        });
    });
}
