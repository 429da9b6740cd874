//! Settings that have the right type and an invalid value.

use super::super::{ConnectorBuildError, SettingProblem};
use crate::setting::KeyPath;
use crate::text;
use crate::wording::Text;

/// A key, whether its value is valid, and what a valid value is; `KEY RULE` is a sentence.
pub(crate) type ValueRule = (&'static str, bool, Text);

/// A key with an invalid value, and what a valid one is.
pub(crate) type InvalidValue = (&'static str, Text);

/// The keys with invalid values.
pub(crate) fn invalid_values(rules: impl IntoIterator<Item = ValueRule>) -> Vec<InvalidValue> {
    let invalid = rules.into_iter().filter(|(_, is_valid, _)| !is_valid);
    invalid.map(|(key, _, rule)| (key, rule)).collect()
}

/// The problems of a kind with these values.
pub(crate) fn value_problems(
    kind: &'static str,
    invalid: Vec<InvalidValue>,
) -> Vec<SettingProblem<'static>> {
    let problem = |(key, rule): InvalidValue| {
        let message = text!("{key} is invalid", "{key} 无效");
        let help = text!("{key} {rule}", "{key} {rule:#}");
        SettingProblem::value(KeyPath::of([kind, key]), message, help)
    };
    invalid.into_iter().map(problem).collect()
}

/// Refuses to build a connector with an invalid value.
pub(crate) fn require_valid(invalid: &[InvalidValue]) -> Result<(), ConnectorBuildError> {
    match invalid.first() {
        None => Ok(()),
        Some((key, rule)) => Err(ConnectorBuildError::Setting(text!(
            "{key} {rule}",
            "{key} {rule:#}"
        ))),
    }
}
