//! `OwnPaths`: the paths that menshen serves itself on every host.

use crate::request::path::Path;

/// The path prefix of oauth2-proxy, which also serves `/ping` and `/ready` at the root. With this prefix
/// menshen serves them, too.
const OAUTH2_PROXY_PREFIX: &str = "/oauth2";

/// The paths that menshen serves itself on every host.
#[derive(Clone, Debug, Default)]
pub struct OwnPaths {
    /// The prefix of these paths, such as `/.menshen`.
    prefix: String,
    /// Single files, such as proofs of domain ownership.
    files: Vec<String>,
}

impl OwnPaths {
    /// Everything below the prefix, and these files.
    pub fn new<'a>(prefix: &str, files: impl Iterator<Item = &'a str>) -> Self {
        let mut files: Vec<_> = files.map(str::to_owned).collect();
        if prefix == OAUTH2_PROXY_PREFIX {
            files.extend(["/ping", "/ready"].map(str::to_owned));
        }
        Self {
            prefix: prefix.to_owned(),
            files,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn includes(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(self.prefix.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            || self.files.iter().any(|file| file.as_bytes() == path)
    }

    /// Whether any reading of a path is an own path. An invalid path counts as one, because no application
    /// receives it.
    pub fn may_include(&self, path: &str) -> bool {
        let Ok(path) = Path::parse(path, None) else {
            return true;
        };
        let readings = path.readings(false);
        readings.iter().any(|reading| self.includes(reading))
    }
}
