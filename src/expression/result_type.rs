//! Finds rules whose value can never be a bool.

use cel::IdedExpr;
use cel::common::ast::operators;
use cel::common::ast::{CallExpr, Expr, LiteralValue};

/// Functions and methods whose value is no bool.
const OTHER_FUNCTIONS: [&str; 20] = [
    "size",
    "string",
    "int",
    "uint",
    "double",
    "bytes",
    "timestamp",
    "duration",
    "lowerAscii",
    "upperAscii",
    "split",
    "join",
    "replace",
    "substring",
    "trim",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "map",
    "filter",
];

/// Fields whose value is no bool: all that menshen itself sets.
const OTHER_FIELDS: [(&str, &[&str]); 2] = [
    (
        "user",
        &[
            "id",
            "login",
            "name",
            "email",
            "mobile",
            "groups",
            "roles",
            "departments",
            "department_paths",
            "department_ids",
            "tags",
            "orgs",
            "tenant_code",
            "tenant_name",
            "platform",
            "connector",
            "attributes",
        ],
    ),
    (
        "request",
        &["method", "host", "path", "ip", "headers", "query"],
    ),
];

/// Whether a rule can have no other value than an error, or one that is no bool.
pub(super) fn is_never_bool(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => false,
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => true,
        Expr::Ident(name) => OTHER_FIELDS.iter().any(|(variable, _)| variable == name),
        Expr::Select(select) if !select.test => {
            let Expr::Ident(variable) = &select.operand.expr else {
                return false;
            };
            let field = select.field.as_str();
            let mut known = OTHER_FIELDS.iter();
            known.any(|(name, fields)| name == variable && fields.contains(&field))
        }
        Expr::Call(call) => is_call_never_bool(call),
        Expr::Select(_) | Expr::Comprehension(_) | Expr::Unspecified => false,
    }
}

fn is_call_never_bool(call: &CallExpr) -> bool {
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::CONDITIONAL, [_, yes, no]) => is_never_bool(yes) && is_never_bool(no),
        // `||` has a value even if one of its sides has none.
        (operators::LOGICAL_AND, sides) => sides.iter().any(is_never_bool),
        (operators::LOGICAL_NOT, [side]) => is_never_bool(side),
        (
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE,
            _,
        ) => true,
        (name, _) => OTHER_FUNCTIONS.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use crate::expression::{Expression, Scope};

    #[test]
    fn only_a_rule_that_is_never_a_bool_is_found() {
        for (rule, is_found) in [
            ("'admins'", true),
            ("user.login", true),
            ("user.groups", true),
            ("user", true),
            ("user.login + 'x'", true),
            ("size(user.groups)", true),
            ("user.login.lowerAscii()", true),
            ("user.login && 'a' in user.groups", true),
            ("user.login == 'a' ? user.name : user.email", true),
            ("['a', 'b']", true),
            ("true", false),
            ("'a' in user.groups", false),
            ("user.attributes.is_admin", false),
            ("has(user.email)", false),
            ("user.login || true", false),
            ("user.login == 'a' ? user.name : true", false),
            ("user.groups.exists(g, g == 'a')", false),
            ("request.path.startsWith('/a')", false),
            ("user.login.matches('^a')", false),
        ] {
            let compiled = Expression::compile(rule, Scope::Rule).unwrap();
            assert_eq!(compiled.is_never_bool(), is_found, "{rule}");
        }
    }
}
