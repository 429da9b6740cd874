//! `/sign_out`: ends the session and lands on a page that starts nothing by itself.

use http::{Method, Response, StatusCode};
use url::Url;

use super::super::navigation::{Errand, errand, is_same_origin, text};
use super::super::page::{Cause, Footing, Href, SignedOutPage};
use super::super::record::Told;
use super::super::{Visit, address, reply};
use super::{Target, audit, caller};
use crate::keys::Purpose;
use crate::login::Entry;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::people::session::{Person, Session};
use crate::request::Body;
use crate::request::gate::Caller;
use crate::store::{Scope, StoreError};
use crate::telemetry::{Audit, Event};

/// What the place to go to afterwards is sealed under on its way through the source.
const STATE_NAME: &[u8] = b"sign out";
/// The longest such place, in bytes; a longer one is the site's root.
const STATE_BYTES_MAX: usize = 512;

/// Only a person going there, or a page of ours, ends a session.
pub(super) async fn answer(visit: &Visit<'_>, query: &Fields) -> Told {
    let allowed = match *visit.head.method {
        Method::GET => errand(visit.head) == Errand::Navigation,
        Method::POST => is_same_origin(visit.head),
        _ => return Told::own("method", reply::wrong_method("GET, POST")),
    };
    if !allowed {
        return Told::own("foreign", reply::foreign(visit));
    }
    let everywhere = visit.head.method == Method::POST && query.one("everywhere") == Ok(Some("1"));
    let who = match caller(visit).await {
        Ok(who) => who,
        Err(response) => return Told::own("unavailable", response),
    };
    let (mut source, mut onward) = (None, None);
    if let Caller::Person(person) = &who {
        let session = &person.session;
        let scope = if everywhere {
            Scope::Account(session.account)
        } else {
            Scope::Session(session.key)
        };
        if let Err(error) = visit.shared.sessions.revoke(&scope).await {
            return not_stored(visit, session, &error);
        }
        source = visit.site.login.entry(&session.via);
        onward = at_the_source(visit, query, person).await;
        visit.shared.telemetry.audit(&Audit {
            connector: Some(session.via.as_str()),
            subject: Some(session.subject.as_str()),
            login: Some(session.login.as_str()),
            account: Some(&session.account),
            session: Some(&session.public_id),
            reason: everywhere.then_some("everywhere"),
            ..audit::entry(visit, Event::SignOut)
        });
    }
    let mut response = match onward {
        Some(onward) => reply::see_other(onward.as_str()),
        None => page(visit, query, source.map(|entry| &**entry), everywhere),
    };
    let cookie = visit.site.cookies.clear_session(visit.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    Told::own("sign_out", response)
}

/// They are signed out as far as this process goes. They are told, in case there are others.
fn not_stored(visit: &Visit<'_>, session: &Session, error: &StoreError) -> Told {
    tracing::error!(request_id = %visit.id, error = %crate::telemetry::chain(error), "a sign-out could not be stored");
    visit.shared.telemetry.audit(&Audit {
        connector: Some(session.via.as_str()),
        subject: Some(session.subject.as_str()),
        login: Some(session.login.as_str()),
        account: Some(&session.account),
        session: Some(&session.public_id),
        reason: Some("not stored yet"),
        ..audit::entry(visit, Event::SignOut)
    });
    let mut response = reply::problem(visit, Cause::SignOutUnstored, None);
    let cookie = visit.site.cookies.clear_session(visit.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    Told::own("sign-out not stored", response)
}

fn page(
    visit: &Visit<'_>,
    query: &Fields,
    source: Option<&Entry>,
    everywhere: bool,
) -> Response<Body> {
    let site = visit.head.host.to_string();
    let page = SignedOutPage {
        footing: Footing {
            site: &site,
            request_id: visit.id.as_str(),
        },
        source: source.map(|entry| entry.display_name.as_str()),
        everywhere,
        sign_in: sign_in_again(visit, query),
    };
    reply::page_response(StatusCode::OK, &page.render(visit.lang()))
}

/// Where the browser ends the source's own session, when somebody watches and the source has such a
/// page. The session here is over already, whatever becomes of it there.
async fn at_the_source(visit: &Visit<'_>, query: &Fields, person: &Person) -> Option<Url> {
    if !is_watched(visit) {
        return None;
    }
    let entry = visit.site.login.entry(&person.session.via)?;
    let back = Url::parse(&address::own(visit, "sign_out")).ok()?;
    let state = Target::of(visit, query).return_to.map(|place| {
        let place = place.absolute_from(&visit.site.external_url);
        let fits = place.len() <= STATE_BYTES_MAX;
        let place = if fits { place.as_str() } else { "/" };
        let ring = &visit.site.ring;
        ring.seal(Purpose::Pending, STATE_NAME, place.as_bytes())
    });
    let state = state.unwrap_or_default();
    let tokens = person.tokens();
    let id_token = tokens.as_ref().and_then(|tokens| tokens.id.as_ref());
    let logout = entry.connector.logout()?;
    logout.address(id_token, &back, &state).await
}

/// Whether a person goes there with a window of their own, by a link or by a form.
fn is_watched(visit: &Visit<'_>) -> bool {
    let head = visit.head;
    match errand(head) {
        Errand::Navigation => true,
        // A form that a service worker passed on has no destination left.
        Errand::Embedded => {
            let dest = text(head.headers, "sec-fetch-dest");
            dest.is_none_or(|dest| matches!(dest, "document" | "empty"))
        }
        Errand::Program => false,
    }
}

/// Where the page leads to. A path is one of this host, which sends its strangers home by itself.
/// Whoever comes back from the source brings the place as it was sealed.
fn sign_in_again(visit: &Visit<'_>, query: &Fields) -> Href {
    let target = match query.one("state").ok().flatten() {
        Some(state) => Target {
            return_to: visit
                .site
                .ring
                .open(Purpose::Pending, STATE_NAME, state)
                .and_then(|place| String::from_utf8(place).ok())
                .and_then(|place| ReturnTo::parse(&place, visit.site)),
            ..Target::default()
        },
        None => Target::of(visit, query),
    };
    let query = target.query(&visit.site.external_url, "");
    let query = if query.len() > 1 { query.as_str() } else { "" };
    let elsewhere = target
        .return_to
        .is_some_and(|place| place.origin().is_some());
    Href::new(if elsewhere {
        format!("{}{query}", address::own(visit, "sign_in"))
    } else {
        format!("{}/sign_in{query}", visit.site.prefix)
    })
}
