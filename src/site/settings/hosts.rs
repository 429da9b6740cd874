//! The hosts to which the settings of a connector may send requests, for the audit trail.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::table::ConnectorTable;
use crate::login::connector::ConnectorConfig;

/// The most hosts that are named.
const HOSTS_MAX: usize = 16;

/// The key below which addresses are only names of fields.
const MAPPING: &str = "mapping";

/// Host and port of each address in the settings, and of the places to which their secrets are sent. A source
/// may name more in its metadata.
pub(super) fn of(connector: &ConnectorConfig, table: Option<&ConnectorTable>) -> Vec<String> {
    let mut hosts = BTreeSet::new();
    for kind in connector.configured_kinds() {
        for (path, _) in kind.secrets() {
            for place in kind.secret_destinations(path.steps()) {
                hosts.extend(host_of(&place));
            }
        }
    }
    let members = table.into_iter().flat_map(|table| table.expose());
    for (_, value) in members.filter(|(key, _)| *key != MAPPING) {
        collect(value, &mut hosts);
    }
    hosts.into_iter().take(HOSTS_MAX).collect()
}

fn collect(value: &Value, hosts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => hosts.extend(host_of(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, hosts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, hosts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Host and port of the address with which a text begins; `None` if it begins with another word. Contains no
/// user, password, path or query.
fn host_of(text: &str) -> Option<String> {
    let url = Url::parse(text.split_whitespace().next()?).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_host_and_port_are_named() {
        for (text, host) in [
            (
                "https://id.corp.example/realms/a?b#c",
                Some("id.corp.example"),
            ),
            ("http://u:hunter2@10.0.0.7:8080/", Some("10.0.0.7:8080")),
            (
                "ldaps://[2001:db8::1]:636 as cn=menshen",
                Some("[2001:db8::1]:636"),
            ),
            ("profile.userid", None),
            ("urn:oid:2.5.4.42", None),
            ("unix:/run/x", None),
            ("", None),
        ] {
            assert_eq!(host_of(text).as_deref(), host, "{text}");
        }
    }
}
