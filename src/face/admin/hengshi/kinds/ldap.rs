//! `ldap`: a directory.

use std::net::Ipv6Addr;

use serde_json::{Value, json};

use super::super::every_kind::{self, Fields};
use super::super::form::{Form, SecretField};
use super::super::mapping::{self, Shape};
use super::super::table::{Draft, Rest};
use super::Before;

const LOGIN: &str = "loginNameMapping";
const LOGIN_ATTRIBUTES: &str = "ldap.login_attributes";
const MAPPED_LOGIN: &str = "mapping.login";
const URL: &str = "ldap.url";
const START_TLS: &str = "ldap.start_tls";
const PASSWORD: &str = "ldap.bind_password";
const PLAIN: &str = "ldap";
const TLS: &str = "ldaps";

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>) {
    read_url(form, draft);
    let user = form.text("bindUser");
    let password = match form.secret("bindPassword") {
        // A password without a user would be one too many.
        SecretField::Absent if user.is_none() && before.keeps(PASSWORD) => SecretField::Removed,
        password => password,
    };
    draft.say_if("bindUser", "ldap.bind_dn", user);
    draft.say_secret("bindPassword", PASSWORD, password);
    let base = form.required("searchBase");
    draft.say_if("searchBase", "ldap.base", base);
    let filter = form.text("query");
    draft.say_if("query", "ldap.filter", filter);
    if let Some(attribute) = form.text(LOGIN) {
        draft.imply(MAPPED_LOGIN, mapping::one(Shape::Plain, &attribute));
        draft.say(LOGIN, LOGIN_ATTRIBUTES, json!([attribute]));
    }
    every_kind::read(form, draft, Shape::Plain);
}

/// Reads the parts of the URL.
fn read_url(form: &mut Form<'_>, draft: &mut Draft) {
    let protocol = form.choice("protocol", &[PLAIN, TLS]).unwrap_or(PLAIN);
    let host = form.required("url");
    let port = form.number("port").filter(|port| *port != 0);
    if port.is_some_and(|port| port > u64::from(u16::MAX)) {
        form.refuse("port", "端口最大为 65535", "a port is at most 65535");
    }
    let Some(host) = host else { return };
    let is_ipv6 = host.parse::<Ipv6Addr>().is_ok();
    let is_host = !host.contains(['/', '?', '#', '@', ' ', ',']);
    if !is_host || (host.contains(':') && !is_ipv6 && !host.starts_with('[')) {
        let zh = "应为主机名或 IP 地址，不含协议和端口：它们各有字段 protocol、port";
        let en =
            "it must be a host name or an IP address; protocol and port have fields of their own";
        form.refuse("url", zh, en);
        return;
    }
    let host = match is_ipv6 {
        true => format!("[{host}]"),
        false => host,
    };
    let url = match port {
        Some(port) => format!("{protocol}://{host}:{port}"),
        None => format!("{protocol}://{host}"),
    };
    draft.say("url", URL, url);
    if protocol == PLAIN {
        draft.imply(START_TLS, false);
    }
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    show_url(rest, fields);
    fields.put_if("bindUser", rest.take_text("ldap.bind_dn"));
    fields.put_secret("bindPassword", rest, PASSWORD);
    fields.put_if("searchBase", rest.take_text("ldap.base"));
    fields.put_if("query", rest.take_text("ldap.filter"));
    let attributes = rest.find(LOGIN_ATTRIBUTES).and_then(Value::as_array);
    if let Some([Value::String(attribute)]) = attributes.map(Vec::as_slice) {
        let attribute = attribute.clone();
        rest.take(LOGIN_ATTRIBUTES);
        let implied = mapping::one(Shape::Plain, &attribute);
        rest.take_if(MAPPED_LOGIN, &Value::from(implied));
        fields.put(LOGIN, attribute);
    }
    every_kind::show(rest, fields, Shape::Plain);
}

/// Shows the parts of a URL; a list of URLs has no fields.
fn show_url(rest: &mut Rest, fields: &mut Fields) {
    let parts = rest.text(URL).and_then(|url| {
        let (protocol, authority) = url.split_once("://")?;
        let protocol = [PLAIN, TLS].into_iter().find(|known| *known == protocol)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse::<u16>().ok()?)),
            _ => (authority, None),
        };
        let is_host = !host.is_empty() && !host.contains('/');
        is_host.then(|| (protocol, host.to_owned(), port))
    });
    let Some((protocol, host, port)) = parts else {
        return;
    };
    rest.take(URL);
    if protocol == PLAIN {
        rest.take_if(START_TLS, &Value::from(false));
    }
    fields.put("protocol", protocol);
    fields.put("url", host);
    fields.put_if("port", port);
}
