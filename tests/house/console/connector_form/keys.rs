//! Every key of the settings has a control, with the default that the settings have.

use std::collections::BTreeSet;

use super::*;
use crate::conf::keys::{KEYS, Shown};

/// Keys that only the file can have; the form shows them if it has them.
const OF_FILE: [&str; 4] = [
    "ca",
    "local.people",
    "saml.certificate",
    "saml.metadata_certificate",
];

/// The tables that connectors of every kind can have.
const TABLES_OF_ALL: [&str; 2] = ["home", "join"];

/// The keys of a connector of one kind, below `[connector.ID]`.
fn keys_of(kind: &str) -> impl Iterator<Item = (&'static str, Shown, &'static str)> {
    let keys = KEYS.iter().filter_map(|(path, how, value)| {
        let key = path.strip_prefix("connector.*.")?;
        // The steps are one control.
        let key = match key.strip_prefix("custom.step.") {
            Some("name") => "custom.step",
            Some(_) => return None,
            None => key,
        };
        Some((key, *how, *value))
    });
    keys.filter(move |(key, ..)| {
        let table = key.split_once('.').map(|(table, _)| table);
        table.is_none_or(|table| table == kind || TABLES_OF_ALL.contains(&table))
    })
}

/// The kinds of the settings.
fn kinds() -> BTreeSet<&'static str> {
    let keys = KEYS
        .iter()
        .filter_map(|(path, ..)| path.strip_prefix("connector.*."));
    let tables = keys.filter_map(|key| Some(key.split_once('.')?.0));
    tables
        .filter(|table| !TABLES_OF_ALL.contains(table))
        .collect()
}

#[tokio::test]
async fn every_key_of_every_kind_has_a_control_in_both_languages() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(&format!("{LIST}/_new")).await.text();
    let offered = html.split("new?kind=").skip(1);
    let offered: BTreeSet<_> = offered
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(offered, kinds());
    let mut missing = Vec::new();
    for kind in kinds() {
        for lang in ["zh", "en"] {
            let path = format!("{LIST}/_new?kind={kind}&lang={lang}");
            let html = visit.get(&path).await.text();
            for (key, ..) in keys_of(kind).filter(|(key, ..)| !OF_FILE.contains(key)) {
                if control(&html, key).is_none() {
                    missing.push(format!("{kind} {lang}: {key}"));
                }
            }
            for name in ["csrf", "etag", "kind"] {
                assert!(
                    !hidden(&html, name).is_empty() || name == "etag",
                    "{kind}: {name}"
                );
            }
            assert!(control(&html, "id").is_some(), "{kind}");
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn a_default_on_the_page_is_the_default_of_the_settings() {
    let menshen = empty_setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let mut wrong = Vec::new();
    for kind in kinds() {
        let html = visit.get(&format!("{LIST}/_new?kind={kind}")).await.text();
        let defaults = keys_of(kind).filter(|(_, how, _)| *how == Shown::Default);
        for (key, _, default) in defaults.filter(|(.., default)| *default != "[]") {
            let part = control(&html, key).unwrap();
            let text =
                match toml::from_str::<toml::Table>(&format!("it = {default}")).unwrap()["it"]
                    .clone()
                {
                    toml::Value::Array(items) => {
                        let items = items.iter().map(|item| item.as_str().unwrap());
                        items.collect::<Vec<_>>().join(" ")
                    }
                    toml::Value::String(text) => text,
                    other => other.to_string(),
                };
            let text = text.as_str();
            let is_shown = match text {
                "true" => part.contains(" checked"),
                "false" => !part.contains(" checked"),
                _ => ["<code>{}</code>", "value=\"{}\" selected", "value=\"{}\""]
                    .iter()
                    .take(if part.contains("<select") { 2 } else { 3 })
                    .any(|shape| part.contains(&shape.replace("{}", text))),
            };
            if !is_shown {
                wrong.push(format!("{kind}: {key} = {default}: {part}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn what_only_the_file_says_is_shown_of_a_connector_of_the_file() {
    let tables = "[connector.house]\nca = \"/etc/menshen/ca.pem\"\nenabled = false\n\
                  [connector.house.local]\npeople = \"/etc/menshen/people.toml\"\n";
    let menshen = with_console(&format!("external_url = \"http://console.test\"\n{tables}"))
        .start()
        .await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(&format!("{LIST}/house")).await.text();
    for (name, value) in [
        ("ca", "/etc/menshen/ca.pem"),
        ("local.people", "/etc/menshen/people.toml"),
    ] {
        let part = control(&html, name).unwrap_or_else(|| panic!("{name}: {html}"));
        assert!(part.contains(value), "{part}");
    }
}
