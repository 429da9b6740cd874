//! Checks that the settings of a document fit together. Single values are checked by their types.

use url::Url;

use super::Config;
use super::error::Problem;
use crate::expression::{Expression, Scope};
use crate::setting::KeyPath;
use crate::setting::Period;

mod connectors;
mod destinations;
mod ext_authz;
mod headers;
mod issuers;
mod routes;
mod server;

/// All problems, in any order.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = Problems {
        config,
        list: Vec::new(),
    };
    server::validate(&mut problems);
    ext_authz::validate(&mut problems);
    connectors::validate(&mut problems);
    issuers::validate(&mut problems);
    routes::validate(&mut problems);
    headers::validate(&mut problems);
    problems.list
}

/// The problems found so far.
struct Problems<'a> {
    config: &'a Config,
    list: Vec<Problem>,
}

impl<'a> Problems<'a> {
    /// Adds a problem that points at a value.
    fn value(
        &mut self,
        key_path: &KeyPath<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::value(&self.config.source, key_path, message);
        self.list.push(problem.help(help));
    }

    /// Adds a problem that points at a key.
    fn key(&mut self, key_path: &KeyPath<'_>, message: impl Into<String>, help: impl Into<String>) {
        let problem = Problem::key(&self.config.source, key_path, message);
        self.list.push(problem.help(help));
    }

    /// Refuses an expression that does not compile, and points at the wrong part of it.
    fn expression(&mut self, key_path: &KeyPath<'_>, text: &'a str, scope: Scope) {
        let Err(error) = Expression::compile(text, scope) else {
            return;
        };
        let source = &self.config.source;
        let span = match error.position {
            Some(at) => source.span_in_string(key_path, text, at.offset),
            None => source.value_span(key_path),
        };
        // The parser lists all tokens that it would have accepted.
        let message = error.message();
        let message = message.split(" expecting ").next().unwrap_or(&message);
        let message = format!("this expression does not compile: {message}");
        let names = scope.variables().join(", ");
        let problem = Problem::at(source, span, message);
        self.list
            .push(problem.help(format!("it is CEL over {names}")));
    }

    /// Refuses periods of zero.
    fn positive(&mut self, table: &KeyPath<'a>, periods: &[(&'a str, Period)]) {
        for (key, period) in periods {
            if period.duration().is_zero() {
                let key_path = table.clone().key(key);
                self.value(&key_path, format!("{key} must not be 0"), "such as \"30s\"");
            }
        }
    }

    /// Refuses numbers that are 0.
    fn at_least_one(&mut self, table: &KeyPath<'a>, numbers: &[(&'a str, u64)]) {
        for (key, number) in numbers {
            if *number == 0 {
                let key_path = table.clone().key(key);
                self.value(
                    &key_path,
                    format!("{key} must be at least 1"),
                    "remove it for the default",
                );
            }
        }
    }

    /// Refuses a URL that is not an origin.
    fn origin(&mut self, key_path: &KeyPath<'_>, url: &Url) {
        if !super::server::is_origin(url) {
            let help = "http:// or https://, a host and perhaps a port; no path, query or user";
            self.value(key_path, "this must be an origin", help);
        }
    }
}
