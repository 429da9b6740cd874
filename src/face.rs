//! Answers HTTP requests: requests for own paths, checks that another proxy sends before it forwards a
//! request, and requests to forward. The verdict comes from [`decide`]; this module turns it into a
//! response.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use crate::request::forward::{ClientRequest, ForwardFailure, ForwardedResponse, UpstreamResponse};
use crate::request::head::{Connection, Head, HeadError, Peer};
use crate::request::headers::{RequestId, RequestRewrite};
use crate::request::policy::{Permit, Verdict};
use crate::request::{Body, BodyError, decide};
use crate::site::live::LiveSite;
use crate::site::{Services, Site};

pub mod admin;
mod browser;
mod check;
pub mod explanation;
pub mod ext_authz;
mod long_request;
pub mod page;
mod recheck;
mod record;
mod reply;
mod sign_in;
mod streamed;
mod tunnel;
mod urls;

pub use check::CheckConfig;
use check::CheckProtocol;
use long_request::{LongRequest, RecheckedBody};
use recheck::AllowedRequest;
use record::{LoggedResponse, RequestSummary};
use reply::RefusalStatuses;
pub use sign_in::OWN_PAGES;
use sign_in::ReconfirmOutcome;

/// What every handler of one request needs.
#[derive(Clone, Copy, Debug)]
struct RequestContext<'a> {
    site: &'a Site,
    services: &'a Services,
    head: &'a Head<'a>,
    id: &'a RequestId,
    statuses: RefusalStatuses,
}

impl RequestContext<'_> {
    fn page_info(&self) -> page::PageInfo<'_> {
        page::PageInfo {
            host: self.head.host.as_str(),
            request_id: self.id.as_str(),
            pages: &self.site.pages,
        }
    }

    /// The language of a page for this client. It is computed on demand: most requests are forwarded.
    fn lang(&self) -> page::Lang {
        browser::lang(self.head.headers)
    }
}

/// What follows after the head of a request was read.
enum Step {
    Respond(LoggedResponse),
    Forward(Permit, RequestRewrite),
}

/// Computes the headers to forward. Refuses if the route's header expressions took too much work, which
/// is known only after they were evaluated.
fn prepare_forward(context: &RequestContext<'_>, permit: Permit) -> Step {
    let rewrite = RequestRewrite::new(
        &permit,
        context.head,
        context.id,
        context.site.rewrite_options(),
    );
    match permit.denial_if_too_costly(context.head) {
        None => Step::Forward(permit, rewrite),
        Some(denial) => Step::Respond(reply::deny(context, &denial)),
    }
}

impl LiveSite {
    /// Answers one request. Every failure is a response.
    pub async fn handle<B>(
        self: &Arc<Self>,
        request: Request<B>,
        connection: Arc<Connection>,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let started_at = Instant::now();
        let site = self.site();
        let (mut parts, body) = request.into_parts();
        let id = RequestId::of(&parts.headers, site.trust.includes(connection.peer));
        let now = self.services().clock.now();
        let mut summary = RequestSummary::of(&self.services().telemetry, &parts, &connection, now);
        let mut body = Some(body);
        let step = self
            .respond_or_permit(&site, &parts, &connection, &id, &mut summary, &mut body)
            .await;
        let logged = match (step, body) {
            (Step::Respond(logged), _) => {
                logged.map_response(|response| reply::adapt_cookies(response, &parts.headers))
            }
            (Step::Forward(permit, rewrite), Some(body)) => {
                let permitted = (permit, &rewrite);
                let request = (&mut parts, body, &connection);
                return self
                    .forward(&site, permitted, &id, &mut summary, request, started_at)
                    .await;
            }
            // Only own paths take the body, and they always respond.
            (Step::Forward(..), None) => reply::internal_error(),
        };
        logged.record(&self.services().telemetry, &summary, &id, started_at)
    }

    /// Parses the head, then responds or returns a permit. Only own paths take the body.
    ///
    /// Rare branches are boxed, because the future of every request is as large as its largest branch.
    async fn respond_or_permit<B>(
        &self,
        site: &Site,
        parts: &Parts,
        connection: &Connection,
        id: &RequestId,
        summary: &mut RequestSummary,
        body: &mut Option<B>,
    ) -> Step
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        if let Some(protocol) = CheckProtocol::at(site, parts.uri.path()) {
            let site = (site, self.services());
            let answer = check::answer(protocol, site, parts, connection, id, summary);
            return Step::Respond(Box::pin(answer).await);
        }
        let head = match Head::parse(parts, connection, site.parse_options(), summary.received_at) {
            Ok(head) => head,
            Err(error) => {
                // Probes of load balancers may lack a `Host` header.
                if error == HeadError::NoHost
                    && let Some(logged) =
                        Box::pin(sign_in::answer_probe(site, self.services(), parts)).await
                {
                    return Step::Respond(logged);
                }
                log_bad_head(site, connection.peer, id, error);
                return Step::Respond(reply::bad_head(site, &parts.headers, id, error));
            }
        };
        summary.client = head.client_ip;
        let context = RequestContext {
            site,
            services: self.services(),
            head: &head,
            id,
            statuses: RefusalStatuses::Client,
        };
        if site.routes.is_own_path(head.path.as_str()) {
            return Step::Respond(Box::pin(sign_in::answer(&context, body.take())).await);
        }
        let verdict = decide(&site.routes, &site.gate, &head).await;
        if let Some(found) = sign_in::entry_on_route(&context, &verdict) {
            return Step::Respond(Box::pin(sign_in::redeem_on_route(&context, found)).await);
        }
        match verdict {
            Verdict::Allow(permit) => prepare_forward(&context, permit),
            Verdict::Reconfirm(permit) => {
                match Box::pin(sign_in::reconfirm(&context, permit)).await {
                    ReconfirmOutcome::Respond(logged) => Step::Respond(*logged),
                    ReconfirmOutcome::Continue(permit) => prepare_forward(&context, permit),
                }
            }
            Verdict::Login(needed) => {
                Step::Respond(Box::pin(sign_in::require_login(&context, &needed)).await)
            }
            Verdict::Deny(denial) => Step::Respond(reply::deny(&context, &denial)),
        }
    }

    /// Forwards a request and records the result.
    async fn forward<B>(
        self: &Arc<Self>,
        site: &Arc<Site>,
        (permit, rewrite): (Permit, &RequestRewrite),
        id: &RequestId,
        summary: &mut RequestSummary,
        (parts, body, connection): (&mut Parts, B, &Arc<Connection>),
        started_at: Instant,
    ) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let telemetry = &self.services().telemetry;
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let renewed_cookie =
            sign_in::renewed_cookie(site, &permit, &parts.headers, summary.received_at);
        let sent_at = Instant::now();
        let recheck_after = permit.route().limits.recheck_after;
        let has_body = !body.is_end_stream();
        let result = {
            let request = ClientRequest {
                parts,
                upgrade,
                body,
                connection,
                now: sent_at,
            };
            let mut forwarding = pin!(site.forwarder.forward(&permit, rewrite, request));
            if has_body {
                let request = allowed_request(parts, connection, &permit);
                // Boxed, so that requests without a body do not pay for its size.
                Box::pin(long_request::run_while_allowed(
                    forwarding.as_mut(),
                    recheck_after,
                    self,
                    request,
                ))
                .await
            } else {
                Some(forwarding.as_mut().await)
            }
        };
        let answered_at = match &result {
            Some(Ok(forwarded)) => forwarded.received_at,
            _ => Instant::now(),
        };
        // Without a result, a recheck ended the request during the upload.
        let is_refused = result.is_some()
            && answered_at.saturating_duration_since(sent_at) >= recheck_after
            && !Box::pin(self.is_still_allowed(&permit, parts, connection)).await;
        let Some(result) = result.filter(|_| !is_refused) else {
            let logged = Box::pin(self.refuse_midway::<B>(parts, connection, id, summary)).await;
            return logged.record(telemetry, summary, id, started_at);
        };
        let logged = LoggedResponse::allowed(&permit).with_upstream_times(sent_at, answered_at);
        let ForwardedResponse {
            response: forwarded,
            upstream,
            is_streaming,
            ..
        } = match result {
            Ok(forwarded) => forwarded,
            Err(failure) => {
                let request = (&*parts, connection);
                let logged = self.forward_failed(site, request, id, summary, logged, failure);
                return logged.record(telemetry, summary, id, started_at);
            }
        };
        let long_request = || LongRequest {
            live: Arc::clone(self),
            parts: std::mem::replace(parts, Request::new(()).into_parts().0),
            connection: Arc::clone(connection),
            permit,
            id: id.clone(),
            client: summary.client,
            sent_at,
        };
        let mut response = end_when_refused(forwarded, is_streaming, long_request);
        add_renewed_cookie(&mut response, renewed_cookie);
        let logged = logged.with_upstream_response(upstream, is_streaming);
        logged.record_response(response, telemetry, summary, id, started_at)
    }

    /// The response when forwarding failed.
    fn forward_failed(
        &self,
        site: &Site,
        (parts, connection): (&Parts, &Arc<Connection>),
        id: &RequestId,
        summary: &RequestSummary,
        logged: LoggedResponse,
        failure: ForwardFailure,
    ) -> LoggedResponse {
        if let Some(key) = failure.error.limit() {
            self.services().telemetry.count_limit_reached(key);
        }
        if let Some(reason) = failure.error.upstream_failure() {
            let telemetry = &self.services().telemetry;
            telemetry.count_upstream_failure(failure.upstream_name().unwrap_or_default(), reason);
        }
        // The head is not kept while a request is forwarded, because only failed and long requests need
        // it again.
        let head = Head::parse(parts, connection, site.parse_options(), summary.received_at).ok();
        reply::upstream_failed(site, logged, (&parts.headers, head.as_ref()), id, failure)
    }

    /// Whether a request that took long is still allowed for the same caller.
    async fn is_still_allowed(
        &self,
        permit: &Permit,
        parts: &Parts,
        connection: &Connection,
    ) -> bool {
        recheck::is_still_allowed(self, allowed_request(parts, connection, permit)).await
    }

    /// The response to a request that is no longer allowed: the response to the same request sent now.
    async fn refuse_midway<B>(
        &self,
        parts: &Parts,
        connection: &Connection,
        id: &RequestId,
        summary: &mut RequestSummary,
    ) -> LoggedResponse
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let site = self.site();
        let mut no_body = None::<B>;
        let step = self.respond_or_permit(&site, parts, connection, id, summary, &mut no_body);
        let logged = match step.await {
            Step::Respond(logged) => logged,
            // The request is allowed again, but for another caller than the one that the upstream knows.
            Step::Forward(..) => reply::no_longer_allowed(&site, browser::lang(&parts.headers), id),
        };
        logged.with_reason("no longer allowed")
    }
}

/// The response to send. Its stream or tunnel ends when the request is no longer allowed.
fn end_when_refused(
    forwarded: UpstreamResponse,
    is_streaming: bool,
    long_request: impl FnOnce() -> LongRequest,
) -> Response<Body> {
    match forwarded {
        UpstreamResponse::Response(response) if is_streaming => {
            let request = long_request();
            response.map(|body| RecheckedBody::wrap(body, request))
        }
        UpstreamResponse::Response(response) => response,
        UpstreamResponse::Upgraded { response, tunnel } => {
            tunnel::spawn(*tunnel, long_request());
            response
        }
    }
}

/// Logs that a request head was refused. An unreadable header of a trusted proxy is a warning, because
/// an administrator can correct it.
fn log_bad_head(site: &Site, peer: Peer, id: &RequestId, error: HeadError) {
    match error {
        HeadError::Forwarded(header) if site.forwarding_header_warnings.allow() => {
            tracing::warn!(request_id = %id, ?peer, header, "a trusted proxy sends a header that cannot be read, so its requests are refused");
        }
        _ => tracing::info!(request_id = %id, %error, "a malformed request was refused"),
    }
}

/// Adds the session cookie to a response of an application. No shared cache may store it then.
fn add_renewed_cookie(response: &mut Response<Body>, renewed_cookie: Option<String>) {
    if let Some(cookie) = renewed_cookie {
        reply::add_cookie(response, &cookie);
        reply::mark_private(response);
    }
}

fn allowed_request<'a>(
    parts: &'a Parts,
    connection: &'a Connection,
    permit: &'a Permit,
) -> AllowedRequest<'a> {
    AllowedRequest {
        parts,
        connection,
        permit,
    }
}
