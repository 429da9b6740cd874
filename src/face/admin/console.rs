//! The web console below `/console/`: pages for administrators, rendered on the server, without any script.
//!
//! Who may use it: local administrators, and people whom the rules of `[console]` admit
//! ([`crate::request::console`]). Every change is a POST with the CSRF token of the session and the origin
//! of the console. A new page is one file below `console/` with its template, and its lines in `get` and `post`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};

use super::host_check::AdminHost;
use super::readiness::Readiness;
use super::{host_check, not_found, problem};
use crate::face::reply;
use crate::login::administrator::AdministratorLogins;
use crate::people::console_sessions::ConsoleSessions;
use crate::request::console::ConsoleRight;
use crate::request::head::{Connection, Head};
use crate::request::{Body, BodyError};
use crate::site::live::LiveSite;
use crate::site::{Console as ConsoleSettings, Services, Site};
use crate::wording::Text;

mod api_session;
mod audit;
mod audit_trail;
mod chart;
mod comparison;
mod config;
mod connector_form;
mod connectors;
mod cookies;
mod files;
mod form;
mod layout;
mod mapping;
mod moment;
mod notice;
mod overview;
mod pager;
mod people;
mod person;
mod person_entry;
mod request;
mod response;
mod routes;
mod sessions;
mod settings_change;
mod sign_in;
mod sync;
mod texts;
mod visitor;

pub(super) use api_session::ApiVisitor;
use form::{Form, FormLimits};
use request::ConsoleRequest;
use visitor::{Found, Visitor};

/// The path of the console, without the slash at its end.
pub(super) const PATH: &str = "/console";

/// The web console of a process. Reloads of the configuration keep it.
pub struct Console {
    live: Arc<LiveSite>,
    readiness: Arc<Readiness>,
    sessions: ConsoleSessions,
    logins: AdministratorLogins,
    /// The further host names of requests; `None` on a unix socket, which accepts every name.
    hosts: Option<Vec<AdminHost>>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

/// What a page needs of its request.
struct PageContext<'a> {
    console: &'a Console,
    site: &'a Arc<Site>,
    services: &'a Services,
    request: &'a ConsoleRequest<'a>,
    visitor: &'a Visitor,
}

impl Console {
    pub fn new(
        live: Arc<LiveSite>,
        readiness: Arc<Readiness>,
        hosts: Option<Vec<AdminHost>>,
    ) -> Self {
        let services = live.services();
        let logins =
            AdministratorLogins::new(services.people.administrators(), services.clock.clone());
        Self {
            sessions: services.people.console_sessions(),
            logins,
            readiness,
            hosts,
            live,
        }
    }

    /// Whether a path is one of the console.
    pub fn has(path: &str) -> bool {
        path.strip_prefix(PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Answers one request. GET changes nothing but the time of the last use.
    pub async fn handle<B>(&self, request: Request<B>, connection: &Connection) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let site = self.live.site();
        let Some(settings) = site
            .console
            .as_ref()
            .filter(|_| Self::has(request.uri().path()))
        else {
            return not_found();
        };
        if !self.accepts_host(&request, settings) {
            let detail = Text::fixed(
                "use an IP address, localhost, the host of [console] external_url or a name in [admin] hosts",
                "请使用 IP 地址、localhost、[console] external_url 的主机或 [admin] hosts 中的名称",
            );
            return problem(StatusCode::FORBIDDEN, &detail);
        }
        let (parts, body) = request.into_parts();
        let now = self.live.services().clock.now();
        let head = match Head::parse(&parts, connection, site.parse_options(), now) {
            Ok(head) => head,
            Err(error) => return problem(StatusCode::BAD_REQUEST, &Text::of(&error)),
        };
        let request = ConsoleRequest::new(&head, settings);
        let mut response = self.answer(&site, settings, &request, body).await;
        cookies::remember_lang(&mut response, &request);
        if *request.head.method == Method::HEAD {
            return response.map(|_| reply::empty());
        }
        response
    }

    /// Whether the request names this console, against DNS rebinding.
    fn accepts_host<B>(&self, request: &Request<B>, settings: &ConsoleSettings) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let own = settings
            .external_url
            .as_ref()
            .and_then(|url| url.host_str());
        let own = own.and_then(|host| AdminHost::try_from(host.to_owned()).ok());
        let hosts: Vec<_> = hosts.iter().cloned().chain(own).collect();
        host_check::names_this_listener(request, &hosts)
    }

    async fn answer<B>(
        &self,
        site: &Arc<Site>,
        settings: &ConsoleSettings,
        request: &ConsoleRequest<'_>,
        body: B,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let is_post = *request.head.method == Method::POST;
        if !is_post && !matches!(*request.head.method, Method::GET | Method::HEAD) {
            return response::method_not_allowed(request, "GET, HEAD, POST");
        }
        if is_post && !request.is_of_own_origin() {
            return response::other_origin(request);
        }
        let has_session = cookies::session(&site.ring, request).is_some();
        let form = match is_post {
            true => Form::read(body, FormLimits::of(request.path, has_session)).await,
            false => Ok(Form::default()),
        };
        let form = match form {
            Ok(form) => form,
            Err(error) => return response::bad_form(request, error),
        };
        match (is_post, request.path) {
            (false, "") => return response::redirect("/console/"),
            (false, "/style.css") => return files::style(request),
            (false, "/icon.svg") => return files::icon(),
            (false, "/sign_in") => return sign_in::page(self, site, settings, request).await,
            (true, "/sign_in") => {
                return sign_in::submit(self, site, settings, request, &form).await;
            }
            (false, "/start") => return person_entry::start(site, settings, request),
            (false, "/ticket") => return person_entry::redeem(self, site, settings, request).await,
            _ => {}
        }
        let visitor = match visitor::find(self, site, settings, request).await {
            Found::Visitor(visitor) => visitor,
            Found::Nobody if is_post => return response::signed_out_meanwhile(request),
            Found::Nobody => return sign_in::redirect(settings, request),
            Found::Refused(refused) if is_post && request.path == "/sign_out" => {
                return sign_in::sign_out_refused(self, request, &form, &refused).await;
            }
            Found::Refused(refused) => return sign_in::refused(request, &refused),
            Found::Unavailable => return response::unavailable(request),
        };
        let context = PageContext {
            console: self,
            site,
            services: self.live.services(),
            request,
            visitor: &visitor,
        };
        match is_post {
            true => context.post(&form).await,
            false => context.get().await,
        }
    }
}

impl PageContext<'_> {
    async fn get(&self) -> Response<Body> {
        if let Some(id) = connector_form::connector_of(self.request.path) {
            return connector_form::show(self, id);
        }
        match self.request.path {
            "/" => overview::show(self).await,
            "/sessions" => sessions::show(self, None).await,
            "/people" => people::show(self).await,
            "/routes" => routes::show(self).await,
            "/sync" => sync::show(self, None).await,
            "/audit" => audit_trail::show(self).await,
            "/audit/download" => audit_trail::download(self).await,
            "/connectors" => connectors::show(self, None),
            "/config" => config::show(self, None).await,
            "/config/download" => config::download(self).await,
            path => match (path.strip_prefix("/people/"), mapping::connector_of(path)) {
                (Some(id), _) => person::show(self, id, None).await,
                (None, Some(id)) => mapping::show(self, id),
                (None, None) => response::not_found(self),
            },
        }
    }

    async fn post(&self, form: &Form) -> Response<Body> {
        if !form.has_csrf_token(&self.visitor.csrf_token) {
            return response::bad_csrf_token(self.request);
        }
        if self.request.path == "/sign_out" {
            return sign_in::sign_out(self).await;
        }
        // A view-only session may try a mapping, because that changes nothing.
        if let Some(id) = mapping::connector_of(self.request.path) {
            return mapping::change(self, id, form).await;
        }
        if self.visitor.right != ConsoleRight::Change {
            return response::view_only(self);
        }
        if let Some(id) = connector_form::connector_of(self.request.path) {
            return connector_form::change(self, id, form).await;
        }
        match self.request.path {
            "/sessions" => sessions::change(self, form).await,
            "/sync" => sync::change(self, form).await,
            "/connectors" => connectors::change(self, form).await,
            "/config" => config::change(self, form).await,
            path => match path.strip_prefix("/people/") {
                Some(id) => person::change(self, id, form).await,
                None => response::not_found(self),
            },
        }
    }
}
