//! `/sign_out`: ends the session and lands on a page that starts nothing by itself.

use http::{Method, StatusCode};

use super::super::navigation::{Errand, errand, is_same_origin};
use super::super::page::{Cause, Footing, Href, SignedOutPage};
use super::super::record::Told;
use super::super::{Visit, address, reply};
use super::{Target, audit, caller};
use crate::login::fields::Fields;
use crate::request::gate::Caller;
use crate::store::Scope;
use crate::telemetry::{Audit, Event};

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
    let mut source = None;
    if let Caller::Person(person) = &who {
        let session = &person.session;
        let scope = if everywhere {
            Scope::Account(session.account)
        } else {
            Scope::Session(session.key)
        };
        if let Err(error) = visit.shared.sessions.revoke(&scope).await {
            tracing::error!(request_id = %visit.id, error = %crate::telemetry::chain(&error), "a session could not be ended");
            return Told::own("unavailable", reply::problem(visit, Cause::StoreAway, None));
        }
        source = visit.site.login.entry(&session.via);
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
    let mut response = reply::page_response(StatusCode::OK, &page.render(visit.lang()));
    let cookie = visit.site.cookies.clear_session(visit.head.host.as_str());
    reply::add_cookie(&mut response, &cookie);
    Told::own("sign_out", response)
}

/// Where the page leads to. A path is one of this host, which sends its strangers home by itself.
fn sign_in_again(visit: &Visit<'_>, query: &Fields) -> Href {
    let target = Target::of(visit, query);
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
