//! `/sign_in?connector=ID`: the form for a user name and a password.

use http::{Method, Response, StatusCode};

use super::super::browser::{RequestKind, request_kind};
use super::super::page::{Href, PasswordNotice, PasswordPage};
use super::super::{RequestContext, reply};
use super::{LoginTarget, target};
use crate::login::ConnectorEntry;
use crate::login::fields::Fields;
use crate::login::pending::FlowId;
use crate::request::Body;
use crate::store::ConnectorId;

/// The URL of the form, if the connector has one.
pub(super) fn form_url(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
) -> Option<String> {
    let first_parameter = format!("connector={}", entry.id);
    let query = target.query_string(&context.site.external_url, &first_parameter);
    let uses_password_form = entry.uses_password_form();
    uses_password_form.then(|| format!("{}/sign_in{query}", context.site.prefix))
}

/// The connector whose form a navigation requests.
pub(super) fn requested_connector<'a>(
    context: &RequestContext<'a>,
    query: &Fields,
) -> Option<&'a ConnectorEntry> {
    let is_navigation = *context.head.method == Method::GET
        && request_kind(context.head) == RequestKind::Navigation;
    let id = query
        .one("connector")
        .ok()
        .flatten()
        .filter(|_| is_navigation)?;
    let entry = context.site.login.entry(&id.parse::<ConnectorId>().ok()?)?;
    entry.uses_password_form().then_some(&**entry)
}

/// What the form shows besides its fields.
#[derive(Default)]
pub(super) struct FormContents<'a> {
    pub(super) status: StatusCode,
    /// The user name that was submitted before.
    pub(super) login: &'a str,
    pub(super) notice: Option<PasswordNotice>,
}

/// The form of a pending login.
pub(super) fn page(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    flow: &FlowId,
    contents: &FormContents<'_>,
) -> Response<Body> {
    let login_url = &context.site.external_url;
    let return_to = target
        .return_to
        .as_ref()
        .map(|return_to| match return_to.origin() {
            Some(_) => return_to.absolute(login_url),
            None => return_to.path_query_fragment().to_owned(),
        });
    let mut connectors = target::allowed_connectors(context, target);
    connectors.retain(|connector| connector.can_begin_login());
    let has_others = connectors.len() > 1;
    let page = PasswordPage {
        info: context.page_info(),
        connector_name: context.lang().label(&entry.display_name),
        post_to: Href::new(format!("{}/password/{}", context.site.prefix, entry.id)),
        flow: flow.as_str(),
        return_to: return_to.as_deref().unwrap_or_default(),
        login: contents.login,
        notice: contents.notice,
        other_connectors: has_others.then(|| {
            let query = target.query_string(login_url, "");
            Href::new(format!("{}/sign_in{query}", context.site.prefix))
        }),
        opened_by_frame: target.for_frame,
    };
    reply::page_response(contents.status, &page.render(context.lang()))
}
