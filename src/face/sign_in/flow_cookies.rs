//! The flow cookies, which hold pending logins.
//!
//! A pending login is one cookie, or two if the return address is long, because browsers drop cookies
//! above 4 KiB. All flow cookies of a browser together leave room for the cookies of applications, if a
//! proxy in front limits a header line to 8 KiB.

use http::Response;

use super::super::browser::loads_in_frame;
use super::super::{RequestContext, reply};
use crate::clock::Timestamp;
use crate::login::BegunLogin;
use crate::login::pending::{FlowId, PENDING_AGE_MAX_S, Pending};
use crate::request::Body;

/// How many pending logins one browser keeps; the oldest is evicted.
const LOGINS_MAX: usize = 5;

/// The largest total length of the flow cookies in the `Cookie` header, in bytes.
const HEADER_BYTES_MAX: usize = 6 * 1024;

/// How many flow cookies of a request are read: four times as many as menshen leaves in a browser, with two
/// for each login. An attacker may set more, and each one would be decrypted, or cleared by a header of the
/// response.
const COOKIES_READ_MAX: usize = 4 * 2 * LOGINS_MAX;

/// The longest value of one cookie, in bytes. Browsers drop cookies whose name and value exceed
/// 4096.
const PART_BYTES_MAX: usize = 3900;

/// The suffix of the name of a login's second cookie. No flow ID contains a dot.
const SECOND_SUFFIX: &str = ".2";

/// The separators between two cookies and between name and value.
const SEPARATOR_BYTES: usize = "; ".len() + "=".len();

/// The cookies of one pending login, as far as the request has them.
struct FlowCookies<'a> {
    /// The flow ID in their names. A cookie that menshen did not set may have any text there.
    flow: &'a str,
    first: Option<&'a str>,
    second: Option<&'a str>,
}

impl<'a> FlowCookies<'a> {
    fn empty(flow: &'a str) -> Self {
        Self {
            flow,
            first: None,
            second: None,
        }
    }

    /// Adds a cookie. Of two cookies with the same name the first counts.
    fn add(&mut self, is_second: bool, value: &'a str) {
        let part = match is_second {
            true => &mut self.second,
            false => &mut self.first,
        };
        part.get_or_insert(value);
    }

    fn sealed(&self) -> Option<String> {
        let first = self.first?;
        Some(match self.second {
            None => first.to_owned(),
            Some(second) => format!("{first}{second}"),
        })
    }

    /// The length of the cookies in the `Cookie` header, in bytes.
    fn bytes(&self, prefix: &str) -> usize {
        let overhead = prefix.len() + self.flow.len() + SEPARATOR_BYTES;
        let first = self.first.map(|value| overhead + value.len());
        let second = self.second;
        let second = second.map(|value| overhead + SECOND_SUFFIX.len() + value.len());
        first.unwrap_or(0) + second.unwrap_or(0)
    }
}

/// The sealed pending login in the request's cookies.
pub(super) fn sealed_login(context: &RequestContext<'_>, flow: &FlowId) -> Option<String> {
    cookies_of(context, flow).sealed()
}

/// Every pending login in the request's cookies that this site sealed.
pub(super) fn pending_logins(context: &RequestContext<'_>) -> impl Iterator<Item = Pending> {
    cookies_by_flow(context)
        .into_iter()
        .filter_map(|cookies| open_pending(context, &cookies))
}

fn open_pending(context: &RequestContext<'_>, cookies: &FlowCookies<'_>) -> Option<Pending> {
    let flow = FlowId::try_from(cookies.flow.to_owned()).ok()?;
    let sealed = cookies.sealed();
    let login = &context.site.login;
    let connectors = login.entries().iter().map(|entry| &entry.id);
    login
        .open_pending(connectors, &flow, sealed.as_deref())
        .ok()
}

/// Sets the cookies of a login that began and evicts the oldest ones.
pub(super) fn set(context: &RequestContext<'_>, begun: &BegunLogin, response: &mut Response<Body>) {
    let (flow, sealed) = (&begun.pending.flow, &begun.sealed);
    set_sealed(context, flow, sealed, begun.returns_by_post, response);
}

/// Sets the cookies of a sealed pending login. With `returns_by_post` the provider responds with a
/// cross-site POST, for which browsers send only `SameSite=None` cookies.
pub(super) fn set_sealed(
    context: &RequestContext<'_>,
    flow: &FlowId,
    sealed: &str,
    returns_by_post: bool,
    response: &mut Response<Body>,
) {
    let cookie_settings = &context.site.cookies;
    let prefix = cookie_settings.flow_prefix();
    let max_age_s = i64::try_from(PENDING_AGE_MAX_S).unwrap_or(i64::MAX);
    let flow = flow.as_str();
    let (first, second) = sealed.split_at(sealed.len().min(PART_BYTES_MAX));
    let parts = [("", first), (SECOND_SUFFIX, second)];
    for (suffix, value) in parts.iter().filter(|(_, value)| !value.is_empty()) {
        let name = format!("{prefix}{flow}{suffix}");
        let cookie = if loads_in_frame(context.head) {
            cookie_settings.set_partitioned(&name, value, max_age_s)
        } else if returns_by_post {
            cookie_settings.set_cross_site(&name, value, max_age_s)
        } else {
            cookie_settings.set_host_only(&name, value, max_age_s)
        };
        reply::add_cookie(response, &cookie);
    }
    let new = FlowCookies {
        flow,
        first: Some(first),
        second: Some(second).filter(|value| !value.is_empty()),
    };
    evict_oldest(context, &new, response);
}

/// Clears the oldest pending logins that exceed the limits together with the new one.
fn evict_oldest(
    context: &RequestContext<'_>,
    new: &FlowCookies<'_>,
    response: &mut Response<Body>,
) {
    let prefix = context.site.cookies.flow_prefix();
    let mut others: Vec<_> = cookies_by_flow(context)
        .into_iter()
        .filter(|cookies| cookies.flow != new.flow)
        .map(|cookies| (begun_at(context, &cookies), cookies))
        .collect();
    // A cookie that does not decrypt sorts first, as the oldest.
    others.sort_by_key(|(begun_at, _)| *begun_at);
    let (mut count, mut bytes) = (1, new.bytes(prefix));
    for (_, cookies) in others.iter().rev() {
        count += 1;
        bytes += cookies.bytes(prefix);
        if count > LOGINS_MAX || bytes > HEADER_BYTES_MAX {
            clear_cookies(context, cookies, response);
        }
    }
}

/// When a pending login began, also one that waits for the consent of the person.
fn begun_at(context: &RequestContext<'_>, cookies: &FlowCookies<'_>) -> Option<Timestamp> {
    if let Some(pending) = open_pending(context, cookies) {
        return Some(pending.begun_at);
    }
    let flow = FlowId::try_from(cookies.flow.to_owned()).ok()?;
    let sealed = cookies.sealed();
    let login = &context.site.login;
    let mut entries = login.entries().iter();
    entries.find_map(|entry| {
        let sealed = sealed.as_deref();
        let unsolicited = login.open_unsolicited(&entry.id, &flow, sealed);
        let pending = match unsolicited {
            Ok(pending) => pending,
            Err(_) => match login.open_link(&entry.id, &flow, sealed) {
                Ok((pending, ..)) => pending,
                Err(_) => {
                    let change = login.open_password_change(&entry.id, &flow, sealed);
                    change.ok()?.0
                }
            },
        };
        Some(pending.begun_at)
    })
}

/// Clears the cookies of a login.
pub(super) fn clear(context: &RequestContext<'_>, flow: &FlowId, response: &mut Response<Body>) {
    clear_cookies(context, &cookies_of(context, flow), response);
}

fn clear_cookies(
    context: &RequestContext<'_>,
    cookies: &FlowCookies<'_>,
    response: &mut Response<Body>,
) {
    let cookie_settings = &context.site.cookies;
    let parts = [("", cookies.first), (SECOND_SUFFIX, cookies.second)];
    for (suffix, _) in parts.iter().filter(|(_, value)| value.is_some()) {
        let name = format!("{}{}{suffix}", cookie_settings.flow_prefix(), cookies.flow);
        let cookie = if loads_in_frame(context.head) {
            cookie_settings.clear_partitioned(&name)
        } else {
            cookie_settings.clear_host_only(&name)
        };
        reply::add_cookie(response, &cookie);
    }
}

/// The cookies of one login. Reads all cookies, without [`COOKIES_READ_MAX`].
fn cookies_of<'a>(context: &RequestContext<'a>, flow: &'a FlowId) -> FlowCookies<'a> {
    let mut cookies = FlowCookies::empty(flow.as_str());
    for (name, is_second, value) in cookie_parts(context) {
        if name == cookies.flow {
            cookies.add(is_second, value);
        }
    }
    cookies
}

/// The cookies of the first logins in the request, in the browser's order.
fn cookies_by_flow<'a>(context: &RequestContext<'a>) -> Vec<FlowCookies<'a>> {
    let mut all: Vec<FlowCookies<'a>> = Vec::new();
    for (flow, is_second, value) in cookie_parts(context).take(COOKIES_READ_MAX) {
        let at = all.iter().position(|cookies| cookies.flow == flow);
        let at = at.unwrap_or_else(|| {
            all.push(FlowCookies::empty(flow));
            all.len() - 1
        });
        all[at].add(is_second, value);
    }
    all
}

/// Every flow cookie of the request: its flow ID, whether it is the second part, and its value.
fn cookie_parts<'a>(
    context: &RequestContext<'a>,
) -> impl Iterator<Item = (&'a str, bool, &'a str)> {
    let prefix = context.site.cookies.flow_prefix();
    let named = reply::cookies_with_prefix(context.head.headers, prefix);
    named.filter_map(move |(name, value)| {
        let name = name.strip_prefix(prefix)?;
        Some(match name.strip_suffix(SECOND_SUFFIX) {
            Some(flow) => (flow, true, value),
            None => (name, false, value),
        })
    })
}
