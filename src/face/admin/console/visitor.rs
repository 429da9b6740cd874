//! `Visitor`: who uses the console, and what they may do. Looked at again for each request.

use super::request::ConsoleRequest;
use super::{Console, cookies};
use crate::face::admin::who;
use crate::people::console_sessions::{ConsoleUser, OpenConsoleSession};
use crate::request::console::ConsoleRight;
use crate::site::{Console as ConsoleSettings, Site};
use crate::telemetry::error_chain;

/// Somebody who may use the console.
#[derive(Debug)]
pub(super) struct Visitor {
    /// The name in histories and in the audit log.
    pub(super) by: String,
    /// The name on the pages.
    pub(super) name: String,
    /// Whether it is a local administrator, and not a person with an account.
    pub(super) is_local: bool,
    pub(super) right: ConsoleRight,
    pub(super) csrf_token: String,
}

/// Somebody who is signed in, but may not use the console.
#[derive(Debug)]
pub(super) struct Refused {
    /// The name in the audit log.
    pub(super) by: String,
    /// The name on the page.
    pub(super) name: String,
    pub(super) csrf_token: String,
}

/// The result of looking for a visitor.
pub(super) enum Found {
    Visitor(Visitor),
    Refused(Refused),
    Nobody,
    /// The store failed.
    Unavailable,
}

pub(super) async fn find(
    console: &Console,
    site: &Site,
    settings: &ConsoleSettings,
    request: &ConsoleRequest<'_>,
) -> Found {
    let Some(secret) = cookies::session(&site.ring, request) else {
        return Found::Nobody;
    };
    let person_sessions = (&site.gate.refresher, &site.session_timeouts);
    let found = console
        .sessions
        .find(&secret, settings.idle_timeout, person_sessions);
    match found.await {
        Ok(Some(session)) => of_session(settings, site, session),
        Ok(None) => Found::Nobody,
        Err(error) => {
            tracing::error!(error = %error_chain(&error), "a session of the console could not be read");
            Found::Unavailable
        }
    }
}

fn of_session(settings: &ConsoleSettings, site: &Site, session: OpenConsoleSession) -> Found {
    let csrf_token = session.csrf_token;
    match session.user {
        // As at the routes: a session of a connector that is not in force signs nobody in.
        ConsoleUser::Person(person) if !site.gate.connectors.contains(&person.session.via) => {
            Found::Nobody
        }
        ConsoleUser::Administrator(name) if settings.local => Found::Visitor(Visitor {
            by: who::local_administrator(&name),
            name: name.to_string(),
            is_local: true,
            right: ConsoleRight::Change,
            csrf_token,
        }),
        ConsoleUser::Administrator(name) => Found::Refused(Refused {
            by: who::local_administrator(&name),
            name: name.to_string(),
            csrf_token,
        }),
        ConsoleUser::Person(person) => {
            let login = &person.session.login;
            let by = who::person(login);
            let name = person.entitlements.fields.name.clone();
            let name = name.unwrap_or_else(|| login.to_string());
            let right = settings.rules.right_of(&person);
            match right.filter(|_| settings.admits_people()) {
                Some(right) => Found::Visitor(Visitor {
                    by,
                    name,
                    is_local: false,
                    right,
                    csrf_token,
                }),
                None => Found::Refused(Refused {
                    by,
                    name,
                    csrf_token,
                }),
            }
        }
    }
}
