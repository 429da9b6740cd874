//! `Site`: one configuration, built. Immutable; replaced whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::clock::Clock;
use crate::expression::{CompileError, Expression, Scope};
use crate::keys::{self, KeyError, KeyRing};
use crate::login::config::LoginConfig;
use crate::login::connector::ConnectorConfig;
use crate::login::return_to::Destinations;
use crate::login::{self, Login};
use crate::people::People;
use crate::people::cookie::CookieSettings;
use crate::people::session::{
    RefreshTimeouts, Refresher, SessionConfig, SessionTimeouts, Sessions,
};
use crate::people::token_sessions::TokenSessions;
use crate::request::bearer::{self, BearerTokens, IssuerConfig, IssuerId};
use crate::request::explain::ExplainContext;
use crate::request::forward::{self, Forwarder};
use crate::request::gate::Gate;
use crate::request::head::{Head, OriginalHeader, ParseOptions, Trust};
use crate::request::headers::{self, AssertionSigner, Namespace, RewriteOptions};
use crate::request::route::{OwnPaths, RouteConfig, Routes};
use crate::secret::SecretError;
use crate::store::{ConnectorId, Store, StoreError};
use crate::telemetry::{LogLimiter, Telemetry};

pub mod live;
mod routes;

/// What a site is built from: the parts of a configuration that may change without a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What browsers type: scheme, host and port, nothing else.
    pub external_url: Url,
    /// What our own paths begin with, as `/.menshen`.
    pub prefix: String,
    /// Whose forwarding headers count.
    pub trust: Trust,
    /// Where `/auth` reads the original URI.
    pub original: OriginalHeader,
    /// Path and content of files for proof of a domain's ownership.
    pub files: BTreeMap<String, String>,
    /// `[session]`.
    pub session: SessionConfig,
    /// `[login]`.
    pub login: LoginConfig,
    /// `[connector.ID]`.
    pub connectors: BTreeMap<ConnectorId, ConnectorConfig>,
    /// `[issuer.NAME]`.
    pub issuers: BTreeMap<IssuerId, IssuerConfig>,
    /// `[[route]]`.
    pub routes: Vec<RouteConfig>,
    /// How many percent of an upstream's requests one client address may have.
    pub upstream_share: u8,
    /// How many percent of them people whom nobody knows may have together.
    pub upstream_share_anonymous: u8,
    /// From when on an answer or an upload is judged again.
    pub recheck_after: Duration,
}

/// What outlives every site.
#[derive(Clone, Debug)]
pub struct Services {
    /// The database. Faces do not ask it, they ask `people` and `sessions`.
    pub store: Arc<dyn Store>,
    /// Who is here.
    pub sessions: Arc<Sessions>,
    /// The accounts.
    pub people: People,
    /// The time.
    pub clock: Clock,
    /// What is told to the outside.
    pub telemetry: Telemetry,
}

/// One configuration, built.
#[derive(Debug)]
pub struct Site {
    /// What browsers type.
    pub external_url: Url,
    /// What our own paths begin with, as `/.menshen`.
    pub prefix: String,
    /// Whose forwarding headers count.
    pub trust: Arc<Trust>,
    /// Files for proof of a domain's ownership.
    pub files: BTreeMap<String, String>,
    /// Origins of own front ends.
    pub origins: Vec<url::Origin>,
    /// The origins whose pages may show the page that signs in inside a frame; empty: all.
    pub frame_ancestors: Vec<String>,
    /// Whether people sign in inside another site's frame. Not where applications share the origin of
    /// `external_url`: their scripts could press the button of the tab, and read its ticket.
    pub allows_framed_sign_in: bool,
    /// The flags of the cookies.
    pub cookies: CookieSettings,
    /// The keys.
    pub ring: Arc<KeyRing>,
    /// Every way through the house.
    pub routes: Routes,
    /// Who is asking.
    pub gate: Gate,
    /// Who signs assertions.
    pub assertion_signer: Arc<AssertionSigner>,
    /// The header names that are ours.
    pub namespace: Namespace,
    /// The ways to the upstreams.
    pub forwarder: Forwarder,
    /// Who logs people in.
    pub login: Login,
    /// Where `/auth` reads the original URI.
    pub original: OriginalHeader,
    /// Leave to complain of checks from peers whose word does not count.
    pub untrusted_peer_warnings: LogLimiter,
    /// Leave to complain of headers of trusted proxies that cannot be read.
    pub unreadable_header_warnings: LogLimiter,
}

/// Why a configuration could not be built. The old site stays.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A secret.
    #[error("{what}")]
    Secret {
        /// Whose.
        what: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// The key ring.
    #[error("[session] keys")]
    Keys(#[source] KeyError),
    /// The store was asked for the keys it keeps.
    #[error("read the session key")]
    Store(#[source] StoreError),
    /// A rule or header does not compile.
    #[error("route {route}: {what} does not compile")]
    Expression {
        /// Of which route.
        route: String,
        /// Which one.
        what: String,
        /// Why.
        #[source]
        source: CompileError,
    },
    /// A header's name is none.
    #[error("route {route}: `{header}` is not a header that can be set")]
    Header {
        /// Of which route.
        route: String,
        /// Which.
        header: String,
    },
    /// A file for the TLS to an upstream.
    #[error(
        "route {route}: read {}: it must exist and be readable by the user menshen runs as",
        path.display()
    )]
    UpstreamFile {
        /// Of which route.
        route: String,
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What is in such a file.
    #[error("route {route}: upstream_tls")]
    UpstreamTls {
        /// Of which route.
        route: String,
        /// What is wrong with it.
        #[source]
        source: forward::TlsMaterialError,
    },
    /// A connector.
    #[error("build the logins")]
    Login(#[source] login::BuildError),
    /// An issuer of bearer tokens.
    #[error("build the issuers")]
    Bearer(#[source] bearer::BuildError),
    /// The ways to the upstreams.
    #[error("build the ways to the upstreams")]
    Forward(#[source] forward::BuildError),
}

impl Site {
    /// Builds a site; pools, connectors and limits whose settings did not change are taken over
    /// from `previous`. Reads secrets, binds nothing, asks no provider.
    pub async fn build(
        config: &Config,
        services: &Services,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        keys::install_crypto();
        let ring = Arc::new(build_key_ring(config, services, previous).await?);
        let assertion_signer = AssertionSigner::new(
            &config.external_url,
            &ring,
            previous.map(|site| &site.assertion_signer),
        );
        let (routes, pools) = routes::build(config)?;
        let files = config.files.keys().map(String::as_str);
        let routes = Routes::new(routes, OwnPaths::new(&config.prefix, files));
        let forwarder = Forwarder::build(pools, previous.map(|site| &site.forwarder))
            .map_err(BuildError::Forward)?;
        let terms = SessionTimeouts {
            lifetime: config.session.lifetime.duration(),
            idle_timeout: config.session.idle_timeout.duration(),
        };
        let deps = login::Deps {
            external_url: &config.external_url,
            prefix: &config.prefix,
            ring: &ring,
            sessions: &services.sessions,
            people: &services.people,
            terms,
            clock: &services.clock,
        };
        let previous_login = previous.map(|site| &site.login);
        let login = Login::build(&config.connectors, &config.login, &deps, previous_login)
            .map_err(BuildError::Login)?;
        let gate = build_gate(config, services, (&ring, terms), &login, previous)?;
        let cookies = CookieSettings::new(
            &config.session.cookie_name,
            config.external_url.scheme() == "https",
            config.session.cookie_domain.clone(),
            config.session.cookie_same_site,
        );
        let origins: Vec<_> = config.login.origins.iter().map(Url::origin).collect();
        let home = &config.external_url;
        let serves_login_origin = routes.all().iter().any(|route| route.host.serves_url(home))
            || origins.contains(&home.origin());
        Ok(Self {
            external_url: config.external_url.clone(),
            prefix: config.prefix.clone(),
            trust: Arc::new(config.trust.clone()),
            files: config.files.clone(),
            allows_framed_sign_in: cookies.allow_embedding() && !serves_login_origin,
            origins,
            frame_ancestors: config
                .session
                .frame_ancestors
                .iter()
                .map(|url| url.origin().ascii_serialization())
                .collect(),
            cookies,
            gate,
            namespace: Namespace::new(routes.all(), &config.session.cookie_name, &ring),
            ring,
            assertion_signer,
            routes,
            forwarder,
            login,
            original: config.original,
            untrusted_peer_warnings: LogLimiter::default(),
            unreadable_header_warnings: LogLimiter::default(),
        })
    }

    /// What decides about requests, for whoever asks why.
    pub fn decision_parts(&self) -> ExplainContext<'_> {
        ExplainContext {
            routes: &self.routes,
            gate: &self.gate,
            forwarder: &self.forwarder,
            parse_options: self.parse_options(),
            rewrite_options: self.rewrite_options(),
        }
    }

    /// How requests are read.
    pub fn parse_options(&self) -> ParseOptions<'_> {
        ParseOptions {
            trust: &self.trust,
            external_url: &self.external_url,
            cookie: self.cookies.session_name(),
            ring: &self.ring,
        }
    }

    /// How requests to upstreams are written.
    pub fn rewrite_options(&self) -> RewriteOptions<'_> {
        RewriteOptions {
            namespace: &self.namespace,
            assertion_signer: &self.assertion_signer,
        }
    }

    /// Whether some route keeps the case of header names.
    pub fn keeps_header_case(&self) -> bool {
        self.routes.all().iter().any(|route| route.keep_header_case)
    }

    /// Whether a request came to the host that logs people in.
    pub fn is_login_host(&self, head: &Head<'_>) -> bool {
        self.external_url.host_str() == Some(head.host.as_str())
            && self.external_url.port_or_known_default() == Some(head.effective_port())
    }

    /// Whether the configuration itself names this host. A session is brought to another one only
    /// when its person says so.
    pub fn has_exact_route_for(&self, origin: &Url) -> bool {
        let (Some(host), Some(port), Some(own_port)) = host_and_ports(origin, &self.external_url)
        else {
            return false;
        };
        self.routes.names_host_exactly(host, port, own_port)
    }

    /// Whether the session cookie of the host that logs people in reaches this host, too.
    pub fn session_cookie_reaches(&self, host: &str) -> bool {
        self.cookies.covers(host)
    }
}

impl Destinations for Site {
    fn serves(&self, origin: &Url) -> bool {
        let (Some(host), Some(port), Some(own_port)) = host_and_ports(origin, &self.external_url)
        else {
            return false;
        };
        origin.scheme() == self.external_url.scheme()
            && self.routes.names_host(host, port, own_port)
    }

    fn home(&self) -> &Url {
        &self.external_url
    }

    fn is_own_path(&self, path: &str) -> bool {
        self.routes.own().may_include(path)
    }
}

/// What callers are known by.
fn build_gate(
    config: &Config,
    services: &Services,
    (ring, terms): (&Arc<KeyRing>, SessionTimeouts),
    login: &Login,
    previous: Option<&Site>,
) -> Result<Gate, BuildError> {
    let token_sessions = Arc::new(TokenSessions::new(
        login.token_sessions(),
        &services.people,
        ring,
        &services.clock,
        &services.telemetry,
    ));
    let bearers = BearerTokens::build(
        &config.issuers,
        &services.clock,
        &services.telemetry,
        &token_sessions,
        previous.map(|site| &site.gate.bearers),
    );
    Ok(Gate {
        sessions: Arc::clone(&services.sessions),
        refresher: Refresher::new(
            Arc::clone(&services.sessions),
            Arc::clone(ring),
            services.telemetry.clone(),
            login.sources(),
            RefreshTimeouts::default(),
        ),
        ring: Arc::clone(ring),
        terms,
        connectors: config.connectors.keys().cloned().collect(),
        bearers: bearers.map_err(BuildError::Bearer)?,
        conflict_log: LogLimiter::default(),
    })
}

/// The host and port of an origin, and the port of patterns that name none.
fn host_and_ports<'a>(
    origin: &'a Url,
    external_url: &Url,
) -> (Option<&'a str>, Option<u16>, Option<u16>) {
    (
        origin.host_str(),
        origin.port_or_known_default(),
        external_url.port_or_known_default(),
    )
}

async fn build_key_ring(
    config: &Config,
    services: &Services,
    previous: Option<&Site>,
) -> Result<KeyRing, BuildError> {
    let texts = if config.session.keys.is_empty() {
        services
            .store
            .load_or_create_keys(&keys::generate())
            .await
            .map_err(BuildError::Store)?
    } else {
        let read = config.session.keys.iter().enumerate().map(|(at, source)| {
            let what = || format!("[session] keys, number {}", at + 1);
            source.read().map_err(|source| BuildError::Secret {
                what: what(),
                source,
            })
        });
        read.collect::<Result<_, _>>()?
    };
    KeyRing::new(&texts, previous.map(|site| &*site.ring)).map_err(BuildError::Keys)
}

/// A header an expression may set.
fn settable_header(route: &str, name: &str) -> Result<HeaderName, BuildError> {
    let refused = || BuildError::Header {
        route: route.to_owned(),
        header: name.to_owned(),
    };
    let header = HeaderName::try_from(name).map_err(|_| refused())?;
    if headers::is_reserved(&header) {
        Err(refused())
    } else {
        Ok(header)
    }
}

fn compile(route: &str, what: &str, source: &str) -> Result<Expression, BuildError> {
    Expression::compile(source, Scope::Rule).map_err(|source| BuildError::Expression {
        route: route.to_owned(),
        what: what.to_owned(),
        source,
    })
}
