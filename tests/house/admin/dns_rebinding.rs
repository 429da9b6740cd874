//! Pages of other sites read and change nothing on the administrator's listener, neither by DNS
//! rebinding nor by cross-origin requests.

use super::{TOKEN, admin_address, is_signed_in, list_sessions, setup, sign_in_as};
use crate::setup::{Menshen, Setup};
use crate::wire::{self, Answer};

const PATHS: [&str; 5] = [
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/sessions",
    "/no-such-thing",
];

/// Sends a request line and headers as given, and the token.
async fn send(menshen: &Menshen, request_line: &str, headers: &str) -> Answer {
    let request = format!(
        "{request_line}\r\n{headers}Authorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    wire::send(admin_address(menshen), request.as_bytes()).await
}

fn setup_with_hosts(hosts: &str) -> Setup {
    Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\nhosts = {hosts}\n"
    ))
}

#[tokio::test]
async fn an_unconfigured_host_name_reads_nothing() {
    let menshen = setup().start().await;
    for host in [
        "evil.test",
        "evil.test:9180",
        "sso.test",
        "admin",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "x.localhost",
        "1e100",
        "127.0.0.1@evil.test",
        "evil.test@127.0.0.1",
        "[::1].evil.test",
        "127.0.0.1:x",
    ] {
        for path in PATHS {
            let request_line = format!("GET {path} HTTP/1.1");
            let answer = send(&menshen, &request_line, &format!("Host: {host}\r\n")).await;
            let text = answer.text();
            assert!([400, 403].contains(&answer.status), "{host} {path}: {text}");
            assert!(
                !text.contains("menshen_") && !text.contains("ready"),
                "{text}"
            );
        }
    }
    for path in ["/metrics", "/api/sessions", "/no-such-thing", "/healthz/x"] {
        for host in ["Host:\r\n", "Host: \r\n", "Host: \t\r\n"] {
            let answer = send(&menshen, &format!("GET {path} HTTP/1.1"), host).await;
            assert_eq!(answer.status, 403, "{path} {host:?}");
        }
    }
    // Invalid targets.
    for target in ["/metrics#x", "/api/sessions?a#b", "/healthz x", "//\u{7f}"] {
        let request_line = format!("GET {target} HTTP/1.1");
        let answer = send(&menshen, &request_line, "Host: 127.0.0.1\r\n").await;
        assert_eq!(answer.status, 400, "{target}");
        assert!(answer.text().contains("the target contains"), "{target}");
    }
    // Two hosts are refused even if one of them is configured; a host in the target counts, too.
    for (request_line, headers) in [
        (
            "GET /metrics HTTP/1.1",
            "Host: 127.0.0.1\r\nHost: evil.test\r\n",
        ),
        (
            "GET http://evil.test/metrics HTTP/1.1",
            "Host: 127.0.0.1\r\n",
        ),
        (
            "GET http://127.0.0.1/metrics HTTP/1.1",
            "Host: evil.test\r\n",
        ),
        ("GET /metrics HTTP/1.0", "Host: evil.test\r\n"),
        ("GET /healthz HTTP/1.1", "Host:\r\nHost: evil.test\r\n"),
        ("GET /healthz HTTP/1.1", "Host:\r\nHost:\r\n"),
        ("GET http://evil.test/readyz HTTP/1.1", "Host:\r\n"),
    ] {
        let answer = send(&menshen, request_line, headers).await;
        assert!(
            [400, 403].contains(&answer.status),
            "{request_line} {headers}"
        );
    }
}

#[tokio::test]
async fn an_unconfigured_host_name_ends_no_session() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    let sessions = list_sessions(&menshen, "zhangsan").await;
    let id = sessions[0]["id"].as_str().unwrap();
    let account = sessions[0]["account"].as_str().unwrap();
    for request_line in [
        format!("DELETE /api/sessions/{id} HTTP/1.1"),
        format!("POST /api/accounts/{account}/close HTTP/1.1"),
    ] {
        let answer = send(&menshen, &request_line, "Host: evil.test\r\n").await;
        assert_eq!(answer.status, 403, "{request_line}");
    }
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn requests_by_ip_address_and_localhost_are_answered() {
    let menshen = setup().start().await;
    for (version, headers) in [
        ("1.1", "Host: 127.0.0.1\r\n"),
        ("1.1", "Host: 127.0.0.1:9180\r\n"),
        // A kubelet and Prometheus use the IP address of the pod.
        ("1.1", "Host: 10.244.1.17:9180\r\n"),
        ("1.1", "Host: [::1]\r\n"),
        ("1.1", "Host: [fd00::7]:9180\r\n"),
        ("1.1", "Host: localhost\r\n"),
        ("1.1", "Host: LocalHost:9180\r\n"),
        // Some health checks of load balancers send no host; browsers always do.
        ("1.0", ""),
        ("1.0", "Host: 127.0.0.1\r\n"),
    ] {
        for path in ["/metrics", "/healthz", "/readyz", "/api/sessions"] {
            let request_line = format!("GET {path} HTTP/{version}");
            let answer = send(&menshen, &request_line, headers).await;
            assert_eq!(
                answer.status,
                200,
                "{request_line} {headers}: {}",
                answer.text()
            );
        }
    }
}

#[tokio::test]
async fn health_checks_without_a_host_are_answered() {
    let menshen = setup_with_hosts(r#"["menshen.monitoring.svc"]"#)
        .start()
        .await;
    for path in ["/healthz", "/readyz"] {
        for method in ["GET", "HEAD"] {
            for (version, host) in [
                ("1.0", ""),
                ("1.0", "Host:\r\n"),
                ("1.1", "Host:\r\n"),
                ("1.1", "Host:  \r\n"),
                ("1.1", ""),
            ] {
                let request_line = format!("{method} {path} HTTP/{version}");
                let answer = send(&menshen, &request_line, host).await;
                assert_eq!(
                    answer.status,
                    200,
                    "{request_line} {host:?}: {}",
                    answer.text()
                );
            }
        }
    }
}

#[tokio::test]
async fn only_configured_host_names_are_answered() {
    let menshen = setup_with_hosts(r#"["menshen.monitoring.svc", "Gate.corp.example"]"#)
        .start()
        .await;
    for (host, status) in [
        ("menshen.monitoring.svc", 200),
        ("menshen.monitoring.svc:9180", 200),
        ("menshen.monitoring.svc.:9180", 200),
        ("gate.corp.example", 200),
        ("GATE.corp.EXAMPLE:1", 200),
        ("x.gate.corp.example", 403),
        ("corp.example", 403),
        ("127.0.0.1", 200),
        ("localhost", 200),
    ] {
        let answer = send(
            &menshen,
            "GET /metrics HTTP/1.1",
            &format!("Host: {host}\r\n"),
        )
        .await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_cross_origin_page_changes_nothing_even_with_the_token() {
    let menshen = setup().start().await;
    let host_header = format!("Host: {}\r\n", admin_address(&menshen));
    for (headers, changes) in [
        ("Origin: http://evil.test\r\n", false),
        ("Origin: null\r\n", false),
        ("Origin: http://127.0.0.1\r\n", false),
        ("Origin: http://127.0.0.1:1\r\n", false),
        ("Origin: \r\n", false),
        ("Sec-Fetch-Site: cross-site\r\n", false),
        ("Sec-Fetch-Site: same-site\r\n", false),
        (
            "Sec-Fetch-Site: none\r\nOrigin: http://evil.test\r\n",
            false,
        ),
        (
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n",
            false,
        ),
        ("Origin: ADMIN\r\nSec-Fetch-Site: cross-site\r\n", false),
        ("Origin: ADMIN\r\n", true),
        ("Origin: ADMIN\r\nSec-Fetch-Site: same-origin\r\n", true),
        ("Sec-Fetch-Site: same-origin\r\n", true),
        ("", true),
    ] {
        let mut browser = sign_in_as(&menshen, "zhangsan").await;
        let session = list_sessions(&menshen, "zhangsan").await.remove(0);
        let request_line = format!(
            "DELETE /api/sessions/{} HTTP/1.1",
            session["id"].as_str().unwrap()
        );
        let headers = headers.replace("ADMIN", &format!("http://{}", admin_address(&menshen)));
        let answer = send(&menshen, &request_line, &format!("{host_header}{headers}")).await;
        let status = if changes { 200 } else { 403 };
        assert_eq!(answer.status, status, "{headers}: {}", answer.text());
        assert_eq!(is_signed_in(&mut browser).await, !changes, "{headers}");
        let account = session["account"].as_str().unwrap();
        if !changes {
            for request_line in [
                "POST /api/revoke HTTP/1.1".to_owned(),
                format!("POST /api/accounts/{account}/close HTTP/1.1"),
            ] {
                let answer =
                    send(&menshen, &request_line, &format!("{host_header}{headers}")).await;
                assert_eq!(answer.status, 403, "{request_line} {headers}");
            }
            assert!(is_signed_in(&mut browser).await, "{headers}");
            send(
                &menshen,
                &format!(
                    "DELETE /api/sessions/{} HTTP/1.1",
                    session["id"].as_str().unwrap()
                ),
                &host_header,
            )
            .await;
        }
    }
    // A cross-origin GET is answered, but the page cannot read the response.
    let navigation =
        format!("{host_header}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n");
    let answer = send(&menshen, "GET /metrics HTTP/1.1", &navigation).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        Some("same-origin")
    );
}
