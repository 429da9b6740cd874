//! Validates `[ext_authz]`: it has a listener, and a proxy that may use it.

use super::Problems;
use crate::door::Address;
use crate::setting::KeyPath;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let config = problems.config;
    let Some(ext_authz) = &config.ext_authz else {
        return;
    };
    let table = KeyPath::of(["ext_authz"]);
    if config.server.trusted_proxies.is_empty() {
        let help = "name Envoy's addresses in [server] trusted_proxies, such as [\"127.0.0.1\"]; \
                    \"unix\" stands for peers on unix sockets";
        problems.add_at_key(
            &table,
            "no proxy may use it: trusted_proxies is empty",
            help,
        );
    }
    let listen = table.clone().key("grpc_listen");
    match &ext_authz.grpc_listen {
        None if !ext_authz.on_main => {
            let help =
                "add grpc_listen, such as \"127.0.0.1:9181\", or on_main = true, or remove it";
            problems.add_at_key(&table, "no proxy can reach it: it has no listener", help);
        }
        None => {}
        Some(written) => match Address::try_from(written.clone()) {
            // The system chooses a free port.
            Ok(Address::Ip(ip)) if ip.port() == 0 => {}
            Ok(address) => {
                let main = config.server.listen.iter().map(|listen| &listen.address);
                if main.into_iter().any(|other| *other == address) {
                    let help = "take another port, or on_main = true instead of grpc_listen";
                    problems.add_at_value(
                        &listen,
                        "this address is used by [server] listen, too",
                        help,
                    );
                }
            }
            Err(error) => {
                let help = "an address and a port, such as \"127.0.0.1:9181\", or \"unix:/path\"";
                problems.add_at_value(&listen, error.to_string(), help);
            }
        },
    }
}
