//! Validates `[admin]`.

use super::Problems;
use crate::face::admin::{AdminTokenConfig, UNNAMED_TOKEN};
use crate::setting::KeyPath;
use crate::text;

/// The port of the documentation's examples.
const EXAMPLE_PORT: u16 = 9180;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let Some(admin) = &problems.config.admin else {
        return;
    };
    let listen = KeyPath::of(["admin", "listen"]);
    problems.internal_address(&listen, &admin.listen, EXAMPLE_PORT);
    // The audit log tells the tokens apart by their names.
    let mut names: Vec<&str> = admin.token.iter().map(|_| UNNAMED_TOKEN).collect();
    for (index, token) in admin.tokens.iter().enumerate() {
        let name = token.name.as_str();
        if names.contains(&name) {
            let key_path = KeyPath::of(["admin", "tokens"]).item(index).key("name");
            let help = text!(
                "choose another name; [admin] token has the name {UNNAMED_TOKEN}",
                "请换一个名字；[admin] token 的名字是 {UNNAMED_TOKEN}"
            );
            problems.add_at_value(
                &key_path,
                text!("another token is named {name}", "另一个令牌也叫 {name}"),
                help,
            );
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
        let help = text!(
            "name connectors, or remove the key",
            "请写上认证源，或删除这个键"
        );
        problems.add_at_value(
            &key_path,
            text!("broker names no connector", "broker 里没有认证源"),
            help,
        );
    }
    if token.view {
        let help = text!(
            "remove view, or make two tokens",
            "请删除 view，或分成两个令牌"
        );
        problems.add_at_value(
            &table.key("view"),
            text!(
                "a token with broker has no other right",
                "带 broker 的令牌不能有别的权限"
            ),
            help,
        );
    }
    for (index, id) in connectors.iter().enumerate() {
        let key_path = key_path.clone().item(index);
        match problems.config.connector.get(id) {
            None if !problems.is_complete("connector") => {}
            None => {
                let help = text!(
                    "name a connector of this configuration",
                    "请写本配置中的认证源"
                );
                problems.add_at_value(
                    &key_path,
                    text!("there is no connector {id}", "没有认证源 {id}"),
                    help,
                );
            }
            Some(connector) => {
                let mut kinds = connector.configured_kinds();
                if !kinds.any(|kind| kind.features().shares_app_token) {
                    let message = text!(
                        "the kind of {id} has no token of the application",
                        "{id} 这种认证源没有应用令牌"
                    );
                    problems.add_at_value(
                        &key_path,
                        message,
                        text!("name a connector of WeCom", "请写企业微信的认证源"),
                    );
                }
            }
        }
    }
}
