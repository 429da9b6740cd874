//! The proxies, each a process of its own, pinned to one core.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::wecom::{AGENT_ID, CORP_ID, SECRET, WeCom};
use crate::{Outcome, PROXY_CORE};

/// How long a proxy may take until it listens.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A temporary folder; it goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it.
    pub(crate) fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("menshen-bench-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever empties the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process of ours; it ends when it is dropped.
#[derive(Debug)]
struct Running(Child);

impl Running {
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

    /// Waits until it listens.
    async fn ready(&mut self, at: SocketAddr, log: &Path) -> Outcome<()> {
        let began = Instant::now();
        while TcpStream::connect(at).await.is_err() {
            let ended = self.0.try_wait()?;
            if ended.is_some() || began.elapsed() > READY_WITHIN {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("a proxy did not start: {said}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's worker outlives a master that is killed, so it is asked to end.
        let asked = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.0.id())])
            .status();
        let began = Instant::now();
        while asked.is_ok() && began.elapsed() < Duration::from_secs(5) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // It is gone, or will be reaped by the system.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// menshen, the binary that cargo built for this run.
#[derive(Debug)]
pub(crate) struct Menshen {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    running: Running,
}

impl Menshen {
    /// Starts it with everything at its defaults, except the access log when that is not wanted.
    pub(crate) async fn start(
        folder: &Folder,
        name: &str,
        upstream: SocketAddr,
        source: &WeCom,
        access_log: bool,
    ) -> Outcome<Self> {
        let address = free_address()?;
        let file = |ending: &str| folder.0.join(format!("{name}.{ending}"));
        let text = format!(
            r#"
            [server]
            listen = ["{address}"]
            external_url = "http://{address}"
            [store]
            url = "sqlite://{store}"
            [log]
            access = {access_log}
            [connector.corp.wecom]
            corp_id = "{CORP_ID}"
            agent_id = {AGENT_ID}
            secret = "{SECRET}"
            api_base = "{api}"
            authorize_url = "{authorize}"
            login_url = "{login}"
            [[route]]
            name = "board"
            upstream = ["http://{upstream}"]
            [[route]]
            name = "public"
            path = "/public"
            upstream = ["http://{upstream}"]
            access = "public"
            "#,
            store = file("db").display(),
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
                .ok_or("the temporary folder has a strange name")?,
        ];
        let mut running = Running::start(program, &arguments, &log)?;
        running.ready(address, &log).await?;
        Ok(Self { address, running })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.0.id()
    }
}

/// nginx with one worker, as a plain proxy.
#[derive(Debug)]
pub(crate) struct Nginx {
    /// Forwards and does nothing else.
    pub(crate) plain: SocketAddr,
    /// Writes the usual forwarding headers and an access log.
    pub(crate) usual: SocketAddr,
    running: Running,
}

impl Nginx {
    /// Starts it, when it is installed.
    pub(crate) async fn start(folder: &Folder, upstream: SocketAddr) -> Outcome<Option<Self>> {
        let known = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].map(Path::new);
        let Some(program) = known.into_iter().find(|path| path.exists()) else {
            return Ok(None);
        };
        let (plain, usual) = (free_address()?, free_address()?);
        let home = folder.0.join("nginx");
        fs::create_dir(&home)?;
        fs::write(
            home.join("nginx.conf"),
            configuration(upstream, plain, usual),
        )?;
        let log = home.join("output.log");
        let home = format!("{}/", home.display());
        let arguments = ["-p", &home, "-c", "nginx.conf", "-e", "error.log"];
        let mut running = Running::start(program, &arguments, &log)?;
        running.ready(usual, &log).await?;
        Ok(Some(Self {
            plain,
            usual,
            running,
        }))
    }

    /// Its master; the worker is its child.
    pub(crate) fn pid(&self) -> u32 {
        self.running.0.id()
    }
}

fn configuration(upstream: SocketAddr, plain: SocketAddr, usual: SocketAddr) -> String {
    let forward = "proxy_pass http://upstream; proxy_http_version 1.1; \
        proxy_set_header Connection \"\"; proxy_set_header Host $http_host;";
    let more = "proxy_set_header X-Real-IP $remote_addr; \
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
        proxy_set_header X-Forwarded-Proto $scheme; \
        proxy_set_header X-Forwarded-Host $http_host; \
        proxy_set_header X-Forwarded-Port $server_port; \
        proxy_set_header X-Request-Id $request_id;";
    format!(
        r#"
        daemon off;
        worker_processes 1;
        pid nginx.pid;
        events {{ worker_connections 4096; }}
        http {{
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            keepalive_requests 1000000000;
            upstream upstream {{
                server {upstream};
                keepalive 1024;
                keepalive_requests 1000000000;
            }}
            server {{
                listen {plain};
                access_log off;
                location / {{ {forward} }}
            }}
            server {{
                listen {usual};
                access_log access.log;
                location / {{ {forward} {more} }}
            }}
        }}
        "#
    )
}

/// An address nobody listens at; somebody else could still take it first.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
