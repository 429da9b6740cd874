//! The values of a document that are neither tables nor lists, with their paths and places.

use std::ops::Range;

use super::{Document, Node, OwnedStep, Value};

/// A text, a number or another single value.
pub(in crate::config) struct Leaf {
    pub(in crate::config) path: Vec<OwnedStep>,
    pub(in crate::config) span: Range<usize>,
}

/// All keys and all single values of a document.
#[derive(Default)]
pub(in crate::config) struct Leaves {
    pub(in crate::config) key_spans: Vec<Range<usize>>,
    pub(in crate::config) leaves: Vec<Leaf>,
}

impl Document {
    pub(in crate::config) fn leaves(&self) -> Leaves {
        let mut found = Leaves::default();
        found.add(&self.root, &mut Vec::new());
        found
    }
}

impl Leaves {
    fn add(&mut self, node: &Node, path: &mut Vec<OwnedStep>) {
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    self.key_spans.push(entry.key_span.clone());
                    path.push(OwnedStep::Key(entry.key.clone()));
                    self.add(&entry.node, path);
                    path.pop();
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(OwnedStep::Item(index));
                    self.add(item, path);
                    path.pop();
                }
            }
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Date
            | Value::TakenOut => self.leaves.push(Leaf {
                path: path.clone(),
                span: node.span.clone(),
            }),
        }
    }
}
