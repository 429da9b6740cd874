//! `OpenedFile`: the file a store was opened in. A file of the same name that appears later is another
//! one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::QueryError;

/// The file a store was opened in, or memory.
///
/// A connection to a file that was deleted or renamed writes on into a file without a name, and a
/// connection that is opened later opens the file that has the name now. Either would make two stores
/// of one, so both are checked for.
#[derive(Clone, Debug)]
pub(super) struct OpenedFile(Option<(PathBuf, Identity)>);

/// Device and number of a file.
type Identity = (u64, u64);

impl OpenedFile {
    pub(super) const MEMORY: Self = Self(None);

    /// The file that is at `path` now.
    pub(super) fn at(path: &Path) -> std::io::Result<Self> {
        let identity = identity(path)?;
        Ok(Self(Some((path.to_owned(), identity))))
    }

    /// Whether the file is still there.
    pub(super) fn check(&self) -> Result<(), QueryError> {
        let Some((path, opened)) = &self.0 else {
            return Ok(());
        };
        match identity(path) {
            Ok(found) if found == *opened => Ok(()),
            Ok(_) | Err(_) => Err(QueryError::FileReplaced(path.clone())),
        }
    }
}

/// Asks the operating system directly, not in the pool of threads for calls that block: a local file
/// answers within microseconds, but lookups of host names use the same pool. A name server that does
/// not answer would fill it, and every question to the store would wait.
fn identity(path: &Path) -> std::io::Result<Identity> {
    let file = std::fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}
