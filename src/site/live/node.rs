//! `Node`: this process among those that share the store. Each tells the store which version of the settings
//! it serves, so that the console of any of them shows all.

use std::sync::Arc;
use std::time::Duration;

use super::LiveSite;
use crate::clock::Timestamp;
use crate::keys;
use crate::store::{NodeRecord, StoreError};
use crate::text;
use crate::wording::{Language, Text};

/// How often a node that has not changed says that it is there.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// A node that was not heard for so long has probably ended.
const SILENT_AFTER: Duration = Duration::from_secs(90);
/// The most nodes that are listed.
const LISTED_MAX: u32 = 100;
/// The longest text of a problem in one language, in characters.
const PROBLEM_CHARS_MAX: usize = 2_000;

/// This process among those that share the store.
#[derive(Debug)]
pub(super) struct Node {
    id: String,
    name: String,
    started_at: Timestamp,
}

/// A node, as one of them sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenNode {
    pub record: NodeRecord,
    /// Whether it is the process that answers.
    pub is_this: bool,
    /// Whether it was not heard for so long that it has probably ended.
    pub is_silent: bool,
}

impl Node {
    /// A new process on this machine.
    pub(super) fn new(started_at: Timestamp) -> Self {
        let machine = rustix::system::uname();
        Self {
            id: format!("{:032x}", u128::from_be_bytes(keys::random())),
            name: machine.nodename().to_string_lossy().into_owned(),
            started_at,
        }
    }
}

impl SeenNode {
    /// Why the node does not serve its newest settings, if so. A node of an earlier version says it in English only.
    pub fn problem(&self) -> Option<Text> {
        let lines = self.record.problem.as_deref()?;
        let (english, chinese) = lines.split_once('\n').unwrap_or((lines, lines));
        Some(text!("{english}", "{chinese}"))
    }
}

/// A problem as the store keeps it: a line in English, and one in Chinese if that differs. A node of an earlier
/// version shows both lines.
fn problem_lines(problem: &Text) -> String {
    let line = |text: &str| -> String {
        let characters = text.chars().take(PROBLEM_CHARS_MAX);
        characters
            .map(|c| if c == '\n' { ' ' } else { c })
            .collect()
    };
    let english = line(problem.in_language(Language::English));
    match problem.other_chinese() {
        Some(chinese) => format!("{english}\n{}", line(&chinese)),
        None => english,
    }
}

impl LiveSite {
    /// What this node says about itself.
    fn node_record(&self) -> NodeRecord {
        let problem = self.settings_problem();
        let problem = problem.map(|problem| problem_lines(&problem.whole));
        NodeRecord {
            id: self.node.id.clone(),
            name: self.node.name.clone(),
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            settings_version: self.settings().version(),
            problem,
            started_at: self.node.started_at,
            seen_at: self.services.clock.now(),
        }
    }

    /// Tells the store about this node at once, after each change, and periodically, until the shutdown.
    pub async fn report_node(self: Arc<Self>) {
        let mut sites = self.subscribe_to_reloads();
        let mut problems = self.settings_problem.subscribe();
        loop {
            sites.borrow_and_update();
            problems.borrow_and_update();
            // The probes of the store report its failures.
            let _ = self.services.store.report_node(&self.node_record()).await;
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = sites.changed() => {}
                _ = problems.changed() => {}
                () = tokio::time::sleep(REPORT_EVERY) => {}
            }
        }
    }

    /// Takes this node off the list, because it stops.
    ///
    /// # Errors
    /// The store failed: the node is listed for some minutes more.
    pub async fn remove_node(&self) -> Result<(), StoreError> {
        self.services.store.remove_node(&self.node.id).await
    }

    /// The nodes that share the store, by their names; this one alone if the store does not answer.
    pub async fn nodes(&self) -> Vec<SeenNode> {
        let now = self.services.clock.now();
        let own = self.node_record();
        let mut nodes = self
            .services
            .store
            .nodes(LISTED_MAX)
            .await
            .unwrap_or_default();
        match nodes.iter_mut().find(|node| node.id == own.id) {
            Some(listed) => *listed = own,
            None => nodes.insert(0, own),
        }
        let seen = nodes.into_iter().map(|record| SeenNode {
            is_this: record.id == self.node.id,
            is_silent: now.since(record.seen_at) > SILENT_AFTER,
            record,
        });
        seen.collect()
    }
}
