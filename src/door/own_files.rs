//! `OwnFiles`: the files that a listener with `redirect_https` serves instead of redirecting.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// The files of `[server] files`, content by path. All clones have the same files.
#[derive(Clone, Debug, Default)]
pub struct OwnFiles(Arc<ArcSwap<BTreeMap<String, String>>>);

impl OwnFiles {
    /// Replaces the files, from the next request on.
    pub fn set(&self, files: BTreeMap<String, String>) {
        self.0.store(Arc::new(files));
    }

    pub(super) fn content(&self, path: &str) -> Option<String> {
        self.0.load().get(path).cloned()
    }
}
