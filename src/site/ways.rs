//! `[[route]]` built: names resolved, rules compiled, every pool once.

use std::sync::Arc;

use super::{BuildError, compile, settable};
use crate::request::forward::PoolSettings;
use crate::request::headers::{Asserter, AssertionRule};
use crate::request::route::{
    Access, AccessConfig, BasicAuth, Demands, HeaderRules, Limits, Route, RouteConfig, RouteName,
    UpstreamId,
};

/// Builds every route, and the settings of the pools they share.
pub(super) fn build(
    configs: &[RouteConfig],
    asserter: &Arc<Asserter>,
) -> Result<(Vec<Arc<Route>>, Vec<PoolSettings>), BuildError> {
    let mut pools = Vec::new();
    let routes = configs
        .iter()
        .map(|config| {
            let upstream = upstream(config, &mut pools);
            route(config, upstream, asserter).map(Arc::new)
        })
        .collect::<Result<_, _>>()?;
    Ok((routes, pools))
}

/// Routes with the same upstreams and limits share one pool.
fn upstream(config: &RouteConfig, pools: &mut Vec<PoolSettings>) -> Option<UpstreamId> {
    if config.upstream.is_empty() {
        return None;
    }
    let settings = PoolSettings::new(config.upstream.clone(), config.limits.connect.duration());
    let known = pools.iter().position(|pool| *pool == settings);
    Some(UpstreamId(known.unwrap_or_else(|| {
        pools.push(settings);
        pools.len() - 1
    })))
}

fn route(
    config: &RouteConfig,
    upstream: Option<UpstreamId>,
    asserter: &Arc<Asserter>,
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
        allow,
        connectors: config.connectors.clone(),
        issuers: config.issuers.clone(),
        scopes: config.scopes.clone(),
        demands: Demands::of(config),
        upstream,
        preflight: config.preflight,
        strip_path: config.strip_path,
        case_insensitive: config.case_insensitive,
        keep_fragment: config.keep_fragment,
        host_header: config.host_header.clone(),
        headers: header_rules(config, asserter)?,
        limits: Limits {
            connect: config.limits.connect.duration(),
            response: config.limits.response.duration(),
            idle: config.limits.idle.duration(),
            body_bytes_max: config.limits.body_bytes_max,
        },
    })
}

fn header_rules(config: &RouteConfig, asserter: &Arc<Asserter>) -> Result<HeaderRules, BuildError> {
    let route = config.name.as_str();
    let own = config
        .headers
        .iter()
        .map(|(name, source)| Ok((settable(route, name)?, compile(route, name, source)?)))
        .collect::<Result<_, BuildError>>()?;
    let pass = config
        .pass_headers
        .iter()
        .map(|name| settable(route, name))
        .collect::<Result<_, _>>()?;
    let basic_auth = config.basic_auth.as_ref().map(|basic| {
        let what = format!("route {route}: basic_auth password");
        Ok(BasicAuth {
            user: compile(route, "basic_auth user", &basic.user)?,
            password: basic
                .password
                .read()
                .map_err(|source| BuildError::Secret { what, source })?,
        })
    });
    Ok(HeaderRules {
        encoding: config.header_encoding,
        own,
        pass,
        basic_auth: basic_auth.transpose()?,
        access_token: config.pass_access_token,
        id_token: config.pass_id_token,
        assertion: config.assertion.then(|| AssertionRule {
            asserter: Arc::clone(asserter),
            audience: config.audience.as_deref().map(Box::from),
        }),
    })
}
