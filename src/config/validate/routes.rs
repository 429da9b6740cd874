//! Validates `[[route]]`: names, paths, access, connectors, limits and TLS.

use std::collections::HashMap;

use super::Problems;
use crate::expression::Scope;
use crate::request::route::{AccessConfig, HostPattern, RouteConfig, UpstreamUrl};
use crate::setting::KeyPath;
use crate::text;

mod session_requirements;

/// The longest audience in bytes; it is sent with every request.
const AUDIENCE_BYTES_MAX: usize = 256;

pub(super) fn validate(problems: &mut Problems<'_>) {
    for (index, route) in problems.config.route.iter().enumerate() {
        let key_path = KeyPath::of(["route"]).item(index);
        validate_name_and_path(problems, &key_path, route);
        validate_access(problems, &key_path, route);
        validate_public_paths(problems, &key_path, route);
        validate_connectors(problems, &key_path, route);
        session_requirements::validate(problems, &key_path, route);
        validate_audience(problems, &key_path, route);
        validate_limits(problems, &key_path, route);
        validate_upstream_tls(problems, &key_path, route);
    }
    validate_duplicates(problems);
}

fn validate_name_and_path<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let name = &route.name;
    if name.trim().is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        let help = text!(
            "1 to 64 bytes, for logs, pages and metrics",
            "1 到 64 字节，用于日志、页面和指标"
        );
        problems.add_at_value(
            &key_path.clone().key("name"),
            text!(
                "this name cannot be used for a route",
                "这个名字不能用作路由名"
            ),
            help,
        );
    }
    let prefix = problems.config.server.prefix.as_str();
    let below_prefix = route.path.as_str().strip_prefix(prefix);
    if below_prefix.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let help = text!(
            "everything below {prefix} is menshen's own: change server.prefix",
            "{prefix} 以下都由 menshen 自己使用：请改 server.prefix"
        );
        problems.add_at_value(
            &key_path.clone().key("path"),
            text!("no request reaches this route", "没有请求能到达这条路由"),
            help,
        );
    }
}

fn validate_access<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    match (route.access, &route.allow) {
        (AccessConfig::Public, Some(_)) => {
            let help = text!(
                "access = \"rule\" evaluates `allow` for everybody, signed in or not",
                "access = \"rule\" 会对每个人计算 `allow`，无论是否登录"
            );
            let key_path = key_path.clone().key("allow");
            problems.add_at_key(
                &key_path,
                text!(
                    "a public route lets everybody pass: `allow` has no effect",
                    "公开路由放行所有人：`allow` 不起作用"
                ),
                help,
            );
        }
        (AccessConfig::Rule, None) => {
            let help = text!(
                "add allow = \"...\", or write access = \"signed-in\"",
                "请加上 allow = \"...\"，或写 access = \"signed-in\""
            );
            problems.add_at_value(
                &key_path.clone().key("access"),
                text!(
                    "access = \"rule\" needs `allow`",
                    "access = \"rule\" 需要 `allow`"
                ),
                help,
            );
        }
        (AccessConfig::Public | AccessConfig::SignedIn, None)
        | (AccessConfig::SignedIn | AccessConfig::Rule, Some(_)) => {}
    }
    if let Some(rule) = &route.allow {
        problems.check_expression(&key_path.clone().key("allow"), rule, Scope::Rule);
    }
    if let Some(basic) = &route.basic_auth {
        problems.check_expression(
            &key_path.clone().key("basic_auth").key("user"),
            &basic.user,
            Scope::Rule,
        );
    }
}

fn validate_public_paths<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let key_path = key_path.clone().key("public_paths");
    if route.access == AccessConfig::Public && !route.public_paths.is_empty() {
        let help = text!(
            "remove it, or write another `access`",
            "请删除它，或换一种 `access`"
        );
        problems.add_at_key(
            &key_path,
            text!(
                "on a public route every path is public",
                "公开路由的所有路径都是公开的"
            ),
            help,
        );
    }
    let ignores_case = route.case_insensitive == Some(true);
    for (index, path) in route.public_paths.iter().enumerate() {
        if !route.path.includes(path.as_str().as_bytes(), ignores_case) {
            let help = text!(
                "the route serves paths below {}",
                "这条路由只服务 {} 以下的路径",
                route.path.as_str()
            );
            let message = text!(
                "this route does not serve this path",
                "这条路由不服务这个路径"
            );
            problems.add_at_value(&key_path.clone().item(index), message, help);
        }
    }
}

fn validate_connectors<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let connectors = &problems.config.connector;
    let names: Vec<_> = connectors.keys().map(|id| id.as_str()).collect();
    for (index, id) in route.connectors.iter().enumerate() {
        // With the admin API, the connector may be a managed one, which the document does not have.
        let is_certain = problems.is_complete("connector") && problems.is_complete("admin");
        if !connectors.contains_key(id) && problems.config.admin.is_none() && is_certain {
            let help = match names.as_slice() {
                [] => text!(
                    "there is none: add [connector.{id}]",
                    "还没有认证源：请加上 [connector.{id}]"
                ),
                names => text!("there are: {}", "现有：{}", names.join(", ")),
            };
            let key_path = key_path.clone().key("connectors").item(index);
            problems.add_at_value(
                &key_path,
                text!("there is no connector `{id}`", "没有认证源 `{id}`"),
                help,
            );
        }
    }
}

fn validate_audience<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let Some(audience) = &route.audience else {
        return;
    };
    let key_path = key_path.clone().key("audience");
    if !route.assertion {
        let message = text!(
            "without an assertion `audience` has no effect",
            "没有 assertion，`audience` 不起作用"
        );
        problems.add_at_key(
            &key_path,
            message,
            text!(
                "add assertion = true, or remove it",
                "请加上 assertion = true，或删除它"
            ),
        );
    }
    if audience.trim().is_empty()
        || audience.len() > AUDIENCE_BYTES_MAX
        || audience.chars().any(char::is_control)
    {
        let help = text!(
            "1 to {AUDIENCE_BYTES_MAX} bytes, such as \"oa\"",
            "1 到 {AUDIENCE_BYTES_MAX} 字节，例如 \"oa\""
        );
        problems.add_at_value(
            &key_path,
            text!("this audience cannot be used", "这个 audience 无法使用"),
            help,
        );
    }
}

fn validate_limits<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let table = key_path.clone().key("limits");
    let limits = &route.limits;
    let periods = [
        ("connect", limits.connect),
        ("response", limits.response),
        ("idle", limits.idle),
        ("keep_alive", limits.keep_alive),
        ("abandoned", limits.abandoned),
    ];
    problems.require_positive(&table, &periods);
    problems.require_at_least_one(&table, &[("body_bytes_max", limits.body_bytes_max)]);
}

fn validate_upstream_tls<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    let Some(tls) = &route.upstream_tls else {
        return;
    };
    let key_path = key_path.clone().key("upstream_tls");
    let uses_tls = |upstream: &UpstreamUrl| matches!(upstream, UpstreamUrl::Tcp { tls: true, .. });
    if !route.upstream.iter().any(uses_tls) {
        let message = text!(
            "no upstream of this route uses TLS",
            "这条路由的上游都不用 TLS"
        );
        problems.add_at_key(
            &key_path,
            message,
            text!(
                "write https:// in upstream, or remove it",
                "请在 upstream 中写 https://，或删除它"
            ),
        );
    }
    match (&tls.certificate, &tls.key) {
        (Some(_), None) => {
            let help = text!(
                "add key = {{ file = \"...\" }}",
                "请加上 key = {{ file = \"...\" }}"
            );
            let key_path = key_path.clone().key("certificate");
            problems.add_at_key(
                &key_path,
                text!("a certificate needs its private key", "证书需要它的私钥"),
                help,
            );
        }
        (None, Some(_)) => {
            let help = text!("add certificate = \"...\"", "请加上 certificate = \"...\"");
            let key_path = key_path.clone().key("key");
            problems.add_at_key(
                &key_path,
                text!("a private key needs its certificate", "私钥需要它的证书"),
                help,
            );
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if tls.ca.is_some() && !tls.verify {
        let message = text!(
            "with verify = false `ca` has no effect",
            "verify = false 时，`ca` 不起作用"
        );
        problems.add_at_key(
            &key_path.key("ca"),
            message,
            text!("remove one of them", "请删除其中一个"),
        );
    }
}

/// Refuses two routes with the same name, or with the same host, port and path.
fn validate_duplicates(problems: &mut Problems<'_>) {
    let source = &problems.config.source;
    let line_of = |index: usize| {
        source
            .line_column(source.value_span(&KeyPath::of(["route"]).item(index)).start)
            .0
    };
    let mut names = HashMap::new();
    let mut hosts_and_paths = HashMap::new();
    for (index, route) in problems.config.route.iter().enumerate() {
        let key_path = KeyPath::of(["route"]).item(index);
        if let Some(other) = names.insert(&route.name, index) {
            let help = text!(
                "the other one begins in line {}",
                "另一个从第 {} 行开始",
                line_of(other)
            );
            let message = text!(
                "two routes are named `{}`",
                "有两条路由都叫 `{}`",
                route.name
            );
            problems.add_at_value(&key_path.clone().key("name"), message, help);
        }
        // If one route ignores case, paths that differ in case only are duplicates.
        let ignores_case = problems
            .config
            .route
            .iter()
            .any(|route| route.case_insensitive == Some(true));
        let path = route.path.as_str();
        let path = if ignores_case {
            path.to_ascii_lowercase()
        } else {
            path.to_owned()
        };
        if let Some(other) = hosts_and_paths.insert((host_key(&route.host), path), index) {
            let help = text!(
                "the other one begins in line {}",
                "另一个从第 {} 行开始",
                line_of(other)
            );
            problems.add_at_value(
                &key_path.key("path"),
                text!(
                    "two routes serve the same host and path",
                    "有两条路由服务同一主机和路径"
                ),
                help,
            );
        }
    }
}

fn host_key(pattern: &HostPattern) -> (bool, &str, Option<u16>) {
    match pattern {
        HostPattern::Any { port } => (false, "", *port),
        HostPattern::Exact { name, port } => (false, name, *port),
        HostPattern::Wildcard { suffix, port } => (true, suffix, *port),
    }
}
