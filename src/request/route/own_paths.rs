//! `OwnPaths`: the paths that menshen serves itself on every host.

use crate::request::path::Path;

/// The path prefix of oauth2-proxy. menshen replaces oauth2-proxy under it, which also serves
/// `/ping` and `/ready` at the root.
const OAUTH2_PROXY: &str = "/oauth2";

/// The paths that menshen serves itself on every host.
#[derive(Clone, Debug, Default)]
pub struct OwnPaths {
    /// The prefix of these paths, such as `/.menshen`.
    prefix: String,
    /// Single files, such as proofs of domain ownership.
    exact: Vec<String>,
}

impl OwnPaths {
    /// Everything below the prefix, and these files.
    pub fn new<'a>(prefix: &str, files: impl Iterator<Item = &'a str>) -> Self {
        let mut exact: Vec<_> = files.map(str::to_owned).collect();
        if prefix == OAUTH2_PROXY {
            exact.extend(["/ping", "/ready"].map(str::to_owned));
        }
        Self {
            prefix: prefix.to_owned(),
            exact,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn includes(&self, path: &[u8]) -> bool {
        let own = path.strip_prefix(self.prefix.as_bytes());
        own.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            || self.exact.iter().any(|exact| exact.as_bytes() == path)
    }

    /// Whether any reading of a path is an own path. A path that is refused before it is read
    /// counts as one: no application receives it.
    pub fn may_include(&self, path: &str) -> bool {
        let Ok(path) = Path::parse(path, None) else {
            return true;
        };
        let readings = path.readings(false);
        readings.iter().any(|reading| self.includes(reading))
    }
}
