//! `/saml/{connector}/metadata` and `/saml/{connector}/logout`: the description of menshen for a source, and
//! logout messages in both directions.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::super::page::Cause;
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::{audit, challenge, no_such_path, provider_logout, read_body_within, sign_out};
use crate::login::ConnectorEntry;
use crate::login::connector::{ConnectorError, LogoutMessage, ReceivedLogout};
use crate::login::fields::Fields;
use crate::request::BodyError;
use crate::store::ConnectorId;

/// The media type of SAML metadata (SAML metadata, appendix A).
const METADATA_TYPE: &str = "application/samlmetadata+xml";

/// `Cache-Control` of the metadata, which changes only with the configuration.
const METADATA_CACHE_CONTROL: &str = "public, max-age=300";

/// The largest form with a logout message, in bytes.
const FORM_BYTES_MAX: usize = 128 * 1024;

/// Answers a request below `/saml/`; `rest` is the path after it.
pub(super) async fn answer<B>(
    context: &RequestContext<'_>,
    rest: &str,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let (id, page) = rest.split_once('/').unwrap_or((rest, ""));
    let via = id.parse::<ConnectorId>().ok();
    let entry = via.and_then(|via| context.site.login.entry(&via));
    match (entry, page) {
        (Some(entry), "metadata") => metadata(context, entry),
        (Some(entry), "logout") => logout(context, entry, body).await,
        _ => no_such_path(context),
    }
}

fn metadata(context: &RequestContext<'_>, entry: &ConnectorEntry) -> LoggedResponse {
    let Some(document) = entry.connector.own_metadata() else {
        return no_such_path(context);
    };
    if ![Method::GET, Method::HEAD].contains(context.head.method) {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, HEAD"));
    }
    let response = reply::text(StatusCode::OK, METADATA_TYPE, document);
    let response = reply::cacheable(response, METADATA_CACHE_CONTROL);
    LoggedResponse::own_path(
        "metadata",
        reply::without_body_if_head(context.head.method, response),
    )
}

/// A logout message of the source, which the browser carries or the source sends itself. Cookies do not
/// count: the message names the sessions, and the source has signed it.
async fn logout<B>(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    body: Option<B>,
) -> LoggedResponse
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let Some(connector) = entry.connector.logout() else {
        return no_such_path(context);
    };
    let received = match *context.head.method {
        Method::GET => {
            let query = context.head.path.query().unwrap_or_default();
            connector.receive_logout(LogoutMessage::Query(query)).await
        }
        Method::POST => {
            let form = read_body_within(body, FORM_BYTES_MAX).await;
            let form = form.and_then(|form| Fields::parse(&form));
            let form = form.unwrap_or_default();
            connector.receive_logout(LogoutMessage::Form(&form)).await
        }
        _ => return LoggedResponse::own_path("method", reply::method_not_allowed("GET, POST")),
    };
    match received {
        None => no_such_path(context),
        Some(Ok(received)) => handle(context, entry, received).await,
        Some(Err(error)) => refuse(context, entry, &error),
    }
}

async fn handle(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    received: ReceivedLogout,
) -> LoggedResponse {
    match received {
        ReceivedLogout::Request { notice, answer } => {
            let applied = provider_logout::apply_notice(context, entry, &notice).await;
            if let Err(logged) = applied {
                return *logged;
            }
            match answer {
                None => provider_logout::logout_done(),
                Some(answer) => {
                    let response = challenge::deliver_logout(context, entry, &answer);
                    LoggedResponse::own_path("logout at the source", response)
                }
            }
        }
        ReceivedLogout::Answer {
            is_confirmed,
            state,
        } => {
            let state = state.as_deref();
            let page = sign_out::returned_from_provider(context, entry, is_confirmed, state);
            LoggedResponse::own_path("sign_out", page)
        }
    }
}

fn refuse(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    error: &ConnectorError,
) -> LoggedResponse {
    audit::refused(context, Some(&entry.id), error);
    if let ConnectorError::MetadataUnavailable(_) = error {
        let cause = Cause::ProviderMetadataMissing;
        let page = reply::login_problem(
            context,
            cause,
            None,
            Some(context.lang().label(&entry.display_name)),
        );
        return LoggedResponse::own_path(cause.slug(), page);
    }
    let response = provider_logout::invalid_request("the logout message is not valid");
    LoggedResponse::own_path("logout message", response)
}
