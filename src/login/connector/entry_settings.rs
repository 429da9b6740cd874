//! The checks of settings that the kinds with an entry point share.

use url::Url;

use super::SettingProblem;
use crate::setting::{KeyPath, is_origin};

/// The warning for a connector that accepts entry tokens from any page.
pub(super) const ANY_ORIGIN: &str = "without `origins` any web page can sign a person in with a token of its \
                                     own choice: list the origins of the portal";

/// The parameters of the entry point itself.
const RESERVED_PARAMETERS: [&str; 5] = ["rd", "flow", "account", "k", "f"];

/// The longest name of a parameter, in bytes.
const PARAMETER_BYTES_MAX: usize = 64;

/// The entries of `origins` that are no origins.
pub(super) fn origin_problems<'a>(
    key_path: &KeyPath<'a>,
    origins: &[Url],
) -> Vec<SettingProblem<'a>> {
    let indexed = origins.iter().enumerate();
    let wrong = indexed.filter(|(_, origin)| !is_origin(origin));
    wrong
        .map(|(index, _)| {
            let help = "http:// or https://, a host and perhaps a port; no path, query or user";
            let key_path = key_path.clone().item(index);
            SettingProblem::value(key_path, "this must be an origin", help)
        })
        .collect()
}

/// The problem with the name of the parameter that holds the entry token, if there is one.
pub(super) fn entry_parameter_problem<'a>(
    key_path: KeyPath<'a>,
    name: &str,
) -> Option<SettingProblem<'a>> {
    if RESERVED_PARAMETERS.contains(&name) {
        let message = format!("`{name}` is a parameter of menshen itself");
        let help = "choose another, such as \"token\"";
        return Some(SettingProblem::value(key_path, message, help));
    }
    parameter_problem(key_path, name)
}

/// The problem with the name of a parameter, if there is one.
pub(super) fn parameter_problem<'a>(
    key_path: KeyPath<'a>,
    name: &str,
) -> Option<SettingProblem<'a>> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !name.is_empty() && name.len() <= PARAMETER_BYTES_MAX && name.bytes().all(is_allowed) {
        return None;
    }
    let message = "this cannot be the name of a parameter";
    let help = format!("letters, digits and -._~, at most {PARAMETER_BYTES_MAX}");
    Some(SettingProblem::value(key_path, message, help))
}
