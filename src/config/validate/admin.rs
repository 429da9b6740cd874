//! Validates `[admin]`.

use super::Problems;
use crate::door::Address;
use crate::face::admin::UNNAMED_TOKEN;
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
    for (at, token) in admin.tokens.iter().enumerate() {
        let name = token.name.as_str();
        if names.contains(&name) {
            let key_path = KeyPath::of(["admin", "tokens"]).item(at).key("name");
            let help = format!("choose another name; [admin] token has the name {UNNAMED_TOKEN}");
            problems.add_at_value(&key_path, format!("another token is named {name}"), help);
        }
        names.push(name);
    }
}
