//! Validates `[admin]`.

use super::Problems;
use crate::door::Address;
use crate::face::admin::{AdminTokenConfig, UNNAMED_TOKEN};
use crate::setting::KeyPath;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let Some(admin) = &problems.config.admin else {
        return;
    };
    if let Err(error) = Address::try_from(admin.listen.clone()) {
        let help = "an address and a port, such as \"127.0.0.1:9180\", or \"unix:/path\"";
        problems.add_at_value(&KeyPath::of(["admin", "listen"]), error.to_string(), help);
    }
    // The audit log tells the tokens apart by their names.
    let mut names: Vec<&str> = admin.token.iter().map(|_| UNNAMED_TOKEN).collect();
    for (index, token) in admin.tokens.iter().enumerate() {
        let name = token.name.as_str();
        if names.contains(&name) {
            let key_path = KeyPath::of(["admin", "tokens"]).item(index).key("name");
            let help = format!("choose another name; [admin] token has the name {UNNAMED_TOKEN}");
            problems.add_at_value(&key_path, format!("another token is named {name}"), help);
        }
        names.push(name);
        validate_broker(problems, index, token);
    }
}

/// A token with `broker` names connectors whose kind has a token of the application, and has no other right.
fn validate_broker(problems: &mut Problems<'_>, index: usize, token: &AdminTokenConfig) {
    let Some(connectors) = &token.broker else {
        return;
    };
    let table = KeyPath::of(["admin", "tokens"]).item(index);
    let key_path = table.clone().key("broker");
    if connectors.is_empty() {
        let help = "name connectors, or remove the key";
        problems.add_at_value(&key_path, "broker names no connector", help);
    }
    if token.view {
        let help = "remove view, or make two tokens";
        problems.add_at_value(
            &table.key("view"),
            "a token with broker has no other right",
            help,
        );
    }
    for (index, id) in connectors.iter().enumerate() {
        let key_path = key_path.clone().item(index);
        match problems.config.connector.get(id) {
            None => {
                let help = "name a connector of this configuration";
                problems.add_at_value(&key_path, format!("there is no connector {id}"), help);
            }
            Some(connector) => {
                let mut kinds = connector.configured_kinds();
                if !kinds.any(|kind| kind.features().shares_app_token) {
                    let message = format!("the kind of {id} has no token of the application");
                    problems.add_at_value(&key_path, message, "name a connector of WeCom");
                }
            }
        }
    }
}
