//! `FileWatcher`: waits for changes of the files that a configuration names.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// The time without events after which a file is taken to be written completely.
const QUIET: Duration = Duration::from_millis(300);
/// The longest wait for [`QUIET`].
const QUIET_WITHIN: Duration = Duration::from_secs(3);
/// Time between two checks without events, for file systems that send none.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// Symbolic links that are followed from a file.
const LINKS_MAX: usize = 8;

/// Watches files that may or may not exist, and that may be overwritten, replaced by renaming, or changed
/// through symbolic links.
///
/// It watches the folders of the files and of the targets of their links, and compares metadata.
#[derive(Debug)]
pub struct FileWatcher {
    files: Vec<PathBuf>,
    last_stamps: Vec<Option<FileStamp>>,
    /// Whether events came since the last check.
    is_dirty: bool,
    events: mpsc::Receiver<()>,
    event_sender: mpsc::Sender<()>,
    watcher: Option<RecommendedWatcher>,
}

/// Metadata that changes with a file: seconds and nanoseconds of its ctime, size and inode.
type FileStamp = (i64, i64, u64, u64);

impl FileWatcher {
    /// Watches `files` for changes from their current state. Without events of the system, they are
    /// checked every 30 s.
    pub async fn new(files: Vec<PathBuf>) -> Self {
        let (event_sender, events) = mpsc::channel(1);
        let mut file_watcher = Self {
            files: Vec::new(),
            last_stamps: Vec::new(),
            is_dirty: false,
            events,
            event_sender,
            watcher: None,
        };
        file_watcher.set_files(files).await;
        file_watcher
    }

    /// Watches other files, which a new configuration names. Changes of files that are in both lists are
    /// not lost.
    pub async fn set_files(&mut self, files: Vec<PathBuf>) {
        if files == self.files {
            return;
        }
        self.watcher = watcher(&files, self.event_sender.clone());
        let now = stamps(&files).await;
        let old_index = |file| self.files.iter().position(|old| old == file);
        let last_stamps = files
            .iter()
            .zip(now)
            .map(|(file, now)| match old_index(file) {
                Some(index) => self.last_stamps[index],
                None => now,
            });
        self.last_stamps = last_stamps.collect();
        // A change between the two watchers has no event.
        self.is_dirty = true;
        self.files = files;
    }

    /// Waits until a file has changed and no event came for 300 ms. Cancel-safe.
    pub async fn changed(&mut self) {
        loop {
            if !self.is_dirty {
                // With or without an event, the files are checked now.
                let _ = timeout(CHECK_EVERY, self.events.recv()).await;
                self.is_dirty = true;
            }
            let started = Instant::now();
            while timeout(QUIET, self.events.recv()).await.is_ok()
                && started.elapsed() < QUIET_WITHIN
            {}
            if self.check().await {
                return;
            }
        }
    }

    /// Whether a file has changed since the last check.
    async fn check(&mut self) -> bool {
        let stamps = stamps(&self.files).await;
        self.is_dirty = false;
        let changed = stamps != self.last_stamps;
        self.last_stamps = stamps;
        changed
    }
}

/// Sends an event for every change in the folders of `files`.
fn watcher(files: &[PathBuf], events: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let send = move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            // If the channel is full, an event is pending already.
            let _ = events.try_send(());
        }
    };
    let mut watcher = match notify::recommended_watcher(send) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "the system sends no events about files: they are checked every 30 s");
            return None;
        }
    };
    let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_of(file)).collect();
    for folder in folders {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "a folder cannot be watched: its files are checked every 30 s");
        }
    }
    Some(watcher)
}

/// The folder of a file and, if it is a symbolic link, the folders of all targets on the way: certbot's
/// certificates are links to files in another folder.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut file = file.to_owned();
    for _ in 0..=LINKS_MAX {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        folders.push(folder.to_owned());
        let Ok(target) = std::fs::read_link(&file) else {
            break;
        };
        file = folder.join(target);
    }
    folders
}

async fn stamps(files: &[PathBuf]) -> Vec<Option<FileStamp>> {
    let mut stamps = Vec::with_capacity(files.len());
    for file in files {
        let metadata = tokio::fs::metadata(file).await.ok();
        stamps.push(metadata.map(|file| (file.ctime(), file.ctime_nsec(), file.len(), file.ino())));
    }
    stamps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A temporary folder, removed when it is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("menshen-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // A leftover folder does no harm.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    async fn is_change_noticed(watch: &mut FileWatcher) -> bool {
        timeout(Duration::from_secs(20), watch.changed())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_file_that_is_overwritten_replaced_or_created_is_noticed() {
        let folder = Folder::new("watch");
        let (a, b) = (folder.write("a", "1"), folder.0.join("b"));
        let mut watch = FileWatcher::new(vec![a.clone(), b.clone()]).await;
        folder.write("a", "22");
        assert!(is_change_noticed(&mut watch).await, "overwritten");
        std::fs::rename(folder.write("new", "333"), &a).unwrap();
        assert!(is_change_noticed(&mut watch).await, "replaced");
        folder.write("b", "1");
        assert!(is_change_noticed(&mut watch).await, "created");
    }

    #[tokio::test]
    async fn a_change_of_a_symbolic_link_is_noticed() {
        let folder = Folder::new("watch-link");
        let (old, new) = (folder.write("old", "1"), folder.write("new", "2"));
        let link = folder.0.join("link");
        std::os::unix::fs::symlink(&old, &link).unwrap();
        let mut watch = FileWatcher::new(vec![link.clone()]).await;
        let next = folder.0.join("next");
        std::os::unix::fs::symlink(&new, &next).unwrap();
        std::fs::rename(&next, &link).unwrap();
        assert!(is_change_noticed(&mut watch).await);
    }

    #[tokio::test]
    async fn a_change_of_a_link_in_another_folder_is_noticed_at_once() {
        let (links, targets) = (Folder::new("watch-links"), Folder::new("watch-targets"));
        let (old, new) = (targets.write("old", "1"), targets.write("new", "2"));
        let link = |to: &Path, at: PathBuf| {
            let next = at.with_extension("next");
            std::os::unix::fs::symlink(to, &next).unwrap();
            std::fs::rename(&next, &at).unwrap();
            at
        };
        let inner = link(&old, targets.0.join("inner"));
        let outer = link(&inner, links.0.join("outer"));
        let mut watch = FileWatcher::new(vec![outer]).await;
        // Without this check, `changed` would check at once because the watch has just started.
        assert!(!watch.check().await);
        link(&new, inner);
        let noticed = timeout(CHECK_EVERY / 2, watch.changed()).await;
        assert!(noticed.is_ok());
    }

    #[tokio::test]
    async fn a_change_before_other_files_are_set_is_noticed() {
        let folder = Folder::new("watch-meanwhile");
        let a = folder.write("a", "1");
        let mut watch = FileWatcher::new(vec![a.clone()]).await;
        folder.write("a", "22");
        let b = folder.write("b", "1");
        watch.set_files(vec![b, a]).await;
        assert!(is_change_noticed(&mut watch).await);
        assert!(!watch.check().await);
    }

    #[tokio::test]
    async fn a_change_of_another_file_in_the_folder_is_ignored() {
        let folder = Folder::new("watch-beside");
        let file = folder.write("a", "1");
        let mut watch = FileWatcher::new(vec![file]).await;
        folder.write("beside", "1");
        assert!(!watch.check().await);
        folder.write("a", "22");
        assert!(watch.check().await);
        assert!(!watch.check().await);
    }
}
