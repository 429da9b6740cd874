//! gRPC reflection: tools can list the services and their messages.

use http_body_util::BodyExt;
use menshen::face::ext_authz::DESCRIPTORS;
use prost_reflect::prost::Message;
use prost_reflect::prost_types::FileDescriptorProto;
use serde_json::json;

use super::client::{length_prefixed, messages_in};
use super::{grpc_client, setup};
use crate::conf;

const FILES: [&str; 6] = [
    "envoy/service/auth/v3/external_auth.proto",
    "envoy/service/auth/v3/attribute_context.proto",
    "envoy/config/core/v3/address.proto",
    "envoy/config/core/v3/base.proto",
    "envoy/type/v3/http_status.proto",
    "google/rpc/status.proto",
];

/// `MENSHEN_BLESS=1 cargo test --test house reflection` compiles the files again.
#[test]
fn the_descriptors_match_the_proto_files() {
    let folder = conf::project_file("src/face/ext_authz/proto");
    let mut compiler = protox::Compiler::new([&folder]).unwrap();
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES).unwrap();
    let compiled = compiler.encode_file_descriptor_set();
    let path = folder.join("descriptors.bin");
    if std::env::var_os("MENSHEN_BLESS").is_some() {
        std::fs::write(&path, &compiled).unwrap();
        return;
    }
    assert!(
        compiled == DESCRIPTORS,
        "descriptors.bin is stale: run the test with MENSHEN_BLESS=1"
    );
}

/// Calls the reflection service of a version and returns the response.
async fn reflected(version: &str, check: &[u8]) -> Vec<u8> {
    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
    let response = client.call(&path, &[], length_prefixed(check)).await;
    assert_eq!(
        (response.http, response.status),
        (200, Some(0)),
        "{response:?}"
    );
    messages_in(&response.body).concat()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn reflection_lists_the_services() {
    for version in ["v1", "v1alpha"] {
        // list_services = 7: "*"
        let reflected_bytes = reflected(version, b"\x3a\x01*").await;
        for service in [
            "envoy.service.auth.v3.Authorization",
            "grpc.health.v1.Health",
            "ServerReflection",
        ] {
            assert!(has(&reflected_bytes, service), "{version}: {service}");
        }
    }
}

#[tokio::test]
async fn reflection_describes_a_message() {
    for version in ["v1", "v1alpha"] {
        // file_containing_symbol = 4
        let symbol = b"envoy.service.auth.v3.CheckRequest";
        let check = [&[0x22, u8::try_from(symbol.len()).unwrap()][..], symbol].concat();
        let reflected_bytes = reflected(version, &check).await;
        assert!(has(&reflected_bytes, "external_auth.proto"), "{version}");
        assert!(has(&reflected_bytes, "AttributeContext"), "{version}");
    }
}

#[tokio::test]
async fn a_long_reflection_stream_does_not_block_shutdown() {
    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let response = client
        .open_endless(path, length_prefixed(b"\x3a\x01*"))
        .await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(has(&first, "Authorization"));
    let stopped = tokio::spawn(menshen.running.stop());
    let last = body.frame().await.unwrap().unwrap();
    // 14 is the status UNAVAILABLE.
    assert_eq!(last.into_trailers().unwrap()["grpc-status"], "14");
    drop((body, client));
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_check_with_every_described_field_gets_a_verdict() {
    let menshen = setup().start().await;
    let mut client = grpc_client(&menshen).await;
    let all = json!({ "attributes": {
        "source": { "address": { "socket_address": { "address": "192.0.2.9", "port_value": 7 } } },
        "request": { "http": {
            "method": "GET", "path": "/echo?a=b", "host": "sso.test", "scheme": "http",
            "headers": { ":path": "/echo?a=b", "accept": "*/*" },
            "header_map": { "headers": [{ "key": "a", "value": "b" }, { "key": "c", "raw_value": "/w==" }] },
        } },
        "context_extensions": { "route": "app" },
    } });
    let answer = client.check(&all).await;
    assert!(answer["status"]["code"].as_i64().is_some(), "{answer}");
    let set: Vec<FileDescriptorProto> =
        prost_reflect::prost_types::FileDescriptorSet::decode(DESCRIPTORS)
            .unwrap()
            .file;
    assert!(set.len() >= FILES.len());
}
