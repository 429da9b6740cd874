//! What runs beside a test and ends with it: programs, directories; free ports; waiting.

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

/// How long anything may take before the test that waits for it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked.
const POLL: Duration = Duration::from_millis(20);

/// How long a program on a leash may take to end by itself.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// How many of its last lines are shown of what a program said.
const LINES_SHOWN: usize = 200;

/// A running program, ended when dropped; what it said is shown when the test fails.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    said: Receiver<String>,
    heard: Vec<String>,
}

impl Program {
    /// Starts it. A program that is not there is a failure that says where it comes from.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command.stdin(Stdio::null()))
    }

    /// Starts one that promises to end, with all it started, when its standard input does. So it
    /// also ends when this process does, however that happens.
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

    /// The first line that `find` makes something of; `None` when the program ends before it.
    pub(crate) fn line<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.line_within(PATIENCE, find)
    }

    /// The same for a program that needs longer.
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

    /// Its process; a program that it becomes by `exec` has the same.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until somebody listens on this port of this machine, or the program ends without that.
    pub(crate) async fn listens(&mut self, port: u16) -> bool {
        let here = (Ipv4Addr::LOCALHOST, port);
        self.until(async || tokio::net::TcpStream::connect(here).await.is_ok())
            .await
    }

    /// Waits until it is so; false when the program ends before.
    pub(crate) async fn until(&mut self, is_so: impl AsyncFn() -> bool) -> bool {
        let name = self.name.clone();
        let program = Mutex::new(&mut *self);
        let ended = || program.lock().unwrap().ended();
        until(&name, async || ended() || is_so().await).await;
        !self.ended()
    }

    /// Shows what it said last.
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
        if thread::panicking() {
            self.show();
        }
    }
}

/// Reads to the end, so that the program never waits for a reader.
fn listen(pipe: Option<impl Read + Send + 'static>, sender: Sender<String>) {
    let pipe = pipe.unwrap();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody listens any more: the test is over.
            let _ = sender.send(line);
        }
    });
}

/// A directory of its own for one test, removed with it.
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

    /// A file in it with this content.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Whatever stays behind is in the system's own place for it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// So many free ports in a row, as the system says, that were not given to another test. Somebody may
/// still take one before it is used, so whoever binds them is asked, and given others when they are
/// gone.
pub(crate) fn free_ports(count: u16) -> u16 {
    // Some servers share a port with whoever lets them, and nobody would notice.
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let rest = (1..count).map(|more| {
            let next = port.checked_add(more)?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, next)).ok()
        });
        // All are held until each is known to be free.
        let held = rest.collect::<Option<Vec<_>>>();
        let mut given = GIVEN.lock().unwrap();
        let ports = port..port.saturating_add(count);
        if held.is_some() && ports.clone().all(|port| !given.contains(&port)) {
            given.extend(ports);
            return port;
        }
    }
}

/// Looks until it is so, or fails with what was waited for.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Where `tests/run` keeps counterparts that Debian does not have.
pub(crate) fn counterparts() -> PathBuf {
    target_dir().join("counterparts")
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}
