//! `FileWatcher`: notices when one of the files a configuration names has changed.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// How long nothing must happen before files count as written.
const QUIET: Duration = Duration::from_millis(300);
/// How long to wait for that at most.
const QUIET_WITHIN: Duration = Duration::from_secs(3);
/// How often to look without being told, for file systems that tell nothing.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// How many links are followed from a file.
const LINKS_MAX: usize = 8;

/// Watches files, whether they are there or not, and whether they are written in place, renamed
/// over or reached through links that are changed.
///
/// What is watched is the folders they are in, and those of what links lead to; what counts is that a file is another one or was
/// written to.
#[derive(Debug)]
pub struct FileWatcher {
    files: Vec<PathBuf>,
    seen: Vec<Option<FileStamp>>,
    /// Whether something happened that was not looked at yet.
    is_dirty: bool,
    events: mpsc::Receiver<()>,
    event_sender: mpsc::Sender<()>,
    watcher: Option<RecommendedWatcher>,
}

/// What changes when a file does: seconds and nanoseconds of its change, size, number.
type FileStamp = (i64, i64, u64, u64);

impl FileWatcher {
    /// Watches `files` from how they are now on. Where the system cannot tell of changes, they are
    /// looked at every half minute.
    pub async fn new(files: Vec<PathBuf>) -> Self {
        let (event_sender, events) = mpsc::channel(1);
        let mut watch = Self {
            files: Vec::new(),
            seen: Vec::new(),
            is_dirty: false,
            events,
            event_sender,
            watcher: None,
        };
        watch.set_files(files).await;
        watch
    }

    /// Watches other files from now on: those a new configuration names. What changed of a file
    /// that was watched before and was not told yet will still be told.
    pub async fn set_files(&mut self, files: Vec<PathBuf>) {
        if files == self.files {
            return;
        }
        self.watcher = watcher(&files, self.event_sender.clone());
        let now = stamps(&files).await;
        let before = |file| self.files.iter().position(|old| old == file);
        let seen = files.iter().zip(now).map(|(file, now)| match before(file) {
            Some(at) => self.seen[at],
            None => now,
        });
        self.seen = seen.collect();
        // A change that came while nobody listened has no event any more.
        self.is_dirty = true;
        self.files = files;
    }

    /// Waits until a file has changed and nothing happened for a moment. Cancel-safe.
    pub async fn changed(&mut self) {
        loop {
            if !self.is_dirty {
                // Told or not, it is time to look.
                let _ = timeout(CHECK_EVERY, self.events.recv()).await;
                self.is_dirty = true;
            }
            let begun = Instant::now();
            while timeout(QUIET, self.events.recv()).await.is_ok() && begun.elapsed() < QUIET_WITHIN
            {
            }
            if self.check().await {
                return;
            }
        }
    }

    /// Whether a file is another one than when it was last looked at.
    async fn check(&mut self) -> bool {
        let stamps = stamps(&self.files).await;
        self.is_dirty = false;
        let changed = stamps != self.seen;
        self.seen = stamps;
        changed
    }
}

/// Tells of everything that happens in the folders of `files`.
fn watcher(files: &[PathBuf], told: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            // A full channel already says what there is to say.
            let _ = told.try_send(());
        }
    };
    let mut watcher = match notify::recommended_watcher(tell) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "files are looked at every 30 s: the system notices of no changes");
            return None;
        }
    };
    let folders: BTreeSet<PathBuf> = files.iter().flat_map(|file| folders_of(file)).collect();
    for folder in folders {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "files there are looked at every 30 s");
        }
    }
    Some(watcher)
}

/// The folder of a file and, where it is a link, those of what that leads to: certbot's certificates
/// are links to files in another folder, and links to such links change in neither.
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
        stamps.push(metadata.map(|it| (it.ctime(), it.ctime_nsec(), it.len(), it.ino())));
    }
    stamps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, removed afterwards.
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
            // A folder that stays behind harms no test.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    async fn notices(watch: &mut FileWatcher) -> bool {
        timeout(Duration::from_secs(20), watch.changed())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_file_that_is_written_renamed_over_or_made_is_told() {
        let folder = Folder::new("watch");
        let (a, b) = (folder.write("a", "1"), folder.0.join("b"));
        let mut watch = FileWatcher::new(vec![a.clone(), b.clone()]).await;
        folder.write("a", "22");
        assert!(notices(&mut watch).await, "written");
        std::fs::rename(folder.write("new", "333"), &a).unwrap();
        assert!(notices(&mut watch).await, "renamed over");
        folder.write("b", "1");
        assert!(notices(&mut watch).await, "made");
    }

    #[tokio::test]
    async fn a_file_behind_a_link_that_is_changed_is_told() {
        let folder = Folder::new("watch-link");
        let (old, new) = (folder.write("old", "1"), folder.write("new", "2"));
        let link = folder.0.join("link");
        std::os::unix::fs::symlink(&old, &link).unwrap();
        let mut watch = FileWatcher::new(vec![link.clone()]).await;
        let next = folder.0.join("next");
        std::os::unix::fs::symlink(&new, &next).unwrap();
        std::fs::rename(&next, &link).unwrap();
        assert!(notices(&mut watch).await);
    }

    #[tokio::test]
    async fn a_link_to_a_link_in_another_folder_that_is_changed_is_told_at_once() {
        let (own, live) = (Folder::new("watch-own"), Folder::new("watch-live"));
        let (old, new) = (live.write("old", "1"), live.write("new", "2"));
        let link = |to: &Path, at: PathBuf| {
            let next = at.with_extension("next");
            std::os::unix::fs::symlink(to, &next).unwrap();
            std::fs::rename(&next, &at).unwrap();
            at
        };
        let inner = link(&old, live.0.join("inner"));
        let outer = link(&inner, own.0.join("outer"));
        let mut watch = FileWatcher::new(vec![outer]).await;
        // As it begins it looks once by itself.
        assert!(!watch.check().await);
        link(&new, inner);
        let told = timeout(CHECK_EVERY / 2, watch.changed()).await;
        assert!(told.is_ok());
    }

    #[tokio::test]
    async fn what_changed_while_other_files_were_named_is_told() {
        let folder = Folder::new("watch-meanwhile");
        let a = folder.write("a", "1");
        let mut watch = FileWatcher::new(vec![a.clone()]).await;
        folder.write("a", "22");
        let b = folder.write("b", "1");
        watch.set_files(vec![b, a]).await;
        assert!(notices(&mut watch).await);
        assert!(!watch.check().await);
    }

    #[tokio::test]
    async fn what_lies_beside_is_not_told() {
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
