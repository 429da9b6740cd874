//! Validates `[[route]]`: names, paths, access, connectors, limits and TLS.

use std::collections::HashMap;

use super::Problems;
use crate::expression::Scope;
use crate::request::route::{AccessConfig, HostPattern, RouteConfig, UpstreamUrl};
use crate::setting::KeyPath;

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
        let help = "1 to 64 bytes, for logs, pages and metrics";
        problems.add_at_value(
            &key_path.clone().key("name"),
            "this name cannot be used for a route",
            help,
        );
    }
    let prefix = problems.config.server.prefix.as_str();
    let below_prefix = route.path.as_str().strip_prefix(prefix);
    if below_prefix.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        let help = format!("everything below {prefix} is menshen's own: change server.prefix");
        problems.add_at_value(
            &key_path.clone().key("path"),
            "no request reaches this route",
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
            let help = "access = \"rule\" evaluates `allow` for everybody, signed in or not";
            let key_path = key_path.clone().key("allow");
            problems.add_at_key(
                &key_path,
                "a public route lets everybody pass: `allow` has no effect",
                help,
            );
        }
        (AccessConfig::Rule, None) => {
            let help = "add allow = \"...\", or write access = \"signed-in\"";
            problems.add_at_value(
                &key_path.clone().key("access"),
                "access = \"rule\" needs `allow`",
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
        let help = "remove it, or write another `access`";
        problems.add_at_key(&key_path, "on a public route every path is public", help);
    }
    let ignores_case = route.case_insensitive == Some(true);
    for (index, path) in route.public_paths.iter().enumerate() {
        if !route.path.includes(path.as_str().as_bytes(), ignores_case) {
            let help = format!("the route serves paths below {}", route.path.as_str());
            let message = "this route does not serve this path";
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
        if !connectors.contains_key(id) && problems.config.admin.is_none() {
            let help = match names.as_slice() {
                [] => format!("there is none: add [connector.{id}]"),
                names => format!("there are: {}", names.join(", ")),
            };
            let key_path = key_path.clone().key("connectors").item(index);
            problems.add_at_value(&key_path, format!("there is no connector `{id}`"), help);
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
        let message = "without an assertion `audience` has no effect";
        problems.add_at_key(&key_path, message, "add assertion = true, or remove it");
    }
    if audience.trim().is_empty()
        || audience.len() > AUDIENCE_BYTES_MAX
        || audience.chars().any(char::is_control)
    {
        let help = format!("1 to {AUDIENCE_BYTES_MAX} bytes, such as \"oa\"");
        problems.add_at_value(&key_path, "this audience cannot be used", help);
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
        let message = "no upstream of this route uses TLS";
        problems.add_at_key(
            &key_path,
            message,
            "write https:// in upstream, or remove it",
        );
    }
    match (&tls.certificate, &tls.key) {
        (Some(_), None) => {
            let help = "add key = { file = \"...\" }";
            let key_path = key_path.clone().key("certificate");
            problems.add_at_key(&key_path, "a certificate needs its private key", help);
        }
        (None, Some(_)) => {
            let help = "add certificate = \"...\"";
            let key_path = key_path.clone().key("key");
            problems.add_at_key(&key_path, "a private key needs its certificate", help);
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if tls.ca.is_some() && !tls.verify {
        let message = "with verify = false `ca` has no effect";
        problems.add_at_key(&key_path.key("ca"), message, "remove one of them");
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
            let help = format!("the other one begins in line {}", line_of(other));
            let message = format!("two routes are named `{}`", route.name);
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
            let help = format!("the other one begins in line {}", line_of(other));
            problems.add_at_value(
                &key_path.key("path"),
                "two routes serve the same host and path",
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
