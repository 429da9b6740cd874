//! axe-core in Chromium: what it finds on a page.

use serde_json::{Value, json};

use super::processes::counterparts;
use super::webdriver::Browser;

/// What axe-core finds: the rule, how bad it is, and the elements.
const RUN: &str = "
    return axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations.map(rule =>
        rule.id + ' (' + rule.impact + '): ' + rule.nodes.map(node => node.target + ' ' + node.failureSummary)));";

/// axe-core as text, to run in a page.
pub(crate) struct Axe(String);

impl Axe {
    pub(crate) fn load() -> Self {
        let path = counterparts().join("axe/node_modules/axe-core/axe.min.js");
        let text = std::fs::read_to_string(&path);
        Self(text.unwrap_or_else(|error| {
            panic!("{}: {error}: run tests/peers/axe/install", path.display())
        }))
    }

    pub(crate) async fn assert_finds_nothing(&self, browser: &Browser, page: &str) {
        let found = browser
            .script(&format!("{};{RUN}", self.0), json!([]))
            .await;
        assert_eq!(found, Value::Array(Vec::new()), "{page}");
    }
}
