//! Validates `[connector.ID]`: its kind, callback, home, mapping and automatic login.

use super::Problems;
use super::destinations::Destinations;
use crate::expression::Scope;
use crate::face::OWN_PAGES;
use crate::login::connector::{AutoLogin, ConnectorConfig, Kind, KindError};
use crate::login::return_to::ReturnTo;
use crate::setting::KeyPath;
use crate::store::LOCAL_GROUPS_MAX;

pub(super) fn validate(problems: &mut Problems<'_>) {
    for (id, connector) in &problems.config.connector {
        let key_path = KeyPath::of(["connector", id.as_str()]);
        if let Err(error) = connector.kind() {
            let help = error.to_string().replace("ID", id.as_str());
            match error {
                KindError::Missing => {
                    problems.add_at_key(
                        &key_path,
                        format!("the connector `{id}` is of no kind"),
                        help,
                    );
                }
                KindError::Several(_, second) => {
                    let message = format!("the connector `{id}` is of two kinds");
                    problems.add_at_key(&key_path.clone().key(second), message, help);
                }
            }
        }
        for kind in connector.configured_kinds() {
            validate_kind(problems, &key_path, connector, kind);
        }
        if let Some(base) = &connector.callback_base {
            problems.require_origin(&key_path.clone().key("callback_base"), base);
        }
        validate_callback(problems, &key_path, connector);
        validate_home(problems, &key_path, connector);
        validate_join(problems, &key_path, connector);
        validate_mapping(problems, &key_path, connector);
    }
    validate_auto_logins(problems);
}

/// The problems that the kind of the connector finds.
fn validate_kind<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    connector: &'a ConnectorConfig,
    kind: &'a dyn Kind,
) {
    for (relative, text, scope) in kind.expressions() {
        problems.check_expression(&key_path.clone().join(relative), text, scope);
    }
    let external_url = problems.config.server.external_url.url();
    for problem in kind.problems(connector, external_url) {
        let key_path = key_path.clone().join(problem.key_path);
        match problem.points_at_key {
            true => problems.add_at_key(&key_path, problem.message, problem.help),
            false => problems.add_at_value(&key_path, problem.message, problem.help),
        }
    }
}

/// Refuses a callback that the provider's response cannot reach, or that is one of menshen's pages.
fn validate_callback<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    connector: &'a ConnectorConfig,
) {
    let Some(callback) = &connector.callback else {
        return;
    };
    let server = &problems.config.server;
    let key_path = key_path.clone().key("callback");
    let external = server.external_url.url();
    let reachable = [Some(external), connector.callback_base.as_ref()];
    if !reachable
        .iter()
        .flatten()
        .any(|url| url.origin() == callback.origin())
    {
        let help = format!(
            "logins run on {}: use that scheme and host, or set `callback_base` to the scheme \
             and host of this callback, if requests there reach menshen",
            external.origin().ascii_serialization()
        );
        problems.add_at_value(
            &key_path,
            "the provider's response would not reach menshen",
            help,
        );
        return;
    }
    let prefix = server.prefix.as_str();
    let below = callback.path().strip_prefix(prefix);
    let below = below.and_then(|rest| rest.strip_prefix('/'));
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let is_path =
        |path: &&str| !path.is_empty() && path.bytes().all(is_allowed) && !path.contains("//");
    let has_no_query = callback.query().is_none()
        && callback.fragment().is_none()
        && callback.username().is_empty()
        && callback.password().is_none();
    match below.filter(is_path).filter(|_| has_no_query) {
        None => {
            let help = format!(
                "a path below {prefix}/ of letters, digits and -._~/, without query; `prefix` can be \
                 changed, such as to \"/oauth2\""
            );
            problems.add_at_value(&key_path, "this cannot be a callback", help);
        }
        Some(path) => {
            let first = path.split('/').next().unwrap_or_default();
            if OWN_PAGES.contains(&first) {
                let help = "choose another, such as callback";
                let message = format!("{prefix}/{first} is a page of menshen");
                problems.add_at_value(&key_path, message, help);
            }
        }
    }
}

/// Checks the pages at which people arrive after a login without a target (`home`).
fn validate_home<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    connector: &'a ConnectorConfig,
) {
    let destinations = Destinations::new(problems.config);
    let pages = [
        ("desktop", &connector.home.desktop),
        ("mobile", &connector.home.mobile),
    ];
    for (key, target) in pages {
        if ReturnTo::parse(target, &destinations).is_none() {
            let key_path = key_path.clone().key("home").key(key);
            let help =
                "a path such as /portal, or a URL whose scheme, host and port a route serves";
            problems.add_at_value(&key_path, "nobody can land there after a login", help);
        }
    }
}

/// Refuses a `join` that gives nothing, or too many groups.
fn validate_join<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    connector: &'a ConnectorConfig,
) {
    let Some(join) = &connector.join else { return };
    let key_path = key_path.clone().key("join");
    if join.department.is_none() && join.groups.is_empty() {
        let help = "give `department`, `groups` or both, or remove `join`";
        problems.add_at_key(&key_path, "`join` gives nothing to anybody", help);
    }
    if join.groups.len() > LOCAL_GROUPS_MAX {
        let help = format!("at most {LOCAL_GROUPS_MAX} groups");
        problems.add_at_value(&key_path.key("groups"), "these are too many groups", help);
    }
}

fn validate_mapping<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    connector: &'a ConnectorConfig,
) {
    let key_path = key_path.clone().key("mapping");
    for (field, expression) in &connector.mapping.0 {
        let key_path = key_path.clone().key(field);
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if field.is_empty() || field.len() > 64 || !field.bytes().all(is_allowed) {
            let help = "letters, digits and _, at most 64: rules read it as user.attributes.NAME";
            problems.add_at_key(&key_path, "this name cannot be used for a field", help);
        }
        problems.check_expression(&key_path, expression, Scope::Mapping);
    }
}

/// Refuses two connectors that would both start a login automatically: every login, or those inside the
/// app of the same provider.
fn validate_auto_logins(problems: &mut Problems<'_>) {
    let mut always: Option<&str> = None;
    let mut connectors_by_app: Vec<(&'static str, &str)> = Vec::new();
    for (id, connector) in &problems.config.connector {
        let key_path = KeyPath::of(["connector", id.as_str()]).key("auto_login");
        let id = id.as_str();
        match connector.auto_login {
            AutoLogin::Never => {}
            AutoLogin::Always => match always {
                Some(other) => {
                    let message = format!("`{other}` already has auto_login = \"always\"");
                    problems.add_at_value(
                        &key_path,
                        message,
                        "only one connector can start every login",
                    );
                }
                None => always = Some(id),
            },
            AutoLogin::InApp => {}
        }
        // `always` includes the provider's own app.
        let starts_in_app = !matches!(connector.auto_login, AutoLogin::Never);
        let app = connector.kind().ok().and_then(|kind| kind.features().app);
        let Some(app_name) = app.filter(|_| starts_in_app).map(|app| app.name) else {
            continue;
        };
        match connectors_by_app
            .iter()
            .find(|(other, _)| *other == app_name)
        {
            Some((_, other)) => {
                let message =
                    format!("inside the client of {app_name}, `{other}` already starts logins");
                let help = "set auto_login = \"never\" on all but one connector of a kind";
                problems.add_at_value(&key_path, message, help);
            }
            None => connectors_by_app.push((app_name, id)),
        }
    }
}
