//! The query, and headers that no rule reads, do not affect a decision.

use std::sync::Arc;

use http::Request;
use menshen::request::decide;
use menshen::request::head::{Connection, Head, Peer};
use menshen::request::policy::{Denial, Verdict};
use menshen::site::Site;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_of};

const ROUTES: &str = r#"
[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
allow = "'财务部' in user.departments || request.headers['x-branch'] == 'east'"
upstream = ["{app}"]
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{app}"]
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
"#;

/// An instance of menshen, and three cookies: none, of a person who is denied, and of one who is
/// allowed.
async fn start_menshen() -> (Menshen, [String; 3]) {
    let menshen = Setup::default().routes(ROUTES).start().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    let li = session_cookie_of(&menshen, "lisi").await;
    (menshen, [String::new(), zhang, li])
}

/// The decision and the route, or the error of a refused head.
async fn decision_of(site: &Site, request: Request<()>) -> String {
    let parts = request.into_parts().0;
    let connection = Connection {
        peer: Peer::Ip([192, 0, 2, 7].into()),
        tls: false,
        server_name: None,
        tls_subject: None,
        private_upstream_connections: menshen::request::head::PrivateUpstreamConnections::default(),
    };
    let at = menshen::clock::Timestamp::from_unix_s(1_800_000_000);
    let head = match Head::parse(&parts, &connection, site.parse_options(), at) {
        Ok(head) => head,
        Err(error) => return error.to_string(),
    };
    match decide(&site.routes, &site.gate, &head).await {
        Verdict::Allow(permit) => format!("allow {}", permit.route().name.as_str()),
        Verdict::Reconfirm(permit) => format!("reconfirm {}", permit.route().name.as_str()),
        Verdict::Login(needed) => format!("login {}", needed.route.name.as_str()),
        Verdict::Deny(Denial::Forbidden { route, .. }) => format!("deny {}", route.name.as_str()),
        Verdict::Deny(denial) => format!("{denial:?}"),
    }
}

fn request(target: &str, cookie: &str) -> Option<http::request::Builder> {
    let uri: http::Uri = target.parse().ok()?;
    let request = Request::builder().uri(uri).header("host", "sso.test");
    Some(match cookie {
        "" => request,
        cookie => request.header("cookie", format!("menshen={cookie}")),
    })
}

fn paths() -> impl Strategy<Value = String> {
    let start = prop_oneof!["/", "/finance", "/finance/", "/public/", "/.menshen"];
    (start, "[a-z/;.%25cf_-]{0,12}").prop_map(|(start, rest)| format!("{start}{rest}"))
}

#[test]
fn a_query_never_changes_a_decision() {
    let runtime = Runtime::new().unwrap();
    let (menshen, cookies) = runtime.block_on(start_menshen());
    let site: Arc<Site> = menshen.running.live().site();
    proptest!(|(path in paths(), query in "[!$-~]{0,40}", who in 0_usize..3)| {
        let decide_for = |target: &str| {
            let request = request(target, &cookies[who])?.body(()).ok()?;
            Some(runtime.block_on(decision_of(&site, request)))
        };
        if let (Some(without), Some(with)) = (decide_for(&path), decide_for(&format!("{path}?{query}"))) {
            prop_assert_eq!(without, with, "{}?{}", path, query);
        }
    });
}

#[test]
fn a_header_that_no_rule_reads_never_changes_a_decision() {
    let runtime = Runtime::new().unwrap();
    let (menshen, cookies) = runtime.block_on(start_menshen());
    let site: Arc<Site> = menshen.running.live().site();
    let known = prop_oneof![
        Just("user-agent"),
        Just("authorization"),
        Just("referer"),
        Just("origin"),
        Just("accept"),
        Just("x-forwarded-user"),
        Just("x-forwarded-for"),
        Just("x-forwarded-host"),
        Just("x-forwarded-proto"),
        Just("x-forwarded-uri"),
        Just("x-forwarded-method"),
        Just("x-original-url"),
        Just("x-original-uri"),
        Just("x-original-method"),
        Just("x-rewrite-url"),
        Just("x-http-method-override"),
        Just("x-real-ip"),
        Just("forwarded"),
        Just("connection"),
        Just("upgrade"),
        Just("sec-fetch-mode"),
    ];
    let names = prop_oneof![known.prop_map(str::to_owned), "[a-z][a-z_.-]{0,16}"];
    let values = prop_oneof![
        Just("GoogleHC/1.0".to_owned()),
        Just("kube-probe/1.30".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("/public/x".to_owned()),
        Just("cookie, x-branch".to_owned()),
        Just("public.test".to_owned()),
        "[ -~]{0,24}",
    ];
    let relevant = ["host", "cookie", "x-branch"];
    proptest!(|(path in paths(), who in 0_usize..3,
                headers in prop::collection::vec((names, values), 1..4))| {
        let Some(without) = request(&path, &cookies[who]) else { return Ok(()) };
        let mut with = request(&path, &cookies[who]).unwrap();
        for (name, value) in headers.iter().filter(|(name, _)| !relevant.contains(&name.as_str())) {
            with = with.header(name, value);
        }
        let Ok(with) = with.body(()) else { return Ok(()) };
        let without = runtime.block_on(decision_of(&site, without.body(()).unwrap()));
        let with = runtime.block_on(decision_of(&site, with));
        prop_assert_eq!(without, with, "{} {:?}", path, headers);
    });
}

#[tokio::test]
async fn a_health_check_user_agent_gets_no_access() {
    let (menshen, cookies) = start_menshen().await;
    let headers = [
        ("User-Agent", "GoogleHC/1.0"),
        ("User-Agent", "kube-probe/1.30"),
        ("User-Agent", "ELB-HealthChecker/2.0"),
        ("X-Forwarded-Uri", "/public/x"),
        ("X-Original-URL", "/public/x"),
        ("X-Original-URI", "/public/x"),
        ("X-Rewrite-URL", "/public/x"),
        ("X-Forwarded-Host", "public.test"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-User", "lisi"),
        ("X-Auth-Request-User", "lisi"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Authorization", "Bearer abc"),
        ("Authorization", "Basic bGlzaTpsaXNp"),
        ("Remote-User", "lisi"),
    ];
    for (name, value) in headers {
        let request = TestRequest::get("/finance/echo").header(name, value);
        assert_eq!(request.send(&menshen).await.status, 401, "{name}: {value}");
        let denied = request.session(&cookies[1]);
        assert_eq!(denied.send(&menshen).await.status, 403, "{name}: {value}");
    }
    let with_branch = TestRequest::get("/finance/echo").header("X-Branch", "east");
    assert_eq!(
        with_branch.clone().send(&menshen).await.status,
        401,
        "without a session"
    );
    assert_ne!(
        with_branch.session(&cookies[1]).send(&menshen).await.status,
        403
    );
}

#[test]
fn a_forged_session_cookie_never_authenticates() {
    let runtime = Runtime::new().unwrap();
    let (menshen, [_, zhang, _]) = runtime.block_on(start_menshen());
    let parts: Vec<_> = zhang.split('.').map(str::to_owned).collect();
    let piece = prop_oneof![
        prop::sample::select(parts),
        Just("eyJhbGciOiJub25lIn0".to_owned()),
        "[A-Za-z0-9_-]{0,30}",
        "[!#-+--:<-~]{0,20}",
    ];
    let value = prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.join("."));
    let name = prop_oneof![
        Just("menshen"),
        Just("__Host-menshen"),
        Just("menshen-flow-x")
    ];
    proptest!(|(name in name, value in value)| {
        prop_assume!(value != zhang);
        let request = TestRequest::get("/echo").header("Cookie", &format!("{name}={value}"));
        prop_assert_eq!(runtime.block_on(request.send(&menshen)).status, 401);
        let navigation = request.navigating();
        prop_assert_eq!(runtime.block_on(navigation.send(&menshen)).status, 302);
    });
}
