//! Standard output and standard error as destinations for log lines.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{LazyLock, Mutex};

use super::log_writer::Destination;

/// Held while lines are written if both streams lead to the same file, as in `menshen >log 2>&1`.
static SAME_FILE_LOCK: Mutex<()> = Mutex::new(());

static IS_SAME_FILE: LazyLock<bool> = LazyLock::new(|| {
    let id = |file: io::Result<File>| {
        let metadata = file.and_then(|file| file.metadata()).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let (out, err) = (id(duplicate(io::stdout())), id(duplicate(io::stderr())));
    out.is_some() && out == err
});

pub(super) fn output() -> Destination {
    let unbuffered = duplicate(io::stdout());
    destination("stdout", unbuffered, || Box::new(io::stdout()))
}

pub(super) fn error() -> Destination {
    let unbuffered = duplicate(io::stderr());
    destination("stderr", unbuffered, || Box::new(io::stderr()))
}

/// Bypasses the buffer of the standard library, so that a write returns how many bytes were
/// written.
fn duplicate(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

fn destination(
    name: &'static str,
    unbuffered: io::Result<File>,
    fallback: impl FnOnce() -> Box<dyn Write + Send>,
) -> Destination {
    Destination {
        name,
        out: unbuffered.map_or_else(
            |_| fallback(),
            |file| Box::new(file) as Box<dyn Write + Send>,
        ),
        file_lock: IS_SAME_FILE.then_some(&SAME_FILE_LOCK),
    }
}
