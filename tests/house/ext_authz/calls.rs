//! Invalid gRPC calls: which get a gRPC error, and which get a refusal. Health checks.

use bytes::Bytes;
use serde_json::Value;

use super::client::{CHECK, length_prefixed};
use super::{grpc_client, parse_response, setup};
use crate::setup::Setup;

const UNIMPLEMENTED: u32 = 12;
const DEADLINE_EXCEEDED: u32 = 4;
const NOT_FOUND: u32 = 5;
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// The status and reason of a refusal.
fn refusal(answer: &Value) -> (i64, String) {
    let result = parse_response(answer);
    assert_ne!(result.code, 0);
    (result.http.unwrap(), result.reason().to_owned())
}

#[tokio::test]
async fn an_unreadable_check_is_refused_and_never_a_grpc_error() {
    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    let long = vec![0; 2 * 1024 * 1024];
    let broken: [(&str, Bytes); 8] = [
        ("nothing", Bytes::new()),
        ("an incomplete prefix", Bytes::from_static(b"\0\0\0")),
        (
            "fewer bytes than announced",
            Bytes::from_static(b"\0\0\0\0\x09\x0a\x00"),
        ),
        (
            "more bytes than announced",
            Bytes::from_static(b"\0\0\0\0\x00\x0a\x00"),
        ),
        ("two messages", Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0")),
        ("an unknown flag", Bytes::from_static(b"\x07\0\0\0\0")),
        ("an invalid message", length_prefixed(b"\xff\xff\xff\xff")),
        ("too long", length_prefixed(&long)),
    ];
    for (what, body) in broken {
        let response = client.call(CHECK, &[], body).await;
        assert_eq!(
            refusal(&client.decode_response(&response)),
            (403, "bad-request".to_owned()),
            "{what}"
        );
    }
    // The connection stays open.
    let mut health = client.call(HEALTH, &[], length_prefixed(b"")).await;
    assert_eq!(health.status.take(), Some(0));
}

#[tokio::test]
async fn requests_that_are_not_grpc_calls_are_refused() {
    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    let empty = length_prefixed(b"");
    let compressed = Bytes::from_static(b"\x01\0\0\0\x02ab");
    for (path, headers, body, expected) in [
        (
            CHECK,
            &[("grpc-encoding", "gzip")][..],
            compressed.clone(),
            (200, Some(UNIMPLEMENTED)),
        ),
        (CHECK, &[], compressed, (200, Some(UNIMPLEMENTED))),
        ("/", &[], empty.clone(), (200, Some(UNIMPLEMENTED))),
        (
            "/envoy.service.auth.v2.Authorization/Check",
            &[],
            empty.clone(),
            (200, Some(UNIMPLEMENTED)),
        ),
        (
            "/envoy.service.auth.v3.Authorization/Chuck",
            &[],
            empty.clone(),
            (200, Some(UNIMPLEMENTED)),
        ),
        (
            "/grpc.health.v1.Health/Chuck",
            &[],
            empty.clone(),
            (200, Some(UNIMPLEMENTED)),
        ),
        (
            CHECK,
            &[("content-type", "application/json")],
            empty.clone(),
            (415, None),
        ),
        (
            CHECK,
            &[("content-type", "application/grpc-web")],
            empty.clone(),
            (415, None),
        ),
        (
            CHECK,
            &[("content-type", "application/grpc+json")],
            empty.clone(),
            (415, None),
        ),
    ] {
        let response = client.call(path, headers, body).await;
        assert_eq!(
            (response.http, response.status),
            expected,
            "{path} {headers:?}"
        );
    }
}

#[tokio::test]
async fn a_passed_deadline_is_reported_as_deadline_exceeded() {
    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    for path in [CHECK, HEALTH] {
        let incomplete = Bytes::from_static(b"\0\0\0\0\x05a");
        let response = client
            .call_endless(path, &[("grpc-timeout", "5m")], incomplete)
            .await;
        assert_eq!(
            (response.http, response.status),
            (200, Some(DEADLINE_EXCEEDED)),
            "{path}"
        );
    }
    // A response that is ready at once is sent before the deadline.
    let headers = [("grpc-timeout", "1S")];
    let response = client.call(CHECK, &headers, length_prefixed(b"")).await;
    client.decode_response(&response);
}

#[tokio::test]
async fn an_untrusted_peer_is_refused() {
    let menshen = Setup::default()
        .server("trusted_proxies = [\"192.0.2.0/24\"]")
        .tables("[ext_authz]\ngrpc_listen = \"127.0.0.1:0\"\n")
        .start()
        .await;
    let mut client = grpc_client(&menshen).await;
    for check in [&b""[..], b"\xff"] {
        let answer = client.check_bytes(check).await;
        assert_eq!(refusal(&answer), (403, "not-trusted".to_owned()));
    }
    // An untrusted peer gets the health.
    let response = client.call(HEALTH, &[], length_prefixed(b"")).await;
    assert_eq!(response.status, Some(0));
}

#[tokio::test]
async fn health_is_reported_for_the_process_and_the_service() {
    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    let service = b"envoy.service.auth.v3.Authorization";
    let named = [&[0x0a, u8::try_from(service.len()).unwrap()][..], service].concat();
    for check in [&b""[..], &named] {
        let response = client.call(HEALTH, &[], length_prefixed(check)).await;
        // status = 1: SERVING
        assert_eq!(
            (response.status, response.message()),
            (Some(0), Bytes::from_static(b"\x08\x01"))
        );
    }
    let response = client
        .call(HEALTH, &[], length_prefixed(b"\x0a\x01x"))
        .await;
    assert_eq!(response.status, Some(NOT_FOUND));
}

#[tokio::test]
async fn a_health_watch_ends_when_the_listener_closes() {
    use http_body_util::BodyExt as _;

    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    let watched = client
        .open("/grpc.health.v1.Health/Watch", &[], length_prefixed(b""))
        .await;
    let mut body = watched.into_body();
    let mut next = async || {
        let frame = body.frame().await?.unwrap();
        frame.into_data().ok()
    };
    assert_eq!(next().await.unwrap(), length_prefixed(b"\x08\x01"));
    let stopped = tokio::spawn(menshen.running.stop());
    assert_eq!(next().await.unwrap(), length_prefixed(b"\x08\x02"));
    assert_eq!(next().await, None);
    drop(client);
    stopped.await.unwrap();
}
