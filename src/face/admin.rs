//! The administrator's listener: metrics, health, the admin API and the web console.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::clock::Clock;
use crate::people::session::Sessions;
use crate::request::console::ConsoleRight;
use crate::request::head::{Connection, HeadError, Peer};
use crate::request::{Body, BodyError, target};
use crate::secret::SecretSource;
use crate::site::live::LiveSite;
use crate::site::settings::Means;
use crate::telemetry::{AuditEvent, AuditRecord, Telemetry};
use crate::text;
use crate::wording::Text;

mod api;
mod audit_download;
mod console;
mod device;
mod health;
mod hengshi;
mod host_check;
mod json;
mod readiness;
mod response;
mod token_guesses;
mod tokens;
mod who;

pub use api::COMMAND_USER_AGENT;
use api::{Api, ApiState};
use console::ApiVisitor;
pub use console::Console;
pub use health::Health;
use hengshi::{Hengshi, Refusal};
pub use host_check::AdminHost;
pub use readiness::Readiness;
use readiness::ReadinessReport;
use response::{
    json_response, not_allowed, not_found, problem, same_origin_text, too_many, unauthorized,
};
use token_guesses::{TokenGuesses, TokenRefused};
use tokens::{AdminRights, AdminToken, AdminTokens};
pub use tokens::{AdminTokenConfig, AdminTokenError, AdminTokenName, UNNAMED_TOKEN};

/// How the audit trail begins the reason of a request of an API without a right token.
const REFUSED_BY_API: &str = "the admin API: ";

/// The media type of the OpenMetrics format.
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `[admin]`: metrics, health and the admin API, on their own listener.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// The address of the listener: `127.0.0.1:9180`, or a `unix:` path. Keep it off public networks.
    pub listen: String,
    /// A bearer token of the API that may do everything, read at the start only; the audit log names it
    /// `token:admin`. Without it and without `tokens`: health and metrics only.
    #[serde(default)]
    pub token: Option<SecretSource>,
    /// Host names that requests to this listener may use besides IP addresses and `localhost`, such as
    /// `"menshen.monitoring.svc"`. Other names are refused against DNS rebinding. A `unix:` path
    /// accepts every name.
    #[serde(default)]
    pub hosts: Vec<AdminHost>,
    /// More tokens of the API, each with a name and its rights.
    #[serde(default)]
    pub tokens: Vec<AdminTokenConfig>,
    /// How many requests with a wrong token, or without one, a client address may send to the API in a
    /// minute. Beyond that all its requests to the API are refused for a while, also with a right token. A
    /// `unix:` path has no limit.
    #[serde(default = "wrong_tokens_default")]
    pub wrong_tokens_per_client_per_minute: u32,
}

const fn wrong_tokens_default() -> u32 {
    60
}

/// Handles requests on the administrator's listener.
pub struct Admin {
    /// The accepted host names; `None` on a unix socket, which no browser can reach.
    hosts: Option<Vec<AdminHost>>,
    tokens: AdminTokens,
    guesses: TokenGuesses,
    api: Api,
    hengshi: Hengshi,
    sessions: Arc<Sessions>,
    telemetry: Telemetry,
    readiness: Arc<Readiness>,
    /// The web console, unless it has a listener of its own.
    console: Option<Arc<Console>>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl Admin {
    pub fn new(
        config: &AdminConfig,
        live: Arc<LiveSite>,
        readiness: Arc<Readiness>,
        console: Option<Arc<Console>>,
    ) -> Result<Self, AdminTokenError> {
        let tokens = AdminTokens::read(config)?;
        let services = live.services();
        let (sessions, people) = (Arc::clone(&services.sessions), services.people.clone());
        let telemetry = services.telemetry.clone();
        let state = Arc::new(ApiState {
            sessions: Arc::clone(&sessions),
            people,
            telemetry: telemetry.clone(),
            live: Arc::clone(&live),
        });
        let (hengshi, description) = Hengshi::new(Arc::clone(&state));
        let api = Api::new(state, description);
        let on_unix = config.listen.starts_with("unix:");
        Ok(Self {
            hosts: (!on_unix).then(|| config.hosts.clone()),
            tokens,
            guesses: TokenGuesses::new(config.wrong_tokens_per_client_per_minute),
            api,
            hengshi,
            sessions,
            telemetry,
            readiness,
            console,
        })
    }

    /// Answers one request. A GET request changes nothing; only `/readyz` and the console write a row, to
    /// probe the store.
    pub async fn handle<B>(&self, request: Request<B>, connection: &Connection) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        if target::is_refused(request.uri()) {
            return problem(StatusCode::BAD_REQUEST, &Text::of(&HeadError::Target));
        }
        if let Some(console) = self
            .console
            .as_ref()
            .filter(|_| Console::has(request.uri().path()))
        {
            return Box::pin(console.handle(request, connection)).await;
        }
        let client = match connection.peer {
            Peer::Ip(address) => Some(address),
            // Its permissions say who may connect.
            Peer::Unix => None,
        };
        let path = request.uri().path().to_owned();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let is_hengshi = Hengshi::serves(&path);
        let is_probe_without_host =
            matches!(path.as_str(), "/healthz" | "/readyz") && host_check::has_no_host(&request);
        let hosts = self.hosts.as_deref().filter(|_| !is_probe_without_host);
        if let Some(refusal) = self.refuse_origin(&request, hosts, is_read, is_hengshi) {
            return refusal;
        }
        match path.as_str() {
            "/metrics" | "/healthz" | "/readyz" if !is_read => not_allowed("GET, HEAD"),
            "/metrics" => self.metrics(),
            "/healthz" => same_origin_text(
                StatusCode::OK,
                "text/plain; charset=utf-8",
                "ok\n".to_owned(),
            ),
            "/readyz" => {
                let is_administrator = self.is_administrator(request.headers(), client);
                self.readiness(is_administrator).await
            }
            _ if self.tokens.is_empty() && !(is_hengshi && self.console.is_some()) => not_found(),
            _ if is_hengshi => Box::pin(self.answer_hengshi(request, connection, client)).await,
            api::DESCRIPTION_PATH if !is_read => not_allowed("GET, HEAD"),
            api::DESCRIPTION_PATH => self.api.description(),
            path if path.starts_with("/api/") => {
                match self.guesses.find(&self.tokens, request.headers(), client) {
                    Ok(token) => self.api.answer(token, client, request).await,
                    Err(refused) => {
                        self.note_refused(refused, request.headers(), client);
                        match refused {
                            TokenRefused::TooMany => too_many(),
                            TokenRefused::Missing | TokenRefused::Wrong => unauthorized(),
                        }
                    }
                }
            }
            _ => not_found(),
        }
    }

    /// Answers a request of HENGSHI's API, which carries a token or a session of the console.
    async fn answer_hengshi<B>(
        &self,
        request: Request<B>,
        connection: &Connection,
        client: Option<IpAddr>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let (parts, body) = request.into_parts();
        let visitor = match &self.console {
            Some(console) if !parts.headers.contains_key(AUTHORIZATION) => {
                console.api_visitor(&parts, connection).await
            }
            _ => ApiVisitor::Nobody,
        };
        let token = match visitor {
            ApiVisitor::Admitted { by, right } => Ok(AdminToken {
                name: by.into(),
                rights: match right {
                    ConsoleRight::Change => AdminRights::Full,
                    ConsoleRight::View => AdminRights::View,
                },
                means: Means::Console,
                client,
            }),
            ApiVisitor::Refused => Err(Refusal::not_admitted()),
            ApiVisitor::NoCsrfToken => Err(Refusal::no_csrf_token()),
            ApiVisitor::Unavailable => Err(Refusal::StoreAway),
            ApiVisitor::Nobody => {
                let found = self.guesses.find(&self.tokens, &parts.headers, client);
                found.cloned().map_err(|refused| {
                    self.note_refused(refused, &parts.headers, client);
                    match refused {
                        TokenRefused::TooMany => Refusal::TooManyTokens,
                        TokenRefused::Missing | TokenRefused::Wrong => Refusal::NoToken,
                    }
                })
            }
        };
        match token {
            Ok(token) => {
                let request = Request::from_parts(parts, body);
                self.hengshi.answer(&token, client, request).await
            }
            Err(refusal) => self.hengshi.refuse(&parts.headers, &refusal),
        }
    }

    /// The refusal of a request for another host, or by a page of another site.
    fn refuse_origin<B>(
        &self,
        request: &Request<B>,
        hosts: Option<&[AdminHost]>,
        is_read: bool,
        is_hengshi: bool,
    ) -> Option<Response<Body>> {
        let refuse = |refusal: &Refusal, detail: Text| match is_hengshi {
            true => self.hengshi.refuse(request.headers(), refusal),
            false => problem(StatusCode::FORBIDDEN, &detail),
        };
        if hosts.is_some_and(|hosts| !host_check::names_this_listener(request, hosts)) {
            let host = request.headers().get(HOST);
            tracing::warn!(
                ?host,
                "an admin request names an unknown host, so it is refused: add the host to [admin] hosts if it is yours"
            );
            let detail = Text::fixed(
                "use an IP address, localhost or a name in [admin] hosts",
                "请使用 IP 地址、localhost 或 [admin] hosts 中的名称",
            );
            return Some(refuse(&Refusal::other_host(), detail));
        }
        // The API of HENGSHI shows settings to no page of another site either.
        if (!is_read || is_hengshi) && host_check::is_cross_origin(request.headers()) {
            let detail = Text::fixed(
                "cross-origin requests cannot change anything",
                "跨源请求不能修改任何内容",
            );
            return Some(refuse(&Refusal::other_origin(), detail));
        }
        None
    }

    /// Records a request of an API without a right token.
    fn note_refused(&self, refused: TokenRefused, headers: &HeaderMap, client: Option<IpAddr>) {
        if refused == TokenRefused::TooMany {
            self.guesses.log_limit(client);
            return;
        }
        let user_agent = headers.get(USER_AGENT);
        let user_agent = user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let reason = text!("{REFUSED_BY_API}{refused}", "管理 API：{refused:#}");
        self.telemetry.audit_anonymous(&AuditRecord {
            client,
            user_agent,
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Refused, Clock::system().now())
        });
    }

    fn metrics(&self) -> Response<Body> {
        self.telemetry.set_sessions_cached(self.sessions.cached());
        same_origin_text(StatusCode::OK, OPEN_METRICS_TYPE, self.telemetry.render())
    }

    /// Whether a request carries a token that may read. A probe carries none.
    fn is_administrator(&self, headers: &HeaderMap, client: Option<IpAddr>) -> bool {
        if self.tokens.is_empty() || !headers.contains_key(AUTHORIZATION) {
            return false;
        }
        match self.guesses.find(&self.tokens, headers, client) {
            Ok(token) => !matches!(token.rights, AdminRights::Broker(_)),
            Err(refused) => {
                self.note_refused(refused, headers, client);
                false
            }
        }
    }

    /// An administrator learns why something is degraded.
    async fn readiness(&self, is_administrator: bool) -> Response<Body> {
        let ReadinessReport { reasons, degraded } = self.readiness.report().await;
        let degraded = degraded.into_iter().map(|one| match is_administrator {
            true => one.whole,
            false => one.short,
        });
        let degraded = degraded.collect();
        let english = |texts: Vec<Text>| -> Vec<_> { texts.iter().map(Text::to_string).collect() };
        let (reasons, degraded) = (english(reasons), english(degraded));
        let ready = reasons.is_empty();
        let status = match ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        json_response(
            status,
            &json!({ "ready": ready, "reasons": reasons, "degraded": degraded }),
        )
    }
}

#[cfg(test)]
mod tests;
