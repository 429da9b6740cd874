//! Evaluates the rule of a route over every reading of the path.

use std::borrow::Cow;

use super::{RequestVariables, path_text};
use crate::expression::{EvalError, Expression};
use crate::request::gate::Caller;
use crate::request::head::Head;
use crate::request::route::Route;
use crate::text;
use crate::wording::Text;

/// Why a rule has no result.
pub(super) enum RuleError {
    /// The result differs between readings of the path, or a reading is not text.
    Ambiguous,
    /// The rule reads the method, which is not in upper case.
    Method,
    /// The rule costs too much over all readings of the path.
    TooCostly,
    /// The rule reads a part of the request that is unknown.
    Incomplete(&'static str),
    /// The rule could not be evaluated.
    Failed(Text),
}

/// Evaluates the rule: if it reads the path, once for every reading of the path.
pub(super) fn evaluate(route: &Route, caller: &Caller, head: &Head<'_>) -> Result<bool, RuleError> {
    let Some(rule) = &route.allow else {
        return Ok(false);
    };
    // Checked first, because to a rule an unknown part would look absent, and a rule may test for
    // absence.
    let variables = ["path", "method", "ip"];
    let is_missing =
        |name: &&&str| head.unknown.hides_variable(name) && rule.reads(&format!("request.{name}"));
    if head.unknown.any()
        && let Some(what) = variables.iter().find(is_missing)
    {
        return Err(RuleError::Incomplete(what));
    }
    if !head.is_method_upper_case() && rule.reads("request.method") {
        return Err(RuleError::Method);
    }
    let result_for = |path: &str| rule.evaluate_bool(&RequestVariables::new(caller, head, path));
    let reads_path = rule.reads("request.path");
    let raw = head.path.as_str();
    let text_sent = match reads_path && !head.path.is_plain() {
        true => path_text(rule, raw.as_bytes()).ok_or(RuleError::Ambiguous)?,
        false => Cow::Borrowed(raw),
    };
    let result_as_sent = result_for(&text_sent);
    if reads_path && (!head.path.is_plain() || route.case_insensitive) {
        let expected = result_as_sent.as_ref().ok().copied();
        let readings = route.readings(&head.path, route.case_insensitive);
        let readings = readings.map_err(|_| RuleError::Ambiguous)?;
        for reading in readings.iter().skip(1) {
            let text = path_text(rule, reading).ok_or(RuleError::Ambiguous)?;
            if text == text_sent {
                continue;
            }
            let result = result_for(&text);
            if result == Err(EvalError::BudgetExceeded) {
                return Err(RuleError::TooCostly);
            }
            if result.ok() != expected {
                return Err(RuleError::Ambiguous);
            }
        }
    }
    result_as_sent.map_err(|error| match error {
        EvalError::BudgetExceeded => RuleError::TooCostly,
        error => RuleError::Failed(why_failed(rule, caller, &error)),
    })
}

/// Why a rule failed. If it uses a field that the person does not have as if it had a value, that is the reason.
fn why_failed(rule: &Expression, caller: &Caller, error: &EvalError) -> Text {
    let empty = match (caller, error) {
        (Caller::Person(person), EvalError::WrongType { of_null: true, .. }) => {
            let field = rule.null_field("user", &person.entitlements.user);
            field.map(|field| (field, &person.session.via))
        }
        _ => None,
    };
    match empty {
        Some((field, via)) => text!(
            "`{field}` is empty: the connector {via} gives no value for it ({error})",
            "`{field}` 是空的：认证源 {via} 没有提供它的值（{error:#}）"
        ),
        None => Text::of(error),
    }
}
