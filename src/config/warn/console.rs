//! Warnings about `[console]`.

use std::net::SocketAddr;

use super::Warnings;
use crate::setting::{KeyPath, sends_in_clear_text};
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let Some(console) = &warnings.config.console else {
        return;
    };
    let table = KeyPath::of(["console"]);
    let listen = console.listen.as_deref();
    let address = listen.and_then(|listen| listen.parse::<SocketAddr>().ok());
    if address.is_some_and(|address| !address.ip().is_loopback()) {
        let text = text!(
            "other machines can reach the console in plain http: put a proxy with TLS in front, and \
                    block this address with a firewall",
            "其他机器可以用明文 http 访问控制台：请在前面放一个带 TLS 的代理，并用防火墙封住这个地址"
        );
        warnings.add(&table.clone().key("listen"), text);
    }
    if let Some(url) = &console.external_url {
        let key_path = table.clone().key("external_url");
        if sends_in_clear_text(url) {
            let text = text!(
                "passwords and cookies of administrators are sent in plain http: use https",
                "管理员的密码和 Cookie 以明文 http 传输：请用 https"
            );
            warnings.add(&key_path, text);
        }
        let login_url = warnings.config.server.external_url.url();
        let has_port_of_site = url.port_or_known_default() == login_url.port_or_known_default();
        let mut routes = warnings.config.route.iter();
        if let Some(route) = routes.find(|route| has_port_of_site && route.host.serves_url(url)) {
            let text = text!(
                "the route {} serves the same origin: scripts of its application can use the console",
                "路由 {} 服务同一个源：其应用中的脚本可以操作控制台",
                route.name
            );
            warnings.add(&key_path, text);
        }
    }
    if console.lifetime < console.idle_timeout {
        let text = text!(
            "lifetime is shorter, so idle_timeout has no effect",
            "lifetime 更短，所以 idle_timeout 不起作用"
        );
        warnings.add(&table.clone().key("idle_timeout"), text);
    }
    if console.allow.as_deref().map(str::trim) == Some("true") {
        let text = text!(
            "everybody who can sign in may change everything",
            "所有能登录的人都可以改任何设置"
        );
        warnings.add(&table.key("allow"), text);
    }
}
