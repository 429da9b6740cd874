//! The sign-in page: the list of connectors and the reason why a login is needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Response, StatusCode};

use super::super::page::{
    ConnectorChoice, Href, PersonName, SignInPage, SignInReason, SignedInPerson,
};
use super::super::{RequestContext, reply};
use super::{LoginTarget, target, user_agent};
use crate::login::ConnectorEntry;
use crate::login::connector::LocalizedText;
use crate::login::fields::Fields;
use crate::request::Body;
use crate::request::gate::{Caller, LoginReason};
use crate::request::head::cookies;

/// The `Max-Age` of the cookie that names the last connector, in seconds.
const LAST_CONNECTOR_AGE_S: i64 = 365 * 24 * 3600;

/// The page with the connectors that the route of the return address accepts.
pub(super) fn page(
    context: &RequestContext<'_>,
    target: &LoginTarget,
    caller: &Caller,
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
    let unmet_demand = match caller {
        Caller::Person(person) => target::unmet_route_demand(context, target, person),
        Caller::Anonymous(_) | Caller::Program(_) => None,
    };
    let signed_in = match caller {
        Caller::Person(person) => Some(SignedInPerson {
            person: PersonName {
                name: person.entitlements.fields.name.as_deref(),
                login: person.session.login.as_str(),
            },
            continue_to: target
                .return_to
                .as_ref()
                .filter(|_| unmet_demand.is_none())
                .map(|_| {
                    let query = target.query_string(&context.site.external_url, "");
                    Href::new(format!("{}/start{query}", context.site.prefix))
                }),
        }),
        Caller::Anonymous(_) | Caller::Program(_) => None,
    };
    let page = SignInPage {
        info: context.page_info(),
        reason: reason.or_else(|| unmet_demand.and_then(reason_for)),
        signed_in,
        choices: choices.collect(),
        is_portal_only,
        notices,
        hints,
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// The hints above and below the buttons, one of each per kind of connector.
fn hints(
    entries: &[&Arc<ConnectorEntry>],
    user_agent: &str,
) -> (Vec<LocalizedText>, Vec<LocalizedText>) {
    let kinds: BTreeMap<_, _> = entries.iter().map(|it| (it.kind, &it.features)).collect();
    let texts: Vec<_> = kinds
        .values()
        .map(|features| features.hints(user_agent))
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
