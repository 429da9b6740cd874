//! Finds strings and patterns with capital letters that an expression compares with one field.

use cel::IdedExpr;
use cel::common::ast::operators;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};

/// The first string or pattern with a capital letter that is compared with `variable.field`.
///
/// Case-insensitive patterns and strings of other comparisons in the same rule are not reported.
pub(super) fn first_compared_with(root: &IdedExpr, variable: &str, field: &str) -> Option<String> {
    let mut search = Search {
        variable,
        field,
        items: Vec::new(),
        found: None,
    };
    search.visit(root);
    search.found
}

struct Search<'a> {
    variable: &'a str,
    field: &'a str,
    /// The item variables of the enclosing macros, innermost last, with the contents of their lists.
    items: Vec<(&'a str, Contents)>,
    found: Option<String>,
}

/// What a part of an expression contains.
#[derive(Clone, Default)]
struct Contents {
    has_field: bool,
    /// A string or pattern with a capital letter.
    capitals: Option<String>,
    /// Whether `upperAscii` is called.
    is_upper_cased: bool,
}

impl<'a> Search<'a> {
    /// Visits every comparison separately.
    fn visit(&mut self, node: &'a IdedExpr) {
        match &node.expr {
            Expr::Call(call) if is_logical(&call.func_name) => {
                for part in &call.args {
                    self.visit(part);
                }
            }
            Expr::Comprehension(comprehension) => self.visit_macro(comprehension),
            _ => {
                let contents = self.contents_of(node);
                if contents.has_field && !contents.is_upper_cased && self.found.is_none() {
                    self.found = contents.capitals;
                }
            }
        }
    }

    fn visit_macro(&mut self, comprehension: &'a ComprehensionExpr) {
        self.visit(&comprehension.iter_range);
        let list_contents = self.contents_of(&comprehension.iter_range);
        let outer_items = self.items.len();
        let second = comprehension.iter_var2.as_deref();
        let names = [Some(comprehension.iter_var.as_str()), second];
        let items = names.into_iter().flatten();
        self.items
            .extend(items.map(|name| (name, list_contents.clone())));
        self.visit(&comprehension.loop_step);
        self.visit(&comprehension.result);
        self.items.truncate(outer_items);
    }

    fn contents_of(&self, node: &IdedExpr) -> Contents {
        match &node.expr {
            Expr::Literal(LiteralValue::String(text)) => Contents::of(text.inner(), has_capital),
            Expr::Ident(name) => {
                let mut items = self.items.iter().rev();
                let item = items.find(|(item, _)| item == name);
                item.map(|(_, contents)| contents.clone())
                    .unwrap_or_default()
            }
            Expr::Select(select) => self.contents_of_field(select),
            Expr::Call(call) => self.contents_of_call(call),
            Expr::Comprehension(comprehension) => self.merged([
                &comprehension.iter_range,
                &comprehension.loop_step,
                &comprehension.result,
            ]),
            Expr::List(list) => self.merged(&list.elements),
            Expr::Map(map) => {
                let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                    EntryExpr::StructField(_) => None,
                });
                self.merged(entries.flatten())
            }
            Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => Contents::default(),
        }
    }

    fn contents_of_field(&self, select: &SelectExpr) -> Contents {
        let is_variable =
            matches!(&select.operand.expr, Expr::Ident(name) if name == self.variable);
        if is_variable && select.field == self.field {
            return Contents {
                has_field: true,
                ..Contents::default()
            };
        }
        self.contents_of(&select.operand)
    }

    fn contents_of_call(&self, call: &CallExpr) -> Contents {
        let target = call.target.as_deref();
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("matches", [.., pattern]) => {
                let text = self.merged(target.into_iter().chain(&call.args[..call.args.len() - 1]));
                let Expr::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
                    return text;
                };
                text.merge(Contents::of(pattern.inner(), requires_capital))
            }
            // The key of an index is not compared.
            (operators::INDEX | operators::OPT_INDEX, [operand, key])
                if matches!(key.expr, Expr::Literal(_)) =>
            {
                self.contents_of(operand)
            }
            (name, arguments) => {
                let mut contents = self.merged(target.into_iter().chain(arguments));
                contents.is_upper_cased |= name == "upperAscii";
                contents
            }
        }
    }

    fn merged<'n>(&self, nodes: impl IntoIterator<Item = &'n IdedExpr>) -> Contents {
        let parts = nodes.into_iter().map(|node| self.contents_of(node));
        parts.fold(Contents::default(), Contents::merge)
    }
}

impl Contents {
    fn of(text: &str, has_capital: fn(&str) -> bool) -> Self {
        Self {
            capitals: has_capital(text).then(|| text.to_owned()),
            ..Self::default()
        }
    }

    fn merge(self, other: Self) -> Self {
        Self {
            has_field: self.has_field || other.has_field,
            capitals: self.capitals.or(other.capitals),
            is_upper_cased: self.is_upper_cased || other.is_upper_cased,
        }
    }
}

fn is_logical(name: &str) -> bool {
    matches!(
        name,
        operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::CONDITIONAL
    )
}

/// Whether the letter changes in lower case, in any script.
fn is_capital(letter: char) -> bool {
    !letter.to_lowercase().eq([letter])
}

fn has_capital(text: &str) -> bool {
    text.chars().any(is_capital)
}

/// Whether a pattern requires a capital letter. `\S`, names of groups and classes such as `[A-Za-z]` do
/// not.
fn requires_capital(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '\\' => escape_length(rest),
            '(' if rest.starts_with("(?") => {
                let flags = rest.find([':', ')', '>']).map_or(rest.len(), |end| end + 1);
                let (switched_on, _) = rest[..flags]
                    .split_once('-')
                    .unwrap_or((&rest[..flags], ""));
                if !rest[..flags].contains('<') && switched_on.contains('i') {
                    return false;
                }
                flags
            }
            '[' => {
                let end = class_length(rest);
                let class = &rest[..end];
                if has_capital(&without_escapes(class)) && !class.chars().any(char::is_lowercase) {
                    return true;
                }
                end
            }
            letter if is_capital(letter) => return true,
            letter => letter.len_utf8(),
        };
        rest = &rest[length..];
    }
    false
}

/// The length of an escape such as `\S`, `\x{41}` or `\p{Greek}` at the start of a text.
fn escape_length(text: &str) -> usize {
    let mut letters = text.char_indices().skip(2);
    match letters.next() {
        None => text.len(),
        Some((start, '{')) => text[start..]
            .find('}')
            .map_or(text.len(), |length| start + length + 1),
        Some((end, _)) => end,
    }
}

/// The length of a class such as `[a-z]` at the start of a text.
fn class_length(text: &str) -> usize {
    let mut length = 1;
    while let Some(letter) = text[length..].chars().next() {
        length += match letter {
            '\\' => escape_length(&text[length..]),
            ']' if length > 1 => return length + 1,
            letter => letter.len_utf8(),
        };
    }
    text.len()
}

fn without_escapes(class: &str) -> String {
    let (mut unescaped, mut rest) = (String::new(), class);
    while let Some(letter) = rest.chars().next() {
        let length = if letter == '\\' {
            escape_length(rest)
        } else {
            unescaped.push(letter);
            letter.len_utf8()
        };
        rest = &rest[length..];
    }
    unescaped
}

#[cfg(test)]
mod tests {
    use crate::expression::{Expression, Scope};

    fn found(rule: &str) -> Option<String> {
        let rule = Expression::compile(rule, Scope::Rule).unwrap();
        rule.capitals_compared_with("request", "path")
    }

    #[test]
    fn a_string_that_is_compared_with_the_field_is_found() {
        for rule in [
            "!request.path.startsWith('/Admin')",
            "request.path == '/Admin' || user.login == 'boss'",
            "user.login == 'boss' ? request.path != '/Admin' : false",
            "request.path in ['/a', '/Admin']",
            "['/a', '/Admin'].exists(p, request.path.startsWith(p))",
            "request.path.split('/').exists(p, p == '/Admin')",
            "request.path.split('/')[1] + '/' != '/Admin'",
            "request.path.lowerAscii() == '/Admin'",
        ] {
            assert_eq!(found(rule).as_deref(), Some("/Admin"), "{rule}");
        }
        assert!(found("request.path.startsWith('/Отчёты')").is_some());
    }

    #[test]
    fn a_string_that_is_compared_with_something_else_is_not_found() {
        for rule in [
            "request.path.startsWith('/admin') && 'HR' in user.groups",
            "user.groups.exists(g, g == 'HR' && request.path.startsWith('/hr'))",
            "request.method == 'GET' || request.path == '/a'",
            "request.headers['X-A'] == request.path",
            "request.path.upperAscii() == '/ADMIN'",
            "request.path.startsWith('/财务')",
        ] {
            assert_eq!(found(rule), None, "{rule}");
        }
    }

    #[test]
    fn a_pattern_counts_if_it_requires_a_capital_letter() {
        for (pattern, is_found) in [
            ("^/Admin", true),
            ("^/[A-Z]+$", true),
            ("^/(?-i:Admin)", true),
            ("^/[A-Za-z0-9]+$", false),
            ("^/[Aa]dmin", false),
            ("(?i)^/Admin", false),
            ("^/(?<Name>a+)", false),
            (r"^/\S+\D\p{Lu}x", false),
            (r"^/[\S]", false),
        ] {
            let rule = format!("request.path.matches(r'{pattern}')");
            assert_eq!(found(&rule).is_some(), is_found, "{pattern}");
        }
    }
}
