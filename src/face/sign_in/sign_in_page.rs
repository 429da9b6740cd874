//! The page with the connectors, and why somebody stands there.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Response, StatusCode};

use super::super::page::{
    ConnectorChoice, Href, PageInfo, PersonName, SignInPage, SignInReason, SignedInPerson,
};
use super::super::{RequestContext, reply};
use super::{Target, target, user_agent};
use crate::login::ConnectorEntry;
use crate::login::connector::LocalizedText;
use crate::login::fields::Fields;
use crate::request::Body;
use crate::request::gate::{Caller, LoginReason};
use crate::request::head::cookies;

/// How long a browser remembers through which connector it came in last, in seconds.
const LAST_CONNECTOR_AGE_S: i64 = 365 * 24 * 3600;

/// The page with the connectors that count for the target.
pub(super) fn page(
    context: &RequestContext<'_>,
    target: &Target,
    who: &Caller,
    reason: Option<SignInReason>,
) -> Response<Body> {
    let site = context.head.host.to_string();
    let agent = user_agent(context);
    let mut entries = target::allowed_connectors(context, target);
    let is_portal_only = !entries.is_empty();
    entries.retain(|entry| entry.can_begin_login());
    let last = last_connector(context);
    // Who was here before finds their way first; the others keep their order.
    entries.sort_by_key(|entry| last != Some(entry.id.as_str()));
    let choices = entries.iter().map(|entry| {
        let first = format!("connector={}", entry.id);
        let query = target.query_string(&context.site.external_url, &first);
        ConnectorChoice {
            name: &entry.display_name,
            icon: entry.features.icon,
            href: Href::new(format!("{}/start{query}", context.site.prefix)),
            is_last_used: last == Some(entry.id.as_str()),
        }
    });
    let (notices, hints) = hints(&entries, &agent);
    let short = match who {
        Caller::Person(person) => target::unmet_requirement(context, target, person),
        Caller::Anonymous(_) | Caller::Program(_) => None,
    };
    let signed_in = match who {
        Caller::Person(person) => Some(SignedInPerson {
            person: PersonName {
                name: person.entitlements.fields.name.as_deref(),
                login: person.session.login.as_str(),
            },
            continue_to: target
                .return_to
                .as_ref()
                .filter(|_| short.is_none())
                .map(|_| {
                    let query = target.query_string(&context.site.external_url, "");
                    Href::new(format!("{}/start{query}", context.site.prefix))
                }),
        }),
        Caller::Anonymous(_) | Caller::Program(_) => None,
    };
    let page = SignInPage {
        info: PageInfo {
            site: &site,
            request_id: context.id.as_str(),
        },
        reason: reason.or_else(|| short.and_then(reason_for)),
        signed_in,
        choices: choices.collect(),
        is_portal_only,
        notices,
        hints,
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}

/// What is said about the connectors above and below their buttons, once for each kind.
fn hints(
    entries: &[&Arc<ConnectorEntry>],
    agent: &str,
) -> (Vec<LocalizedText>, Vec<LocalizedText>) {
    let kinds: BTreeMap<_, _> = entries.iter().map(|it| (it.kind, &it.features)).collect();
    let all: Vec<_> = kinds
        .values()
        .map(|features| features.hints(agent))
        .collect();
    let above = all.iter().filter_map(|(above, _)| *above);
    let below = all.iter().filter_map(|(_, below)| *below);
    (above.collect(), below.collect())
}

/// What to tell somebody of why they must log in.
pub(super) fn reason_for(why: LoginReason) -> Option<SignInReason> {
    match why {
        LoginReason::NotSignedIn => None,
        LoginReason::Expired => Some(SignInReason::Expired),
        LoginReason::OtherConnector => Some(SignInReason::OtherConnector),
        LoginReason::StepUp => Some(SignInReason::StepUp),
    }
}

/// The reason as it stands in an address.
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

/// The reason an address names.
pub(super) fn reason_from_query(query: &Fields) -> Option<SignInReason> {
    let all = [
        SignInReason::Expired,
        SignInReason::OtherConnector,
        SignInReason::StepUp,
        SignInReason::SignedOut,
        SignInReason::LoopDetected,
        SignInReason::ProviderSignedOut,
    ];
    let word = query.one("why").ok().flatten()?;
    all.into_iter()
        .find(|reason| reason_parameter(*reason) == word)
}

/// Through which connector this browser came in last. Anybody can write that; it only sorts.
fn last_connector<'a>(context: &RequestContext<'a>) -> Option<&'a str> {
    cookies(
        context.head.headers,
        context.site.cookies.last_connector_name(),
    )
    .next()
}

/// The `Set-Cookie` by which a browser remembers the connector, where there is a choice.
pub(super) fn last_connector_cookie(
    context: &RequestContext<'_>,
    entry: &ConnectorEntry,
) -> Option<String> {
    let several = context.site.login.entries().len() > 1;
    let flags = &context.site.cookies;
    several.then(|| {
        flags.set_local(
            flags.last_connector_name(),
            entry.id.as_str(),
            LAST_CONNECTOR_AGE_S,
        )
    })
}
