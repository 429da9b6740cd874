//! Keys that are allowed and weaken the house; `menshen check` reads them out.

use std::fmt;
use std::net::SocketAddr;

use url::Url;

use super::Config;
use crate::login::connector::ConnectorConfig;
use crate::open_files::OpenFiles;
use crate::people::cookie::SameSiteConfig;
use crate::request::route::{AccessConfig, HostPattern, Preflight, RouteConfig, UpstreamUrl};
use crate::secret::SecretSource;
use crate::setting::Place;
use crate::setting::is_loopback;
use crate::store::ConnectorId;

use super::TrustedProxy;

mod check_headers;
mod frames;
mod issuers;
mod limits;
mod path_case;
mod public_paths;

/// A key that weakens the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which key, as `route[0].preflight`.
    pub key: String,
    /// What it does, and what to do instead.
    pub text: String,
    /// The document's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            text,
            file,
            line,
            column,
        } = self;
        write!(f, "{file}:{line}:{column}: {key}: {text}")
    }
}

/// All of them, in the order of the document.
pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    secrets(&mut warnings);
    server(&mut warnings);
    limits::warn(&mut warnings);
    admin(&mut warnings);
    ext_authz(&mut warnings);
    session(&mut warnings);
    frames::warn(&mut warnings);
    connectors(&mut warnings);
    issuers::warn(&mut warnings);
    routes(&mut warnings);
    path_case::warn(&mut warnings);
    check_headers::warn(&mut warnings);
    wildcard_hosts(&mut warnings);
    warnings.in_order()
}

struct Warnings<'a> {
    config: &'a Config,
    list: Vec<Warning>,
}

impl Warnings<'_> {
    fn in_order(mut self) -> Vec<Warning> {
        self.list
            .sort_by_key(|warning| (warning.line, warning.column));
        self.list
    }

    fn add(&mut self, place: &Place<'_>, text: impl Into<String>) {
        let source = &self.config.source;
        let (line, column) = source.line_column(source.value_span(place).start);
        self.list.push(Warning {
            key: place.to_string(),
            text: text.into(),
            file: source.name.to_string(),
            line,
            column,
        });
    }
}

fn secrets(warnings: &mut Warnings<'_>) {
    for (place, secret) in warnings.config.secrets() {
        if matches!(secret, SecretSource::Literal(_)) {
            let text = "the secret stands in the configuration itself, and so in its backups: \
                        write { file = \"...\" } or { env = \"...\" }";
            warnings.add(&place, text);
        }
    }
}

/// What is odd about the files that the document names. Reads them.
pub(super) fn file_warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    for (place, secret) in config.secrets() {
        if let Some(stray) = secret.trimmed_parts() {
            let text = format!(
                "the file has {stray} around the secret, which is not taken for a part of it: write \
                 the file anew, as printf does"
            );
            warnings.add(&place, text);
        }
    }
    warnings.in_order()
}

/// What does not fit into the limits of the system, as this process has them.
pub(super) fn system_warnings(config: &Config, files: OpenFiles) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    limits::open_files(&mut warnings, files);
    warnings.in_order()
}

fn server(warnings: &mut Warnings<'_>) {
    let server = &warnings.config.server;
    let external = &server.external_url;
    let place = Place::of(["server", "external_url"]);
    if !external.secure() && !is_loopback(external.url()) {
        let text = "plain http: whoever is on the way can read and steal sessions; use https";
        warnings.add(&place, text);
    }
    if external.secure() && server.tls.is_none() && server.trusted_proxies.is_empty() {
        let text = "browsers use https, but nothing here ends TLS and no proxy is trusted to say \
                    so: requests will count as plain http; add [server.tls] or trusted_proxies";
        warnings.add(&place, text);
    }
    for (at, proxy) in server.trusted_proxies.iter().enumerate() {
        let TrustedProxy::Network(network) = proxy else {
            continue;
        };
        if network.prefix_len() == 0 {
            let text = "everybody may say which address, host and scheme they come from; name \
                        the proxies in front of menshen only";
            warnings.add(&Place::of(["server", "trusted_proxies"]).item(at), text);
        }
    }
}

fn admin(warnings: &mut Warnings<'_>) {
    let Some(admin) = &warnings.config.admin else {
        return;
    };
    if admin
        .listen
        .parse::<SocketAddr>()
        .is_ok_and(|address| !address.ip().is_loopback())
    {
        let text = "other machines can reach metrics, health and the admin API, in plain http: \
                    keep them away by a firewall";
        warnings.add(&Place::of(["admin", "listen"]), text);
    }
}

fn ext_authz(warnings: &mut Warnings<'_>) {
    let listen = warnings.config.ext_authz.as_ref();
    let listen = listen.and_then(|ext_authz| ext_authz.grpc_listen.as_deref());
    let address = listen.and_then(|listen| listen.parse::<SocketAddr>().ok());
    if address.is_some_and(|address| !address.ip().is_loopback()) {
        let text = "your proxy's questions carry session cookies here in plain HTTP/2: let only \
                    your own network see them";
        warnings.add(&Place::of(["ext_authz", "grpc_listen"]), text);
    }
}

fn session(warnings: &mut Warnings<'_>) {
    let session = &warnings.config.session;
    if let Some(domain) = &session.cookie_domain {
        let text = format!(
            "every host below {domain} receives the session cookie, yours or not, and can use it"
        );
        warnings.add(&Place::of(["session", "cookie_domain"]), text);
    }
    if session.cookie_same_site == SameSiteConfig::None {
        let text = match session.frame_ancestors.is_empty() {
            true => {
                "other sites' pages may embed and call your applications with the visitor's \
                 session: the applications must defend themselves against forged requests; \
                 frame_ancestors limits whose frames people may sign in to"
            }
            false => {
                "pages of frame_ancestors, and of every site in browsers that do not keep the \
                 cookies of frames apart, may embed and call your applications with the visitor's \
                 session: the applications must defend themselves against forged requests"
            }
        };
        warnings.add(&Place::of(["session", "cookie_same_site"]), text);
    }
}

fn connectors(warnings: &mut Warnings<'_>) {
    for (id, connector) in &warnings.config.connector {
        let place = Place::of(["connector", id.as_str()]);
        if !connector.link_by.is_empty() {
            let text = "whoever this source says has a person's number or address becomes that \
                        person: it must check both";
            warnings.add(&place.clone().key("link_by"), text);
        }
        shared_callback(warnings, &place, id, connector);
        for (below, text) in connector.kinds().flat_map(|kind| kind.warnings()) {
            warnings.add(&place.clone().join(below), text);
        }
    }
}

/// Two sources that return to one address: one of them may have codes of the other sent there as
/// answers to its own logins (RFC 9700 §4.4).
fn shared_callback<'a>(
    warnings: &mut Warnings<'a>,
    place: &Place<'a>,
    id: &ConnectorId,
    connector: &'a ConnectorConfig,
) {
    let Some(callback) = &connector.callback else {
        return;
    };
    let mut others = warnings.config.connector.iter();
    let other = others.find(|(other, it)| *other != id && it.callback.as_ref() == Some(callback));
    if let Some((other, _)) = other {
        let text = format!(
            "`{other}` returns there, too: a provider that turns hostile could get at codes of the \
             other, unless that names itself in its answers (RFC 9207); share an address only among \
             providers you trust"
        );
        warnings.add(&place.clone().key("callback"), text);
    }
}

fn routes(warnings: &mut Warnings<'_>) {
    if warnings.config.route.is_empty() {
        warnings.add(
            &Place::of(["route"]),
            "there is no [[route]]: every address answers 404",
        );
    }
    let routes = &warnings.config.route;
    // At the side of a proxy that asks, nothing is forwarded here.
    let only_asked = !warnings.config.server.trusted_proxies.is_empty()
        && routes.iter().all(|route| route.upstream.is_empty());
    for (at, route) in routes.iter().enumerate() {
        let place = Place::of(["route"]).item(at);
        if route.upstream.is_empty() && !only_asked {
            let text = "it has no upstream: whoever may take it finds nothing there, a 404";
            warnings.add(&place, text);
        }
        if route.preflight == Preflight::Pass && route.access != AccessConfig::Public {
            let text = "OPTIONS with Origin reach the application from anybody, without identity";
            warnings.add(&place.clone().key("preflight"), text);
        }
        public_paths::warn(warnings, &place, route);
        if !route.pass_headers.is_empty() {
            let text = "clients can say this themselves; some frameworks let it override the \
                        path or method that was judged";
            warnings.add(&place.clone().key("pass_headers"), text);
        }
        tokens_in_plain_http(warnings, &place, route);
        if route.upstream_tls.as_ref().is_some_and(|tls| !tls.verify) {
            let text = "whoever is on the way can answer as the application, and read and change \
                        everything: name its authority or its own certificate in `ca` instead";
            let place = place.clone().key("upstream_tls").key("verify");
            warnings.add(&place, text);
        }
        if route.case_insensitive == Some(true) {
            let text = "paths are compared without case; that is right only if the application \
                        does so, too";
            warnings.add(&place.clone().key("case_insensitive"), text);
        }
        path_case::capitals_in_rule(warnings, &place, route);
        if shares_its_audience(warnings.config, at) {
            let text = "another application on this host gets assertions for the same audience, \
                        and each may use them at the other: add an audience to both";
            warnings.add(&place.clone().key("assertion"), text);
        }
        if !route.acr_values.is_empty() && !reports_acr(warnings.config, route) {
            let text = "none of the connectors that count here says how somebody proved \
                        themselves: nobody ever passes";
            warnings.add(&place.clone().key("acr_values"), text);
        }
        let nobody = warnings.config.connector.is_empty() && route.issuers.is_empty();
        if route.access == AccessConfig::Rule && nobody {
            let text = "nobody can sign in: the rule only ever sees nobody";
            warnings.add(&place.key("access"), text);
        }
    }
}

/// The provider's tokens on the way to an application.
fn tokens_in_plain_http<'a>(warnings: &mut Warnings<'a>, place: &Place<'a>, route: &RouteConfig) {
    let plain = |upstream: &UpstreamUrl| match upstream {
        UpstreamUrl::Tcp { tls, host, .. } => {
            let url = Url::parse(&format!("http://{host}/"));
            !tls && !url.is_ok_and(|url| is_loopback(&url))
        }
        UpstreamUrl::Unix(_) => false,
    };
    if route.upstream.iter().any(plain) {
        let text = "the provider's tokens travel to the application in plain http: whoever is \
                    on the way can use them";
        let keys = [
            ("pass_access_token", route.pass_access_token),
            ("pass_id_token", route.pass_id_token),
        ];
        for (key, _) in keys.iter().filter(|(_, passes)| *passes) {
            warnings.add(&place.clone().key(key), text);
        }
    }
}

fn wildcard_hosts(warnings: &mut Warnings<'_>) {
    for (at, route) in warnings.config.route.iter().enumerate() {
        if sends_sessions_to_wildcard(warnings.config, route) {
            let text = "whoever has a name below it in the DNS has an address of this site: people \
                        are asked before their session goes there; name the hosts, or set \
                        [session] cookie_domain where all of them are yours";
            warnings.add(&Place::of(["route"]).item(at).key("host"), text);
        }
    }
}

/// Whether people's sessions go to hosts that only the DNS names.
fn sends_sessions_to_wildcard(config: &Config, route: &RouteConfig) -> bool {
    let HostPattern::Wildcard { suffix, .. } = &route.host else {
        return false;
    };
    let domain = config.session.cookie_domain.as_deref();
    let covered = domain.and_then(|domain| suffix.strip_suffix(domain));
    let covered = covered.is_some_and(|rest| rest.ends_with('.'));
    route.access != AccessConfig::Public && !config.connector.is_empty() && !covered
}

/// Whether an assertion for the host of this route is one for another application, too.
fn shares_its_audience(config: &Config, at: usize) -> bool {
    let by_host = |route: &RouteConfig| route.assertion && route.audience.is_none();
    let this = &config.route[at];
    let same = |other: &RouteConfig| {
        by_host(other)
            && host_without_port(&other.host) == host_without_port(&this.host)
            && other.upstream != this.upstream
    };
    by_host(this) && config.route.iter().any(same)
}

/// A host pattern without its port, as an audience has none.
fn host_without_port(host: &HostPattern) -> (bool, &str) {
    match host {
        HostPattern::Any { .. } => (false, ""),
        HostPattern::Exact { name, .. } => (false, name),
        HostPattern::Wildcard { suffix, .. } => (true, suffix),
    }
}

fn reports_acr(config: &Config, route: &RouteConfig) -> bool {
    let counts = |id| route.connectors.is_empty() || route.connectors.contains(id);
    let mut connectors = config.connector.iter().filter(|(id, _)| counts(id));
    connectors.any(|(_, connector)| {
        connector
            .kind()
            .is_ok_and(|kind| kind.features().reports_acr)
    })
}
