//! Processes, temporary directories, free ports and waiting for tests.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use menshen::keys;
use menshen::store::SessionId;

/// The time-out of everything that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The polling interval.
const POLL: Duration = Duration::from_millis(20);

/// How long a program may take to end after its stdin closes.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of output lines shown after a failure.
const LINES_SHOWN: usize = 200;

/// A running program, ended when dropped. Its output is shown if the test fails.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    said: Receiver<String>,
    heard: Vec<String>,
}

impl Program {
    /// Starts a program. A missing program fails with the place where it can be installed.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::null()))
    }

    /// Starts a program that ends with all its children when its stdin closes, and so also when
    /// this process ends for any reason.
    pub(crate) fn start_stopped_by_stdin(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::piped()))
    }

    fn spawn(name: &str, command: &mut Command) -> Self {
        let started = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = started.unwrap_or_else(|error| {
            panic!("{name} does not start ({error}); tests/run installs and builds what is needed")
        });
        let (sender, said) = channel();
        listen(child.stdout.take(), sender.clone());
        listen(child.stderr.take(), sender);
        Self {
            name: name.to_owned(),
            child,
            said,
            heard: Vec::new(),
        }
    }

    /// The first result of `find` on an output line; `None` if the program ends before.
    pub(crate) fn line<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.line_within(PATIENCE, find)
    }

    /// Like [`Self::line`] with another time-out.
    pub(crate) fn line_within<T>(
        &mut self,
        patience: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + patience;
        loop {
            match self
                .said
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    let found = find(&line);
                    self.heard.push(line);
                    if found.is_some() {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("{} said nothing in time", self.name),
            }
        }
    }

    /// The process ID, which stays the same after `exec`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the port accepts connections; false if the program ends before.
    pub(crate) async fn listens(&mut self, port: u16) -> bool {
        let here = (Ipv4Addr::LOCALHOST, port);
        self.until(async || tokio::net::TcpStream::connect(here).await.is_ok())
            .await
    }

    /// Waits for a condition; false if the program ends before.
    pub(crate) async fn until(&mut self, is_so: impl AsyncFn() -> bool) -> bool {
        let name = self.name.clone();
        let program = Mutex::new(&mut *self);
        let ended = || program.lock().unwrap().ended();
        until(&name, async || ended() || is_so().await).await;
        !self.ended()
    }

    /// Ends the program.
    pub(crate) fn stop(&mut self) {
        if let Some(leash) = self.child.stdin.take() {
            drop(leash);
            let end = Instant::now() + SHUTDOWN_TIMEOUT;
            while !self.ended() && Instant::now() < end {
                thread::sleep(POLL);
            }
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Shows the last output lines.
    pub(crate) fn show(&mut self) {
        self.heard.extend(self.said.try_iter());
        let skipped = self.heard.len().saturating_sub(LINES_SHOWN);
        eprintln!(
            "--- {} said:\n{}",
            self.name,
            self.heard[skipped..].join("\n")
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            self.show();
        }
    }
}

/// Reads to the end, so that the program never blocks on a full pipe.
fn listen(pipe: Option<impl Read + Send + 'static>, sender: Sender<String>) {
    let pipe = pipe.unwrap();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The receiver is gone: the test is over.
            let _ = sender.send(line);
        }
    });
}

/// A temporary directory of one test, removed with it.
#[derive(Debug)]
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let name = format!("menshen-peers-{}", SessionId::new(keys::random()));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A directory that cannot be removed stays in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Finds consecutive free ports that were not given to another test. Another process may still take
/// one, so a server that cannot bind its port must be started again with others.
pub(crate) fn free_ports(count: u16) -> u16 {
    // Some servers can share a port without an error.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let rest = (1..count).map(|more| {
            let next = port.checked_add(more)?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, next)).ok()
        });
        // All are bound until each is known to be free.
        let held = rest.collect::<Option<Vec<_>>>();
        let mut given = GIVEN.lock().unwrap();
        let ports = port..port.saturating_add(count);
        if held.is_some() && ports.clone().all(|port| !given.contains(&port)) {
            given.extend(ports);
            return port;
        }
    }
}

/// Polls until a condition holds, or fails with its description.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Where `tests/run` installs programs that Debian does not have.
pub(crate) fn counterparts() -> PathBuf {
    target_dir().join("counterparts")
}

/// The target directory of cargo.
pub(crate) fn target_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}
