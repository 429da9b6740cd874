//! A PostgreSQL server of our own, on loopback, in a folder that is removed with it.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use menshen::keys;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::super::processes::{Program, TempDir, free_ports};

/// The name and the password of the only user.
pub(crate) const USER: &str = "menshen";
pub(crate) const PASSWORD: &str = "a password of these tests";

/// Serves until standard input ends, which it does with the test's process, however that ends. Then
/// removes the folder of the server if nobody else does.
const SERVE: &str = r#"
bin=$1 data=$2 port=$3 at_end=$4
shift 4
"$bin/postgres" -D "$data" -p "$port" -k "$data" -c listen_addresses=127.0.0.1 -c fsync=off \
  -c max_connections=400 -c min_wal_size=32MB -c max_wal_size=96MB "$@" &
server=$!
read -r _
kill -INT "$server"
# A server that could not start, for example because its port was taken, needs its folder again.
wait "$server" && [ "$at_end" = remove ] && rm -rf "$(dirname "$data")"
"#;

/// Gives the server a disk of its own in a mount namespace of its own, and copies its files there.
const ON_SMALL_DISK: &str = r#"
mount -t tmpfs -o size="$1",mode=755 tmpfs "$2" && cp -a "$3" "$2" && shift 3 && exec "$@"
"#;
/// Where the small disk is mounted, and its size: a new server has about 60 MB.
const DISK: &str = "/mnt";
const DISK_BYTES: usize = 128 << 20;

/// What happens to the folder of a server when the server ends.
#[derive(Clone, Copy, Debug)]
enum Folder {
    /// The value that owns it removes it, after the server was perhaps started again.
    Keep,
    /// The server's script removes it, because a static value is never dropped.
    Remove,
}

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    program: Mutex<Program>,
    dir: TempDir,
}

/// A database of one test. It stays until the server ends.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) name: String,
    port: u16,
}

/// One server for all tests that leave it running.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start_with(Folder::Remove))
}

impl Server {
    /// A server without TLS.
    pub(crate) fn start() -> Self {
        Self::start_with(Folder::Keep)
    }

    fn start_with(folder: Folder) -> Self {
        let dir = Self::initialize();
        let (port, program) = Self::serve(&dir, folder, &[]);
        Self {
            port,
            program: Mutex::new(program),
            dir,
        }
    }

    /// A server whose certificate is for `localhost`; returns also the path of the certificate.
    pub(crate) fn start_with_tls() -> (Self, PathBuf) {
        let dir = Self::initialize();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = dir.write("server.pem", &made.cert.pem());
        let key = dir.write("server.key", &made.signing_key.serialize_pem());
        let only_owner = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&key, only_owner).unwrap();
        give_to_postgres(&key);
        let (cert_file, key_file) = (
            setting("ssl_cert_file", &certificate),
            setting("ssl_key_file", &key),
        );
        let settings = ["-c", "ssl=on", "-c", &cert_file, "-c", &key_file];
        let (port, program) = Self::serve(&dir, Folder::Keep, &settings);
        let server = Self {
            port,
            program: Mutex::new(program),
            dir,
        };
        (server, certificate)
    }

    /// A server with a small disk, which [`Self::fill_disk`] fills.
    pub(crate) fn start_on_small_disk() -> Self {
        let dir = Self::initialize();
        for _ in 0..100 {
            let port = free_ports(1);
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", ON_SMALL_DISK, "sh"]);
            command.args([&DISK_BYTES.to_string(), DISK]);
            command.arg(dir.path().join("data"));
            command.args(["runuser", "-u", "postgres", "--", "sh", "-c", SERVE, "sh"]);
            command.arg(bin()).arg(format!("{DISK}/data"));
            command.args([&port.to_string(), "keep"]);
            if let Some(program) = started(&mut command) {
                let program = Mutex::new(program);
                return Self { port, program, dir };
            }
        }
        panic!("postgres finds no port");
    }

    /// Fills the small disk to the last byte.
    pub(crate) fn fill_disk(&self) {
        let filled = std::fs::write(self.filler(), vec![0; DISK_BYTES]);
        assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }

    pub(crate) fn free_disk(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// A file on the small disk, as this process sees it.
    fn filler(&self) -> PathBuf {
        let process = self.program.lock().unwrap().id();
        format!("/proc/{process}/root{DISK}/filler").into()
    }

    /// Restarts the server as a replica, which serves reads only.
    pub(crate) fn restart_as_replica(&mut self) {
        let signal = self.dir.path().join("data/standby.signal");
        std::fs::write(&signal, "").unwrap();
        give_to_postgres(&signal);
        self.restart();
    }

    /// Stops the server with all connections and starts it again with the same data and port.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Stops the server with all connections.
    pub(crate) fn stop(&mut self) {
        self.program.get_mut().unwrap().stop();
    }

    /// Kills the server as a crash does.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        // What is left of it: processes of connections that are about to notice, and the shell.
        self.program.get_mut().unwrap().stop();
    }

    /// Starts the stopped server again with the same data and port.
    pub(crate) fn start_again(&mut self) {
        // A backend of the killed server may take a moment to free the shared memory.
        for _ in 0..100 {
            if let Some(program) = Self::try_serve(&self.dir, self.port, Folder::Keep, &[]) {
                *self.program.get_mut().unwrap() = program;
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("postgres does not start again");
    }

    /// Sends a signal to the server and the processes of its connections.
    pub(crate) fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        let children = Command::new("pgrep").args(["-P", pid]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let sent = Command::new("kill")
            .args(["-s", name, pid])
            .args(children.lines())
            .status();
        // A child may have ended since.
        let _ = sent.unwrap();
    }

    /// Creates the files of a new server.
    fn initialize() -> TempDir {
        let dir = TempDir::new();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        give_to_postgres(&data);
        give_to_postgres(dir.path());
        let password = dir.write("password", PASSWORD);
        give_to_postgres(&password);
        let made = as_postgres(&bin().join("initdb"))
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", USER, "--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .arg("--pwfile")
            .arg(&password)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb: {made}");
        dir
    }

    fn serve(dir: &TempDir, folder: Folder, settings: &[&str]) -> (u16, Program) {
        for _ in 0..100 {
            let port = free_ports(1);
            if let Some(program) = Self::try_serve(dir, port, folder, settings) {
                return (port, program);
            }
        }
        panic!("postgres finds no port");
    }

    /// See [`started`].
    fn try_serve(dir: &TempDir, port: u16, folder: Folder, settings: &[&str]) -> Option<Program> {
        let mut command = as_postgres(Path::new("sh"));
        command.args(["-c", SERVE, "sh"]).arg(bin());
        command.arg(dir.path().join("data")).arg(port.to_string());
        command.arg(match folder {
            Folder::Keep => "keep",
            Folder::Remove => "remove",
        });
        command.args(settings);
        started(&mut command)
    }

    pub(crate) async fn new_database(&self) -> Database {
        let name = format!("t{:032x}", u128::from_le_bytes(keys::random()));
        let mut db = PgConnection::connect(&url(self.port, "postgres"))
            .await
            .unwrap();
        // No other program writes here, so the name needs no quotes.
        let sql = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        db.execute(sql).await.unwrap();
        db.close().await.unwrap();
        Database {
            name,
            port: self.port,
        }
    }
}

impl Database {
    pub(crate) fn url(&self) -> String {
        url(self.port, &self.name)
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }
}

/// Starts the server; `None` if it ends at once, for example because its port is taken.
fn started(command: &mut Command) -> Option<Program> {
    let mut program = Program::start_stopped_by_stdin("postgres", command);
    let is_ready = |line: &str| {
        let is_ready = line.contains("database system is ready to accept");
        is_ready
            .then_some(true)
            .or_else(|| line.contains("FATAL").then_some(false))
    };
    (program.line(is_ready) == Some(true)).then_some(program)
}

/// The URL of a database behind any port of this machine.
pub(crate) fn url(port: u16, database: &str) -> String {
    let password = password_part();
    format!("postgres://{USER}{password}@127.0.0.1:{port}/{database}")
}

/// The part of a URL that gives the password.
pub(crate) fn password_part() -> String {
    format!(":{}", PASSWORD.replace(' ', "%20"))
}

/// The line of a PgBouncer user file for the only user.
pub(super) fn user_line() -> String {
    format!("\"{USER}\" \"{PASSWORD}\"\n")
}

/// A command that runs as the user postgres: the server refuses root.
pub(super) fn as_postgres(program: &Path) -> Command {
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        // A folder that this user may not enter would only give a warning.
        command.current_dir("/");
        return command;
    }
    Command::new(program)
}

/// Lets the user postgres use a file or folder.
pub(super) fn give_to_postgres(path: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:"));
    let user = user.expect("there is no user postgres; tests/run installs PostgreSQL");
    let mut ids = user.split(':').skip(2).map(|id| id.parse().unwrap());
    chown(path, ids.next(), ids.next()).unwrap();
}

fn setting(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// Where Debian puts the programs of its version of the server.
fn bin() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let bins = versions.map(|version| version.unwrap().path().join("bin"));
    let bin = bins.filter(|bin| bin.join("postgres").exists()).max();
    bin.expect("there is no PostgreSQL in /usr/lib/postgresql; tests/run installs it")
}
