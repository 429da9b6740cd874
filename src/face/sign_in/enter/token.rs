//! The entry token of a request, its return address, and the page that sent it.

use http::header::{ORIGIN, REFERER};
use url::Url;

use super::super::super::RequestContext;
use super::super::super::browser::single_header_lossy;
use super::super::LoginTarget;
use crate::login::connector::{EntryPlace, EntryPoint};
use crate::login::fields::Fields;

/// The longest entry token, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The entry token, if it occurs exactly once in query and form.
pub(super) fn single_token<'a>(
    entry_point: &EntryPoint,
    query: &'a Fields,
    form: &'a Fields,
) -> Option<&'a str> {
    let parameter = &entry_point.parameter;
    let in_query_and_form = (query.one(parameter).ok()?, form.one(parameter).ok()?);
    let ((Some(token), None) | (None, Some(token))) = in_query_and_form else {
        return None;
    };
    let bytes_max = match entry_point.place {
        EntryPlace::Enter => TOKEN_BYTES_MAX,
        EntryPlace::Callback {
            token_bytes_max, ..
        } => token_bytes_max,
    };
    let fits = !token.is_empty() && token.len() <= bytes_max;
    fits.then_some(token)
}

/// The target of the login that the return address in a form or a query names.
pub(super) fn target_in(
    context: &RequestContext<'_>,
    place: EntryPlace,
    query: &Fields,
    form: &Fields,
) -> LoginTarget {
    match place {
        EntryPlace::Enter if form.has("rd") => LoginTarget::from_query(context, form),
        EntryPlace::Enter => LoginTarget::from_query(context, query),
        EntryPlace::Callback { return_field, .. } => {
            let return_address = form.one(return_field).ok().flatten();
            let rd = return_address.map(|text| ("rd".to_owned(), text.to_owned()));
            LoginTarget::from_query(context, &Fields::new(rd.into_iter().collect()))
        }
    }
}

/// Whether the request comes from a page of an allowed origin, by its `Origin` header, else by `Referer`.
pub(super) fn has_allowed_origin(context: &RequestContext<'_>, origins: &[Url]) -> bool {
    let headers = context.head.headers;
    let origin = match single_header_lossy(headers, ORIGIN.as_str()) {
        Some(origin) => Some(origin.into_owned()),
        None => single_header_lossy(headers, REFERER.as_str())
            .and_then(|referer| Url::parse(&referer).ok())
            .map(|referer| referer.origin().ascii_serialization()),
    };
    let is_allowed = |origin: String| {
        let mut origins = origins.iter();
        origins.any(|known| known.origin().ascii_serialization() == origin)
    };
    origins.is_empty() || origin.is_some_and(is_allowed)
}
