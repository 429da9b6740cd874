//! `Site`: what is built from one configuration. It is immutable; a reload replaces it as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::clock::Clock;
use crate::expression::{Expression, Scope};
use crate::keys::{self, KeyRing};
use crate::login::connector::ConnectorConfig;
use crate::login::return_to::Destinations;
use crate::login::{self, ConnectorEntry, Login};
use crate::outbound::Reach;
use crate::people::People;
use crate::people::audit_log::AuditLog;
use crate::people::cookie::CookieSettings;
use crate::people::session::{SessionConfig, SessionTimeouts, Sessions};
use crate::request::explain::ExplainContext;
use crate::request::forward::Forwarder;
use crate::request::gate::Gate;
use crate::request::head::{Head, OriginalHeader, ParseOptions, Trust};
use crate::request::headers::{self, AssertionSigner, ProtectedHeaders, RewriteOptions};
use crate::request::route::{OwnPaths, Routes};
use crate::store::{ConnectorId, Store};
use crate::telemetry::{LogLimiter, Telemetry};

mod config;
mod console;
mod degradation;
mod error;
mod gate;
mod key_ring;
pub mod live;
mod pages;
mod routes;
pub mod settings;

pub use config::Config;
pub use console::{CONSOLE_PATH, Console, ConsoleConfig};
pub use degradation::Degradation;
pub use error::BuildError;
pub use key_ring::build_key_ring;
pub use pages::{
    Background, Color, Help, HelpLine, Home, InvalidColor, InvalidHelp, LOGO_BYTES_MAX, Logo,
    LogoError, Pages, PagesConfig, Palette,
};
use settings::Settings;

/// The services that are kept across reloads.
#[derive(Clone, Debug)]
pub struct Services {
    /// The database. Faces use it through `people` and `sessions`.
    pub store: Arc<dyn Store>,
    pub sessions: Arc<Sessions>,
    pub people: People,
    /// The audit trail in the store.
    pub audit: Arc<AuditLog>,
    pub clock: Clock,
    pub telemetry: Telemetry,
}

/// What is built from one [`Config`].
#[derive(Debug)]
pub struct Site {
    /// The scheme, host and port of menshen as browsers see them.
    pub external_url: Url,
    /// The prefix of menshen's own paths, such as `/.menshen`.
    pub prefix: String,
    /// The proxies whose forwarding headers are trusted.
    pub trust: Arc<Trust>,
    /// The files that prove the ownership of a domain: content by path.
    pub verification_files: BTreeMap<String, String>,
    /// The origins of separate front ends that may start a login.
    pub origins: Vec<url::Origin>,
    /// The origins whose pages may embed the sign-in page in a frame; empty: all.
    pub frame_ancestors: Vec<String>,
    /// Whether people may sign in inside a frame of another site. Never if applications share the
    /// origin of `external_url`, because their scripts could click the button in the tab and read
    /// its ticket.
    pub allows_framed_sign_in: bool,
    pub cookies: CookieSettings,
    /// How long an access token lasts at most.
    pub access_token_max: Duration,
    /// Whether a route serves the login host, so that scripts of an application are of the origin of
    /// menshen's pages.
    pub serves_login_host: bool,
    pub ring: Arc<KeyRing>,
    pub routes: Routes,
    /// Identifies the caller of a request.
    pub gate: Gate,
    /// Signs identity assertions for applications.
    pub assertion_signer: Arc<AssertionSigner>,
    pub protected_headers: ProtectedHeaders,
    pub forwarder: Forwarder,
    pub login: Login,
    /// The web console; absent: none.
    pub console: Option<Console>,
    /// How the pages for people look.
    pub pages: Pages,
    /// How long sessions of people last.
    pub session_timeouts: SessionTimeouts,
    /// The header from which `/auth` reads the original URI.
    pub original_uri_header: OriginalHeader,
    /// The settings from which it is built: those of the file and the managed ones.
    pub settings: Arc<Settings>,
    /// Limits the warnings that one request of a client or a proxy can cause.
    pub request_warnings: LogLimiter,
    /// Limits the warning that a trusted proxy sends forwarding headers that cannot be parsed.
    pub forwarding_header_warnings: LogLimiter,
}

impl Site {
    /// Builds a site from a file alone. Pools, connectors and limits with unchanged settings are taken over
    /// from `previous`. Reads secrets and files; opens no socket and contacts no provider.
    pub async fn build(
        config: &Config,
        services: &Services,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let ring = Arc::new(build_key_ring(config, &*services.store, previous).await?);
        let settings = Settings::of_file(config.clone());
        Self::build_from(settings, ring, services, previous).await
    }

    /// Builds a site from a file and the newest managed settings of the store. A managed connector that cannot
    /// be built is left out: [`Settings::problem`].
    pub async fn build_with_managed(
        config: &Config,
        services: &Services,
    ) -> Result<Self, BuildError> {
        live::load(config, services, None).await
    }

    /// Builds a site from all settings, as [`Self::build`] does.
    async fn build_from(
        settings: Settings,
        ring: Arc<KeyRing>,
        services: &Services,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        keys::install_crypto();
        let config = settings.config();
        let assertion_signer = AssertionSigner::new(
            &config.external_url,
            &ring,
            previous.map(|site| &site.assertion_signer),
        );
        let (routes, pools) = routes::build(config, &services.telemetry)?;
        let files = config.verification_files.keys().map(String::as_str);
        let routes = Routes::new(routes, OwnPaths::new(&config.prefix, files));
        let forwarder = Forwarder::build(pools, previous.map(|site| &site.forwarder))
            .map_err(BuildError::Forward)?;
        let timeouts = SessionTimeouts {
            lifetime: config.session.lifetime.duration(),
            idle_timeout: config.session.idle_timeout.duration(),
        };
        let deps = login_deps(config, services, &ring, timeouts);
        let previous_login = previous.map(|site| &site.login);
        let login = Login::build(&config.connectors, &config.login, &deps, previous_login)
            .map_err(BuildError::Login)?;
        let gate = gate::build(config, services, (&ring, timeouts), &login, previous)?;
        let cookies = CookieSettings::new(
            &config.session.cookie_name,
            config.external_url.scheme() == "https",
            config.session.cookie_domain.clone(),
            config.session.cookie_same_site,
        );
        let console = config.console.as_ref().map(Console::build).transpose();
        let pages = Pages::build(config).map_err(BuildError::Logo)?;
        let origins: Vec<_> = config.login.origins.iter().map(Url::origin).collect();
        let login_url = &config.external_url;
        let serves_login_host = serves_host_of(&routes, login_url);
        let serves_login_origin = serves_login_host || origins.contains(&login_url.origin());
        Ok(Self {
            external_url: config.external_url.clone(),
            prefix: config.prefix.clone(),
            trust: Arc::new(config.trust.clone()),
            verification_files: config.verification_files.clone(),
            allows_framed_sign_in: cookies.allow_embedding() && !serves_login_origin,
            serves_login_host,
            origins,
            frame_ancestors: frame_ancestors(&config.session),
            cookies,
            access_token_max: config.session.access_token_max.duration(),
            gate,
            protected_headers: ProtectedHeaders::new(
                routes.all(),
                &config.session.cookie_name,
                &ring,
            ),
            ring,
            assertion_signer,
            routes,
            forwarder,
            login,
            console: console.map_err(BuildError::Console)?,
            pages,
            session_timeouts: timeouts,
            original_uri_header: config.original_uri_header,
            settings: Arc::new(settings),
            request_warnings: LogLimiter::default(),
            forwarding_header_warnings: LogLimiter::default(),
        })
    }

    /// Builds a connector to try its settings; nobody signs in with it.
    pub fn build_draft(
        &self,
        id: &ConnectorId,
        connector: &ConnectorConfig,
        reach: Reach,
        services: &Services,
    ) -> Result<ConnectorEntry, login::BuildError> {
        let config = self.settings.config();
        let deps = login_deps(config, services, &self.ring, self.gate.timeouts);
        Login::build_draft(id, connector, reach, &deps)
    }

    /// What [`crate::request::explain`] needs of the site.
    pub fn explain_context(&self) -> ExplainContext<'_> {
        ExplainContext {
            routes: &self.routes,
            gate: &self.gate,
            forwarder: &self.forwarder,
            parse_options: self.parse_options(),
            rewrite_options: self.rewrite_options(),
        }
    }

    /// How request heads are parsed.
    pub fn parse_options(&self) -> ParseOptions<'_> {
        ParseOptions {
            trust: &self.trust,
            external_url: &self.external_url,
            session_cookie_name: self.cookies.session_name(),
            ring: &self.ring,
        }
    }

    /// How requests to upstreams are written.
    pub fn rewrite_options(&self) -> RewriteOptions<'_> {
        RewriteOptions {
            protected_headers: &self.protected_headers,
            assertion_signer: &self.assertion_signer,
        }
    }

    /// Whether any route has `keep_header_case`.
    pub fn keeps_header_case(&self) -> bool {
        self.routes.all().iter().any(|route| route.keep_header_case)
    }

    /// Whether a request is addressed to the host of `external_url`, where people log in.
    pub fn is_login_host(&self, head: &Head<'_>) -> bool {
        self.external_url.host_str() == Some(head.host.as_str())
            && self.external_url.port_or_known_default() == Some(head.effective_port())
    }

    /// Whether a route names this host without a wildcard. A session is transferred to another host
    /// only after the person confirms it.
    pub fn has_exact_route_for(&self, origin: &Url) -> bool {
        let (Some(host), Some(port), Some(default_port)) =
            host_and_ports(origin, &self.external_url)
        else {
            return false;
        };
        self.routes.names_host_exactly(host, port, default_port)
    }

    /// Whether browsers send the session cookie of the login host to this host, too.
    pub fn session_cookie_reaches(&self, host: &str) -> bool {
        self.cookies.covers(host)
    }
}

impl Destinations for Site {
    fn serves(&self, origin: &Url, path: &str) -> bool {
        let (Some(host), Some(port), Some(default_port)) =
            host_and_ports(origin, &self.external_url)
        else {
            return false;
        };
        let console = self.console.as_ref();
        console.is_some_and(|console| console.has_page(origin, path))
            || origin.scheme() == self.external_url.scheme()
                && self.routes.names_host(host, port, default_port)
    }

    fn login_url(&self) -> &Url {
        &self.external_url
    }

    fn may_be_own_path(&self, path: &str) -> bool {
        // After a login a person may return to these own pages.
        let below_prefix = path.strip_prefix(&*self.prefix);
        let is_own_page = below_prefix.is_some_and(|below_prefix| {
            let connector = below_prefix.strip_prefix("/password/");
            let connector = connector.and_then(|rest| rest.strip_suffix("/change"));
            below_prefix == "/tokens"
                || connector.is_some_and(|id| id.parse::<ConnectorId>().is_ok())
        });
        !is_own_page && self.routes.own_paths().may_include(path)
    }
}

fn frame_ancestors(config: &SessionConfig) -> Vec<String> {
    let origins = config.frame_ancestors.iter().map(Url::origin);
    origins.map(|origin| origin.ascii_serialization()).collect()
}

/// Whether a route serves the host of this URL.
fn serves_host_of(routes: &Routes, url: &Url) -> bool {
    let mut all = routes.all().iter();
    all.any(|route| route.host.serves_url(url))
}

/// What the logins of a site depend on.
fn login_deps<'a>(
    config: &'a Config,
    services: &'a Services,
    ring: &'a Arc<KeyRing>,
    timeouts: SessionTimeouts,
) -> login::Deps<'a> {
    login::Deps {
        external_url: &config.external_url,
        prefix: &config.prefix,
        ring,
        sessions: &services.sessions,
        people: &services.people,
        timeouts,
        clock: &services.clock,
        telemetry: &services.telemetry,
        of_file: config.file.connectors.keys().cloned().collect(),
        reach_of_managed: config.managed.reach(),
    }
}

/// The host and port of an origin, and the default port of route patterns.
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

/// Parses the name of a header that an expression may set.
fn settable_header(route: &str, name: &str) -> Result<HeaderName, BuildError> {
    let unsettable = || BuildError::Header {
        route: route.to_owned(),
        header: name.to_owned(),
    };
    let header = HeaderName::try_from(name).map_err(|_| unsettable())?;
    if headers::is_reserved(&header) {
        Err(unsettable())
    } else {
        Ok(header)
    }
}

fn compile(route: &str, key: &str, source: &str) -> Result<Expression, BuildError> {
    Expression::compile(source, Scope::Rule).map_err(|source| BuildError::Expression {
        route: route.to_owned(),
        key: key.to_owned(),
        source,
    })
}
