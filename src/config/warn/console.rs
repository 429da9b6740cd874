//! Warnings about `[console]`.

use std::net::SocketAddr;

use super::Warnings;
use crate::setting::{KeyPath, sends_in_clear_text};

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let Some(console) = &warnings.config.console else {
        return;
    };
    let table = KeyPath::of(["console"]);
    let listen = console.listen.as_deref();
    let address = listen.and_then(|listen| listen.parse::<SocketAddr>().ok());
    if address.is_some_and(|address| !address.ip().is_loopback()) {
        let text = "other machines can reach the console in plain http: put a proxy with TLS in front, and \
                    block this address with a firewall";
        warnings.add(&table.clone().key("listen"), text);
    }
    if let Some(url) = &console.external_url {
        let key_path = table.clone().key("external_url");
        if sends_in_clear_text(url) {
            let text = "passwords and cookies of administrators are sent in plain http: use https";
            warnings.add(&key_path, text);
        }
        let login_url = warnings.config.server.external_url.url();
        let has_port_of_site = url.port_or_known_default() == login_url.port_or_known_default();
        let mut routes = warnings.config.route.iter();
        if let Some(route) = routes.find(|route| has_port_of_site && route.host.serves_url(url)) {
            let text = format!(
                "the route {} serves the same origin: scripts of its application can use the console",
                route.name
            );
            warnings.add(&key_path, text);
        }
    }
    if console.lifetime < console.idle_timeout {
        let text = "lifetime is shorter, so idle_timeout has no effect";
        warnings.add(&table.clone().key("idle_timeout"), text);
    }
    if console.allow.as_deref().map(str::trim) == Some("true") {
        let text = "everybody who can sign in may change everything";
        warnings.add(&table.key("allow"), text);
    }
}
