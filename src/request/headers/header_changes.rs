//! `HeaderChanges`: what a permitted request is is_included, for another proxy that forwards it itself.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};

use super::header_lines::{self, HeaderLines, IdentityHeaders};
use super::namespace::{Disposition, METHOD_OVERRIDES};
use super::{RewriteOptions, cookies, is_replaced_authorization, judges_method, passes_header};
use crate::request::head::Head;
use crate::request::policy::Permit;
use crate::request::route::CheckHeaders;

/// What the proxy that asked should do with a request that may pass.
///
/// Its `Debug` shows no values: they name people, and may hold credentials.
#[derive(Clone)]
pub struct HeaderChanges {
    /// Headers to set, each once: identity, tokens and the route's own.
    added: HeaderMap,
    /// Headers of the client's that must not go on.
    removed: Vec<HeaderName>,
}

impl std::fmt::Debug for HeaderChanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeaderChanges").finish_non_exhaustive()
    }
}

/// What a proxy in front writes itself; a client's own was dealt with there.
const SET_BY_FRONT_PROXY: [&str; 4] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
    "x-request-id",
];

/// The names by which a client may mean another method.
static METHOD_OVERRIDE_NAMES: [HeaderName; 3] = [
    HeaderName::from_static(METHOD_OVERRIDES[0]),
    HeaderName::from_static(METHOD_OVERRIDES[1]),
    HeaderName::from_static(METHOD_OVERRIDES[2]),
];

/// About how many headers are set, with one that whoever answers adds.
const SET_CAPACITY: usize = 8;

/// What is ours of the headers that are set, by the names that a kind of proxy knows.
struct IdentityNames {
    identity: [HeaderName; 5],
    access_token: HeaderName,
}

/// As an upstream gets them.
static UPSTREAM_NAMES: IdentityNames = IdentityNames {
    identity: header_lines::IDENTITY,
    access_token: header_lines::ACCESS_TOKEN,
};

/// As they are answered, and as users of oauth2-proxy know them.
static AUTH_REQUEST_NAMES: IdentityNames = IdentityNames {
    identity: [
        HeaderName::from_static("x-auth-request-user"),
        HeaderName::from_static("x-auth-request-preferred-username"),
        HeaderName::from_static("x-auth-request-name"),
        HeaderName::from_static("x-auth-request-email"),
        HeaderName::from_static("x-auth-request-groups"),
    ],
    access_token: HeaderName::from_static("x-auth-request-access-token"),
};

impl IdentityNames {
    /// The name for what an upstream gets under this one.
    fn of(&self, name: &HeaderName) -> Option<HeaderName> {
        let place = UPSTREAM_NAMES.identity.iter().position(|ours| ours == name);
        match place {
            Some(place) => self.identity.get(place).cloned(),
            None => (*name == UPSTREAM_NAMES.access_token).then(|| self.access_token.clone()),
        }
    }
}

impl HeaderChanges {
    /// For a proxy that hands single headers on, under names of its own choice: the identity as
    /// `X-Auth-Request-*`, what else the route allows, and nothing is removed.
    pub fn for_auth_response(
        permit: &Permit,
        head: &Head<'_>,
        rewrite_options: RewriteOptions<'_>,
    ) -> Self {
        let what = permit.route().headers.on_checks;
        Self {
            added: added_headers(permit, head, rewrite_options, &AUTH_REQUEST_NAMES, what),
            removed: Vec::new(),
        }
    }

    /// For a proxy that changes the request as it is is_included: what the upstream would get from us, as far
    /// as `what` goes, and what of the client's it would not.
    pub fn for_request(
        permit: &Permit,
        head: &Head<'_>,
        rewrite_options: RewriteOptions<'_>,
        what: CheckHeaders,
    ) -> Self {
        let namespace = rewrite_options.namespace;
        let mut set = added_headers(permit, head, rewrite_options, &UPSTREAM_NAMES, what);
        let mut remove = Vec::new();
        let sent = head.headers;
        if let Some(left) = cookies::application_cookies(sent, namespace) {
            match left {
                Some(value) => {
                    set.insert(COOKIE, value);
                }
                None => remove.push(COOKIE),
            }
        }
        let route = permit.route();
        let unwanted = |name: &&HeaderName| match namespace.disposition(name) {
            Disposition::Drop => namespace.includes(name),
            Disposition::Untrusted => {
                let set_by_front_proxy = SET_BY_FRONT_PROXY.contains(&name.as_str());
                !set_by_front_proxy && !passes_header(route, namespace, name)
            }
            Disposition::MethodOverride => {
                judges_method(route) && !passes_header(route, namespace, name)
            }
            Disposition::Pass => is_replaced_authorization(route, name),
        };
        // Not all that the client sent may have been passed on to us.
        let known = namespace.known().iter();
        remove.extend(known.filter(|name| !set.contains_key(*name)).cloned());
        let methods = judges_method(route).then_some(&METHOD_OVERRIDE_NAMES);
        let methods = methods.into_iter().flatten();
        for name in methods.chain(sent.keys()).filter(unwanted) {
            if !set.contains_key(name) && !remove.contains(name) {
                remove.push(name.clone());
            }
        }
        if is_replaced_authorization(route, &AUTHORIZATION) && !set.contains_key(AUTHORIZATION) {
            remove.push(AUTHORIZATION);
        }
        Self {
            added: set,
            removed: remove,
        }
    }

    /// The headers to set, each once.
    pub fn added(&self) -> &HeaderMap {
        &self.added
    }

    /// The same, for who needs them alone.
    pub fn into_added(self) -> HeaderMap {
        self.added
    }

    /// The names to remove; none of them is set.
    pub fn removed(&self) -> &[HeaderName] {
        &self.removed
    }
}

/// What we write, with these names for what is ours.
fn added_headers(
    permit: &Permit,
    head: &Head<'_>,
    rewrite_options: RewriteOptions<'_>,
    names: &IdentityNames,
    what: CheckHeaders,
) -> HeaderMap {
    let rules = &permit.route().headers;
    let mut set = HeaderMap::with_capacity(SET_CAPACITY);
    let mut written = HeaderLines::default();
    let all = what == CheckHeaders::All;
    let is_identity = |name: &HeaderName| UPSTREAM_NAMES.identity.contains(name);
    let replaces_identity = rules.own.iter().any(|(name, _)| is_identity(name));
    // What a route writes itself may take the place of what we would have written.
    if !replaces_identity && (!all || (rules.own.is_empty() && rules.basic_auth.is_none())) {
        let identity = IdentityHeaders::permitted(permit);
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
        written.assertion(permit, head, rewrite_options.assertion_signer);
    }
    if all || replaces_identity {
        written.own(permit, head);
    }
    let is_included = |(name, _): &(HeaderName, _)| all || is_identity(name);
    for (name, value) in written.into_pairs().into_iter().filter(is_included) {
        set.insert(names.of(&name).unwrap_or(name), value);
    }
    set
}
