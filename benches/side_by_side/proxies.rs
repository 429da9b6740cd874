//! Starts the proxies as processes that are pinned to one core.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::wecom::{AGENT_ID, CORP_ID, SECRET, WeCom};
use crate::{AnyResult, PROXY_CORE};

/// How long a proxy may take to start listening.
const START_MAX: Duration = Duration::from_secs(20);

/// A temporary folder that is removed on drop.
#[derive(Debug)]
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    pub(crate) fn create(group: &str) -> io::Result<Self> {
        let name = format!("menshen-bench-{}-{group}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // A leftover in the temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A child process that is terminated on drop.
#[derive(Debug)]
struct ChildProcess(Child);

impl ChildProcess {
    fn start(program: &Path, arguments: &[&str], log: &Path) -> io::Result<Self> {
        let log = fs::File::create(log)?;
        let child = Command::new("taskset")
            .args(["-c", PROXY_CORE])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self(child))
    }

    async fn wait_until_listening(&mut self, address: SocketAddr, log: &Path) -> AnyResult<()> {
        let started_at = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = self.0.try_wait()?;
            if ended.is_some() || started_at.elapsed() > START_MAX {
                let output = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("a proxy did not start: {output}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // A killed nginx master leaves its worker running, so it gets SIGTERM first.
        let term_sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.0.id())])
            .status();
        let started_at = Instant::now();
        while term_sent.is_ok() && started_at.elapsed() < Duration::from_secs(5) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // Errors mean that the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A menshen process.
#[derive(Debug)]
pub(crate) struct Menshen {
    pub(crate) address: SocketAddr,
    process: ChildProcess,
}

/// The configuration of a menshen process; all other settings have their defaults.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// The base name of its files.
    pub(crate) name: &'a str,
    pub(crate) access_log: bool,
    /// Where it listens; `None`: on a free port.
    pub(crate) address: Option<SocketAddr>,
    /// The address in `external_url`; `None`: its own address.
    pub(crate) external_address: Option<SocketAddr>,
    /// The URL of the store; `None`: a file of its own.
    pub(crate) store: Option<&'a str>,
    /// Further lines of `[server]`.
    pub(crate) server: &'a str,
    /// Routes and other tables.
    pub(crate) tables: &'a str,
}

impl Menshen {
    pub(crate) async fn start(
        folder: &TempFolder,
        setup: &Setup<'_>,
        source: &WeCom,
    ) -> AnyResult<Self> {
        let address = match setup.address {
            Some(address) => address,
            None => free_address()?,
        };
        let Setup {
            name,
            access_log,
            server,
            tables,
            ..
        } = setup;
        let file = |ending: &str| folder.0.join(format!("{name}.{ending}"));
        let text = format!(
            r#"
            [server]
            listen = ["{address}"]
            external_url = "http://{external_address}"
            {server}
            [store]
            url = "{store}"
            [log]
            access = {access_log}
            [connector.corp.wecom]
            corp_id = "{CORP_ID}"
            agent_id = {AGENT_ID}
            secret = "{SECRET}"
            api_base = "{api}"
            authorize_url = "{authorize}"
            login_url = "{login}"
            {tables}
            "#,
            external_address = setup.external_address.unwrap_or(address),
            store = match setup.store {
                Some(url) => url.to_owned(),
                None => format!("sqlite://{}", file("db").display()),
            },
            api = source.base_url(),
            authorize = source.authorize_url(),
            login = source.login_url(),
        );
        let (path, log) = (file("toml"), file("log"));
        fs::write(&path, text)?;
        let program = Path::new(env!("CARGO_BIN_EXE_menshen"));
        let arguments = [
            "run",
            "-c",
            path.to_str()
                .ok_or("the path of the temporary folder is not UTF-8")?,
        ];
        let mut process = ChildProcess::start(program, &arguments, &log)?;
        process.wait_until_listening(address, &log).await?;
        Ok(Self { address, process })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

pub(crate) fn has_nginx() -> bool {
    nginx().is_some()
}

fn nginx() -> Option<&'static Path> {
    let known = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].map(Path::new);
    known.into_iter().find(|path| path.exists())
}

/// An nginx process with one worker.
#[derive(Debug)]
pub(crate) struct Nginx(ChildProcess);

impl Nginx {
    /// Starts nginx with these servers. Access logs are off unless a server enables one.
    pub(crate) async fn start(
        folder: &TempFolder,
        name: &str,
        servers: &str,
        address: SocketAddr,
    ) -> AnyResult<Self> {
        let program = nginx().ok_or("nginx is not installed")?;
        let nginx_folder = folder.0.join(name);
        fs::create_dir(&nginx_folder)?;
        let text = format!(
            r#"
            daemon off;
            worker_processes 1;
            pid nginx.pid;
            events {{ worker_connections 4096; }}
            http {{
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                keepalive_requests 1000000000;
                access_log off;
                {servers}
            }}
            "#
        );
        fs::write(nginx_folder.join("nginx.conf"), text)?;
        let log = nginx_folder.join("output.log");
        let nginx_folder = format!("{}/", nginx_folder.display());
        let arguments = ["-p", &nginx_folder, "-c", "nginx.conf", "-e", "error.log"];
        let mut process = ChildProcess::start(program, &arguments, &log)?;
        process.wait_until_listening(address, &log).await?;
        Ok(Self(process))
    }

    /// The master process; the worker is its child.
    pub(crate) fn pid(&self) -> u32 {
        self.0.0.id()
    }
}

/// An address that was free a moment ago; another process could still take it.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
