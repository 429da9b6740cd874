//! `OpenedFile`: detects that the database file was deleted or replaced.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::QueryError;

/// The file in which the store was opened, or memory.
///
/// A connection to a deleted file keeps writing to the file without a name, and a later connection opens
/// the new file with that name. Either would split the store in two.
#[derive(Clone, Debug)]
pub(super) struct OpenedFile(Option<(PathBuf, Identity)>);

/// Device and inode number of a file.
type Identity = (u64, u64);

impl OpenedFile {
    pub(super) const MEMORY: Self = Self(None);

    /// The file at `path`.
    pub(super) fn at(path: &Path) -> std::io::Result<Self> {
        let identity = identity(path)?;
        Ok(Self(Some((path.to_owned(), identity))))
    }

    /// Fails if the path no longer names this file.
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
