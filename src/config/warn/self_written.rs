//! Rules and headers about a field that people can write themselves at their source.

use super::Warnings;
use crate::login::connector::SelfWrittenField;
use crate::request::route::RouteConfig;
use crate::setting::KeyPath;
use crate::store::ConnectorId;
use crate::text;

/// Warns if the default mapping takes such a field from an attribute that some sources let people change,
/// and a route reads the field.
pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    for (id, connector) in &config.connector {
        for kind in connector.configured_kinds() {
            let fields = kind.features().self_written.iter();
            for field in fields.filter(|one| !connector.mapping.0.contains_key(one.field)) {
                let mut routes = config.route.iter();
                let Some(route) = routes.find(|route| reads(route, id, field)) else {
                    continue;
                };
                let SelfWrittenField { field, why, .. } = field;
                let text = text!(
                    "the route `{}` reads {field}, and {why}; map {field} to an attribute that only \
                     administrators can write",
                    "路由 `{}` 读取 {field}，而{why:#}；请把 {field} 映射到只有管理员能写的属性",
                    route.name
                );
                let key_path = KeyPath::of(["connector", id.as_str(), kind.name()]);
                warnings.add(&key_path, text);
            }
        }
    }
}

/// Whether people of the connector come to the route, and its rule or a header names the field.
fn reads(route: &RouteConfig, id: &ConnectorId, field: &SelfWrittenField) -> bool {
    let accepts = route.connectors.is_empty() || route.connectors.contains(id);
    let mut expressions = route.allow.iter().chain(route.headers.values());
    accepts && expressions.any(|expression| expression.contains(field.named_by))
}
