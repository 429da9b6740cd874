//! Whether the parts of a document fit together. What one value alone must be, its type says.

use url::Url;

use super::Config;
use super::error::Problem;
use super::place::Place;
use crate::expression::{Expression, Scope};
use crate::setting::Period;

mod connectors;
mod destinations;
mod ext_authz;
mod headers;
mod issuers;
mod routes;
mod server;

/// Everything that does not fit, in no order.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut findings = Findings {
        config,
        problems: Vec::new(),
    };
    server::look(&mut findings);
    ext_authz::look(&mut findings);
    connectors::look(&mut findings);
    issuers::look(&mut findings);
    routes::look(&mut findings);
    headers::look(&mut findings);
    findings.problems
}

/// What was found so far.
struct Findings<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
}

impl<'a> Findings<'a> {
    /// Refuses a value.
    fn value(&mut self, place: &Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        let problem = Problem::value(&self.config.source, place, message);
        self.problems.push(problem.help(help));
    }

    /// Refuses a key, or the table behind it.
    fn key(&mut self, place: &Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        let problem = Problem::key(&self.config.source, place, message);
        self.problems.push(problem.help(help));
    }

    /// Refuses an expression that does not compile, pointing into it.
    fn expression(&mut self, place: &Place<'_>, text: &'a str, scope: Scope) {
        let Err(error) = Expression::compile(text, scope) else {
            return;
        };
        let source = &self.config.source;
        let span = match error.position {
            Some(at) => source.within(place, text, at.offset),
            None => source.value(place),
        };
        // The parser goes on with every token it would have taken.
        let message = error.message();
        let message = message.split(" expecting ").next().unwrap_or(&message);
        let message = format!("this expression does not compile: {message}");
        let names = scope.variables().join(", ");
        let problem = Problem::at(source, span, message);
        self.problems
            .push(problem.help(format!("it is CEL over {names}")));
    }

    /// Refuses no time at all.
    fn positive(&mut self, table: &Place<'a>, periods: &[(&'a str, Period)]) {
        for (key, period) in periods {
            if period.duration().is_zero() {
                let place = table.clone().key(key);
                self.value(
                    &place,
                    format!("{key} must be longer than nothing"),
                    "such as \"30s\"",
                );
            }
        }
    }

    /// Refuses none at all.
    fn at_least_one(&mut self, table: &Place<'a>, numbers: &[(&'a str, u64)]) {
        for (key, number) in numbers {
            if *number == 0 {
                let place = table.clone().key(key);
                self.value(
                    &place,
                    format!("{key} must be at least 1"),
                    "leave it out for the default",
                );
            }
        }
    }

    /// Refuses a URL with more than scheme, host and port.
    fn origin(&mut self, place: &Place<'_>, url: &Url) {
        if !super::server::is_origin(url) {
            let help = "http:// or https://, a host and perhaps a port; no path, query or user";
            self.value(place, "this must be an origin", help);
        }
    }
}
