//! Checks a parsed tree: known variables and functions, limits of depth and macros. Literal patterns and
//! networks are compiled on the way.

use cel::common::ast::operators;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo};
use cel::common::types::CelInt;
use cel::{IdedExpr, Program};

use super::Scope;
use super::error::{CompileError, CompileErrorKind, Position};
use super::function::{self, Constant, INNER_RANGE, OUTER_RANGE};
use super::literal_chars::LiteralChars;
use super::variables::constant_name;

mod names;

use names::{FieldPath, named_value};

/// The most levels of a syntax tree. In a debug build each needs 50 KiB of stack.
pub const DEPTH_MAX: usize = 24;
/// The most macros of an expression.
pub const MACROS_MAX: usize = 16;
/// The most levels of nested macros.
pub const MACRO_LEVELS_MAX: usize = 2;

/// The names of types, which CEL evaluates as values.
const TYPES: &[&str] = &[
    "bool",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
];

/// A tree that is safe to evaluate.
pub(super) struct CheckedTree {
    pub(super) root: IdedExpr,
    /// The number of nodes of `root`.
    pub(super) nodes: u64,
    /// Compiled literals, which the tree refers to by index.
    pub(super) constants: Vec<Constant>,
    /// Every path that is read from a variable, such as `request.path`.
    pub(super) reads: Vec<Box<str>>,
    /// Every value that the source names, such as `user.login` or `request.headers["x-a"]`.
    pub(super) names: Vec<Box<str>>,
    /// Every function and method that is called.
    pub(super) calls: Vec<Box<str>>,
    pub(super) literal_chars: LiteralChars,
}

/// Checks `program` and compiles its literals.
pub(super) fn check(
    program: &Program,
    source: &str,
    scope: Scope,
) -> Result<CheckedTree, CompileError> {
    let mut root = program.expression().clone();
    let mut checker = Checker {
        scope,
        source,
        info: program.source_info(),
        constants: Vec::new(),
        reads: Vec::new(),
        names: Vec::new(),
        calls: Vec::new(),
        literal_chars: LiteralChars::default(),
        inside_name: false,
        macro_names: Vec::new(),
        macros: 0,
        macro_level: 0,
        depth: 0,
        nodes: 0,
    };
    checker.visit(&mut root)?;
    let Checker {
        constants,
        mut reads,
        names,
        calls,
        literal_chars,
        nodes,
        ..
    } = checker;
    reads.sort();
    reads.dedup();
    Ok(CheckedTree {
        root,
        nodes: nodes.unsigned_abs(),
        constants,
        reads,
        names,
        calls,
        literal_chars,
    })
}

struct Checker<'a> {
    scope: Scope,
    source: &'a str,
    info: &'a SourceInfo,
    constants: Vec<Constant>,
    reads: Vec<Box<str>>,
    /// Every value that is named, in the order of the source.
    names: Vec<Box<str>>,
    calls: Vec<Box<str>>,
    literal_chars: LiteralChars,
    /// Whether the visited node is part of a value that is named already.
    inside_name: bool,
    /// The item variables of the enclosing macros, innermost last.
    macro_names: Vec<String>,
    macros: usize,
    macro_level: usize,
    depth: usize,
    /// The number of visited nodes.
    nodes: i64,
}

impl Checker<'_> {
    fn visit(&mut self, node: &mut IdedExpr) -> Result<(), CompileError> {
        self.depth += 1;
        self.nodes += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.refuse(
                node.id,
                CompileErrorKind::TooDeep {
                    levels_max: DEPTH_MAX,
                },
            ));
        }
        let id = node.id;
        let name = if self.inside_name {
            None
        } else {
            named_value(node, self.scope)
        };
        let named = name.is_some();
        self.inside_name |= named;
        self.names.extend(name.map(Into::into));
        match &mut node.expr {
            Expr::Literal(LiteralValue::String(text)) => self.literal_chars.add(text.inner()),
            Expr::Literal(_) => {}
            Expr::Ident(_) | Expr::Select(_) => self.visit_path(node)?,
            Expr::Call(call) => self.visit_call(id, call)?,
            Expr::Comprehension(comprehension) => self.visit_macro(id, comprehension)?,
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.visit(element)?;
                }
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return Err(self.refuse(id, CompileErrorKind::Message));
                    };
                    self.visit(&mut entry.key)?;
                    self.visit(&mut entry.value)?;
                }
            }
            Expr::Struct(_) | Expr::Unspecified => {
                return Err(self.refuse(id, CompileErrorKind::Message));
            }
        }
        self.inside_name &= !named;
        self.depth -= 1;
        Ok(())
    }

    /// Visits `a`, `a.b.c`, `has(a.b.c)`, or a field of another expression.
    fn visit_path(&mut self, node: &mut IdedExpr) -> Result<(), CompileError> {
        let Some(path) = FieldPath::of(node) else {
            return match &mut node.expr {
                Expr::Select(select) => self.visit(&mut select.operand),
                _ => Ok(()),
            };
        };
        if path.fields.len() > DEPTH_MAX {
            return Err(self.refuse(
                path.id,
                CompileErrorKind::TooDeep {
                    levels_max: DEPTH_MAX,
                },
            ));
        }
        // Names with `@` are internal: the parser does not accept them in a source.
        let is_bound =
            path.root.starts_with('@') || self.macro_names.iter().any(|name| name == path.root);
        if is_bound || (path.fields.is_empty() && TYPES.contains(&path.root)) {
            return Ok(());
        }
        let variables = self.scope.variables();
        if !variables.contains(&path.root) {
            let name = path.root.to_owned();
            return Err(self.refuse(
                path.id,
                CompileErrorKind::UnknownVariable {
                    name,
                    known: variables,
                },
            ));
        }
        let fields = path.fields.iter().rev().copied();
        let read: Vec<&str> = std::iter::once(path.root).chain(fields).collect();
        self.reads.push(read.join(".").into());
        Ok(())
    }

    fn visit_call(&mut self, id: u64, call: &mut CallExpr) -> Result<(), CompileError> {
        let (is_method, arguments) = (call.target.is_some(), call.args.len());
        let is_function = !is_operator(&call.func_name);
        if is_function && !function::is_known(&call.func_name, is_method, arguments, self.scope) {
            let dot = if is_method { "." } else { "" };
            let name = format!("{dot}{}", call.func_name);
            return Err(self.refuse(id, CompileErrorKind::UnknownFunction { name, arguments }));
        }
        if is_function {
            self.calls.push(call.func_name.as_str().into());
        }
        if let Some(target) = &mut call.target {
            self.visit_target(&call.func_name, target)?;
        }
        if matches!(call.func_name.as_str(), "matches" | "in_network")
            && let Some(last) = call.args.pop()
        {
            let compiled = self.compile_literal(&call.func_name, last)?;
            call.args.push(compiled);
        }
        for argument in &mut call.args {
            self.visit(argument)?;
        }
        Ok(())
    }

    /// Visits the target of a method. `user.in_department(…)` and `user.leads(…)` read only the departments
    /// of a user: `user.department_paths` is named instead of the whole `user`.
    fn visit_target(&mut self, method: &str, target: &mut IdedExpr) -> Result<(), CompileError> {
        let reads_departments = matches!(method, "in_department" | "leads");
        let name = match &target.expr {
            Expr::Ident(name) if reads_departments && !self.inside_name => name.clone(),
            _ => return self.visit(target),
        };
        self.inside_name = true;
        let visited = self.visit(target);
        self.inside_name = false;
        if self.scope.variables().contains(&name.as_str()) {
            self.names.push(format!("{name}.department_paths").into());
        }
        visited
    }

    /// Replaces a literal pattern or network by a reference to its compiled form.
    fn compile_literal(
        &mut self,
        function: &str,
        mut argument: IdedExpr,
    ) -> Result<IdedExpr, CompileError> {
        let text = match &argument.expr {
            Expr::Literal(LiteralValue::String(text)) => text.inner(),
            _ if function == "matches" => {
                return Err(self.refuse(argument.id, CompileErrorKind::ComputedPattern));
            }
            _ => return Ok(argument),
        };
        let constant = if function == "matches" {
            self.literal_chars.add_pattern(text);
            Constant::pattern(text).map_err(CompileErrorKind::Pattern)
        } else {
            let malformed = |source| CompileErrorKind::Network {
                text: text.to_owned(),
                source,
            };
            Constant::network(text).map_err(malformed)
        };
        let constant = constant.map_err(|kind| self.refuse(argument.id, kind))?;
        argument.expr = Expr::Ident(constant_name(self.constants.len()));
        self.constants.push(constant);
        Ok(argument)
    }

    fn visit_macro(
        &mut self,
        id: u64,
        comprehension: &mut ComprehensionExpr,
    ) -> Result<(), CompileError> {
        self.macros += 1;
        if self.macros > MACROS_MAX {
            return Err(self.refuse(
                id,
                CompileErrorKind::TooManyMacros {
                    macros_max: MACROS_MAX,
                },
            ));
        }
        let names = [
            Some(&comprehension.iter_var),
            comprehension.iter_var2.as_ref(),
            Some(&comprehension.accu_var),
        ];
        let names: Vec<String> = names.into_iter().flatten().cloned().collect();
        if let Some(name) = names
            .iter()
            .find(|name| self.scope.variables().contains(&name.as_str()))
        {
            let name = name.clone();
            return Err(self.refuse(id, CompileErrorKind::Shadowed { name }));
        }
        self.visit(&mut comprehension.iter_range)?;
        self.visit(&mut comprehension.accu_init)?;
        let limit = if self.macro_level == 0 {
            OUTER_RANGE
        } else {
            INNER_RANGE
        };
        self.macro_level += 1;
        if self.macro_level > MACRO_LEVELS_MAX {
            let kind = CompileErrorKind::MacrosTooDeep {
                levels_max: MACRO_LEVELS_MAX,
            };
            return Err(self.refuse(id, kind));
        }
        let names_before = self.macro_names.len();
        self.macro_names.extend(names);
        let nodes_before = self.nodes;
        self.visit(&mut comprehension.loop_cond)?;
        self.visit(&mut comprehension.loop_step)?;
        self.visit(&mut comprehension.result)?;
        self.macro_names.truncate(names_before);
        self.macro_level -= 1;
        let nodes = self.nodes - nodes_before;
        let range = std::mem::take(&mut comprehension.iter_range);
        comprehension.iter_range = limit_range(range, limit, nodes);
        Ok(())
    }

    fn refuse(&self, id: u64, kind: CompileErrorKind) -> CompileError {
        let start = self
            .info
            .offset_for(id)
            .and_then(|(start, _)| usize::try_from(start).ok());
        let position = start.map(|offset| Position::at_offset(self.source, offset));
        CompileError { kind, position }
    }
}

/// Wraps the list of a macro in an internal function that limits its items and charges for them.
fn limit_range(range: IdedExpr, limit: &str, nodes: i64) -> IdedExpr {
    let id = range.id;
    let nodes = IdedExpr {
        id,
        expr: Expr::Literal(LiteralValue::Int(CelInt::from(nodes))),
    };
    let expr = Expr::Call(CallExpr {
        func_name: limit.to_owned(),
        target: None,
        args: vec![range, nodes],
    });
    IdedExpr { id, expr }
}

fn is_operator(name: &str) -> bool {
    matches!(
        name,
        operators::CONDITIONAL
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::SUBSTRACT
            | operators::ADD
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::EQUALS
            | operators::NOT_EQUALS
            | operators::GREATER_EQUALS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::LESS
            | operators::NEGATE
            | operators::INDEX
            | operators::OPT_INDEX
            | operators::OPT_SELECT
            | operators::NOT_STRICTLY_FALSE
            | operators::IN
    )
}
