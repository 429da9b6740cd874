//! `Granted`: what a permitted request is told, for another proxy that forwards it itself.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::namespace::{Fate, METHODS, Namespace};
use super::written::Written;
use super::{cookies, is_replaced_authorization, judges_method, readmits};
use crate::request::head::Head;
use crate::request::policy::Permit;

/// What the proxy that asked should do with a request that may pass.
///
/// Its `Debug` shows no values: they name people, and may hold credentials.
#[derive(Clone)]
pub struct Granted {
    /// Headers to set, each once: identity, tokens and the route's own.
    set: HeaderMap,
    /// Headers of the client's that must not go on.
    remove: Vec<HeaderName>,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").finish_non_exhaustive()
    }
}

/// What a proxy in front writes itself; a client's own was dealt with there.
const GOVERNED_IN_FRONT: [&str; 4] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
    "x-request-id",
];

impl Granted {
    /// For a proxy that hands single headers on, under names of its own choice: the identity as
    /// `X-Auth-Request-*`, and nothing is removed.
    pub fn to_hand_on(permit: &Permit, head: &Head<'_>) -> Self {
        let mut set = HeaderMap::new();
        for (name, value) in written(permit, head) {
            set.insert(as_answered(&name).unwrap_or(name), value);
        }
        Self {
            set,
            remove: Vec::new(),
        }
    }

    /// For a proxy that changes the request as it is told: what the upstream would get from us, and
    /// what of the client's it would not.
    pub fn to_apply(permit: &Permit, head: &Head<'_>, namespace: &Namespace) -> Self {
        let mut set: HeaderMap = written(permit, head).collect();
        let mut remove = Vec::new();
        let sent = head.headers;
        if let Some(left) = cookies::others(sent) {
            match left {
                Some(value) => {
                    set.insert(COOKIE, value);
                }
                None => remove.push(COOKIE),
            }
        }
        let route = permit.route();
        let unwanted = |name: &&HeaderName| match namespace.fate(name) {
            Fate::Drop => namespace.includes(name),
            Fate::Hearsay => {
                let governed = GOVERNED_IN_FRONT.contains(&name.as_str());
                !governed && !readmits(route, namespace, name)
            }
            Fate::Method => judges_method(route) && !readmits(route, namespace, name),
            Fate::Pass => is_replaced_authorization(route, name),
        };
        let methods = METHODS.map(HeaderName::from_static);
        let method_is_judged =
            |name: &&HeaderName| judges_method(route) && !readmits(route, namespace, name);
        // Not all that the client sent may have been passed on to us.
        let unseen = namespace.known().iter();
        let unseen = unseen.chain(methods.iter().filter(method_is_judged));
        for name in unseen.chain(sent.keys().filter(unwanted)) {
            if !set.contains_key(name) && !remove.contains(name) {
                remove.push(name.clone());
            }
        }
        if is_replaced_authorization(route, &AUTHORIZATION) && !set.contains_key(AUTHORIZATION) {
            remove.push(AUTHORIZATION);
        }
        Self { set, remove }
    }

    /// The headers to set, each once.
    pub fn set(&self) -> &HeaderMap {
        &self.set
    }

    /// The names to remove; none of them is set.
    pub fn remove(&self) -> &[HeaderName] {
        &self.remove
    }
}

fn written(permit: &Permit, head: &Head<'_>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let mut written = Written::default();
    written.identity(permit);
    written.tokens(permit, head);
    written.assertion(permit, head);
    written.own(permit, head);
    written.into_pairs().into_iter()
}

/// The name of an identity header in an answer, as users of oauth2-proxy know it.
fn as_answered(name: &HeaderName) -> Option<HeaderName> {
    Some(HeaderName::from_static(match name.as_str() {
        "x-forwarded-user" => "x-auth-request-user",
        "x-forwarded-preferred-username" => "x-auth-request-preferred-username",
        "x-forwarded-name" => "x-auth-request-name",
        "x-forwarded-email" => "x-auth-request-email",
        "x-forwarded-groups" => "x-auth-request-groups",
        "x-forwarded-access-token" => "x-auth-request-access-token",
        _ => return None,
    }))
}
