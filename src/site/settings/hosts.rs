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

/// Host and port of the places to which the secrets of the settings are sent, and then of each other address in
/// them. A source may name more in its metadata.
pub(super) fn of(connector: &ConnectorConfig, table: Option<&ConnectorTable>) -> Vec<String> {
    let mut hosts = BTreeSet::new();
    for kind in connector.configured_kinds() {
        for (path, _) in kind.secrets() {
            for place in kind.secret_destinations(path.steps()) {
                hosts.extend(host_of(&place));
            }
        }
    }
    let mut others = BTreeSet::new();
    let members = table.into_iter().flat_map(|table| table.expose());
    for (_, value) in members.filter(|(key, _)| *key != MAPPING) {
        collect(value, &mut others);
    }
    let others: Vec<_> = others.difference(&hosts).cloned().collect();
    bounded(hosts.into_iter().chain(others).collect())
}

/// The first hosts, and how many there are more: names that nobody asks, such as origins, must not hide one that
/// is asked.
fn bounded(mut hosts: Vec<String>) -> Vec<String> {
    let more = hosts.len().saturating_sub(HOSTS_MAX);
    if more > 0 {
        hosts.truncate(HOSTS_MAX);
        hosts.push(format!("{more} more that the settings name"));
    }
    hosts
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
    fn hosts_that_are_left_out_are_counted() {
        let hosts = |count| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(bounded(hosts(HOSTS_MAX)), hosts(HOSTS_MAX));
        let shown = bounded(hosts(HOSTS_MAX + 3));
        assert_eq!(shown[..HOSTS_MAX], hosts(HOSTS_MAX));
        assert_eq!(shown[HOSTS_MAX..], ["3 more that the settings name"]);
    }

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
