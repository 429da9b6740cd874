//! Routes and rules that are bypassed by a path in upper or lower case, if the application ignores case.

use super::Warnings;
use crate::expression::{Expression, Scope};
use crate::request::route::{AccessConfig, RouteConfig};
use crate::setting::KeyPath;
use crate::text;

/// Warns of routes without `case_insensitive` whose path in another case belongs to a route with fewer
/// requirements.
pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let routes = &warnings.config.route;
    for (index, route) in routes.iter().enumerate() {
        let path = route.path.as_str();
        if route.case_insensitive.is_some() || !path.bytes().any(|byte| byte.is_ascii_alphabetic())
        {
            continue;
        }
        let ignores_case = false;
        let includes_path = |other: &&RouteConfig| {
            other.host == route.host
                && other.path != route.path
                && other.path.includes(path.as_bytes(), ignores_case)
        };
        let others = routes.iter().filter(includes_path);
        let longest = others.max_by_key(|other| other.path.as_str().len());
        if let Some(other) = longest.filter(|other| may_allow_more(other, route)) {
            let text = text!(
                "an application that ignores case in paths serves {}, too, and for that path the route \
                 `{}` decides: write case_insensitive = true if yours ignores case, else false",
                "路径不分大小写的应用也会响应 {}，而那个路径由路由 `{}` 判断：如果您的应用不分大小写，请写 case_insensitive = true，否则写 false",
                path.to_ascii_uppercase(),
                other.name
            );
            warnings.add(&KeyPath::of(["route"]).item(index).key("path"), text);
        }
    }
}

/// Warns of rules that compare the path with capital letters on a route with `case_insensitive`. Such a
/// rule is evaluated for the path in lower case, too, and both results must agree.
pub(super) fn capitals_in_rule(
    warnings: &mut Warnings<'_>,
    key_path: &KeyPath<'_>,
    route: &RouteConfig,
) {
    if route.case_insensitive != Some(true) {
        return;
    }
    let rule = route.allow.as_ref();
    let rule = rule.and_then(|rule| Expression::compile(rule, Scope::Rule).ok());
    let literal = rule.and_then(|rule| rule.capitals_compared_with("request", "path"));
    if let Some(literal) = literal {
        let text = text!(
            "`{literal}` has capital letters, but this route is case_insensitive: the rule is evaluated \
             with the path in lower case, too, so that what it forbids by this text passes in lower \
             case, and what it allows is always refused (403 or 400); write it in lower case",
            "`{literal}` 含大写字母，但这条路由是 case_insensitive：规则也会用小写路径计算，因此它用这段文本禁止的，写成小写就能通过；它允许的则总被拒绝（403 或 400）；请写成小写"
        );
        warnings.add(&key_path.clone().key("allow"), text);
    }
}

/// Whether `other` may allow a request that `intended` denies.
fn may_allow_more(other: &RouteConfig, intended: &RouteConfig) -> bool {
    if intended.access == AccessConfig::Public {
        return false;
    }
    let allows_every_person = intended.access == AccessConfig::SignedIn
        && intended.allow.is_none()
        && intended.connectors.is_empty()
        && intended.acr_values.is_empty()
        && intended.max_age.is_none()
        && intended.scopes.is_empty();
    let accepts_no_other_issuers = other.issuers.iter().all(|id| intended.issuers.contains(id));
    if allows_every_person && other.access == AccessConfig::SignedIn && accepts_no_other_issuers {
        return false;
    }
    let requirements = |route: &RouteConfig| {
        (
            (route.access, route.allow.clone(), route.connectors.clone()),
            (route.acr_values.clone(), route.max_age),
            (route.issuers.clone(), route.scopes.clone()),
        )
    };
    requirements(other) != requirements(intended)
}
