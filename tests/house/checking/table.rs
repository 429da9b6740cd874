//! Every face says the same of the same request: one table, and heads made up by the hundred.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::TRUSTED;
use super::faces::{Face, Original, Verdict};
use crate::browser::Browser;
use crate::ext_authz::ON_MAIN;
use crate::logging_in::OWN;
use crate::mirror::Mirror;
use crate::passing::guests;
use crate::provider::Provider;
use crate::setup::{HOME, Menshen, Setup, UNLIMITED};
use crate::test_request::{signed_in, signed_in_by};
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

struct Table {
    menshen: Menshen,
    provider: Provider,
    _mirror: Mirror,
}

impl Table {
    async fn lay() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, Algorithm::ES256).await;
        let mirror = Mirror::start().await;
        let issuer = format!(
            "[issuer.ci]\nurl = \"{}\"\naudiences = [\"menshen\"]\n",
            provider.issuer()
        );
        let setup = Setup::default()
            .server(TRUSTED)
            .clock(&clock)
            .access_log()
            .more(&format!("{ON_MAIN}{}{issuer}{UNLIMITED}", guests()))
            .routes(&ROUTES.replace("{mirror}", &mirror.base_url()));
        let menshen = setup.start().await;
        menshen
            .source
            .set_agent_domains(OTHER_AGENT_ID, &["sso.test"]);
        Self {
            menshen,
            provider,
            _mirror: mirror,
        }
    }

    fn token(&self, audience: &str) -> String {
        let claims = self.provider.claims("zhangsan", audience);
        format!("Bearer {}", self.provider.sign(&claims, &json!({})))
    }

    /// Puts a request to every face; all must say this, for the same reason, of the same person.
    async fn all_say(&self, what: &str, original: &Original, verdict: Verdict) {
        let mut first = None;
        for face in Face::ALL {
            let heard = original.heard(face, self.menshen.address()).await;
            assert_eq!(
                heard.verdict, verdict,
                "{what}: {face:?}: {:?}",
                heard.answer
            );
            let record = self.last_record();
            let said = (
                heard.identity,
                record["verdict"].clone(),
                record["reason"].clone(),
                record["route"].clone(),
                record["login"].clone(),
                // What could not be read is told of as it came.
                Some(record["path"].clone()).filter(|_| record["route"].is_string()),
                Some(record["client"].clone()).filter(|_| record["route"].is_string()),
            );
            let known = first.get_or_insert_with(|| said.clone());
            assert_eq!(&said, known, "{what}: {face:?}");
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

fn page(target: &str) -> Original {
    Original::get(target).header("Accept", "text/html")
}

fn with(original: Original, cookie: &str) -> Original {
    original.header("Cookie", &format!("other=1; menshen={cookie}"))
}

#[tokio::test]
async fn every_face_says_the_same_of_every_caller() {
    let table = Table::lay().await;
    let menshen = &table.menshen;
    let signed_out = signed_in(menshen, "lisi").await;
    let mut browser = Browser::new(menshen);
    browser.set("sso.test", "menshen", &signed_out);
    let post = browser
        .send("POST", &format!("{OWN}/sign_out"), &[("Origin", HOME)], b"")
        .await;
    assert!(post.status < 400, "{}", post.text());
    let lisi = signed_in(menshen, "lisi").await;
    let zhangsan = signed_in(menshen, "zhangsan").await;
    let guest = signed_in_by(menshen, "/.menshen/start?connector=guests&rd=/echo", "lisi").await;
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
            for original in [page(target), Original::get(target)] {
                let what = format!("{what} at {target}");
                table.all_say(&what, &with(original, cookie), verdict).await;
            }
        }
    }
    programs(&table, &lisi).await;
    let two = with(page("/app"), &lisi).header("Cookie", &format!("menshen={zhangsan}"));
    table.all_say("two cookies", &two, Login).await;

    menshen.advance(Duration::from_secs(13 * 3600));
    for target in ["/app", "/finance"] {
        table
            .all_say("expired", &with(page(target), &lisi), Login)
            .await;
    }
}

async fn programs(table: &Table, lisi: &str) {
    let (good, bad) = (table.token("menshen"), table.token("somebody-else"));
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
        let original = with(Original::get("/api/x"), cookie).header("Authorization", token);
        table.all_say(what, &original, verdict).await;
    }
    let elsewhere = Original::get("/app").header("Authorization", &good);
    table
        .all_say("a token where none counts", &elsewhere, Login)
        .await;
}

#[tokio::test]
async fn every_face_says_the_same_of_every_request() {
    let table = Table::lay().await;
    let lisi = signed_in(&table.menshen, "lisi").await;
    for (what, original, verdict) in requests(&lisi).into_iter().chain(disguises(&lisi)) {
        table.all_say(what, &original, verdict).await;
    }
}

#[tokio::test]
async fn a_public_path_is_public_in_one_spelling_and_nothing_below_it_is() {
    let table = Table::lay().await;
    let lisi = signed_in(&table.menshen, "lisi").await;
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
        table.all_say(target, &Original::get(target), verdict).await;
        let mine = with(Original::get(target), &lisi);
        let verdict = if verdict == Login { Deny } else { verdict };
        table.all_say(target, &mine, verdict).await;
    }
    for method in ["HEAD", "POST", "OPTIONS"] {
        let original = Original::get(path).method(method);
        let face = Face::Proxy;
        let heard = original.heard(face, table.menshen.address()).await;
        assert_eq!(heard.verdict, Allow, "{method}");
    }
    // Whoever is signed in is named there, as on a public route; nobody is nobody.
    for face in Face::ALL {
        let at = table.menshen.address();
        let heard = with(Original::get(path), &lisi).heard(face, at).await;
        assert_eq!(heard.identity["x-remote-user"], "lisi", "{face:?}");
        let heard = Original::get(path).header("X-Remote-User", "root");
        let heard = heard.heard(face, at).await;
        assert_eq!(heard.identity.get("x-remote-user"), None, "{face:?}");
    }
}

#[tokio::test]
async fn a_page_that_a_service_worker_asks_for_leads_to_the_login_on_every_face() {
    let table = Table::lay().await;
    for face in Face::ALL.into_iter().filter(|face| face.leads_on()) {
        for (site, leads) in [
            ("same-origin", true),
            ("same-site", false),
            ("cross-site", false),
        ] {
            let original = Original::get("/app")
                .header("Sec-Fetch-Mode", "navigate")
                .header("Sec-Fetch-Dest", "empty")
                .header("Sec-Fetch-Site", site);
            let heard = original.heard(face, table.menshen.address()).await;
            assert_eq!(heard.verdict, Login, "{face:?} {site}");
            let led = heard.answer.header("location").is_some();
            assert_eq!(led, leads, "{face:?} {site}: {:?}", heard.answer);
        }
    }
}

#[tokio::test]
async fn no_request_costs_more_than_one_may() {
    let table = Table::lay().await;
    let list = |items: usize, bytes: usize| vec!["x".repeat(bytes); items].join(",");
    let with_list = |target: &str, list: &str| Original::get(target).header("X-List", list);
    let (short, many, long) = (list(3, 3), list(900, 1), list(900, 40));
    let tricky = "/costly/x;y//z%20%5c";
    for (target, list, verdict) in [
        ("/costly", &short, Allow),
        ("/costly", &many, Allow),
        ("/costly", &long, Deny),
        // Every reading of a path is asked about.
        (tricky, &short, Allow),
        (tricky, &many, Deny),
        ("/costly-header", &short, Allow),
        ("/costly-header", &many, Allow),
        ("/costly-header", &long, Deny),
    ] {
        let what = format!("{target}, a list of {} bytes", list.len());
        table
            .all_say(&what, &with_list(target, list), verdict)
            .await;
        if verdict == Deny {
            assert_eq!(table.last_record()["reason"], "too costly", "{what}");
        }
    }
    let metrics = table.menshen.running.live().services().telemetry.render();
    let counted = format!("menshen_costly_requests_total {}\n", 3 * Face::ALL.len());
    assert!(metrics.contains(&counted), "{metrics}");
}

fn requests(lisi: &str) -> Vec<(&'static str, Original, Verdict)> {
    let stranger = |target: &str| Original::get(target);
    let host = |host: &str, target: &str| Original {
        host: host.to_owned(),
        ..Original::get(target)
    };
    vec![
        ("the rule's yes", stranger("/hours"), Allow),
        ("another method", stranger("/hours").method("POST"), Login),
        ("another path", stranger("/hours/no"), Login),
        (
            "another client",
            Original {
                client: "198.51.100.1",
                ..stranger("/hours")
            },
            Login,
        ),
        ("a path of two minds", stranger("/hours/n%6f"), Deny),
        ("a disguised path", with(stranger("/%66inance"), lisi), Deny),
        ("an honest escape", with(stranger("/a%20b"), lisi), Allow),
        ("dots", with(stranger("/a/../b"), lisi), Deny),
        ("hidden dots", with(stranger("/a/%252e%252e/b"), lisi), Deny),
        ("a broken escape", with(stranger("/a%zz"), lisi), Deny),
        ("a NUL", with(stranger("/a%00"), lisi), Deny),
        ("no such host", with(host("nowhere.test", "/"), lisi), Deny),
        (
            "a host with a dot and case",
            with(host("SSO.Test.", "/"), lisi),
            Allow,
        ),
        ("a host below a domain", host("a.apps.test", "/x"), Allow),
        ("a host of another port", host("sso.test:8443", "/x"), Allow),
        ("no host name", with(host("s$o.test", "/"), lisi), Deny),
        (
            "our own page",
            with(stranger("/app/x"), lisi).method("DELETE"),
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

fn disguises(lisi: &str) -> Vec<(&'static str, Original, Verdict)> {
    let stranger = |target: &str| Original::get(target);
    vec![
        (
            "a host within the path",
            with(stranger("//x/finance"), lisi),
            Deny,
        ),
        (
            "an escape that ends a path",
            with(stranger("/finance%3f"), lisi),
            Deny,
        ),
        (
            "a name that Windows shortens",
            with(stranger("/finance."), lisi),
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
            with(stranger("/app"), lisi).method("purge"),
            Allow,
        ),
        (
            "a method that is too long",
            with(stranger("/app"), lisi).method(&"M".repeat(65)),
            Deny,
        ),
        (
            "a long method",
            with(stranger("/app"), lisi).method(&"M".repeat(64)),
            Allow,
        ),
    ]
}

#[tokio::test]
async fn a_login_that_is_needed_leads_the_same_way() {
    let table = Table::lay().await;
    for face in Face::ALL.into_iter().filter(|face| face.leads_on()) {
        let heard = page("/app?x=1&y=%2f")
            .heard(face, table.menshen.address())
            .await;
        let mut to = heard.answer.header("location").unwrap().to_owned();
        if to.starts_with('/') {
            to = format!("{HOME}{to}");
        }
        let mut browser = Browser::new(&table.menshen);
        let page = browser.sign_in(&to, "lisi").await;
        assert_eq!(
            (page.answer.status, page.url),
            (200, format!("{HOME}/app?x=1&y=%2f")),
            "{face:?}"
        );
    }
}

fn made_up() -> impl Strategy<Value = Original> {
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
        let original = Original {
            method: method.to_owned(),
            host: host.to_owned(),
            client: if far { "198.51.100.1" } else { "192.0.2.7" },
            ..Original::get(&target)
        };
        let add = |original: Original, (name, value): (&str, &str)| original.header(name, value);
        headers.into_iter().fold(original, add)
    })
}

#[test]
fn the_faces_agree_on_requests_that_nobody_thought_of() {
    let runtime = Runtime::new().unwrap();
    let (table, lisi) = runtime.block_on(async {
        let table = Table::lay().await;
        let lisi = signed_in(&table.menshen, "lisi").await;
        (table, lisi)
    });
    let at = table.menshen.address();
    let config = ProptestConfig {
        cases: 300,
        ..ProptestConfig::default()
    };
    proptest!(config, |(original in made_up(), known in any::<bool>())| {
        // What the application's door keeps for itself is asked of nobody.
        prop_assume!(!original.target.starts_with(b"/.menshen"));
        let original = if known { with(original, &lisi) } else { original };
        runtime.block_on(async {
            let proxy = original.heard(Face::Proxy, at).await;
            for face in Face::ALL {
                let heard = original.heard(face, at).await;
                assert_eq!(heard.verdict, proxy.verdict, "{face:?} {original:?} {:?}", heard.answer);
                // A mirror shows nothing to HEAD.
                if original.method != "HEAD" {
                    assert_eq!(heard.identity, proxy.identity, "{face:?} {original:?}");
                }
            }
        });
    });
}
