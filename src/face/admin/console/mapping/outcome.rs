//! `Outcome`: the login and the headers that follow from a mapped profile.

use std::sync::Arc;

use super::super::PageContext;
use super::super::texts;
use crate::face::page::Lang;
use crate::people::profile::ProfileMappingError;
use crate::people::session::Person;
use crate::request::explain::{PersonOnRoute, VerdictKind, explain_person};
use crate::request::route::Route;
use crate::telemetry::error_chain;
use crate::wording::Text;

/// The most routes that are asked.
const ROUTES_MAX: usize = 200;

/// What a login with the profile leads to.
pub(super) struct Outcome {
    /// The login, or why the login fails.
    pub(super) login: Result<String, String>,
    pub(super) groups: Vec<Group>,
    /// How many routes are not shown.
    pub(super) more: usize,
}

/// Routes that do the same with the person and send the same headers.
pub(super) struct Group {
    pub(super) routes: Vec<String>,
    pub(super) verdict: &'static str,
    pub(super) class: &'static str,
    pub(super) reason: String,
    pub(super) headers: Vec<Header>,
}

/// A header about the person.
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
    /// The value without its percent-encoding.
    pub(super) decoded: Option<String>,
}

impl Outcome {
    pub(super) fn failed(lang: Lang, error: &ProfileMappingError) -> Self {
        let why = Text::of(&error_chain(error));
        Self {
            login: Err(lang.text(&why).to_owned()),
            groups: Vec::new(),
            more: 0,
        }
    }

    /// Asks every route, with the code that decides requests and writes their headers.
    pub(super) fn of(context: &PageContext<'_>, person: &Person) -> Self {
        let routes = context.site.routes.all();
        let mut found: Vec<(PersonOnRoute, Vec<String>)> = Vec::new();
        for route in routes.iter().take(ROUTES_MAX) {
            let explained = explained(context, route, person);
            let name = route.name.as_str().to_owned();
            match found.iter_mut().find(|(known, _)| *known == explained) {
                Some((_, names)) => names.push(name),
                None => found.push((explained, vec![name])),
            }
        }
        let lang = context.request.lang;
        let groups = found.into_iter();
        Self {
            login: Ok(person.session.login.to_string()),
            groups: groups
                .map(|(it, routes)| Group::new(lang, it, routes))
                .collect(),
            more: routes.len().saturating_sub(ROUTES_MAX),
        }
    }
}

fn explained(context: &PageContext<'_>, route: &Arc<Route>, person: &Person) -> PersonOnRoute {
    let (site, now) = (context.site, context.request.head.received_at);
    explain_person(
        &site.explain_context(),
        route,
        person,
        &site.external_url,
        now,
    )
}

impl Group {
    fn new(lang: Lang, explained: PersonOnRoute, routes: Vec<String>) -> Self {
        let texts = texts::of(lang);
        let (verdict, class) = match explained.verdict.kind {
            VerdictKind::Allow => (texts.passes, "good"),
            VerdictKind::NoUpstream => (texts.passes_checks, "good"),
            VerdictKind::LogIn => (texts.needs_other_sign_in, "warn"),
            VerdictKind::Forbidden => (texts.refused_by_rule, "bad"),
            VerdictKind::MethodNotForwarded
            | VerdictKind::OwnPage
            | VerdictKind::BadRequest
            | VerdictKind::NoRoute
            | VerdictKind::AmbiguousPath => (texts.does_not_pass, "bad"),
        };
        let headers = explained.headers.into_iter().map(|header| Header {
            name: header.name,
            value: lang.text(&header.value).to_owned(),
            decoded: header.decoded,
        });
        Self {
            routes,
            verdict,
            class,
            reason: match explained.verdict.kind {
                // The verdict says it already, unless the rule failed.
                VerdictKind::Forbidden if explained.verdict.is_by_rule() => String::new(),
                _ => lang.text(&explained.verdict.reason).to_owned(),
            },
            headers: headers.collect(),
        }
    }
}
