//! Paths of routes that do not mean what they seem to mean, and a site whose own address leads nowhere.

use super::Warnings;
use crate::config::{Config, nearest};
use crate::people::cookie::SameSiteConfig;
use crate::request::route::{HostPattern, RouteConfig};
use crate::setting::KeyPath;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    for (index, route) in warnings.config.route.iter().enumerate() {
        let table = KeyPath::of(["route"]).item(index);
        warn_about_globs(warnings, &table, route);
        warn_about_case(warnings, &table, index);
    }
    warn_about_external_host(warnings);
}

/// Warns of `*`, which is a character as any other.
fn warn_about_globs(warnings: &mut Warnings<'_>, table: &KeyPath<'_>, route: &RouteConfig) {
    if let Some((before, _)) = route.path.as_str().split_once('*') {
        let before = before.trim_end_matches('/');
        let instead = if before.is_empty() { "/" } else { before };
        let text = text!(
            "`*` is only a character here: a path includes everything below it, so write path = \"{instead}\"",
            "这里的 `*` 只是普通字符：路径包含它以下的一切，请写 path = \"{instead}\""
        );
        warnings.add(&table.clone().key("path"), text);
    }
    for (item, path) in route.public_paths.iter().enumerate() {
        if path.as_str().contains('*') {
            let text = text!(
                "`*` is only a character here: a public path is one whole path; for everything below a path, \
                 write a route of its own with access = \"public\"",
                "这里的 `*` 只是普通字符：公开路径是一个完整的路径；要公开某个路径以下的一切，请单独写一条 \
                 access = \"public\" 的路由"
            );
            warnings.add(&table.clone().key("public_paths").item(item), text);
        }
    }
}

/// Warns of a route that differs from an earlier one only by the case of its path.
fn warn_about_case(warnings: &mut Warnings<'_>, table: &KeyPath<'_>, index: usize) {
    let routes = &warnings.config.route;
    let Some((route, earlier)) = routes.get(index).zip(routes.get(..index)) else {
        return;
    };
    let path = route.path.as_str();
    let differs_by_case = |other: &&RouteConfig| {
        let other_path = other.path.as_str();
        other.host == route.host && other_path != path && other_path.eq_ignore_ascii_case(path)
    };
    if let Some(other) = earlier.iter().find(differs_by_case) {
        let text = text!(
            "the route `{}` has the same path in another case: if the application ignores case, remove one \
             of them and write case_insensitive = true",
            "路由 `{}` 的路径只是大小写不同：如果应用不分大小写，请删除其中一个，并写 case_insensitive = true",
            other.name
        );
        warnings.add(&table.clone().key("path"), text);
    }
}

/// Warns if no route serves the address of the site, unless the site has reasons for a host of its own.
fn warn_about_external_host(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    let external_url = config.server.external_url.url();
    let is_served = config
        .route
        .iter()
        .any(|route| route.host.serves_url(external_url));
    if config.route.is_empty() || is_served {
        return;
    }
    let host = config.server.external_url.host();
    let key_path = KeyPath::of(["server", "external_url"]);
    let mut patterns = config.route.iter().map(|route| &route.host);
    let on_other_port = patterns.find(|pattern| pattern.includes(host));
    if let (Some(pattern), Some(port)) = (on_other_port, external_url.port_or_known_default()) {
        let text = text!(
            "no route serves {host}:{port}, only {pattern}: remove the port from `host` of the route, or add it \
             to external_url",
            "没有路由服务 {host}:{port}，只有 {pattern}：请删除路由 `host` 中的端口，或在 external_url 中加上它"
        );
        warnings.add(&key_path, text);
        return;
    }
    let names = config.route.iter().filter_map(|route| match &route.host {
        HostPattern::Exact { name, .. } => Some(name.as_str()),
        HostPattern::Any { .. } | HostPattern::Wildcard { .. } => None,
    });
    if let Some(near) = nearest::name(host, names) {
        let text = text!(
            "no route serves {host}: did you mean {near}?",
            "没有路由服务 {host}：是不是想写 {near}？"
        );
        warnings.add(&key_path, text);
    } else if !has_host_of_its_own(config) {
        let text = text!(
            "no route serves {host}: whoever types this address gets 404 until a route has this host; if menshen \
             has it to itself, nothing is wrong",
            "没有路由服务 {host}：在有路由写这个主机之前，输入这个地址的人会得到 404；如果它是 menshen 的专用\
             主机，则没有问题"
        );
        warnings.add(&key_path, text);
    }
}

/// Whether the settings need a host that no application shares, or serve several hosts.
fn has_host_of_its_own(config: &Config) -> bool {
    let mut hosts = config.route.iter().map(|route| &route.host);
    let first = hosts.next();
    hosts.any(|host| Some(host) != first)
        || config.session.cookie_domain.is_some()
        || config.session.cookie_same_site == SameSiteConfig::None
        || config.route.iter().any(|route| route.access_tokens)
        || config
            .connector
            .values()
            .any(|connector| connector.link_on_request)
}
