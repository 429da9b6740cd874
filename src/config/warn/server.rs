//! `[server]`, `[admin]`, `[ext_authz]` and `[session]`: what attackers in the network or other sites can use.

use std::net::SocketAddr;

use super::Warnings;
use super::certificates::listens_with_tls;
use crate::config::TrustedProxy;
use crate::people::cookie::SameSiteConfig;
use crate::setting::{KeyPath, is_loopback};
use crate::store::ConnectorId;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    warn_about_server(warnings);
    warn_about_admin(warnings);
    warn_about_ext_authz(warnings);
    warn_about_session(warnings);
}

fn warn_about_server(warnings: &mut Warnings<'_>) {
    let server = &warnings.config.server;
    let external = &server.external_url;
    let key_path = KeyPath::of(["server", "external_url"]);
    let has_tls = server.tls.is_some() && listens_with_tls(warnings.config);
    if !external.is_https() && has_tls {
        let text = text!(
            "plain http contradicts [server.tls], with which browsers use https: write https://",
            "明文 http 与 [server.tls] 矛盾：有证书时浏览器用 https 访问；请写 https://"
        );
        warnings.add(&key_path, text);
    } else if !external.is_https() && !is_loopback(external.url()) {
        let text = text!(
            "plain http: an attacker in the network can steal sessions; use https",
            "明文 http：网络中的攻击者可以窃取会话；请用 https"
        );
        warnings.add(&key_path, text);
    }
    if external.is_https() && server.tls.is_none() && server.trusted_proxies.is_empty() {
        let text = text!(
            "browsers use https, but there is no [server.tls] and no trusted proxy that could \
                    terminate TLS: requests are treated as plain http; add one of them",
            "浏览器使用 https，但既没有 [server.tls]，也没有能终结 TLS 的可信代理：请求会按明文 http 处理；请加上其中一个"
        );
        warnings.add(&key_path, text);
    }
    for (index, proxy) in server.trusted_proxies.iter().enumerate() {
        let TrustedProxy::Network(network) = proxy else {
            continue;
        };
        if network.prefix_len() == 0 {
            let text = text!(
                "every client can forge its address, host and scheme; name only the proxies in \
                        front of menshen",
                "任何客户端都能伪造自己的地址、主机和协议；请只写 menshen 前面的代理"
            );
            warnings.add(
                &KeyPath::of(["server", "trusted_proxies"]).item(index),
                text,
            );
        }
    }
}

fn warn_about_admin(warnings: &mut Warnings<'_>) {
    let Some(admin) = &warnings.config.admin else {
        return;
    };
    if admin
        .listen
        .parse::<SocketAddr>()
        .is_ok_and(|address| !address.ip().is_loopback())
    {
        let text = text!(
            "other machines can reach metrics, health and the admin API in plain http: block \
                    them with a firewall",
            "其他机器可以用明文 http 访问指标、健康检查和管理 API：请用防火墙封住"
        );
        warnings.add(&KeyPath::of(["admin", "listen"]), text);
    }
    for (index, token) in admin.tokens.iter().enumerate() {
        let connectors = token.broker.iter().flatten();
        let connectors: Vec<_> = connectors.map(ConnectorId::as_str).collect();
        if !connectors.is_empty() {
            let text = text!(
                "whoever has this token can do at the source of {} what the application may do: give the \
                 application no more rights there than its programs need",
                "拿到这个令牌的人，可以在 {} 的认证源处做该应用能做的一切：请不要在那里给应用多余的权限",
                connectors.join(" and of ")
            );
            let key_path = KeyPath::of(["admin", "tokens"]).item(index).key("broker");
            warnings.add(&key_path, text);
        }
    }
}

fn warn_about_ext_authz(warnings: &mut Warnings<'_>) {
    let listen = warnings.config.ext_authz.as_ref();
    let listen = listen.and_then(|ext_authz| ext_authz.grpc_listen.as_deref());
    let address = listen.and_then(|listen| listen.parse::<SocketAddr>().ok());
    if address.is_some_and(|address| !address.ip().is_loopback()) {
        let text = text!(
            "the requests of your proxy hold session cookies and use plain HTTP/2: keep them in \
                    a network that you trust",
            "代理的请求带有会话 Cookie，走明文 HTTP/2：请只在可信的网络中使用"
        );
        warnings.add(&KeyPath::of(["ext_authz", "grpc_listen"]), text);
    }
}

fn warn_about_session(warnings: &mut Warnings<'_>) {
    let session = &warnings.config.session;
    if let Some(domain) = &session.cookie_domain {
        let text = text!(
            "every host below {domain} receives the session cookie and can use it",
            "{domain} 以下的所有主机都会收到会话 Cookie，并能使用它"
        );
        warnings.add(&KeyPath::of(["session", "cookie_domain"]), text);
    }
    if session.cookie_same_site == SameSiteConfig::None {
        let text = match session.frame_ancestors.is_empty() {
            true => {
                text!(
                    "pages of other sites can embed and call your applications with the session of the \
                 visitor: the applications need protection against forged requests (CSRF); \
                 frame_ancestors limits the sites in whose frames people can sign in",
                    "别的网站的页面可以带着访问者的会话嵌入和调用本站的应用：应用需要防御跨站请求伪造（CSRF）；frame_ancestors 可以限制能在哪些网站的框架中登录"
                )
            }
            false => {
                text!(
                    "pages of frame_ancestors, and in browsers without partitioned cookies pages of every \
                 site, can embed and call your applications with the session of the visitor: the \
                 applications need protection against forged requests (CSRF)",
                    "frame_ancestors 中的页面（在不支持分区 Cookie 的浏览器里则是任何网站的页面）可以带着访问者的会话嵌入和调用本站的应用：应用需要防御跨站请求伪造（CSRF）"
                )
            }
        };
        warnings.add(&KeyPath::of(["session", "cookie_same_site"]), text);
    }
}
