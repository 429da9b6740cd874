//! Routes without an upstream or without callers, and what exposes them or their tokens.

use url::Url;

use super::{Warnings, path_case, public_paths};
use crate::config::Config;
use crate::request::route::{AccessConfig, HostPattern, Preflight, RouteConfig, UpstreamUrl};
use crate::setting::{KeyPath, is_loopback};
use crate::text;

pub(super) fn warn_about_routes(warnings: &mut Warnings<'_>) {
    if warnings.config.route.is_empty() {
        warnings.add(
            &KeyPath::of(["route"]),
            text!(
                "there is no [[route]]: every request gets 404",
                "没有 [[route]]：所有请求都得到 404"
            ),
        );
    }
    let routes = &warnings.config.route;
    // If another proxy uses the check endpoints, no route needs an upstream.
    let serves_only_checks = !warnings.config.server.trusted_proxies.is_empty()
        && routes.iter().all(|route| route.upstream.is_empty());
    for (index, route) in routes.iter().enumerate() {
        let key_path = KeyPath::of(["route"]).item(index);
        if route.upstream.is_empty() && !serves_only_checks {
            let text = text!(
                "it has no upstream: allowed requests get 404",
                "它没有上游：放行的请求得到 404"
            );
            warnings.add(&key_path, text);
        }
        if route.preflight == Preflight::Pass && route.access != AccessConfig::Public {
            let text = text!(
                "OPTIONS requests with Origin reach the application without login and identity",
                "带 Origin 的 OPTIONS 请求不登录、不带身份就能到达应用"
            );
            warnings.add(&key_path.clone().key("preflight"), text);
        }
        public_paths::warn(warnings, &key_path, route);
        warn_about_exposures(warnings, &key_path, route);
        path_case::capitals_in_rule(warnings, &key_path, route);
        if shares_its_audience(warnings.config, index) {
            let text = text!(
                "another application on this host gets assertions for the same audience, and \
                        each can use them at the other: add an audience to both",
                "这个主机上另一个应用收到的断言有相同的 audience，两者可以互相使用：请给两者都加上 audience"
            );
            warnings.add(&key_path.clone().key("assertion"), text);
        }
        if !route.acr_values.is_empty() && !reports_acr(warnings.config, route) {
            let text = text!(
                "none of the connectors of this route reports how people authenticated (acr): \
                        nobody passes",
                "这条路由的认证源都不报告认证方式（acr）：没有人能通过"
            );
            warnings.add(&key_path.clone().key("acr_values"), text);
        }
        warn_about_unknown_connectors(warnings, &key_path, route);
    }
}

/// Warns of what clients and attackers in the network can use.
fn warn_about_exposures<'a>(
    warnings: &mut Warnings<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    if !route.pass_headers.is_empty() {
        let text = text!(
            "clients can set these headers; in some frameworks they override the path or \
                    method that menshen has checked",
            "客户端可以设置这些请求头；在有些框架里，它们会覆盖 menshen 已检查过的路径或方法"
        );
        warnings.add(&key_path.clone().key("pass_headers"), text);
    }
    warn_about_tokens_in_plain_http(warnings, key_path, route);
    if route.upstream_tls.as_ref().is_some_and(|tls| !tls.verify) {
        let text = text!(
            "an attacker in the network can pose as the application and read and change \
                    everything: name its CA or its own certificate in `ca` instead",
            "网络中的攻击者可以冒充应用，读取和修改一切：请改为在 `ca` 中写上它的 CA 或它自己的证书"
        );
        let key_path = key_path.clone().key("upstream_tls").key("verify");
        warnings.add(&key_path, text);
    }
    if route.case_insensitive == Some(true) {
        let text = text!(
            "paths are compared without case; that is correct only if the application does \
                    so, too",
            "路径比较不分大小写；只有应用也这样做时才正确"
        );
        warnings.add(&key_path.clone().key("case_insensitive"), text);
    }
}

/// Warns of every route that nobody can pass, because there are neither connectors nor issuers for it. For a
/// site without any connector.
pub(super) fn warn_about_absent_callers(warnings: &mut Warnings<'_>) {
    for (index, route) in warnings.config.route.iter().enumerate() {
        if !route.issuers.is_empty() {
            continue;
        }
        let key_path = KeyPath::of(["route"]).item(index);
        match route.access {
            AccessConfig::SignedIn => {
                let text = text!(
                    "there is no connector: nobody can sign in and pass until one is made with the admin \
                            API or added as [connector.ID]",
                    "没有认证源：在用管理 API 创建，或加上 [connector.ID] 之前，没有人能登录和通过"
                );
                warnings.add(&key_path, text);
            }
            AccessConfig::Rule => {
                let text = text!(
                    "there is no connector and no issuer: in the rule `user` is always null",
                    "既没有认证源也没有签发方：规则中的 `user` 总是 null"
                );
                warnings.add(&key_path.key("access"), text);
            }
            AccessConfig::Public => {}
        }
    }
}

/// Warns of connectors that the document does not have. They may be managed ones.
fn warn_about_unknown_connectors<'a>(
    warnings: &mut Warnings<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    // Without the admin API it is a problem.
    if warnings.config.admin.is_none() {
        return;
    }
    for (index, id) in route.connectors.iter().enumerate() {
        if !warnings.config.connector.contains_key(id) {
            let text = text!(
                "the file has no connector `{id}`: people pass with it once it is made with the admin API",
                "文件中没有认证源 `{id}`：用管理 API 创建之后，才能凭它通过"
            );
            let key_path = key_path.clone().key("connectors").item(index);
            warnings.add(&key_path, text);
        }
    }
}

/// Warns if the provider's tokens are sent to an application in plain http.
fn warn_about_tokens_in_plain_http<'a>(
    warnings: &mut Warnings<'a>,
    key_path: &KeyPath<'a>,
    route: &RouteConfig,
) {
    let is_plain_http = |upstream: &UpstreamUrl| match upstream {
        UpstreamUrl::Tcp { tls, host, .. } => {
            let url = Url::parse(&format!("http://{host}/"));
            !tls && !url.is_ok_and(|url| is_loopback(&url))
        }
        UpstreamUrl::Unix(_) => false,
    };
    if route.upstream.iter().any(is_plain_http) {
        let text = text!(
            "tokens of the provider are sent to the application in plain http: an attacker in \
                    the network can use them",
            "认证源的令牌以明文 http 发给应用：网络中的攻击者可以使用它们"
        );
        let keys = [
            ("pass_access_token", route.pass_access_token),
            ("pass_id_token", route.pass_id_token),
        ];
        for (key, _) in keys.iter().filter(|(_, passes)| *passes) {
            warnings.add(&key_path.clone().key(key), text.clone());
        }
    }
}

pub(super) fn warn_about_wildcard_hosts(warnings: &mut Warnings<'_>) {
    for (index, route) in warnings.config.route.iter().enumerate() {
        if sends_sessions_to_wildcard(warnings.config, route) {
            let text = text!(
                "every host below it in the DNS belongs to this site: people must confirm before \
                        their session is sent there; name the hosts, or set [session] cookie_domain \
                        if all of them are yours",
                "DNS 中它以下的所有主机都属于本站点：会话发到那里之前，必须由本人确认；请逐个写出主机，或在它们都归本组织所有时设置 [session] cookie_domain"
            );
            warnings.add(&KeyPath::of(["route"]).item(index).key("host"), text);
        }
    }
}

/// Whether sessions are transferred to hosts that only match a wildcard.
fn sends_sessions_to_wildcard(config: &Config, route: &RouteConfig) -> bool {
    let HostPattern::Wildcard { suffix, .. } = &route.host else {
        return false;
    };
    let domain = config.session.cookie_domain.as_deref();
    let subdomain = domain.and_then(|domain| suffix.strip_suffix(domain));
    let is_covered = subdomain.is_some_and(|rest| rest.ends_with('.'));
    route.access != AccessConfig::Public && !config.connector.is_empty() && !is_covered
}

/// Whether another application on the host of this route accepts its assertions.
fn shares_its_audience(config: &Config, index: usize) -> bool {
    let audience_is_host = |route: &RouteConfig| route.assertion && route.audience.is_none();
    let this = &config.route[index];
    let shares = |other: &RouteConfig| {
        audience_is_host(other)
            && host_without_port(&other.host) == host_without_port(&this.host)
            && other.upstream != this.upstream
    };
    audience_is_host(this) && config.route.iter().any(shares)
}

/// The host pattern without its port, because an audience has no port.
fn host_without_port(host: &HostPattern) -> (bool, &str) {
    match host {
        HostPattern::Any { .. } => (false, ""),
        HostPattern::Exact { name, .. } => (false, name),
        HostPattern::Wildcard { suffix, .. } => (true, suffix),
    }
}

fn reports_acr(config: &Config, route: &RouteConfig) -> bool {
    let is_accepted = |id| route.connectors.is_empty() || route.connectors.contains(id);
    let mut connectors = config.connector.iter().filter(|(id, _)| is_accepted(id));
    connectors.any(|(_, connector)| {
        connector
            .kind()
            .is_ok_and(|kind| kind.features().reports_acr)
    })
}
