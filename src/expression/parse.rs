//! Parses the source text of an expression into a checked tree, within limits of length and depth.

use std::thread;

use cel::{Env, ParseErrors, Program};

use super::Scope;
use super::check::{CheckedTree, DEPTH_MAX, check};
use super::error::{CompileError, CompileErrorKind, Position};
use super::parser_message::parser_message;
use super::syntax_help::syntax_help;
use crate::wording::Text;

/// The maximum length of an expression.
pub const SOURCE_BYTES_MAX: usize = 4096;

/// The stack of the parser: four times what the worst source of the maximum length needs.
const STACK_BYTES: usize = 64 << 20;
/// The longest message of the parser that an error repeats.
const MESSAGE_CHARS_MAX: usize = 200;

/// Parses and checks `source`.
pub(super) fn parse(source: &str, scope: Scope) -> Result<CheckedTree, CompileError> {
    with_parsed(source, |program| check(program, source, scope))
}

/// Parses `source` and calls `work` with its tree.
pub(super) fn with_parsed<T: Send>(
    source: &str,
    work: impl FnOnce(&Program) -> Result<T, CompileError> + Send,
) -> Result<T, CompileError> {
    let error_at = |kind, position| CompileError { kind, position };
    if source.len() > SOURCE_BYTES_MAX {
        return Err(error_at(
            CompileErrorKind::TooLong {
                bytes_max: SOURCE_BYTES_MAX,
            },
            None,
        ));
    }
    if let Some(offset) = first_too_deep(source) {
        let position = Position::at_offset(source, offset);
        return Err(error_at(
            CompileErrorKind::TooDeep {
                levels_max: DEPTH_MAX,
            },
            Some(position),
        ));
    }
    // The parser recurses for each operator in a chain, not only for brackets, so that a source within
    // the limits can need more stack than the calling thread has.
    thread::scope(|threads| {
        let parser = thread::Builder::new()
            .name("expression".into())
            .stack_size(STACK_BYTES);
        let parser = parser.spawn_scoped(threads, || {
            let program = Env::stdlib()
                .compile(source)
                .map_err(|errors| syntax_error(&errors, source))?;
            work(&program)
        });
        let parser = parser.map_err(|error| error_at(CompileErrorKind::Thread(error), None))?;
        let panicked = || CompileErrorKind::Syntax {
            message: Text::fixed("the parser gave up", "解析器放弃了解析"),
        };
        parser
            .join()
            .unwrap_or_else(|_| Err(error_at(panicked(), None)))
    })
}

/// The offset of the first bracket outside of strings that is nested too deeply.
fn first_too_deep(source: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut bytes = source.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => {
                bytes.next();
            }
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > DEPTH_MAX {
            return Some(offset);
        }
    }
    None
}

/// The first error of the parser, with its position.
fn syntax_error(errors: &ParseErrors, source: &str) -> CompileError {
    if errors
        .errors
        .iter()
        .any(|error| error.msg.contains("Recursion limit"))
    {
        let kind = CompileErrorKind::TooDeep {
            levels_max: DEPTH_MAX,
        };
        return CompileError {
            kind,
            position: None,
        };
    }
    let Some(first) = errors.errors.first() else {
        let kind = CompileErrorKind::Syntax {
            message: Text::fixed("does not parse", "无法解析"),
        };
        return CompileError {
            kind,
            position: None,
        };
    };
    let message = first
        .msg
        .strip_prefix("Syntax error: ")
        .unwrap_or(&first.msg);
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let position = (usize::try_from(first.pos.0), usize::try_from(first.pos.1));
    let node = first
        .source_info
        .as_ref()
        .and_then(|info| info.offset_for(first.expr_id));
    let position = match (node, position) {
        (Some((start, _)), _) if first.expr_id != 0 => Some(Position::at_offset(
            source,
            usize::try_from(start).unwrap_or(usize::MAX),
        )),
        (_, (Ok(line @ 1..), Ok(column @ 1..))) => Some(Position::at_column(source, line, column)),
        _ => None,
    };
    let offset = position.map_or(0, |position: Position| position.offset);
    let help = syntax_help(&message, source, offset);
    let message = help.unwrap_or_else(|| parser_message(&message));
    CompileError {
        kind: CompileErrorKind::Syntax { message },
        position,
    }
}
