//! The response that starts a login: a redirect or form post to the provider, or the password form.

use http::{Response, StatusCode};
use url::Url;

use super::super::page::{Href, PostPage};
use super::super::{RequestContext, reply};
use super::{LoginTarget, flow_cookies, password_form};
use crate::login::connector::Challenge;
use crate::login::fields::Fields;
use crate::login::{BegunLogin, ConnectorEntry};
use crate::request::Body;

/// Responds with the challenge and sets the flow cookie.
pub(super) fn answer(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    target: &LoginTarget,
    begun: &BegunLogin,
) -> Response<Body> {
    let mut response = match &begun.challenge {
        Challenge::Redirect(to) => reply::redirect(to.as_str()),
        Challenge::Post { to, fields } => post_page(context, entry, to, fields),
        Challenge::PasswordForm => password_form::page(
            context,
            entry,
            target,
            &begun.pending.flow,
            &password_form::FormContents::default(),
        ),
    };
    flow_cookies::set(context, begun, &mut response);
    response
}

/// The page whose form posts the request to the provider.
fn post_page(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
    to: &Url,
    fields: &Fields,
) -> Response<Body> {
    let page = PostPage {
        info: context.page_info(),
        connector_name: &entry.display_name,
        to: Href::new(to.as_str()),
        fields: fields.iter().collect(),
        script: Href::new(format!("{}/post.js", context.site.prefix)),
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}
