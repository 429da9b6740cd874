//! Envoy's ext_authz over gRPC: whoever may ask always gets an answer, and the same as everybody.

mod answers;
mod calls;
mod client;
mod listeners;
mod messages;
mod reflection;

pub(crate) use client::Client;
pub(crate) use messages::{CheckResult, check_request, field, parse_response};

use crate::setup::{Menshen, Setup};

/// Answers Envoy where everybody else is answered.
pub(crate) const ON_MAIN: &str = "[ext_authz]\non_main = true\n";

/// An instance of menshen that answers Envoy on a listener of its own.
pub(crate) fn setup() -> Setup {
    Setup::default()
        .server("trusted_proxies = [\"127.0.0.1\"]")
        .more("[ext_authz]\ngrpc_listen = \"127.0.0.1:0\"\n")
}

pub(crate) async fn grpc_client(menshen: &Menshen) -> Client {
    let address = menshen.running.grpc_address();
    Client::connect(address.expect("it answers over gRPC")).await
}
