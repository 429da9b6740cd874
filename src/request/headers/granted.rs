//! `Granted`: what a permitted request is told, for another proxy that forwards it itself.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};

use super::namespace::{Fate, METHODS};
use super::written::{self, Identity, Written};
use super::{Writing, cookies, is_replaced_authorization, judges_method, readmits};
use crate::request::head::Head;
use crate::request::policy::Permit;
use crate::request::route::CheckHeaders;

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

/// The names by which a client may mean another method.
static METHOD_NAMES: [HeaderName; 3] = [
    HeaderName::from_static(METHODS[0]),
    HeaderName::from_static(METHODS[1]),
    HeaderName::from_static(METHODS[2]),
];

/// About how many headers are set, with one that whoever answers adds.
const SET_ABOUT: usize = 8;

/// What is ours of the headers that are set, by the names that a kind of proxy knows.
struct Names {
    identity: [HeaderName; 5],
    access_token: HeaderName,
}

/// As an upstream gets them.
static FORWARDED: Names = Names {
    identity: written::IDENTITY,
    access_token: written::ACCESS_TOKEN,
};

/// As they are answered, and as users of oauth2-proxy know them.
static ANSWERED: Names = Names {
    identity: [
        HeaderName::from_static("x-auth-request-user"),
        HeaderName::from_static("x-auth-request-preferred-username"),
        HeaderName::from_static("x-auth-request-name"),
        HeaderName::from_static("x-auth-request-email"),
        HeaderName::from_static("x-auth-request-groups"),
    ],
    access_token: HeaderName::from_static("x-auth-request-access-token"),
};

impl Names {
    /// The name for what an upstream gets under this one.
    fn of(&self, name: &HeaderName) -> Option<HeaderName> {
        let place = FORWARDED.identity.iter().position(|ours| ours == name);
        match place {
            Some(place) => self.identity.get(place).cloned(),
            None => (*name == FORWARDED.access_token).then(|| self.access_token.clone()),
        }
    }
}

impl Granted {
    /// For a proxy that hands single headers on, under names of its own choice: the identity as
    /// `X-Auth-Request-*`, what else the route allows, and nothing is removed.
    pub fn to_hand_on(permit: &Permit, head: &Head<'_>, writing: Writing<'_>) -> Self {
        let what = permit.route().headers.on_checks;
        Self {
            set: written(permit, head, writing, &ANSWERED, what),
            remove: Vec::new(),
        }
    }

    /// For a proxy that changes the request as it is told: what the upstream would get from us, as far
    /// as `what` goes, and what of the client's it would not.
    pub fn to_apply(
        permit: &Permit,
        head: &Head<'_>,
        writing: Writing<'_>,
        what: CheckHeaders,
    ) -> Self {
        let namespace = writing.namespace;
        let mut set = written(permit, head, writing, &FORWARDED, what);
        let mut remove = Vec::new();
        let sent = head.headers;
        if let Some(left) = cookies::others(sent, namespace) {
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
        // Not all that the client sent may have been passed on to us.
        let known = namespace.known().iter();
        remove.extend(known.filter(|name| !set.contains_key(*name)).cloned());
        let methods = judges_method(route).then_some(&METHOD_NAMES);
        let methods = methods.into_iter().flatten();
        for name in methods.chain(sent.keys()).filter(unwanted) {
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

    /// The same, for who needs them alone.
    pub fn into_set(self) -> HeaderMap {
        self.set
    }

    /// The names to remove; none of them is set.
    pub fn remove(&self) -> &[HeaderName] {
        &self.remove
    }
}

/// What we write, with these names for what is ours.
fn written(
    permit: &Permit,
    head: &Head<'_>,
    writing: Writing<'_>,
    names: &Names,
    what: CheckHeaders,
) -> HeaderMap {
    let rules = &permit.route().headers;
    let mut set = HeaderMap::with_capacity(SET_ABOUT);
    let mut written = Written::default();
    let all = what == CheckHeaders::All;
    let says_who = |name: &HeaderName| FORWARDED.identity.contains(name);
    let renames = rules.own.iter().any(|(name, _)| says_who(name));
    // What a route writes itself may take the place of what we would have written.
    if !renames && (!all || (rules.own.is_empty() && rules.basic_auth.is_none())) {
        let identity = Identity::permitted(permit);
        let values = identity.iter().flat_map(|identity| identity.values());
        for (name, value) in names.identity.iter().zip(values) {
            if let Some(value) = value {
                set.insert(name, value.clone());
            }
        }
    } else {
        written.identity(permit);
    }
    if all {
        written.tokens(permit, head);
        written.assertion(permit, head, writing.asserter);
    }
    if all || renames {
        written.own(permit, head);
    }
    let told = |(name, _): &(HeaderName, _)| all || says_who(name);
    for (name, value) in written.into_pairs().into_iter().filter(told) {
        set.insert(names.of(&name).unwrap_or(name), value);
    }
    set
}
