//! Metrics, health and readiness: their values, and that no response contains a secret.

use serde_json::Value;

use super::tokens::{OPERATOR, VIEWER, setup_with_tokens};
use super::{
    API_REQUESTS, TOKEN, admin_address, call_api, is_signed_in, send_request, setup, sign_in_as,
};
use crate::forwarding::upgrades::open_websocket;
use crate::raw_connection::RawConnection;
use crate::setup::Menshen;
use crate::upstream::{TempFolder, wait_until};
use crate::wecom::{EVENT_AES_KEY, EVENT_TOKEN};
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

/// The secrets of a connector, which no path may show.
const CONTACT_SECRET: &str = "secret-of-the-contacts-0123456789";

#[tokio::test]
async fn no_admin_response_contains_a_secret() {
    let setup = setup_with_tokens().wecom(&format!(
        "contact_secret = \"{CONTACT_SECRET}\"\n\
         [connector.corp.wecom.events]\ntoken = \"{EVENT_TOKEN}\"\n\
         encoding_aes_key = \"{EVENT_AES_KEY}\""
    ));
    let menshen = setup.start().await;
    let browser = sign_in_as(&menshen, "zhangsan").await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    let handle = cookie.split('.').nth(1).unwrap();
    let handle = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, handle);
    let handle: Value = serde_json::from_slice(&handle.unwrap()).unwrap();
    let sid = handle["sid"]
        .as_str()
        .expect("the cookie names a session")
        .to_owned();
    let secrets = [
        cookie.as_str(),
        &sid,
        TOKEN,
        OPERATOR,
        VIEWER,
        crate::wecom::SECRET,
        CONTACT_SECRET,
        EVENT_TOKEN,
        EVENT_AES_KEY,
    ];
    let mut requests = vec![
        ("GET", "/metrics", ""),
        ("GET", "/readyz", ""),
        ("GET", "/healthz", ""),
        ("GET", "/openapi.json", ""),
        ("GET", "/api/sessions?login=zhangsan", ""),
        ("GET", "/api/people/zhangsan", ""),
        ("GET", "/api/people/zhangsan/access", ""),
    ];
    // `POST /api/revoke` comes last, so that the others have a session to show.
    requests.extend(API_REQUESTS);
    requests.sort_by_key(|(_, path, _)| *path == "/api/revoke");
    let mut answered = 0;
    for (method, path, body) in requests {
        for token in [Some(TOKEN), Some(OPERATOR), Some(VIEWER), None] {
            let header = |token| format!("Authorization: Bearer {token}\r\n");
            let header = token.map(header).unwrap_or_default();
            for body in [body, "{\"login\": 7}"] {
                let answer = send_request(&menshen, method, path, &header, body).await;
                let all = format!("{:?} {}", answer.headers, answer.text());
                for secret in secrets {
                    assert!(!all.contains(secret), "{method} {path} shows {secret}");
                }
                let is_kept_nowhere = answer.header("cache-control") == Some("no-store");
                assert!(is_kept_nowhere, "{method} {path}");
                answered += usize::from(answer.status == 200);
            }
        }
    }
    assert!(
        answered > 40,
        "{answered} requests had an answer of their own"
    );
}

#[tokio::test]
async fn no_list_is_longer_than_its_limit() {
    let menshen = setup().start().await;
    sign_in_as(&menshen, "zhangsan").await;
    let people: String = (0..1_100).map(|n| format!("user{n:04}\n")).collect();
    let header = format!("Authorization: Bearer {TOKEN}\r\n");
    let csv = format!("login\n{people}");
    let imported = send_request(&menshen, "POST", "/api/people", &header, &csv).await;
    assert_eq!(imported.status, 200, "{}", imported.text());
    for (path, list, limit) in [
        ("/api/people", "people", 1_000),
        ("/api/routes/app/people", "people", 200),
        ("/api/sessions", "sessions", 10_000),
    ] {
        for max in ["0", "1", "1000", "100000", "4294967295"] {
            let page = format!("{path}?max={max}");
            let answer = call_api(&menshen, "GET", &page, &Value::Null).await;
            assert!([200, 400].contains(&answer.status), "{page}");
            if answer.status == 200 {
                let shown = answer.json()[list].as_array().unwrap().len();
                let wanted: usize = max.parse().unwrap();
                assert!(shown <= limit.min(wanted.max(1)), "{page}: {shown}");
            }
        }
        for max in [
            "-1",
            "4294967296",
            "99999999999999999999",
            "1e3",
            "0x10",
            "",
        ] {
            let page = format!("{path}?max={max}");
            let answer = call_api(&menshen, "GET", &page, &Value::Null).await;
            assert_eq!(answer.status, 400, "{page}: {}", answer.text());
        }
    }
    let all = call_api(&menshen, "GET", "/api/people?max=4294967295", &Value::Null).await;
    assert_eq!(all.json()["people"].as_array().unwrap().len(), 1_000);
    assert!(all.json()["next"].is_string());
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
        "menshen_upstream_duration_seconds_count{route=\"app\"}",
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
