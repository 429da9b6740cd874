//! `menshen run` while its log cannot be written: to a pipe that nobody reads, to a pipe without a reader, or
//! to a full file. Requests are served, SIGTERM stops the process, and logging continues later.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use super::disk::{get_from_admin, limit_file_size};
use super::serving::write_config;
use crate::browser::Browser;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::upstream::{TempFolder, wait_until};

/// Reads the lines of a pipe in a thread, except while it is stalled.
#[derive(Clone, Default)]
struct Reader(Arc<(Mutex<Reading>, Condvar)>);

#[derive(Default)]
struct Reading {
    lines: Vec<String>,
    is_stalled: bool,
    ended: bool,
}

impl Reader {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let reader = Self::default();
        let reading = reader.clone();
        std::thread::spawn(move || reading.read(pipe));
        reader
    }

    fn read(&self, pipe: impl Read) {
        let (state, changed) = &*self.0;
        for connection in BufReader::new(pipe).lines().map_while(Result::ok) {
            let state = state.lock().unwrap();
            let mut state = changed.wait_while(state, |state| state.is_stalled).unwrap();
            state.lines.push(connection);
        }
        state.lock().unwrap().ended = true;
    }

    fn set_stalled(&self, is_stalled: bool) {
        self.0.0.lock().unwrap().is_stalled = is_stalled;
        self.0.1.notify_all();
    }

    fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }

    fn line(&self, part: &str) -> Option<String> {
        self.lines()
            .into_iter()
            .find(|connection| connection.contains(part))
    }

    async fn wait_for_line(&self, part: &str) {
        wait_until(part, || self.line(part).is_some()).await;
    }

    async fn wait_for_end(&self) {
        wait_until("all output is read", || self.0.0.lock().unwrap().ended).await;
    }
}

/// A menshen process and the reader of its standard error.
struct Program {
    child: Child,
    stderr: Reader,
}

impl Program {
    /// Starts menshen and waits until it serves.
    async fn run(config: &Path, stdout: Stdio) -> Self {
        // With SIGXFSZ ignored, writing to a full file is an error instead of a fatal signal.
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\""])
            .arg(env!("CARGO_BIN_EXE_menshen"))
            .env_remove("MENSHEN_LOG")
            .env("MENSHEN_CONFIG", config)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let stderr = Reader::of(child.stderr.take().unwrap());
        let program = Self { child, stderr };
        program.stderr.wait_for_line("serving").await;
        program
    }

    fn address(&self, name: &str) -> SocketAddr {
        let connection = self.stderr.line("\"serving\"").unwrap();
        let connection: Value = serde_json::from_str(&connection).unwrap();
        let address = connection[name].as_str().unwrap();
        address.trim_matches(['[', ']']).parse().unwrap()
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.unwrap().success());
    }

    async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn setup_with_admin() -> Setup {
    Setup::default().tables("[admin]\nlisten = \"127.0.0.1:0\"\n")
}

/// Sets the log level to `trace`, at which much is logged for each connection and changed file.
fn log_everything(config: &Path) {
    let text = std::fs::read_to_string(config).unwrap();
    let text = text.replace("[log]", "[log]\nlevel = \"trace\"");
    std::fs::write(config, text).unwrap();
}

/// Sends requests with paths of this length over one connection, and reads their responses.
async fn send_requests(address: SocketAddr, times: usize, path_bytes: usize) {
    let path = "a".repeat(path_bytes);
    let mut connection = RawConnection::open(address).await;
    for _ in 0..times {
        connection
            .send(&format!("GET /{path} HTTP/1.1\r\nHost: sso.test\r\n\r\n"))
            .await;
        assert_eq!(connection.read_answer().await.status, 401);
    }
}

async fn metric(address: SocketAddr, name: &str) -> u64 {
    let metrics = get_from_admin(address, "/metrics").await.text();
    let connection = metrics
        .lines()
        .find(|connection| connection.starts_with(name));
    let connection = connection.unwrap_or_else(|| panic!("{name}: {metrics}"));
    connection.rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn with_target<'a>(records: &'a [Value], target: &str) -> impl Iterator<Item = &'a Value> {
    let target = Value::from(target);
    records
        .iter()
        .filter(move |connection| connection["target"] == target)
}

const ACCESS_DROPPED: &str = "menshen_log_lines_dropped_total{kind=\"access\"}";
const PROGRAM_DROPPED: &str = "menshen_log_lines_dropped_total{kind=\"program\"}";

#[tokio::test]
async fn requests_are_served_and_sigterm_works_while_the_log_is_blocked() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = write_config(&folder, &menshen, &setup_with_admin());
    log_everything(&config);
    let mut program = Program::run(&config, Stdio::piped()).await;
    let (address, admin_address) = (program.address("addresses"), program.address("admin"));
    let stdout = Reader::default();
    stdout.set_stalled(true);
    program.stderr.set_stalled(true);
    let pipe = program.child.stdout.take().unwrap();
    let reading = stdout.clone();
    std::thread::spawn(move || reading.read(pipe));

    // The pipes and the buffer for access lines are full when lines are dropped.
    while metric(admin_address, ACCESS_DROPPED).await < 100 {
        send_requests(address, 100, 30_000).await;
    }
    let mut browser = Browser::at(address);
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200);
    let ready = get_from_admin(admin_address, "/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    let degraded = ready.json()["degraded"][0].to_string();
    assert!(degraded.contains("stdout is not read"), "{degraded}");

    // When the readers continue, the waiting lines are written.
    stdout.set_stalled(false);
    program.stderr.set_stalled(false);
    stdout.wait_for_line("log lines were dropped").await;
    stdout.wait_for_line("\"event\":\"login\"").await;
    send_requests(address, 1, 1).await;
    stdout.wait_for_line("\"path\":\"/a\"").await;
    let ready = get_from_admin(admin_address, "/readyz").await.json();
    assert_eq!(ready["degraded"].as_array().unwrap().len(), 0, "{ready}");

    stdout.set_stalled(true);
    program.stderr.set_stalled(true);
    send_requests(address, 200, 30_000).await;
    program.terminate();
    assert_eq!(program.ended().await.code(), Some(0));

    stdout.set_stalled(false);
    stdout.wait_for_end().await;
    let lines = stdout.lines();
    // The last line may be incomplete.
    let records: Vec<Value> = lines[..lines.len() - 1]
        .iter()
        .map(|connection| {
            serde_json::from_str(connection).unwrap_or_else(|_| panic!("{connection}"))
        })
        .collect();
    let dropped: u64 = with_target(&records, "menshen::access")
        .filter_map(|connection| connection["dropped"].as_u64())
        .sum();
    assert!(dropped >= 100, "{dropped}");
    for connection in with_target(&records, "menshen::access") {
        let path = connection["path"].as_str().unwrap_or_default();
        assert!(path.len() <= 2048);
        assert_eq!(
            connection["path_bytes"] == 30_001,
            path.len() == 2048,
            "{connection}"
        );
    }
}

#[tokio::test]
async fn requests_are_served_while_standard_error_is_blocked_and_dropped_lines_are_counted() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = write_config(&folder, &menshen, &setup_with_admin());
    log_everything(&config);
    let mut program = Program::run(&config, Stdio::null()).await;
    let (address, admin_address) = (program.address("addresses"), program.address("admin"));
    program.stderr.set_stalled(true);
    // At the level `trace`, each connection and each changed file in the folder is logged.
    let files = ["a", "b"].map(|name| folder.path(name));
    while metric(admin_address, PROGRAM_DROPPED).await == 0 {
        for _ in 0..1_000 {
            for file in &files {
                std::fs::write(file, "x").unwrap();
            }
        }
        send_requests(address, 1, 1).await;
    }
    let mut browser = Browser::at(address);
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200);
    let ready = get_from_admin(admin_address, "/readyz").await.json();
    let degraded = ready["degraded"][0].to_string();
    assert!(degraded.contains("stderr is not read"), "{ready}");
    program.stderr.set_stalled(false);
    let note = "log lines were dropped: they were not read in time";
    program.stderr.wait_for_line(note).await;
    let note: Value = serde_json::from_str(&program.stderr.line(note).unwrap()).unwrap();
    assert_eq!(note["level"], "WARN");
    assert!(note["dropped"].as_u64().unwrap() > 0, "{note}");
    program.terminate();
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_full_log_file_is_an_error_until_there_is_space() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = write_config(&folder, &menshen, &setup_with_admin());
    let log = folder.path("records.log");
    let mut file = File::create(&log).unwrap();
    // The log is longer than every other file of the process, so the limit affects only the log.
    writeln!(file, "\"{}\"", "x".repeat(8 << 20)).unwrap();
    let mut program = Program::run(&config, file.into()).await;
    let (address, admin_address) = (program.address("addresses"), program.address("admin"));
    send_requests(address, 3, 10).await;
    let read = || std::fs::read_to_string(&log).unwrap();
    wait_until("three lines are written", || read().lines().count() == 4).await;

    limit_file_size(program.child.id(), &read().len().to_string());
    send_requests(address, 3, 20).await;
    let errors = "menshen_log_write_errors_total{output=\"stdout\"}";
    let mut counted = 0;
    while counted == 0 {
        counted = metric(admin_address, errors).await;
    }
    let ready = get_from_admin(admin_address, "/readyz").await.json();
    let degraded = ready["degraded"][0].to_string();
    assert!(degraded.contains("cannot be written to stdout"), "{ready}");

    limit_file_size(program.child.id(), "unlimited");
    wait_until("all lines are written", || read().lines().count() == 7).await;
    for connection in read().lines() {
        let _: Value = serde_json::from_str(connection).unwrap();
    }
    program.terminate();
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_log_without_a_reader_blocks_neither_requests_nor_the_shutdown() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = write_config(&folder, &menshen, &setup_with_admin());
    let mut program = Program::run(&config, Stdio::piped()).await;
    let (address, admin_address) = (program.address("addresses"), program.address("admin"));
    drop(program.child.stdout.take());
    send_requests(address, 10, 10).await;
    let errors = "menshen_log_write_errors_total{output=\"stdout\"}";
    let mut counted = 0;
    while counted == 0 {
        counted = metric(admin_address, errors).await;
    }
    send_requests(address, 10, 10).await;
    program.terminate();
    assert_eq!(program.ended().await.code(), Some(0));
}
