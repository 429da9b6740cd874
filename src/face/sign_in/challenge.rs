//! The response that starts a login: a redirect or form post to the provider, the password form, or the page
//! in the provider's app. Other messages to the provider are delivered in the same ways. And the scripts of
//! that page.

use http::{Response, StatusCode};
use url::Url;

use super::super::page::{AppLoginPage, Cause, Href, PostPage, PostPurpose};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};
use super::{LoginTarget, flow_cookies, password_form, require_get};
use crate::login::connector::{AppPage, Challenge, Delivery};
use crate::login::fields::Fields;
use crate::login::pending::FlowId;
use crate::login::{BegunLogin, ConnectorEntry};
use crate::request::Body;
use crate::store::ConnectorId;

/// `Cache-Control` of the scripts. The script of a source is large and rarely changes.
const SCRIPT_CACHE_CONTROL: &str = "public, max-age=600";

/// Responds with the challenge and sets the flow cookie.
pub(super) fn answer(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    begun: &BegunLogin,
) -> Response<Body> {
    let mut response = match &begun.challenge {
        Challenge::Redirect(to) => reply::redirect(to.as_str()),
        Challenge::Post { to, fields } => {
            post_page(context, entry, PostPurpose::SignIn, to, fields)
        }
        Challenge::PasswordForm => password_form::page(
            context,
            entry,
            target,
            &begun.pending.flow,
            &password_form::FormContents::default(),
        ),
        Challenge::AppPage(page) => app_page(context, entry, page, &begun.pending.flow),
    };
    flow_cookies::set(context, begun, &mut response);
    response
}

/// Responds with a message of a logout, which the browser carries to the provider.
pub(super) fn deliver_logout(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    delivery: &Delivery,
) -> Response<Body> {
    match delivery {
        Delivery::Redirect(to) => reply::see_other(to.as_str()),
        Delivery::Post { to, fields } => {
            post_page(context, entry, PostPurpose::SignOut, to, fields)
        }
    }
}

/// The page whose form posts a message to the provider.
fn post_page(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    purpose: PostPurpose,
    to: &Url,
    fields: &Fields,
) -> Response<Body> {
    let page = PostPage {
        info: context.page_info(),
        purpose,
        connector_name: context.lang().label(&entry.display_name),
        to: Href::new(to.as_str()),
        fields: fields.iter().collect(),
        script: Href::new(format!("{}/post.js", context.site.prefix)),
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// The page whose scripts ask the provider's app for a code.
fn app_page(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    page: &AppPage,
    flow: &FlowId,
) -> Response<Body> {
    let own = |name: &str| format!("{}/{name}/{}", context.site.prefix, entry.id);
    let data = page.data.iter();
    let page = AppLoginPage {
        info: context.page_info(),
        connector_name: context.lang().label(&entry.display_name),
        login_url: Href::new(own("login")),
        state: flow.as_str(),
        data: data.map(|(name, value)| (*name, value.as_str())).collect(),
        client_script: Href::new(match &page.client_script {
            Some(script) => script.as_str().to_owned(),
            None => own("app_library"),
        }),
        client_script_is_foreign: page.client_script.is_some(),
        script: Href::new(own("app_script")),
        web_url: Href::new(page.web_url.as_str()),
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// `GET /app_script/{connector}` and `GET /app_library/{connector}`: a script of the page in the provider's
/// app; `name` is the first segment of the path.
pub(super) fn script(
    context: &RequestContext<'_>,
    via: &ConnectorId,
    name: &str,
) -> LoggedResponse {
    if let Err(logged) = require_get(context) {
        return *logged;
    }
    let entry = context.site.login.entry(via);
    let scripts = entry.and_then(|entry| entry.connector.app_page_scripts());
    let text = scripts.and_then(|scripts| match name {
        "app_library" => scripts.client_script,
        _ => Some(scripts.own),
    });
    let Some(text) = text else {
        let page = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("no script", page);
    };
    let content_type = "text/javascript; charset=utf-8";
    let response = reply::text(StatusCode::OK, content_type, text.to_owned());
    LoggedResponse::own_path("script", reply::cacheable(response, SCRIPT_CACHE_CONTROL))
}
