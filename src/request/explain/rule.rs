//! `DecidingRule`: the setting of a route that decides, and the values it reads.

use serde::Serialize;
use serde_json::Value as Json;

use super::route_match::display_path;
use super::truncate;
use crate::expression::{EvalError, Expression, Value};
use crate::request::gate::{Caller, LoginReason};
use crate::request::head::Head;
use crate::request::policy::{RequestVariables, is_preflight, path_text, session_unmet_demand};
use crate::request::route::{Access, Demands, Preflight, Route};

/// The placeholder for a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// The result of a rule for a path whose bytes it cannot judge.
const UNDECODABLE_PATH: &str =
    "the rule has non-ASCII letters, and the path may contain them in another encoding";

/// The setting of a route that decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecidingRule {
    /// The key of the route: `preflight`, `access`, `public_paths`, `connectors`, `acr_values`,
    /// `max_age`, `allow`.
    pub key: &'static str,
    /// Its value.
    pub text: String,
    /// Its result for this request.
    #[serde(rename = "says")]
    pub result: String,
}

/// A variable that a rule reads, and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedValue {
    /// As written in the rule.
    pub name: String,
    /// Absent if it does not exist or has no value.
    pub value: Option<Json>,
}

/// The setting that decides, and the values it reads. It describes the decision of `judge` and
/// makes none.
pub(super) fn explain_rule(
    route: &Route,
    caller: Caller,
    head: &Head<'_>,
) -> (DecidingRule, Vec<NamedValue>) {
    let rule = |key, text: String, result: &str| {
        let result = result.to_owned();
        (DecidingRule { key, text, result }, Vec::new())
    };
    if route.preflight == Preflight::Pass && is_preflight(head) {
        let result = "a CORS preflight passes without identity";
        return rule("preflight", "pass".to_owned(), result);
    }
    if route.access == Access::Public {
        return rule("access", "public".to_owned(), "no session is needed");
    }
    if route.is_public(head) {
        let text = Json::from(head.path.as_str()).to_string();
        return rule("public_paths", text, "this path needs no session");
    }
    let unmet = match &caller {
        Caller::Person(person) => session_unmet_demand(route, &person.session, head.received_at),
        Caller::Anonymous(why) => Some(*why),
        Caller::Program(_) => None,
    };
    match (unmet, &route.allow) {
        (Some(LoginReason::OtherConnector), _) if route.access == Access::SignedIn => rule(
            "connectors",
            connector_list(route),
            "sessions of other connectors are not accepted",
        ),
        (Some(LoginReason::StepUp), _) if route.access == Access::SignedIn => {
            let (key, text, result) = unmet_demand_setting(route, &caller, head);
            rule(key, text, result)
        }
        (Some(_), _) if route.access == Access::SignedIn => {
            rule("access", "signed-in".to_owned(), "a login is needed")
        }
        (_, None) => rule(
            "access",
            "signed-in".to_owned(),
            "signed-in persons are allowed",
        ),
        (why, Some(allow)) => {
            // As in `judge`: a caller that the route does not accept is anonymous to its rule.
            let caller = why.map_or(caller, Caller::Anonymous);
            let result = rule_result(route, allow, &caller, head);
            let text = truncate(allow.source());
            let key = "allow";
            let values = values(allow, &caller, head);
            (DecidingRule { key, text, result }, values)
        }
    }
}

/// Further remarks on the route.
pub(super) fn notes(route: &Route, caller: &Caller, head: &Head<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Caller::Person(person) = caller
        && route.access == Access::Rule
        && !route.is_public(head)
        && session_unmet_demand(route, &person.session, head.received_at)
            == Some(LoginReason::StepUp)
    {
        let (key, text, result) = unmet_demand_setting(route, caller, head);
        notes.push(format!(
            "{key} = {text} → {result}; until then the request is anonymous to the rule"
        ));
    }
    if !route.issuers.is_empty() {
        let names: Vec<_> = route.issuers.iter().map(|issuer| issuer.as_str()).collect();
        notes.push(format!(
            "programs with a bearer token of {} are accepted too; tokens are not explained",
            names.join(", ")
        ));
    }
    if route.access_tokens {
        let demands = route.demands.as_deref();
        notes.push(match demands.is_some_and(Demands::concern_the_login) {
            true => {
                "access_tokens = true → access tokens are refused all the same, because acr_values \
                     or max_age demands a login, which a token does not prove"
                    .to_owned()
            }
            false => {
                "access_tokens = true → a program with an access token of a person is judged as \
                      that person"
                    .to_owned()
            }
        });
    }
    if let Caller::Person(person) = caller
        && !route.connectors.is_empty()
        && !route.connectors.contains(&person.session.via)
        && (route.is_public(head) || route.allow.is_some())
    {
        notes.push(format!(
            "connectors = {}: a session of {} is anonymous on this route",
            connector_list(route),
            person.session.via
        ));
    }
    notes
}

fn connector_list(route: &Route) -> String {
    let names: Vec<_> = route.connectors.iter().map(|id| id.as_str()).collect();
    Json::from(names).to_string()
}

/// The setting that a session does not meet: its key, its value, and how it fails.
fn unmet_demand_setting(
    route: &Route,
    caller: &Caller,
    head: &Head<'_>,
) -> (&'static str, String, &'static str) {
    let demands = route.demands.as_deref().cloned().unwrap_or_default();
    let without_max_age = Demands {
        max_age: None,
        ..demands.clone()
    };
    let has_accepted_acr = match caller {
        Caller::Person(person) => {
            let session = &person.session;
            without_max_age.are_met(
                &session.auth_context,
                Some(session.minted_at),
                head.received_at,
            )
        }
        Caller::Anonymous(_) | Caller::Program(_) => true,
    };
    match (has_accepted_acr, demands.max_age) {
        (true, Some(max_age)) => (
            "max_age",
            format!("{} s", max_age.as_secs()),
            "the authentication is too old",
        ),
        _ => (
            "acr_values",
            Json::from(demands.acr_values).to_string(),
            "not met; whether a login meets it is known only afterwards",
        ),
    }
}

/// The result of a rule, with another reading of the path if its result differs.
fn rule_result(route: &Route, allow: &Expression, caller: &Caller, head: &Head<'_>) -> String {
    let result_for =
        |path: &str| match allow.evaluate_bool(&RequestVariables::new(caller, head, path)) {
            Ok(true) => "yes".to_owned(),
            Ok(false) => "no".to_owned(),
            Err(error) => format!("it fails: {error}"),
        };
    let raw = head.path.as_str();
    let reads_path = allow.reads("request.path");
    let result_for_reading = |reading: &[u8]| match path_text(allow, reading) {
        Some(text) => result_for(&text),
        None => UNDECODABLE_PATH.to_owned(),
    };
    let result_as_sent = match reads_path {
        true => result_for_reading(raw.as_bytes()),
        false => result_for(raw),
    };
    let mut result = match caller {
        Caller::Anonymous(why) if *why != LoginReason::NotSignedIn => {
            format!(
                "{result_as_sent}, for an anonymous request ({})",
                why.as_str()
            )
        }
        Caller::Anonymous(_) => format!("{result_as_sent}, for an anonymous request"),
        Caller::Person(_) | Caller::Program(_) => result_as_sent.clone(),
    };
    if reads_path {
        let readings = route.readings(&head.path, route.case_insensitive);
        let readings = readings.unwrap_or_default();
        let other = readings.iter().skip(1).find_map(|reading| {
            let result = result_for_reading(reading);
            (result != result_as_sent)
                .then(|| format!("; of the reading {}: {result}", display_path(reading)))
        });
        result.extend(other);
    }
    result
}

/// Everything that a rule reads, for this caller and the path as sent.
fn values(allow: &Expression, caller: &Caller, head: &Head<'_>) -> Vec<NamedValue> {
    let raw = head.path.as_str();
    let text = path_text(allow, raw.as_bytes());
    let variables = RequestVariables::new(caller, head, text.as_deref().unwrap_or(raw));
    let named = allow.named_values().into_iter().filter_map(|expression| {
        let name = expression.source().to_owned();
        let value = match expression.evaluate(&variables) {
            // The map of all headers is not shown.
            Err(EvalError::WrongType { .. }) if name.starts_with("request") => return None,
            Ok(Value::Null) | Err(_) => None,
            Ok(_) if is_secret(&name) => Some(HIDDEN.into()),
            Ok(value) => Some(truncated_value(json(value))),
        };
        Some(NamedValue { name, value })
    });
    named.collect()
}

/// Whether a variable is a header with credentials.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("headers") && (name.contains("authorization") || name.contains("cookie"))
}

/// A value, truncated if its text is long.
fn truncated_value(value: Json) -> Json {
    let text = value.to_string();
    let short = truncate(&text);
    match short == text {
        true => value,
        false => short.into(),
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::List(items) => items.into_iter().map(json).collect(),
        Value::Map(entries) => {
            let entries = entries.into_iter();
            entries.map(|(key, value)| (key, json(value))).collect()
        }
    }
}
