//! Responses that a provider posts to the callback URL although menshen did not ask for them.

use std::sync::Arc;

use super::super::super::page::{Cause, Href};
use super::super::super::record::LoggedResponse;
use super::super::super::{RequestContext, reply};
use super::super::audit;
use super::{EntryTokenRefusal, hide_referrer, not_on_login_host, redeem, require_navigation};
use crate::login::ConnectorEntry;
use crate::login::connector::EntryPlace;
use crate::login::fields::Fields;

/// Answers a response that a provider posts to the callback URL of `entry` without a pending login.
pub(in super::super) async fn at_callback(
    context: &RequestContext<'_>,
    entry: &Arc<ConnectorEntry>,
    form: Fields,
) -> LoggedResponse {
    let entry_point = entry.features.entry_point.as_ref();
    let entry_point = entry_point.filter(|it| matches!(it.place, EntryPlace::Callback { .. }));
    let Some(entry_point) = entry_point else {
        return not_requested(context, entry);
    };
    let logged = match require_navigation(context) {
        Err(logged) => *logged,
        Ok(()) if !context.site.is_login_host(context.head) => not_on_login_host(context),
        Ok(()) => redeem(context, (entry, entry_point), &Fields::default(), form).await,
    };
    logged.map_response(hide_referrer)
}

/// The page whose button begins a login here, for a response that was not requested and is not accepted.
fn not_requested(context: &RequestContext<'_>, entry: &ConnectorEntry) -> LoggedResponse {
    audit::refused(context, Some(&entry.id), &EntryTokenRefusal::NotRequested);
    let cause = Cause::UnsolicitedLogin;
    let start = Href::new(format!(
        "{}/start?connector={}",
        context.site.prefix, entry.id
    ));
    let page = reply::login_problem(
        context,
        cause,
        Some(start),
        Some(context.lang().label(&entry.display_name)),
    );
    LoggedResponse::own_path(cause.slug(), page)
}
