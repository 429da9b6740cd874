//! `ConsoleRequest`: what the pages of the console read of a request.

use crate::face::browser::{single_header, single_header_lossy};
use crate::face::page::Lang;
use crate::login::fields::Fields;
use crate::request::head::Head;
use crate::site::Console as ConsoleSettings;

use super::{PATH, cookies};

/// A request to the console.
pub(super) struct ConsoleRequest<'a> {
    pub(super) head: &'a Head<'a>,
    /// The path below `/console`.
    pub(super) path: &'a str,
    pub(super) query: Fields,
    /// The language that the query asks for.
    pub(super) asked_lang: Option<Lang>,
    pub(super) lang: Lang,
    /// The origin of the console, as the browser that sent the request knows it.
    pub(super) origin: String,
}

impl<'a> ConsoleRequest<'a> {
    pub(super) fn new(head: &'a Head<'a>, settings: &ConsoleSettings) -> Self {
        let query = head.path.query().unwrap_or_default();
        // Too many parameters count as none.
        let query = Fields::parse(query.as_bytes()).unwrap_or_default();
        let asked_lang = query.one("lang").ok().flatten().and_then(lang_named);
        let accepted = || Lang::of(single_header_lossy(head.headers, "accept-language").as_deref());
        let remembered = cookies::lang(head.headers).and_then(lang_named);
        Self {
            path: head.path.as_str().strip_prefix(PATH).unwrap_or_default(),
            lang: asked_lang.or(remembered).unwrap_or_else(accepted),
            asked_lang,
            origin: origin(head, settings),
            query,
            head,
        }
    }

    /// Whether the browser uses https.
    pub(super) fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Whether a page of the console sent the request: with `Origin`, as all browsers send it with a POST.
    pub(super) fn is_of_own_origin(&self) -> bool {
        let site = single_header(self.head.headers, "sec-fetch-site");
        single_header(self.head.headers, "origin") == Some(self.origin.as_str())
            && site.is_none_or(|site| site == "same-origin")
    }

    /// A parameter of the query; absent if it is empty or repeated.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let value = self.query.one(name).ok().flatten()?.trim();
        Some(value).filter(|value| !value.is_empty() && !value.contains('\0'))
    }

    /// The query with another value of a parameter, which is removed without one. Language and messages are
    /// left out.
    pub(super) fn query_with(&self, name: &str, value: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (other, value) in self.query.iter() {
            if ![name, "lang", "done"].contains(&other) && !value.is_empty() {
                query.append_pair(other, value);
            }
        }
        if let Some(value) = value {
            query.append_pair(name, value);
        }
        let query = query.finish();
        match query.is_empty() {
            true => String::new(),
            false => format!("?{query}"),
        }
    }

    /// The address of this page in another language.
    pub(super) fn address_in(&self, lang: Lang) -> String {
        let name = match lang {
            Lang::Zh => "zh",
            Lang::En => "en",
        };
        format!("{PATH}{}{}", self.path, self.query_with("lang", Some(name)))
    }
}

fn lang_named(name: &str) -> Option<Lang> {
    match name {
        "zh" => Some(Lang::Zh),
        "en" => Some(Lang::En),
        _ => None,
    }
}

/// That of `external_url`, if the request names its host, or comes from one of its pages through a proxy that
/// does not pass on the host; else that of the request.
fn origin(head: &Head<'_>, settings: &ConsoleSettings) -> String {
    let own = head.origin();
    let Some(url) = &settings.external_url else {
        return own;
    };
    let external = url.origin().ascii_serialization();
    let default_port = if url.scheme() == "https" { 443 } else { 80 };
    let port = head.port.unwrap_or(default_port);
    let names_it =
        url.host_str() == Some(head.host.as_str()) && url.port_or_known_default() == Some(port);
    let is_from_it = single_header(head.headers, "origin") == Some(external.as_str());
    if names_it || is_from_it {
        external
    } else {
        own
    }
}
