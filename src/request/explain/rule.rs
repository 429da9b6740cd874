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
use crate::text;
use crate::wording::Text;

/// The placeholder for a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// The result of a rule for a path whose bytes it cannot judge.
const UNDECODABLE_PATH: Text = Text::fixed(
    "the rule has non-ASCII letters, and the path may contain them in another encoding",
    "规则含有非 ASCII 字符，而路径里的这些字符可能用了别的编码",
);

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
    pub result: Text,
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
    let rule = |key, text: String, result: Text| (DecidingRule { key, text, result }, Vec::new());
    if route.preflight == Preflight::Pass && is_preflight(head) {
        let result = Text::fixed(
            "a CORS preflight passes without identity",
            "CORS 预检请求不需要身份即可通过",
        );
        return rule("preflight", "pass".to_owned(), result);
    }
    if route.access == Access::Public {
        return {
            let result = Text::fixed("no session is needed", "不需要会话");
            rule("access", "public".to_owned(), result)
        };
    }
    if route.is_public(head) {
        let text = Json::from(head.path.as_str()).to_string();
        let result = Text::fixed("this path needs no session", "这个路径不需要会话");
        return rule("public_paths", text, result);
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
            Text::fixed(
                "sessions of other connectors are not accepted",
                "不接受其他认证源的会话",
            ),
        ),
        (Some(LoginReason::StepUp), _) if route.access == Access::SignedIn => {
            let (key, text, result) = unmet_demand_setting(route, &caller, head);
            rule(key, text, result)
        }
        (Some(_), _) if route.access == Access::SignedIn => {
            let result = Text::fixed("a login is needed", "需要登录");
            rule("access", "signed-in".to_owned(), result)
        }
        (_, None) => rule(
            "access",
            "signed-in".to_owned(),
            Text::fixed("signed-in persons are allowed", "已登录的人员可以访问"),
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
pub(super) fn notes(route: &Route, caller: &Caller, head: &Head<'_>) -> Vec<Text> {
    let mut notes = Vec::new();
    if let Caller::Person(person) = caller
        && route.access == Access::Rule
        && !route.is_public(head)
        && session_unmet_demand(route, &person.session, head.received_at)
            == Some(LoginReason::StepUp)
    {
        let (key, value, result) = unmet_demand_setting(route, caller, head);
        notes.push(text!(
            "{key} = {value} → {result}; until then the request is anonymous to the rule",
            "{key} = {value} → {result:#}；在此之前，规则把请求当作未登录"
        ));
    }
    if !route.issuers.is_empty() {
        let names: Vec<_> = route.issuers.iter().map(|issuer| issuer.as_str()).collect();
        let names = names.join(", ");
        notes.push(text!(
            "programs with a bearer token of {names} are accepted too; tokens are not explained",
            "也接受带有 {names} 签发的 bearer 令牌的程序；这里不解释令牌"
        ));
    }
    if route.access_tokens {
        let demands = route.demands.as_deref();
        notes.push(match demands.is_some_and(Demands::concern_the_login) {
            true => Text::fixed(
                "access_tokens = true → access tokens are refused all the same, because acr_values \
                 or max_age demands a login, which a token does not prove",
                "access_tokens = true → 仍然拒绝访问令牌，因为 acr_values 或 max_age 对登录有要求，令牌无法证明",
            ),
            false => Text::fixed(
                "access_tokens = true → a program with an access token of a person is judged as \
                 that person",
                "access_tokens = true → 程序使用某人的访问令牌时，按此人判断",
            ),
        });
    }
    if let Caller::Person(person) = caller
        && !route.connectors.is_empty()
        && !route.connectors.contains(&person.session.via)
        && (route.is_public(head) || route.allow.is_some())
    {
        let (list, via) = (connector_list(route), &person.session.via);
        notes.push(text!(
            "connectors = {list}: a session of {via} is anonymous on this route",
            "connectors = {list}：{via} 的会话在这条路由上视为未登录"
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
) -> (&'static str, String, Text) {
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
            Text::fixed("the authentication is too old", "登录时间太久"),
        ),
        _ => (
            "acr_values",
            Json::from(demands.acr_values).to_string(),
            Text::fixed(
                "not met; whether a login meets it is known only afterwards",
                "不满足；登录能否满足，要登录之后才知道",
            ),
        ),
    }
}

/// The result of a rule, with another reading of the path if its result differs.
fn rule_result(route: &Route, allow: &Expression, caller: &Caller, head: &Head<'_>) -> Text {
    let result_for =
        |path: &str| match allow.evaluate_bool(&RequestVariables::new(caller, head, path)) {
            Ok(true) => Text::fixed("yes", "是"),
            Ok(false) => Text::fixed("no", "否"),
            Err(error) => text!("it fails: {error}", "规则出错：{error:#}"),
        };
    let raw = head.path.as_str();
    let reads_path = allow.reads("request.path");
    let result_for_reading = |reading: &[u8]| match path_text(allow, reading) {
        Some(text) => result_for(&text),
        None => UNDECODABLE_PATH,
    };
    let result_as_sent = match reads_path {
        true => result_for_reading(raw.as_bytes()),
        false => result_for(raw),
    };
    let mut result = match caller {
        Caller::Anonymous(why) if *why != LoginReason::NotSignedIn => {
            let why = super::login_reason(*why);
            text!(
                "{result_as_sent}, for an anonymous request ({why})",
                "{result_as_sent:#}，按未登录的请求判断（{why:#}）"
            )
        }
        Caller::Anonymous(_) => text!(
            "{result_as_sent}, for an anonymous request",
            "{result_as_sent:#}，按未登录的请求判断"
        ),
        Caller::Person(_) | Caller::Program(_) => result_as_sent.clone(),
    };
    if reads_path {
        let readings = route.readings(&head.path, route.case_insensitive);
        let readings = readings.unwrap_or_default();
        let results = readings.iter().skip(1).map(|reading| {
            let result = result_for_reading(reading);
            (display_path(reading), result)
        });
        let mut others = results.filter(|(_, result)| *result != result_as_sent);
        if let Some((reading, other)) = others.next() {
            result = text!(
                "{result}; of the reading {reading}: {other}",
                "{result:#}；按读法 {reading}：{other:#}"
            );
        }
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
