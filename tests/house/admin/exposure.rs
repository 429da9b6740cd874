//! Metrics, health and readiness: their values, and that no response contains a secret.

use serde_json::Value;

use super::{TOKEN, admin_address, call_api, is_signed_in, send_request, setup, sign_in_as};
use crate::forwarding::upgrades::open_websocket;
use crate::raw_connection::RawConnection;
use crate::setup::Menshen;
use crate::upstream::{TempFolder, wait_until};
use crate::wire;

/// The value of a metric with its labels, or 0 if it is missing.
pub(super) async fn metric(menshen: &Menshen, line: &str) -> f64 {
    let page = send_request(menshen, "GET", "/metrics", "", "")
        .await
        .text();
    let found = page.lines().find_map(|shown| {
        shown
            .strip_prefix(line)?
            .strip_prefix(' ')
            .map(str::to_owned)
    });
    found.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn no_admin_response_contains_a_secret() {
    let menshen = setup().start().await;
    let browser = sign_in_as(&menshen, "zhangsan").await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    let handle = cookie.split('.').nth(1).unwrap();
    let handle = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, handle);
    let handle: Value = serde_json::from_slice(&handle.unwrap()).unwrap();
    let sid = handle["sid"]
        .as_str()
        .expect("the cookie names a session")
        .to_owned();
    let secrets = [cookie.as_str(), &sid, TOKEN, crate::wecom::SECRET];
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", "/readyz"),
        ("GET", "/healthz"),
        ("GET", "/api/sessions"),
        ("GET", "/api/sessions?login=zhangsan"),
        ("POST", "/api/revoke"),
        ("GET", "/api/what"),
    ] {
        let answer = call_api(&menshen, method, path, &Value::Null).await;
        let all = format!("{:?} {}", answer.headers, answer.text());
        for secret in secrets {
            assert!(!all.contains(secret), "{path} shows {secret}");
        }
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
}

#[tokio::test]
async fn the_documented_metrics_are_counted() {
    let menshen = setup().start().await;
    let page = send_request(&menshen, "GET", "/metrics", "", "").await;
    assert_eq!(
        page.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(page.text().ends_with("# EOF\n"));
    let watched = [
        "menshen_requests_total{face=\"proxy\",verdict=\"allow\",status=\"2xx\"}",
        "menshen_requests_total{face=\"proxy\",verdict=\"login\",status=\"4xx\"}",
        "menshen_requests_total{face=\"proxy\",verdict=\"deny\",status=\"4xx\"}",
        "menshen_requests_total{face=\"own\",verdict=\"allow\",status=\"3xx\"}",
        "menshen_request_duration_seconds_count{face=\"proxy\"}",
        "menshen_upstream_duration_seconds_count",
        "menshen_logins_total{connector=\"corp\",outcome=\"done\"}",
    ];
    let mut before = Vec::new();
    for line in watched {
        before.push(metric(&menshen, line).await);
    }
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    assert!(is_signed_in(&mut browser).await);
    let anonymous = "GET / HTTP/1.1\r\nHost: sso.test\r\n\r\n";
    assert_eq!(
        wire::send(menshen.address(), anonymous.as_bytes())
            .await
            .status,
        401
    );
    let unknown_host = "GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n";
    assert_eq!(
        wire::send(menshen.address(), unknown_host.as_bytes())
            .await
            .status,
        404
    );
    for (line, before) in watched.iter().zip(before) {
        assert!(
            metric(&menshen, line).await > before,
            "{line} did not increase"
        );
    }
    assert_eq!(metric(&menshen, "menshen_sessions_cached").await, 1.0);
    // Gauges rise and fall.
    let connections = metric(&menshen, "menshen_connections").await;
    let value = &browser.cookie("menshen").unwrap().value;
    let socket = open_websocket(
        &menshen,
        "sso.test",
        &format!("Cookie: menshen={value}\r\n"),
    )
    .await;
    let telemetry = menshen.running.live().services().telemetry.clone();
    wait_until("the tunnel is counted", || {
        telemetry.render().contains("menshen_tunnels 1\n")
    })
    .await;
    assert!(metric(&menshen, "menshen_connections").await > connections);
    drop(socket);
    wait_until("the tunnel is no longer counted", || {
        telemetry.render().contains("menshen_tunnels 0\n")
    })
    .await;
}

#[tokio::test]
async fn the_metrics_name_the_configuration_in_use() {
    let menshen = setup().start().await;
    let telemetry = menshen.running.live().services().telemetry.clone();
    let hash = |page: String| {
        page.lines()
            .find(|line| line.starts_with("menshen_config{hash="))
            .map(str::to_owned)
    };
    let first = hash(telemetry.render()).expect("a metric has the hash of the configuration");
    assert_eq!(metric(&menshen, "menshen_config_epoch").await, 1.0);
    menshen
        .reload(&setup().session("lifetime = \"3h\""))
        .await
        .unwrap();
    assert_ne!(hash(telemetry.render()), Some(first));
    assert_eq!(metric(&menshen, "menshen_config_epoch").await, 2.0);
}

#[tokio::test]
async fn a_failing_store_makes_readiness_fail_but_not_liveness() {
    let folder = TempFolder::new();
    let url = format!("sqlite://{}", folder.path("menshen.db").display());
    let menshen = setup().store(&url).start().await;
    assert_eq!(
        send_request(&menshen, "GET", "/readyz", "", "")
            .await
            .status,
        200
    );
    let database = sqlx::SqlitePool::connect(&url).await.unwrap();
    for statement in [
        "ALTER TABLE menshen_key_ring RENAME TO lost",
        "DROP VIEW menshen_standing_session",
    ] {
        sqlx::query(statement).execute(&database).await.unwrap();
    }
    let ready = send_request(&menshen, "GET", "/readyz", "", "").await;
    assert_eq!(
        (ready.status, ready.json()["ready"].as_bool()),
        (503, Some(false))
    );
    assert!(ready.text().contains("store"), "{}", ready.text());
    assert_eq!(
        send_request(&menshen, "GET", "/healthz", "", "")
            .await
            .status,
        200
    );
    let answer = call_api(&menshen, "GET", "/api/sessions", &Value::Null).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(metric(&menshen, "menshen_store_errors_total").await >= 1.0);
    // Readiness recovers without a restart.
    let repair = "ALTER TABLE lost RENAME TO menshen_key_ring";
    sqlx::query(repair).execute(&database).await.unwrap();
    assert_eq!(
        send_request(&menshen, "GET", "/readyz", "", "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_main_and_admin_listeners_serve_separate_paths() {
    let menshen = setup().start().await;
    for path in [
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/sessions",
        "/.menshen/metrics",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: nowhere.test\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        );
        assert_eq!(
            wire::send(menshen.address(), request.as_bytes())
                .await
                .status,
            404,
            "{path}"
        );
        let request = request.replace("nowhere.test", "sso.test");
        let status = wire::send(menshen.address(), request.as_bytes())
            .await
            .status;
        assert!([401, 404].contains(&status), "{path}: {status}");
    }
    for path in [
        "/",
        "/echo",
        "/.menshen/ping",
        "/.menshen/sign_in",
        "/.menshen/userinfo",
        "/public",
    ] {
        for (host, status) in [("127.0.0.1", 404), ("sso.test", 403)] {
            let mut line = RawConnection::open(admin_address(&menshen)).await;
            line.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
                .await;
            assert_eq!(line.read_answer().await.status, status, "{path} {host}");
        }
    }
    assert_eq!(menshen.app.requests(), 0);
}
