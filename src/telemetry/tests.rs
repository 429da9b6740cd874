//! Tests of access records, audit records and metrics.

use std::net::IpAddr;
use std::time::Duration;

use super::shared_buffer::SharedBuffer;
use super::*;
use crate::clock::Timestamp;

fn access_record() -> AccessRecord<'static> {
    AccessRecord {
        at: Timestamp::from_unix_ms(1_700_000_000_123),
        request_id: "r1",
        client: IpAddr::from([192, 0, 2, 1]),
        method: "GET",
        host: "oa.example",
        path: "/a?code=secret",
        face: FaceLabel::Proxy,
        route_counters: None,
        route: Some("oa"),
        login: Some("zhangsan"),
        session: Some(&"public"),
        access_token: None,
        program: None,
        verdict: VerdictLabel::Allow,
        reason: None,
        status: 200,
        upstream: Some("10.0.0.5:8080"),
        took: Duration::from_micros(1_250),
        upstream_took: Some(Duration::from_millis(1)),
        bytes: Some(17),
        cut: None,
    }
}

fn telemetry_into_buffer(config: &LogConfig) -> (SharedBuffer, Telemetry) {
    let buffer = SharedBuffer::default();
    (
        buffer.clone(),
        Telemetry::writing_to(config, Box::new(buffer)),
    )
}

#[test]
fn a_request_is_logged_as_one_line_without_its_query() {
    let (buffer, telemetry) = telemetry_into_buffer(&LogConfig::default());
    telemetry.record_request(&access_record());
    telemetry.flush();
    let values = buffer.values();
    assert_eq!(values.len(), 1);
    let expected = serde_json::json!({
        "timestamp": "2023-11-14T22:13:20.123Z", "target": "menshen::access",
        "request_id": "r1", "client": "192.0.2.1", "method": "GET", "host": "oa.example",
        "path": "/a", "face": "proxy", "route": "oa", "login": "zhangsan", "session": "public",
        "verdict": "allow", "status": 200, "upstream": "10.0.0.5:8080", "ms": 1.25,
        "upstream_ms": 1.0, "bytes": 17,
    });
    assert_eq!(values[0], expected);
}

#[test]
fn a_request_is_counted_even_if_it_is_not_logged() {
    let (buffer, telemetry) = telemetry_into_buffer(&LogConfig {
        access: false,
        ..LogConfig::default()
    });
    telemetry.record_request(&access_record());
    telemetry.flush();
    assert!(buffer.values().is_empty());
    let page = telemetry.render();
    let counter = r#"menshen_requests_total{face="proxy",verdict="allow",status="2xx"} 1"#;
    assert!(page.contains(counter), "{page}");
    assert!(
        page.contains(r#"menshen_request_duration_seconds_bucket{le="0.0025",face="proxy"} 1"#),
        "{page}"
    );
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn an_audit_record_has_all_causes_and_a_truncated_user_agent() {
    #[derive(Debug, thiserror::Error)]
    #[error("redeem the code")]
    struct Outer(#[source] io::Error);

    let (buffer, telemetry) = telemetry_into_buffer(&LogConfig {
        access: false,
        ..LogConfig::default()
    });
    let error = Outer(io::Error::other("refused"));
    let agent = "企".repeat(200);
    telemetry.audit(&AuditRecord {
        connector: Some("corp"),
        user_agent: Some(agent.as_str().into()),
        error: Some(&error),
        ..AuditRecord::new(AuditEvent::Refused, Timestamp::from_unix_s(0))
    });
    telemetry.flush();
    let values = buffer.values();
    assert_eq!(values[0]["target"], "menshen::audit");
    assert_eq!(values[0]["event"], "refused");
    assert_eq!(values[0]["error"], "redeem the code: refused");
    // 256 bytes would end within a character of three.
    assert_eq!(values[0]["user_agent"].as_str().unwrap().len(), 255);
    assert!(values[0].get("login").is_none());
}

#[test]
fn counters_are_rendered() {
    let (_, telemetry) = telemetry_into_buffer(&LogConfig::default());
    telemetry.count_login("corp", LoginOutcome::Done);
    telemetry.count_reload(ReloadOutcome::Refused);
    telemetry.count_store_error();
    telemetry.count_login_loop();
    telemetry.set_sessions_cached(3);
    telemetry.set_active_config("abc");
    telemetry.set_active_config("def");
    let tunnel = telemetry.track_tunnel();
    let page = telemetry.render();
    for line in [
        r#"menshen_logins_total{connector="corp",outcome="done"} 1"#,
        r#"menshen_reloads_total{outcome="refused"} 1"#,
        "menshen_store_errors_total 1",
        "menshen_login_loops_total 1",
        "menshen_sessions_cached 3",
        r#"menshen_config{hash="def"} 1"#,
        "menshen_config_epoch 2",
        "menshen_tunnels 1",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("abc"));
    drop(tunnel);
    assert!(telemetry.render().contains("menshen_tunnels 0"));
}

#[test]
fn an_invalid_log_level_is_refused() {
    let config = LogConfig {
        level: "menshen=lod=d".to_owned(),
        access: true,
    };
    assert!(matches!(init(&config), Err(InitError::Level(_))));
}
