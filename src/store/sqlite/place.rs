//! `Place`: which file the store is. A file of the same name that appears later is another one.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Trouble;

/// The file a store was opened in, or memory.
///
/// A connection to a file that was deleted or renamed writes on into what nobody will find again, and
/// a connection that is opened later finds the file that took its place. Both must be noticed: one
/// store must not be two.
#[derive(Clone, Debug)]
pub(super) struct Place(Option<(PathBuf, Identity)>);

/// Device and number of a file.
type Identity = (u64, u64);

impl Place {
    pub(super) const MEMORY: Self = Self(None);

    /// The file that is at `path` now.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let identity = identity(path)?;
        Ok(Self(Some((path.to_owned(), identity))))
    }

    /// Whether the file is still there.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        let Some((path, opened)) = &self.0 else {
            return Ok(());
        };
        match identity(path) {
            Ok(found) if found == *opened => Ok(()),
            Ok(_) | Err(_) => Err(Trouble::Moved(path.clone())),
        }
    }
}

/// Asks the operating system at once instead of in the pool for what blocks. The answer about a local
/// file is there in microseconds, while lookups of host names share that pool: a name server that does
/// not answer would fill it, and every question to the store would wait behind.
fn identity(path: &Path) -> std::io::Result<Identity> {
    let file = std::fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}
