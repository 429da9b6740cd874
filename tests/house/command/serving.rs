//! `menshen run`: its signals, changed configuration files, and what it writes to standard output and error.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{run_menshen, text};
use crate::browser::Browser;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::upstream::{TempFolder, wait_until};
use crate::wire;

/// A running menshen process, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    stdout: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts menshen, waits until it serves, and returns its address.
    pub(crate) async fn run(config: &Path) -> (Self, SocketAddr) {
        let command = Command::new(env!("CARGO_BIN_EXE_menshen"));
        Self::run_by(command, config).await
    }

    /// Starts menshen in a process that ignores a signal.
    pub(super) async fn run_ignoring(config: &Path, signal: &str) -> (Self, SocketAddr) {
        let mut command = Command::new("sh");
        let script = format!("trap '' {signal}; exec \"$0\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_menshen")]);
        Self::run_by(command, config).await
    }

    pub(super) async fn run_by(mut command: Command, config: &Path) -> (Self, SocketAddr) {
        if command.get_envs().all(|(name, _)| name != "LC_ALL") {
            command.env("LC_ALL", "C");
        }
        let mut child = command
            .env_remove("MENSHEN_LOG")
            .env("MENSHEN_CONFIG", config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = collect_lines(child.stdout.take().unwrap());
        let stderr = collect_lines(child.stderr.take().unwrap());
        let program = Self {
            child,
            stdout,
            stderr,
        };
        program.wait_for_line("serving").await;
        let address = program.address("addresses");
        (program, address)
    }

    /// An address in the log line `serving`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let line = self.line("serving").unwrap();
        let addresses: Value = serde_json::from_str(&line).unwrap();
        let address = addresses[name].as_str().unwrap();
        address.trim_matches(['[', ']']).parse().unwrap()
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn line(&self, part: &str) -> Option<String> {
        let lines = self.stderr.lock().unwrap();
        lines.iter().find(|line| line.contains(part)).cloned()
    }

    /// Waits for a log line that contains `part`.
    pub(super) async fn wait_for_line(&self, part: &str) {
        wait_until(part, || self.line(part).is_some()).await;
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Terminates it and returns its exit code and the lines of standard output and standard error.
    pub(crate) async fn end(mut self) -> (Option<i32>, Vec<String>, Vec<String>) {
        self.signal("-TERM");
        let mut code = None;
        wait_until("the process ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        })
        .await;
        // The reader threads end when the pipes close.
        wait_until("all output is read", || {
            Arc::strong_count(&self.stdout) + Arc::strong_count(&self.stderr) == 2
        })
        .await;
        let (out, err) = (
            self.stdout.lock().unwrap().clone(),
            self.stderr.lock().unwrap().clone(),
        );
        (code.unwrap().code(), out, err)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect_lines(from: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            writer.lock().unwrap().push(line);
        }
    });
    lines
}

/// Writes a configuration file with a store beside it and with the access log.
pub(crate) fn write_config(folder: &TempFolder, menshen: &Menshen, setup: &Setup) -> PathBuf {
    let store = format!("sqlite://{}", folder.path("menshen.db").display());
    let text = setup
        .clone()
        .store(&store)
        .text(&menshen.wecom, &menshen.app);
    folder.write(
        "menshen.toml",
        &text.replace("access = false", "access = true"),
    )
}

async fn status(address: SocketAddr, host: &str, target: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    wire::send(address, request.as_bytes()).await.status
}

#[tokio::test]
async fn sigterm_drains_open_requests_and_is_exit_code_0() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let routes = crate::upstream::public_route("{app}", "");
    let config = write_config(&folder, &menshen, &Setup::default().routes(&routes));
    let (program, address) = Program::run(&config).await;
    let mut line = RawConnection::open(address).await;
    line.send("GET /slow?ms=400 HTTP/1.1\r\nHost: up.test\r\n\r\n")
        .await;
    wait_until("the request is in progress", || menshen.app.requests() == 1).await;
    let (ended, answer) = tokio::join!(program.end(), line.read_answer());
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("done at last"));
    assert_eq!(ended.0, Some(0), "{:?}", ended.2);
    let is_about_log = |line: &String| line.contains("the log of revocations");
    assert!(!ended.2.iter().any(is_about_log), "{:?}", ended.2);
}

#[tokio::test]
async fn a_changed_file_and_sighup_reload() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let with = |host: &str| {
        let route = crate::upstream::public_route("{app}", "").replace("up.test", host);
        Setup::default().routes(&route)
    };
    let config = write_config(&folder, &menshen, &with("old.test"));
    let (program, address) = Program::run(&config).await;
    assert_eq!(status(address, "old.test", "/echo").await, 200);
    program.signal("-HUP");
    program
        .wait_for_line("the configuration was reloaded")
        .await;
    // A changed file is reloaded without a signal.
    write_config(&folder, &menshen, &with("new.test"));
    let mut status_of_new_host = 0;
    for _ in 0..6000 {
        status_of_new_host = status(address, "new.test", "/echo").await;
        if status_of_new_host == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(status_of_new_host, 200);
    assert_eq!(status(address, "old.test", "/echo").await, 404);
    // An invalid file is refused with line and column, and the old configuration stays.
    let valid = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, valid.replace("[server]", "[server]\nlisen = 7")).unwrap();
    program
        .wait_for_line("the configuration was not reloaded")
        .await;
    let line = program.line("the configuration was not reloaded").unwrap();
    assert!(
        line.contains("menshen.toml:") && line.contains("did you mean `listen`?"),
        "{line}"
    );
    assert_eq!(status(address, "new.test", "/echo").await, 200);
    // A change that needs a restart is reported.
    std::fs::write(
        &config,
        valid.replace("[session]", "[session]\ncached_sessions_max = 7"),
    )
    .unwrap();
    program.wait_for_line("these changes need a restart").await;
    let needed = program.line("these changes need a restart").unwrap();
    assert!(needed.contains("cached_sessions_max"), "{needed}");
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = write_config(&folder, &menshen, &Setup::default());
    let (program, address) = Program::run(&config).await;
    let mut browser = Browser::at(address);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    assert_eq!(program.end().await.0, Some(0));
    let (program, address) = Program::run(&config).await;
    let mut again = Browser::at(address);
    again.set_cookie("sso.test", "menshen", &cookie);
    let answer = again.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test]
async fn every_log_line_is_json_without_secrets_and_queries() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = write_config(&folder, &menshen, &Setup::default());
    let (program, address) = Program::run(&config).await;
    let mut browser = Browser::at(address);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo?private=q"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 200);
    assert_eq!(status(address, "sso.test", "/echo?private=q").await, 401);
    assert_eq!(status(address, "sso.test", "/%00?private=q").await, 400);
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    let codes: Vec<_> = browser
        .visited
        .iter()
        .filter(|url| url.contains("/callback"))
        .collect();
    let code = url::Url::parse(codes[0]).unwrap();
    let code = code
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
        .into_owned();
    let (_, out, err) = program.end().await;
    let lines: Vec<Value> = out
        .iter()
        .chain(&err)
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let all = format!("{out:?}{err:?}");
    for secret in [
        cookie.as_str(),
        &code,
        crate::wecom::SECRET,
        "private=q",
        "access_token",
    ] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
    assert_login_and_request_are_logged(&lines, &cookie);
    // Access and audit lines are on standard output, all others on standard error.
    assert!(
        out.iter()
            .all(|line| line.contains("\"target\":\"menshen::a")),
        "{out:?}"
    );
    assert!(
        err.iter()
            .any(|line| line.contains("\"level\"") && line.contains("serving"))
    );
}

/// Asserts that the log contains the login, the refused request and the forwarded one.
fn assert_login_and_request_are_logged(lines: &[Value], cookie: &str) {
    let with_target = |target: &str| {
        lines
            .iter()
            .filter(|line| line["target"] == target)
            .collect::<Vec<_>>()
    };
    let access = with_target("menshen::access");
    let echo: Vec<_> = access
        .iter()
        .filter(|line| line["path"] == "/echo")
        .collect();
    assert!(
        echo.iter()
            .any(|line| line["verdict"] == "login" && line["status"] == 401)
    );
    let allowed = echo
        .iter()
        .find(|line| line["verdict"] == "allow")
        .expect("the allowed request is logged");
    assert_eq!(
        (&allowed["login"], &allowed["route"], &allowed["status"]),
        (&"zhangsan".into(), &"app".into(), &200.into())
    );
    let upstream = allowed["upstream"]
        .as_str()
        .expect("the upstream is logged");
    assert!(upstream.starts_with("127.0.0.1:"), "{upstream}");
    assert!(
        allowed["session"]
            .as_str()
            .is_some_and(|id| !cookie.contains(id))
    );
    let audit = with_target("menshen::audit");
    let login = audit
        .iter()
        .find(|line| line["event"] == "login")
        .expect("the login is logged");
    assert_eq!(
        (&login["login"], &login["connector"]),
        (&"zhangsan".into(), &"corp".into())
    );
    assert_eq!(login["session"], allowed["session"]);
}

#[tokio::test]
async fn an_unreadable_secret_is_exit_code_1_and_named() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let missing = folder.path("no-such-secret");
    let text_of = |secret: &str| {
        let path = write_config(&folder, &menshen, &Setup::default());
        let plain = std::fs::read_to_string(&path).unwrap();
        let line = format!("secret = \"{}\"", crate::wecom::SECRET);
        folder.write(
            "menshen.toml",
            &plain.replace(&line, &format!("secret = {secret}")),
        )
    };
    for (secret, named) in [
        (format!("{{ file = {missing:?} }}"), "no-such-secret"),
        (
            "{ env = \"MENSHEN_NO_SUCH_VARIABLE\" }".to_owned(),
            "MENSHEN_NO_SUCH_VARIABLE",
        ),
    ] {
        let path = text_of(&secret).display().to_string();
        for command in ["check", "run"] {
            let path = path.clone();
            let output = tokio::task::spawn_blocking(move || run_menshen(&[command, "-c", &path]));
            let output = output.await.unwrap();
            assert_eq!(output.status.code(), Some(1), "{command} {output:?}");
            assert!(text(&output.stderr).contains(named), "{command} {output:?}");
        }
    }
}

#[tokio::test]
async fn an_error_shows_its_line_with_a_caret() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let path = write_config(&folder, &menshen, &Setup::default());
    let valid = std::fs::read_to_string(&path).unwrap();
    // The value of an unknown key may be a secret, so it is masked.
    for (from, to, shown) in [
        (
            "[session]",
            "[session]\nlifetime = \"12 fortnights\"",
            "lifetime = \"12 fortnights\"",
        ),
        ("[log]", "[log]\nlevle = \"info\"", "levle = \"****\""),
        ("'财务部' in user.departments", "'财务部' in", "'财务部' in"),
    ] {
        let path = folder
            .write("menshen.toml", &valid.replace(from, to))
            .display()
            .to_string();
        let output = tokio::task::spawn_blocking(move || run_menshen(&["check", "-c", &path]));
        let output = output.await.unwrap();
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        let at = printed
            .lines()
            .position(|line| line.contains(shown))
            .unwrap_or_else(|| panic!("{printed}"));
        assert!(
            printed.lines().nth(at + 1).unwrap().contains('^'),
            "{printed}"
        );
    }
}
