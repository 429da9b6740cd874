//! Validates `[ext_authz]`: it has a listener, and a proxy that may use it.

use super::Problems;
use crate::door::Address;
use crate::setting::KeyPath;
use crate::text;

/// The port of the documentation's examples.
const EXAMPLE_PORT: u16 = 9181;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let config = problems.config;
    let Some(ext_authz) = &config.ext_authz else {
        return;
    };
    if !problems.is_complete("server") {
        return;
    }
    let table = KeyPath::of(["ext_authz"]);
    if config.server.trusted_proxies.is_empty() {
        let help = text!(
            "name Envoy's addresses in [server] trusted_proxies, such as [\"127.0.0.1\"]; \
                    \"unix\" stands for peers on unix sockets",
            "请在 [server] trusted_proxies 中写上 Envoy 的地址，例如 [\"127.0.0.1\"]；\"unix\" 表示经 unix 套接字连接的对端"
        );
        problems.add_at_key(
            &table,
            text!(
                "no proxy may use it: trusted_proxies is empty",
                "没有代理可以使用它：trusted_proxies 是空的"
            ),
            help,
        );
    }
    let listen = table.clone().key("grpc_listen");
    match &ext_authz.grpc_listen {
        None if !ext_authz.on_main => {
            let help = text!(
                "add grpc_listen, such as \"127.0.0.1:9181\", or on_main = true, or remove it",
                "请加上 grpc_listen（例如 \"127.0.0.1:9181\"）或 on_main = true，或整个删除"
            );
            problems.add_at_key(
                &table,
                text!(
                    "no proxy can reach it: it has no listener",
                    "没有代理能连到它：它没有监听地址"
                ),
                help,
            );
        }
        None => {}
        Some(written) => {
            let address = problems.internal_address(&listen, written, EXAMPLE_PORT);
            // The system chooses a free port.
            let chosen = address.filter(|it| !matches!(it, Address::Ip(ip) if ip.port() == 0));
            let mut main = config.server.listen.iter().map(|listen| &listen.address);
            if chosen.is_some_and(|address| main.any(|other| *other == address)) {
                let help = text!(
                    "take another port, or on_main = true instead of grpc_listen",
                    "请换一个端口，或用 on_main = true 代替 grpc_listen"
                );
                problems.add_at_value(
                    &listen,
                    text!(
                        "this address is used by [server] listen, too",
                        "[server] listen 也用了这个地址"
                    ),
                    help,
                );
            }
        }
    }
}
