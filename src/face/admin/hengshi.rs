//! `/api/authentication-configs/…`: the API with which HENGSHI's ways to sign in are configured.
//!
//! The settings are those of the managed connectors: each kind of HENGSHI is one connector, whose fields
//! [`translate`] turns into the table `[connector.ID]` and back. `docs/hengshi-api.md` describes it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::response::Response as ApiResponse;
use bytes::Bytes;
use http::header::{ACCEPT_LANGUAGE, ALLOW};
use http::{HeaderMap, Method, Request, Response};
use tower_service::Service as _;
use utoipa::openapi::OpenApi;

use super::api::ApiState;
use super::tokens::{AdminRights, AdminToken};
use crate::face::page::Lang;
use crate::keys;
use crate::request::{Body, BodyError};
use crate::site::live::LiveSite;
use crate::site::settings::Author;
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

mod active_auth;
mod body;
mod dingtalk_sync;
mod envelope;
mod every_kind;
mod form;
mod generate_key;
mod handlers;
mod kind;
mod kinds;
mod mapping;
mod names;
mod nearest;
mod problem;
mod refusal;
mod refused;
mod resolve;
mod settings;
mod table;
mod translate;

use handlers::Outcome;
use kind::HengshiKind;
pub(super) use refusal::Refusal;
use refused::Refused;

/// The beginning of all paths.
const PREFIX: &str = "/api/authentication-configs/";

/// The paths beside those of the kinds.
const OTHER_PATHS: [&str; 4] = [
    "form-items",
    "active-auth",
    "dingtalk/sync",
    "jwt-param/generate-key",
];

/// Who sends a request.
#[derive(Clone, Debug)]
struct Caller {
    author: Author,
}

/// Answers the requests of HENGSHI's API.
pub(super) struct Hengshi {
    router: Router,
    live: Arc<LiveSite>,
}

impl Hengshi {
    /// Also returns the description of the paths.
    pub(super) fn new(state: Arc<ApiState>) -> (Self, OpenApi) {
        let live = Arc::clone(&state.live);
        let (router, description) = handlers::routes().split_for_parts();
        let router = router.with_state(state);
        (Self { router, live }, description)
    }

    /// Whether a path belongs to this API.
    pub(super) fn serves(path: &str) -> bool {
        path.starts_with(PREFIX) || path == PREFIX.trim_end_matches('/')
    }

    /// Answers a request with this token.
    pub(super) async fn answer<B>(
        &self,
        token: &AdminToken,
        client: Option<IpAddr>,
        request: Request<B>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let lang = lang_of(request.headers());
        let changed = changed_thing(&request);
        let result = match self.check(token, &request) {
            Err(refusal) => Err(refusal.into()),
            Ok(()) => self.run(token, client, request).await,
        };
        match result {
            Ok(success) => envelope::success(&self.version(), &success),
            Err(Refused {
                refusal,
                is_audited,
            }) => {
                if let Some(thing) = changed.filter(|_| !is_audited) {
                    self.audit_refused(thing, token, client, &refusal);
                }
                envelope::refused(&self.version(), lang, &refusal)
            }
        }
    }

    /// Notes a change that was refused before it was tried.
    fn audit_refused(
        &self,
        thing: &str,
        token: &AdminToken,
        client: Option<IpAddr>,
        refusal: &Refusal,
    ) {
        let problems = refusal.problems();
        let fields: Vec<_> = problems.iter().map(|problem| &*problem.field).collect();
        let (code, fields) = (refusal.code(), fields.join(", "));
        let fields = match fields.is_empty() {
            true => Text::default(),
            false => text!(": {fields}", "：{fields}"),
        };
        let reason = text!(
            "refused: PUT {thing} through HENGSHI's API: {code}{fields}",
            "被拒绝：通过衡石 API PUT {thing}：{code}{fields:#}"
        );
        let services = self.live.services();
        let record = AuditRecord {
            client,
            by: Some(&token.name),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Config, services.clock.now())
        };
        match token.rights {
            AdminRights::Full => services.telemetry.audit(&record),
            // At a limited rate, because a token that changes nothing must not fill the audit trail.
            AdminRights::View | AdminRights::Broker(_) => {
                services.telemetry.audit_anonymous(&record);
            }
        }
    }

    /// Refuses a request before its token is looked at.
    pub(super) fn refuse(&self, headers: &HeaderMap, refusal: &Refusal) -> Response<Body> {
        envelope::refused(&self.version(), lang_of(headers), refusal)
    }

    /// Checks the right of the token, and after it the path.
    fn check<B>(&self, token: &AdminToken, request: &Request<B>) -> Result<(), Refusal> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match &token.rights {
            AdminRights::Full => {}
            AdminRights::View if is_read => {}
            AdminRights::View | AdminRights::Broker(_) => return Err(Refusal::view_only()),
        }
        let path = request.uri().path();
        match known_path(path) {
            Some(_) => Ok(()),
            None => Err(Refusal::NotFound),
        }
    }

    async fn run<B>(
        &self,
        token: &AdminToken,
        client: Option<IpAddr>,
        request: Request<B>,
    ) -> Result<envelope::Success, Refused>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let mut request = request.map(axum::body::Body::new);
        let author = Author {
            name: token.name.to_string(),
            means: token.means,
            client,
        };
        request.extensions_mut().insert(Caller { author });
        let answer: Result<ApiResponse, Infallible> = self.router.clone().call(request).await;
        let Ok(mut answer) = answer;
        if let Some(Outcome(result)) = answer.extensions_mut().remove::<Outcome>() {
            return result;
        }
        // The router knows the path, so the method is wrong.
        let allowed = answer.headers().get(ALLOW);
        let allowed = allowed.and_then(|methods| methods.to_str().ok());
        let refusal = match allowed {
            Some(allowed) => Refusal::Method {
                allowed: allowed.replace(',', ", "),
            },
            None => Refusal::NotFound,
        };
        Err(refusal.into())
    }

    /// The version of menshen, and a hash that changes with its settings.
    fn version(&self) -> String {
        let settings = self.live.settings().version().to_be_bytes();
        let hash = keys::fingerprint(&[b"settings", &settings]);
        let hash: String = hash
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("menshen@{}#{hash}", env!("CARGO_PKG_VERSION"))
    }
}

/// What follows [`PREFIX`] in a path that exists.
fn known_path(path: &str) -> Option<&'static str> {
    let rest = path.strip_prefix(PREFIX)?;
    let other = OTHER_PATHS.into_iter().find(|other| *other == rest);
    other.or_else(|| HengshiKind::of_id(rest).map(HengshiKind::id))
}

/// What a request is to change.
fn changed_thing<B>(request: &Request<B>) -> Option<&'static str> {
    let thing = known_path(request.uri().path()).filter(|_| request.method() == Method::PUT)?;
    let is_changeable = !matches!(thing, "form-items" | "jwt-param/generate-key");
    is_changeable.then_some(thing)
}

fn lang_of(headers: &HeaderMap) -> Lang {
    let accepted = headers.get(ACCEPT_LANGUAGE);
    Lang::of(accepted.and_then(|value| value.to_str().ok()))
}
