//! Checks that the settings of a document fit together. Single values are checked by their types.

use url::Url;

use super::Config;
use super::error::Problem;
use crate::door::Address;
use crate::expression::Scope;
use crate::login::connector::SettingProblem;
use crate::setting::{KeyPath, Period, is_origin};
use crate::text;
use crate::wording::Text;

mod admin;
mod connectors;
mod console;
mod ext_authz;
mod headers;
mod issuers;
mod managed;
mod routes;
mod server;
mod store;

const NOT_AN_ORIGIN: Text = Text::fixed("this must be an origin", "这里应为源（origin）");
const ORIGIN_HELP: Text = Text::fixed(
    "http:// or https://, a host and perhaps a port; no path, query or user",
    "http:// 或 https://、主机，可以带端口；不能带路径、查询参数或用户名",
);

/// All problems, in no particular order.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = Problems {
        config,
        list: Vec::new(),
    };
    server::validate(&mut problems);
    admin::validate(&mut problems);
    console::validate(&mut problems);
    store::validate(&mut problems);
    ext_authz::validate(&mut problems);
    connectors::validate(&mut problems);
    managed::validate(&mut problems);
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
    /// Whether everything below this top-level key is as in the text. If not, what is missing there may only
    /// have been taken out.
    fn is_complete(&self, key: &str) -> bool {
        self.config.source.document.is_complete(key)
    }

    /// Whether a problem at this path may exist only because a value was taken out.
    fn is_consequence(&self, key_path: &KeyPath<'_>) -> bool {
        self.config.source.document.is_incomplete_at(key_path)
    }

    /// Whether a value below this path was taken out.
    fn has_lost_values(&self, key_path: &KeyPath<'_>) -> bool {
        self.config.source.document.has_lost_values(key_path)
    }

    /// Adds a problem that points at a value.
    fn add_at_value(&mut self, key_path: &KeyPath<'_>, message: Text, help: Text) {
        if !self.is_consequence(key_path) {
            let problem = Problem::at_value(&self.config.source, key_path, message);
            self.list.push(problem.with_help(help));
        }
    }

    /// Adds a problem that points at a key.
    fn add_at_key(&mut self, key_path: &KeyPath<'_>, message: Text, help: Text) {
        if !self.is_consequence(key_path) {
            let problem = Problem::at_key(&self.config.source, key_path, message);
            self.list.push(problem.with_help(help));
        }
    }

    /// Adds a problem if the expression does not compile; it points at the wrong part.
    fn check_expression(&mut self, key_path: &KeyPath<'_>, text: &'a str, scope: Scope) {
        if let Some(problem) = SettingProblem::expression(key_path.clone(), text, scope) {
            self.add(problem);
        }
    }

    /// Adds the problem of a setting.
    fn add(&mut self, problem: SettingProblem<'_>) {
        let source = &self.config.source;
        let key_path = &problem.key_path;
        if self.is_consequence(key_path) {
            return;
        }
        let span = match (problem.points_at_key, problem.part) {
            (true, _) => source.key_span(key_path),
            (false, Some((text, offset))) => source.span_in_string(key_path, text, offset),
            (false, None) => source.value_span(key_path),
        };
        let rendered = Problem::at(source, span, problem.message);
        self.list.push(rendered.with_help(problem.help));
    }

    /// Adds a problem for each period of zero.
    fn require_positive(&mut self, table: &KeyPath<'a>, periods: &[(&'a str, Period)]) {
        for (key, period) in periods {
            if period.duration().is_zero() {
                let key_path = table.clone().key(key);
                let message = text!("{key} must not be 0", "{key} 不能为 0");
                self.add_at_value(&key_path, message, text!("such as \"30s\"", "例如 \"30s\""));
            }
        }
    }

    /// Adds a problem for each number that is 0.
    fn require_at_least_one(&mut self, table: &KeyPath<'a>, numbers: &[(&'a str, u64)]) {
        for (key, number) in numbers {
            if *number == 0 {
                let key_path = table.clone().key(key);
                let message = text!("{key} must be at least 1", "{key} 至少为 1");
                let help = text!("remove it for the default", "删除它就用默认值");
                self.add_at_value(&key_path, message, help);
            }
        }
    }

    /// Returns the address of a listener that only this machine should reach, or adds a problem. `example_port`:
    /// the usual one.
    fn internal_address(
        &mut self,
        key_path: &KeyPath<'_>,
        written: &str,
        example_port: u16,
    ) -> Option<Address> {
        let error = match Address::try_from(written.to_owned()) {
            Ok(address) => return Some(address),
            Err(error) => error,
        };
        self.add_at_value(key_path, error.what(), error.internal_remedy(example_port));
        None
    }

    /// Adds a problem if the URL is not an origin.
    fn require_origin(&mut self, key_path: &KeyPath<'_>, url: &Url) {
        if !is_origin(url) {
            self.add_at_value(key_path, NOT_AN_ORIGIN, ORIGIN_HELP);
        }
    }
}
