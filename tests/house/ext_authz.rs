//! Envoy's ext_authz over gRPC: a trusted peer always gets a response, with the same verdict as the proxy.

mod answers;
mod calls;
mod client;
mod listeners;
mod messages;
mod reflection;

pub(crate) use client::GrpcClient;
pub(crate) use messages::{CheckResult, check_request, parse_response, protobuf_field};

use crate::setup::{Menshen, Setup};

/// A table that enables gRPC on the main listener.
pub(crate) const GRPC_ON_MAIN: &str = "[ext_authz]\non_main = true\n";

/// A setup with a separate gRPC listener.
pub(crate) fn setup() -> Setup {
    Setup::default()
        .server("trusted_proxies = [\"127.0.0.1\"]")
        .tables("[ext_authz]\ngrpc_listen = \"127.0.0.1:0\"\n")
}

pub(crate) async fn grpc_client(menshen: &Menshen) -> GrpcClient {
    let address = menshen.running.grpc_address();
    GrpcClient::connect(address.expect("there is a gRPC listener")).await
}
