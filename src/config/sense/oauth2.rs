//! `[connector.ID.oauth2]`: whether the provider is known, and everything needed of it is said.

use super::Findings;
use crate::config::place::Place;
use crate::expression::Scope;
use crate::login::config::ConnectorConfig;
use crate::login::connector::oauth2::{self, Config, Unfit};

pub(super) fn look<'a>(
    findings: &mut Findings<'a>,
    connector_place: &Place<'a>,
    connector: &'a ConnectorConfig,
    oauth2: &'a Config,
) {
    let place = connector_place.clone().key("oauth2");
    let expressions = [
        ("subject", &oauth2.subject),
        ("vouched_email", &oauth2.vouched_email),
    ];
    for (key, expression) in expressions {
        if let Some(text) = expression {
            findings.expression(&place.clone().key(key), text, Scope::Mapping);
        }
    }
    match oauth2::examine_settings(oauth2) {
        // The caret stands within the expression already.
        Ok(()) | Err(Unfit::Expression { .. }) => {}
        Err(Unfit::Key {
            key,
            name,
            message,
            help,
        }) => match &name {
            None => findings.value(&place.clone().key(key), format!("{key}: {message}"), help),
            Some(name) => findings.value(&place.clone().key(key).key(name), message, help),
        },
    }
    if oauth2.preset.is_none() && !connector.mapping.0.contains_key("login") {
        let message = "without a preset nothing says what people are called";
        let help = "add [connector.ID.mapping] with login = \"profile.…\"";
        findings.key(&place, message, help);
    }
}
