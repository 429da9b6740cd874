//! The variables and fields that a node of an expression names.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};

use super::{DEPTH_MAX, Scope};

/// The source text of a value such as `a`, `a.b` or `a["b"]` of a variable; `None` for other nodes.
pub(super) fn named_value(mut node: &IdedExpr, scope: Scope) -> Option<String> {
    let mut fields = Vec::new();
    loop {
        if fields.len() > DEPTH_MAX {
            return None;
        }
        node = match &node.expr {
            Expr::Ident(root) => {
                let is_known = scope.variables().contains(&root.as_str());
                fields.push(root.clone());
                return is_known.then(|| fields.into_iter().rev().collect());
            }
            Expr::Select(select) => {
                fields.push(format!(".{}", select.field));
                &select.operand
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [operand, key] = call.args.as_slice() else {
                    return None;
                };
                let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                    return None;
                };
                // A JSON string is also a CEL string.
                fields.push(format!("[{}]", serde_json::json!(key.inner())));
                operand
            }
            _ => return None,
        };
    }
}

/// A variable and the fields that are selected from it, beginning with the last one.
pub(super) struct FieldPath<'a> {
    pub(super) id: u64,
    pub(super) root: &'a str,
    pub(super) fields: Vec<&'a str>,
}

impl<'a> FieldPath<'a> {
    pub(super) fn of(mut node: &'a IdedExpr) -> Option<Self> {
        let mut fields = Vec::new();
        loop {
            match &node.expr {
                Expr::Ident(root) => {
                    return Some(Self {
                        id: node.id,
                        root,
                        fields,
                    });
                }
                Expr::Select(select) => {
                    fields.push(select.field.as_str());
                    node = &select.operand;
                }
                _ => return None,
            }
        }
    }
}
