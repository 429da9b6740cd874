//! A program presents a ticket of a person at the callback URL and receives a session. It has no browser, so
//! it did not begin a login.

use http::header::ORIGIN;
use http::{Response, StatusCode};
use serde_json::json;

use super::super::super::RequestContext;
use super::super::super::browser::single_header;
use super::super::super::page::Cause;
use super::super::super::record::LoggedResponse;
use super::super::super::reply;
use super::super::{audit, complete, session_origin};
use crate::login::connector::AuthnResponse;
use crate::login::fields::Fields;
use crate::login::{FinishedLogin, LoginError};
use crate::request::Body;
use crate::store::ConnectorId;

/// Why the ticket of a program is refused before it is redeemed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum ProgramTicketRefusal {
    #[error("a page of another site sends the ticket")]
    CrossSite,
    #[error("the ticket is repeated")]
    Repeated,
}

/// Redeems the ticket and responds with the session cookie. All processes together accept a ticket once.
pub(super) async fn answer(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    parameter: &str,
    fields: Fields,
) -> LoggedResponse {
    if is_sent_by_other_site(context) {
        audit::refused(context, Some(via), &ProgramTicketRefusal::CrossSite);
        return LoggedResponse::own_path("cross-site", reply::foreign_origin(context));
    }
    if !context.site.is_login_host(context.head) {
        return problem(context, Cause::NotOnLoginHost);
    }
    let Some(entry) = context.site.login.entry(via) else {
        return problem(context, Cause::NotFound);
    };
    let Ok(Some(ticket)) = fields.one(parameter) else {
        audit::refused(context, Some(via), &ProgramTicketRefusal::Repeated);
        return problem(context, Cause::BadRequest);
    };
    let ticket = ticket.to_owned();
    let origin = session_origin(context);
    let response = AuthnResponse {
        fields,
        client: context.head.client_for_limits(),
        origin: origin.clone(),
        kind: None,
    };
    let login = &context.site.login;
    let pending = match login.redeem_unsolicited(entry, ticket, response).await {
        Ok(pending) => pending,
        Err(error) => return login_failed(context, via, &error),
    };
    match login.finish_unsolicited(&pending, origin).await {
        Ok(finished) => {
            let response = session_response(context, &finished).await;
            LoggedResponse::own_path("login of a program", response)
        }
        Err(error) => login_failed(context, via, &error),
    }
}

/// Whether a browser sends the request for a page of another site. Such a page could sign its visitors in
/// as somebody else.
fn is_sent_by_other_site(context: &RequestContext<'_>) -> bool {
    let headers = context.head.headers;
    let site = single_header(headers, "sec-fetch-site");
    headers.contains_key(ORIGIN) || !matches!(site, None | Some("same-origin" | "none"))
}

async fn session_response(
    context: &RequestContext<'_>,
    finished: &FinishedLogin,
) -> Response<Body> {
    let lifetime = finished.claims.expires_at.since(context.head.received_at);
    let body = json!({ "expires_in": lifetime.as_secs() });
    let mut response = reply::json(StatusCode::OK, &body);
    complete::hand_out_session(context, finished, None, &mut response).await;
    response
}

fn login_failed(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    error: &LoginError,
) -> LoggedResponse {
    audit::login_failed(context, via, error);
    problem(context, audit::cause_of(error))
}

fn problem(context: &RequestContext<'_>, cause: Cause) -> LoggedResponse {
    LoggedResponse::own_path(cause.slug(), reply::cause_json(context, cause))
}
