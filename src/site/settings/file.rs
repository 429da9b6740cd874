//! `FileSettings`: where the configuration file has what API and console must not change.

use std::collections::BTreeMap;

use super::{ConnectorTable, FileLine};
use crate::store::ConnectorId;

/// Where the configuration file has its connectors and choices. The default is a file that says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileSettings {
    /// The name of the file, usually its path.
    pub name: String,
    pub connectors: BTreeMap<ConnectorId, FileConnector>,
    /// The IDs of its connectors as they stand in the file.
    pub order: Vec<ConnectorId>,
    /// The line of `[login] default`.
    pub default_line: Option<usize>,
    /// The line of `[login] order`.
    pub order_line: Option<usize>,
    /// The line of `[managed] write`.
    pub write_line: Option<usize>,
}

/// A connector of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileConnector {
    /// The line at which it begins.
    pub line: usize,
    /// The line of its `enabled`.
    pub enabled_line: Option<usize>,
    /// Its settings with [`super::SECRET_MARKER`] in place of secrets that the file itself contains.
    pub table: ConnectorTable,
}

impl FileSettings {
    /// The order of the sign-in page: first what was chosen, then the other connectors of the file as they
    /// stand there.
    pub(super) fn complete_order(&self, chosen: Vec<ConnectorId>) -> Vec<ConnectorId> {
        let mut order = chosen;
        for id in &self.order {
            if !order.contains(id) {
                order.push(id.clone());
            }
        }
        order
    }

    /// A line of the file.
    pub fn at(&self, line: usize) -> FileLine {
        FileLine {
            file: self.name.clone(),
            line,
        }
    }

    /// The line at which a connector begins.
    pub fn line_of(&self, id: &ConnectorId) -> FileLine {
        let connector = self.connectors.get(id);
        self.at(connector.map_or(1, |connector| connector.line))
    }
}
