//! The response that starts a login: a redirect or form post to the provider, or the password form. Other
//! messages to the provider are delivered in the same ways.

use http::{Response, StatusCode};
use url::Url;

use super::super::page::{Href, PostPage, PostPurpose};
use super::super::{RequestContext, reply};
use super::{LoginTarget, flow_cookies, password_form};
use crate::login::connector::{Challenge, Delivery};
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
        connector_name: &entry.display_name,
        to: Href::new(to.as_str()),
        fields: fields.iter().collect(),
        script: Href::new(format!("{}/post.js", context.site.prefix)),
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}
