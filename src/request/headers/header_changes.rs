//! `HeaderChanges`: the headers of a permitted request, for another proxy that forwards it.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};

use super::header_lines::{ACCESS_TOKEN, HeaderLines};
use super::identity_headers::{IDENTITY, IdentityHeaders};
use super::protected_headers::{Disposition, METHOD_OVERRIDES};
use super::{
    RewriteOptions, cookies, decision_depends_on_method, is_replaced_authorization, passes_header,
};
use crate::request::access_token;
use crate::request::head::Head;
use crate::request::policy::Permit;
use crate::request::route::CheckHeaders;

/// The header changes that the proxy should make to a permitted request.
///
/// `Debug` shows no values: they identify persons and may be credentials.
#[derive(Clone)]
pub struct HeaderChanges {
    /// Headers to set, each once: identity, tokens and custom headers.
    added: HeaderMap,
    /// Headers of the client to remove.
    removed: Vec<HeaderName>,
}

impl std::fmt::Debug for HeaderChanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeaderChanges").finish_non_exhaustive()
    }
}

/// Headers that the asking proxy sets itself, after it has removed the client's.
const SET_BY_FRONT_PROXY: [&str; 4] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-client-cert",
    "x-request-id",
];

/// Headers that replace the method of the request line.
static METHOD_OVERRIDE_NAMES: [HeaderName; 3] = [
    HeaderName::from_static(METHOD_OVERRIDES[0]),
    HeaderName::from_static(METHOD_OVERRIDES[1]),
    HeaderName::from_static(METHOD_OVERRIDES[2]),
];

/// The expected number of added headers, including one that the face adds.
const ADDED_CAPACITY: usize = 8;

/// The header names for identity and access token.
struct IdentityNames {
    identity: [HeaderName; 5],
    access_token: HeaderName,
}

/// The names that upstreams receive.
static UPSTREAM_NAMES: IdentityNames = IdentityNames {
    identity: IDENTITY,
    access_token: ACCESS_TOKEN,
};

/// The names in responses of `/auth` and `/forward-auth`, as in oauth2-proxy.
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
    /// Translates a name of `UPSTREAM_NAMES`.
    fn translate(&self, name: &HeaderName) -> Option<HeaderName> {
        let mut identity = UPSTREAM_NAMES.identity.iter();
        let index = identity.position(|upstream_name| upstream_name == name);
        match index {
            Some(index) => self.identity.get(index).cloned(),
            None => (*name == UPSTREAM_NAMES.access_token).then(|| self.access_token.clone()),
        }
    }
}

impl HeaderChanges {
    /// For a proxy that copies chosen headers of the response into the request: the identity as
    /// `X-Auth-Request-*`, and what else `check_headers` of the route includes. Nothing is removed.
    pub fn for_auth_response(
        permit: &Permit,
        head: &Head<'_>,
        rewrite_options: RewriteOptions<'_>,
    ) -> Self {
        let included = permit.route().headers.on_checks;
        Self {
            added: added_headers(permit, head, rewrite_options, &AUTH_REQUEST_NAMES, included),
            removed: Vec::new(),
        }
    }

    /// For a proxy that applies changes to the request: the headers that the upstream would
    /// receive, as far as `included` says, and the removal of those it would not.
    pub fn for_request(
        permit: &Permit,
        head: &Head<'_>,
        rewrite_options: RewriteOptions<'_>,
        included: CheckHeaders,
    ) -> Self {
        let protected_headers = rewrite_options.protected_headers;
        let mut added = added_headers(permit, head, rewrite_options, &UPSTREAM_NAMES, included);
        let mut removed = Vec::new();
        let client_headers = head.headers;
        if let Some(value) = cookies::application_cookies(client_headers, protected_headers) {
            match value {
                Some(value) => {
                    added.insert(COOKIE, value);
                }
                None => removed.push(COOKIE),
            }
        }
        let route = permit.route();
        let is_unwanted = |name: &&HeaderName| match protected_headers.disposition(name) {
            // Hop-by-hop headers and framing are left to the proxy.
            Disposition::Drop => protected_headers.includes(name),
            Disposition::Untrusted => {
                let is_set_by_proxy = SET_BY_FRONT_PROXY.contains(&name.as_str());
                !is_set_by_proxy && !passes_header(route, protected_headers, name)
            }
            Disposition::MethodOverride => {
                decision_depends_on_method(route) && !passes_header(route, protected_headers, name)
            }
            Disposition::Pass => is_replaced_authorization(route, name),
        };
        // The proxy may not have passed on all of the client's headers, so every protected name is removed.
        let protected = protected_headers.all().iter();
        removed.extend(protected.filter(|name| !added.contains_key(*name)).cloned());
        let overrides = decision_depends_on_method(route).then_some(&METHOD_OVERRIDE_NAMES);
        let overrides = overrides.into_iter().flatten();
        for name in overrides.chain(client_headers.keys()).filter(is_unwanted) {
            if !added.contains_key(name) && !removed.contains(name) {
                removed.push(name.clone());
            }
        }
        let is_not_forwarded = is_replaced_authorization(route, &AUTHORIZATION)
            || access_token::is_sent(client_headers);
        let is_listed = added.contains_key(AUTHORIZATION) || removed.contains(&AUTHORIZATION);
        if is_not_forwarded && !is_listed {
            removed.push(AUTHORIZATION);
        }
        Self { added, removed }
    }

    /// The headers to set, each once.
    pub fn added(&self) -> &HeaderMap {
        &self.added
    }

    /// The headers to set, each once.
    pub fn into_added(self) -> HeaderMap {
        self.added
    }

    /// The names to remove; none of them is set.
    pub fn removed(&self) -> &[HeaderName] {
        &self.removed
    }
}

/// The headers that menshen sets; identity and access token get these names.
fn added_headers(
    permit: &Permit,
    head: &Head<'_>,
    rewrite_options: RewriteOptions<'_>,
    names: &IdentityNames,
    included: CheckHeaders,
) -> HeaderMap {
    let rules = &permit.route().headers;
    let mut added = HeaderMap::with_capacity(ADDED_CAPACITY);
    let mut lines = HeaderLines::default();
    let includes_all = included == CheckHeaders::All;
    let is_identity = |name: &HeaderName| UPSTREAM_NAMES.identity.contains(name);
    let replaces_identity = rules.custom.iter().any(|(name, _)| is_identity(name));
    // Custom headers of the route may replace the identity headers.
    let has_only_identity = rules.custom.is_empty() && rules.basic_auth.is_none();
    if !replaces_identity && (!includes_all || has_only_identity) {
        let identity = IdentityHeaders::of_permit(permit);
        let values = identity.iter().flat_map(|identity| identity.values());
        for (name, value) in names.identity.iter().zip(values) {
            if let Some(value) = value {
                added.insert(name, value.clone());
            }
        }
    } else {
        lines.add_identity(permit);
    }
    if includes_all {
        lines.add_provider_tokens(permit, head);
        lines.add_assertion(permit, head, rewrite_options.assertion_signer);
    }
    if includes_all || replaces_identity {
        lines.add_custom_headers(permit, head);
    }
    let is_included = |(name, _): &(HeaderName, _)| includes_all || is_identity(name);
    for (name, value) in lines.into_pairs().into_iter().filter(is_included) {
        added.insert(names.translate(&name).unwrap_or(name), value);
    }
    added
}
