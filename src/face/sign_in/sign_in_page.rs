//! The sign-in page: the list of connectors and the reason why a login is needed, or who is signed in.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{Response, StatusCode};

use super::super::page::{
    ConnectorChoice, Href, PersonName, SignInPage, SignInReason, SignedInPage,
};
use super::super::{RequestContext, reply, urls};
use super::{LoginTarget, target, user_agent};
use crate::login::ConnectorEntry;
use crate::login::connector::LocalizedText;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::people::session::Person;
use crate::request::Body;
use crate::request::gate::{Caller, LoginReason};
use crate::request::head::cookies;

/// The `Max-Age` of the cookie that names the last connector, in seconds.
const LAST_CONNECTOR_AGE_S: i64 = 365 * 24 * 3600;

/// The page with the connectors that the route of the return address accepts; for a person whose session is
/// enough, the page that says who they are.
pub(super) fn page(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    caller: &Caller,
    reason: Option<SignInReason>,
) -> Response<Body> {
    let Caller::Person(person) = caller else {
        return chooser(context, target, None, reason);
    };
    match target::unmet_route_demand(context, target, person) {
        Some(unmet) => {
            let reason = reason.or_else(|| reason_for(unmet));
            chooser(context, target, Some(person), reason)
        }
        None => signed_in_page(context, target, person),
    }
}

fn chooser(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    person: Option<&Person>,
    reason: Option<SignInReason>,
) -> Response<Body> {
    let user_agent = user_agent(context);
    let mut entries = target::allowed_connectors(context, target);
    let has_connectors = !entries.is_empty();
    entries.retain(|entry| entry.can_begin_login());
    let is_portal_only = has_connectors && entries.is_empty();
    let last_used = last_connector(context);
    // The last connector comes first; the others keep their order.
    entries.sort_by_key(|entry| last_used != Some(entry.id.as_str()));
    let choices = entries.iter().map(|entry| {
        let first_parameter = format!("connector={}", entry.id);
        let query = target.query_string(&context.site.external_url, &first_parameter);
        ConnectorChoice {
            name: context.lang().label(&entry.display_name),
            icon: entry.features.icon,
            href: Href::new(format!("{}/start{query}", context.site.prefix)),
            is_last_used: last_used == Some(entry.id.as_str()),
        }
    });
    let (notices, hints) = hints(&entries, &user_agent);
    let page = SignInPage {
        info: context.page_info(),
        reason,
        signed_in: person.map(name_of),
        choices: choices.collect(),
        is_portal_only,
        notices,
        hints,
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

fn signed_in_page(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    person: &Person,
) -> Response<Body> {
    let (prefix, login_url) = (&context.site.prefix, &context.site.external_url);
    let (switch_name, switch_value) = urls::SWITCH_ACCOUNT;
    let entry = context.site.login.entry(&person.session.via);
    let home = entry.map_or("/", |entry| entry.default_return_to(&user_agent(context)));
    let home = ReturnTo::parse(home, context.site);
    // Without a route nothing is there but a page that says so.
    let home = home.filter(|home| target::route(context, home).is_some());
    let returns = target.return_to.is_some();
    let query = target.query_string(login_url, "");
    let page = SignedInPage {
        info: context.page_info(),
        person: name_of(person),
        continue_to: match returns {
            true => Some(Href::new(format!("{prefix}/start{query}"))),
            false => home.map(|home| Href::new(home.absolute(login_url))),
        },
        returns,
        home_name: entry
            .and_then(|entry| entry.config.home.name.as_ref())
            .filter(|_| !returns)
            .map(|name| context.lang().label(name)),
        switch_account: Href::new(format!(
            "{prefix}/sign_out{}",
            target.query_string(login_url, &format!("{switch_name}={switch_value}"))
        )),
        sign_out: Href::new(format!("{prefix}/sign_out")),
    };
    let targets = urls::sign_out_targets(context, person);
    let page = page.render(context.lang());
    reply::page_with_form_targets(StatusCode::OK, &page, &targets)
}

fn name_of(person: &Person) -> PersonName<'_> {
    PersonName {
        name: person.entitlements.fields.name.as_deref(),
        login: person.session.login.as_str(),
    }
}

/// The hints above and below the buttons, one of each per kind of connector, in the order of the buttons.
fn hints(
    entries: &[&Arc<ConnectorEntry>],
    user_agent: &str,
) -> (Vec<LocalizedText>, Vec<LocalizedText>) {
    let mut kinds = BTreeSet::new();
    let first_of_kind = entries.iter().filter(|it| kinds.insert(it.kind));
    let texts: Vec<_> = first_of_kind
        .map(|it| it.features.hints(user_agent))
        .collect();
    let above = texts.iter().filter_map(|(above, _)| *above);
    let below = texts.iter().filter_map(|(_, below)| *below);
    (above.collect(), below.collect())
}

/// The explanation on the page why a login is required.
pub(super) fn reason_for(why: LoginReason) -> Option<SignInReason> {
    match why {
        LoginReason::NotSignedIn => None,
        LoginReason::Expired => Some(SignInReason::Expired),
        LoginReason::OtherConnector => Some(SignInReason::OtherConnector),
        LoginReason::StepUp => Some(SignInReason::StepUp),
    }
}

/// The reason as the value of the query parameter `why`.
pub(super) fn reason_parameter(reason: SignInReason) -> &'static str {
    match reason {
        SignInReason::Expired => "expired",
        SignInReason::OtherConnector => "other",
        SignInReason::StepUp => "step-up",
        SignInReason::SignedOut => "signed-out",
        SignInReason::LoopDetected => "round",
        SignInReason::ProviderSignedOut => "gone",
    }
}

/// The reason in the query parameter `why`.
pub(super) fn reason_from_query(query: &Fields) -> Option<SignInReason> {
    let reasons = [
        SignInReason::Expired,
        SignInReason::OtherConnector,
        SignInReason::StepUp,
        SignInReason::SignedOut,
        SignInReason::LoopDetected,
        SignInReason::ProviderSignedOut,
    ];
    let value = query.one("why").ok().flatten()?;
    reasons
        .into_iter()
        .find(|reason| reason_parameter(*reason) == value)
}

/// The connector of this browser's last login. The cookie is not authenticated; it only sorts the
/// list.
fn last_connector<'a>(context: &RequestContext<'a>) -> Option<&'a str> {
    cookies(
        context.head.headers,
        context.site.cookies.last_connector_name(),
    )
    .next()
}

/// The `Set-Cookie` header with the last connector, if several connectors are configured.
pub(super) fn last_connector_cookie(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
) -> Option<String> {
    let has_several_connectors = context.site.login.entries().len() > 1;
    let cookie_settings = &context.site.cookies;
    has_several_connectors.then(|| {
        cookie_settings.set_host_only(
            cookie_settings.last_connector_name(),
            entry.id.as_str(),
            LAST_CONNECTOR_AGE_S,
        )
    })
}
