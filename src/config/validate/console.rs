//! Validates `[console]`.

use super::Problems;
use crate::door::Address;
use crate::expression::Scope;
use crate::setting::KeyPath;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let Some(console) = &problems.config.console else {
        return;
    };
    let table = KeyPath::of(["console"]);
    for (key, rule) in [("allow", &console.allow), ("view", &console.view)] {
        let Some(rule) = rule else { continue };
        let key_path = table.clone().key(key);
        problems.check_expression(&key_path, rule, Scope::User);
        if console.external_url.is_none() {
            let message =
                format!("{key} needs external_url: people return there after their login");
            let help = "set external_url to what browsers type, such as \"https://menshen.corp.example:9443\"";
            problems.add_at_key(&key_path, message, help);
        }
    }
    if let Some(url) = &console.external_url {
        let key_path = table.clone().key("external_url");
        problems.require_origin(&key_path, url);
        if url.origin() == problems.config.server.external_url.url().origin() {
            let message = "the console has the origin of [server] external_url";
            let help = "use another host or port: scripts of an application of the same origin could use the \
                        console";
            problems.add_at_value(&key_path, message, help);
        }
    }
    if !console.local && console.allow.is_none() && console.view.is_none() {
        let help = "set allow or view, or remove local = false";
        let key_path = table.clone().key("local");
        problems.add_at_value(&key_path, "nobody could sign in to the console", help);
    }
    problems.require_positive(
        &table,
        &[
            ("lifetime", console.lifetime),
            ("idle_timeout", console.idle_timeout),
        ],
    );
    match &console.listen {
        Some(listen) => {
            if let Err(error) = Address::try_from(listen.clone()) {
                let help = "an address and a port, such as \"127.0.0.1:9443\", or \"unix:/path\"";
                problems.add_at_value(&table.key("listen"), error.to_string(), help);
            }
        }
        None if problems.config.admin.is_none() => {
            let help = "add [admin], or set listen to an address of its own";
            problems.add_at_key(&table, "the console has no listener", help);
        }
        None => {}
    }
}
