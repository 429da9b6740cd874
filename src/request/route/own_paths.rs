//! `OwnPaths`: the paths that are ours on every host, and what somebody else may take for one.

use crate::request::path::Path;

/// The prefix with which menshen stands where oauth2-proxy stood; that also has `/ping` and `/ready`
/// at the root.
const OAUTH2_PROXY: &str = "/oauth2";

/// The paths that are ours on every host.
#[derive(Clone, Debug, Default)]
pub struct OwnPaths {
    /// What our own paths begin with, as `/.menshen`.
    prefix: String,
    /// Files for proof of a domain's ownership, and the like.
    exact: Vec<String>,
}

impl OwnPaths {
    /// Everything under the prefix, and these files.
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

    /// What our own paths begin with, as `/.menshen`.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn includes(&self, path: &[u8]) -> bool {
        let own = path.strip_prefix(self.prefix.as_bytes());
        own.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            || self.exact.iter().any(|exact| exact.as_bytes() == path)
    }

    /// Whether a path is one of ours to anybody who reads it. So is one that is refused before
    /// anybody reads it: an application never gets it.
    pub fn may_include(&self, path: &str) -> bool {
        let Ok(path) = Path::parse(path, None) else {
            return true;
        };
        let readings = path.readings(false);
        readings.iter().any(|reading| self.includes(reading))
    }
}
