//! `/sign_in?connector=ID`: the form for a user name and a password.

use http::{Method, Response, StatusCode};

use super::super::navigation::{Errand, errand};
use super::super::page::{Footing, Href, PasswordNotice, PasswordPage};
use super::super::{Visit, reply};
use super::{Target, place};
use crate::login::Entry;
use crate::login::fields::Fields;
use crate::login::pending::FlowId;
use crate::request::Body;
use crate::store::ConnectorId;

/// Where the form is, for a connector that has one.
pub(super) fn address(visit: &Visit<'_>, entry: &Entry, target: &Target) -> Option<String> {
    let first = format!("connector={}", entry.id);
    let query = target.query(&visit.site.external_url, &first);
    let has_form = entry.has_form();
    has_form.then(|| format!("{}/sign_in{query}", visit.site.prefix))
}

/// The connector whose form a person goes to.
pub(super) fn named<'a>(visit: &Visit<'a>, query: &Fields) -> Option<&'a Entry> {
    let goes = *visit.head.method == Method::GET && errand(visit.head) == Errand::Navigation;
    let id = query.one("connector").ok().flatten().filter(|_| goes)?;
    let entry = visit.site.login.entry(&id.parse::<ConnectorId>().ok()?)?;
    entry.has_form().then_some(&**entry)
}

/// What a form shows besides its fields.
#[derive(Default)]
pub(super) struct Shown<'a> {
    pub(super) status: StatusCode,
    /// The user name that was typed before.
    pub(super) login: &'a str,
    pub(super) notice: Option<PasswordNotice>,
}

/// The form of a login that began.
pub(super) fn page(
    visit: &Visit<'_>,
    entry: &Entry,
    target: &Target,
    flow: &FlowId,
    shown: &Shown<'_>,
) -> Response<Body> {
    let home = &visit.site.external_url;
    let site = visit.head.host.to_string();
    let return_to = target.return_to.as_ref().map(|place| match place.origin() {
        Some(_) => place.absolute_from(home),
        None => place.local().to_owned(),
    });
    let mut others = place::allowed(visit, target);
    others.retain(|other| other.begins_logins());
    let several = others.len() > 1;
    let page = PasswordPage {
        footing: Footing {
            site: &site,
            request_id: visit.id.as_str(),
        },
        source: &entry.display_name,
        post_to: Href::new(format!("{}/password/{}", visit.site.prefix, entry.id)),
        flow: flow.as_str(),
        return_to: return_to.as_deref().unwrap_or_default(),
        login: shown.login,
        notice: shown.notice,
        others: several.then(|| {
            let query = target.query(home, "");
            Href::new(format!("{}/sign_in{query}", visit.site.prefix))
        }),
        for_frame: target.for_frame,
    };
    reply::page_response(shown.status, &page.render(visit.lang()))
}
