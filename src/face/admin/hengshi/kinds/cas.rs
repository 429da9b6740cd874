//! `cas`: a CAS server.

use serde_json::Value;
use url::Url;

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use crate::setting::sends_in_clear_text;

const PROTOCOL: &str = "protocol";
const VERSION: &str = "cas.version";
const URL: &str = "cas.url";
const ALLOW_HTTP: &str = "cas.allow_http";

/// The protocols of HENGSHI with the version, and whether proxy tickets may count: those of the proxies that
/// `menshen.cas.proxies` lists.
const PROTOCOLS: [(&str, &str, bool); 5] = [
    ("CAS10", "1.0", false),
    ("CAS20", "2.0", false),
    ("CAS20_PROXY", "2.0", true),
    ("CAS30", "3.0", false),
    ("CAS30_PROXY", "3.0", true),
];

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft) {
    let protocol = form.choice(PROTOCOL, &PROTOCOLS.map(|(name, ..)| name));
    let version = protocol.and_then(|protocol| {
        let mut protocols = PROTOCOLS.iter();
        protocols.find(|(name, ..)| *name == protocol)
    });
    draft.say_if(PROTOCOL, VERSION, version.map(|(_, version, _)| *version));
    let server = form.required_url("casServer");
    if server.as_deref().is_some_and(is_clear_text) {
        draft.imply(ALLOW_HTTP, true);
    }
    draft.say_if("casServer", URL, server);
    if form.text("loginNameMapping").is_some() {
        let zh = "CAS 不支持用户名映射，登录名就是 CAS 返回的用户名，请留空";
        let en = "CAS has no mapping of the login, which is the user name of the CAS server: leave it empty";
        form.refuse("loginNameMapping", zh, en);
    }
    every_kind::read(form, draft, Shape::Attributes);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    let has_proxies = rest
        .find("cas.proxies")
        .and_then(Value::as_array)
        .is_some_and(|proxies| !proxies.is_empty());
    if let Some(version) = rest.text(VERSION) {
        let mut protocols = PROTOCOLS.iter();
        let protocol = protocols.find(|(_, of_protocol, with_proxies)| {
            // Version 1.0 has no proxy tickets.
            *of_protocol == version && (*with_proxies == has_proxies || version == "1.0")
        });
        if let Some((name, ..)) = protocol {
            fields.put(PROTOCOL, *name);
            rest.take(VERSION);
        }
    }
    let url = rest.take_text(URL);
    if url.as_deref().is_some_and(is_clear_text) {
        rest.take_if(ALLOW_HTTP, &Value::from(true));
    }
    fields.put_if("casServer", url);
    every_kind::show(rest, fields, Shape::Attributes);
}

/// Whether requests to this URL leave the machine without TLS.
pub(super) fn is_clear_text(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| sends_in_clear_text(&url))
}
