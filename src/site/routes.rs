//! Builds the routes: compiles their rules and collects the settings of their connection pools.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{BuildError, Config, compile, settable_header};
use crate::request::forward::{PoolSettings, TlsMaterial, UpstreamTls};
use crate::request::route::{
    Access, AccessConfig, Audience, BasicAuth, Demands, HeaderRules, Limits, Route, RouteConfig,
    RouteName, UpstreamConnections, UpstreamId, UpstreamTlsConfig,
};
use crate::telemetry::{RouteCounters, Telemetry};

/// Builds all routes and the settings of the pools that they share.
pub(super) fn build(
    config: &Config,
    telemetry: &Telemetry,
) -> Result<(Vec<Arc<Route>>, Vec<PoolSettings>), BuildError> {
    let mut pools = Vec::new();
    let connectors = config.connectors.iter();
    let reloading = connectors.filter(|(_, connector)| connector.reload_user);
    let reloading: Arc<[_]> = reloading.map(|(id, _)| id.clone()).collect();
    let own_prefix: Arc<str> = config.prefix.as_str().into();
    let routes = config
        .routes
        .iter()
        .map(|route_config| {
            let upstream = pool_of_route(route_config, config, &mut pools)?;
            let demands = Demands::of(route_config, &reloading);
            let route = build_route(route_config, upstream, demands, config.recheck_after)?;
            Ok::<_, BuildError>(Arc::new(Route {
                counters: telemetry.route_counters(route.name.as_str()),
                own_prefix: Arc::clone(&own_prefix),
                ..route
            }))
        })
        .collect::<Result<_, _>>()?;
    Ok((routes, pools))
}

/// Returns the pool of a route. Routes with the same upstreams, limits and TLS settings share one.
fn pool_of_route(
    config: &RouteConfig,
    site: &Config,
    pools: &mut Vec<PoolSettings>,
) -> Result<Option<UpstreamId>, BuildError> {
    if config.upstream.is_empty() {
        return Ok(None);
    }
    let tls = config.upstream_tls.as_ref();
    let settings = PoolSettings {
        client_share_max_percent: site.client_share_max_percent,
        anonymous_share_max_percent: site.anonymous_share_max_percent,
        idle_timeout: config.limits.keep_alive.duration(),
        abandoned_timeout: config.limits.abandoned.duration(),
        tls: tls.map(|tls| upstream_tls(&config.name, tls)).transpose()?,
        ..PoolSettings::new(config.upstream.clone(), config.limits.connect.duration())
    };
    let shared = pools.iter().position(|pool| *pool == settings);
    Ok(Some(UpstreamId(shared.unwrap_or_else(|| {
        pools.push(settings);
        pools.len() - 1
    }))))
}

/// Reads the certificate and key files of a route.
fn upstream_tls(route: &str, config: &UpstreamTlsConfig) -> Result<UpstreamTls, BuildError> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| BuildError::UpstreamTlsFile {
            route: route.to_owned(),
            path: path.clone(),
            source,
        })
    };
    let identity = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            let private_key = key.read().map_err(|source| BuildError::Secret {
                key: format!("route {route}: upstream_tls key"),
                source,
            })?;
            Some((read(certificate)?, private_key))
        }
        (_, _) => None,
    };
    let material = TlsMaterial {
        ca: config.ca.as_ref().map(read).transpose()?,
        server_name: config.server_name.clone(),
        identity,
        verify: config.verify,
    };
    UpstreamTls::new(&material).map_err(|source| BuildError::UpstreamTls {
        route: route.to_owned(),
        source,
    })
}

fn build_route(
    config: &RouteConfig,
    upstream: Option<UpstreamId>,
    demands: Option<Box<Demands>>,
    recheck_after: Duration,
) -> Result<Route, BuildError> {
    let name = config.name.as_str();
    let allow = config
        .allow
        .as_deref()
        .map(|rule| compile(name, "allow", rule))
        .transpose()?;
    Ok(Route {
        name: RouteName::new(name),
        host: config.host.clone(),
        path: config.path.clone(),
        access: match config.access {
            AccessConfig::Public => Access::Public,
            AccessConfig::SignedIn => Access::SignedIn,
            AccessConfig::Rule => Access::Rule,
        },
        public_paths: config.public_paths.clone(),
        allow,
        connectors: config.connectors.clone(),
        issuers: config.issuers.clone(),
        scopes: config.scopes.clone(),
        access_tokens: config.access_tokens,
        demands,
        upstream,
        preflight: config.preflight,
        strip_path: config.strip_path,
        own_prefix: Arc::default(),
        case_insensitive: config.case_insensitive.unwrap_or(false),
        keep_fragment: config.keep_fragment,
        keep_header_case: config.keep_header_case,
        host_header: config.host_header.clone(),
        headers: header_rules(config)?,
        limits: Limits {
            connect: config.limits.connect.duration(),
            response: config.limits.response.duration(),
            idle: config.limits.idle.duration(),
            body_bytes_max: config.limits.body_bytes_max,
            recheck_after,
        },
        private_connections: config.upstream_connections == UpstreamConnections::Private,
        counters: RouteCounters::default(),
    })
}

fn header_rules(config: &RouteConfig) -> Result<HeaderRules, BuildError> {
    let route = config.name.as_str();
    let custom = config
        .headers
        .iter()
        .map(|(name, source)| Ok((settable_header(route, name)?, compile(route, name, source)?)))
        .collect::<Result<_, BuildError>>()?;
    let pass = config
        .pass_headers
        .iter()
        .map(|name| settable_header(route, name))
        .collect::<Result<_, _>>()?;
    let basic_auth = config.basic_auth.as_ref().map(|basic| {
        let password = basic.password.read();
        Ok::<_, BuildError>(BasicAuth {
            user: compile(route, "basic_auth user", &basic.user)?,
            password: password.map_err(|source| BuildError::Secret {
                key: format!("route {route}: basic_auth password"),
                source,
            })?,
        })
    });
    Ok(HeaderRules {
        encoding: config.header_encoding,
        custom,
        pass,
        basic_auth: basic_auth.transpose()?,
        access_token: config.pass_access_token,
        id_token: config.pass_id_token,
        on_checks: config.check_headers,
        assertion: config.assertion.then(|| match config.audience.as_deref() {
            None => Audience::RequestedHost,
            Some(name) => Audience::Named(name.into()),
        }),
    })
}
