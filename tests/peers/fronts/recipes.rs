//! Starts the recipes in conf/ unchanged except for addresses and paths of files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::processes::{Program, TempDir, counterparts};

/// A proxy, named by its recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    Nginx,
    HaProxy,
    Caddy,
    Traefik,
    EnvoyHttp,
    EnvoyGrpc,
}

/// Addresses and paths for a recipe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    /// The proxy's port.
    pub(super) port: u16,
    pub(super) application: SocketAddr,
    /// menshen's host and port.
    pub(super) menshen: &'a str,
    /// menshen's gRPC port.
    pub(super) grpc: u16,
    /// Holds `tls.pem`, `tls.key`, `both.pem` and the files that the proxy writes.
    pub(super) dir: &'a TempDir,
}

impl Front {
    /// Starts the proxy; it ends by itself if its port is taken.
    pub(super) fn start(self, places: Places<'_>) -> Program {
        let mut command = match self {
            Self::Nginx => nginx(places),
            Self::HaProxy => haproxy(places),
            Self::Caddy => caddy(places),
            Self::Traefik => traefik(places),
            Self::EnvoyHttp => envoy(places, "port_value: 8443 }", "port_value: 443 }"),
            Self::EnvoyGrpc => envoy(places, "port_value: 443 }", "port_value: 8443 }"),
        };
        Program::start(&format!("{self:?}"), &mut command)
    }
}

impl Places<'_> {
    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The certificate and its key.
    fn tls(&self) -> [(String, String); 2] {
        ["pem", "key"].map(|end| {
            let named = format!("/etc/ssl/oa.corp.example.{end}");
            (named, self.file(&format!("tls.{end}")))
        })
    }
}

/// A file of conf/ with each of these texts, which must occur once, replaced.
pub(super) fn recipe<F: AsRef<str>, T: AsRef<str>>(name: &str, changes: &[(F, T)]) -> String {
    let mut text = std::fs::read_to_string(conf(name)).unwrap();
    for (from, to) in changes {
        let (from, to) = (from.as_ref(), to.as_ref());
        let found = text.matches(from).count();
        assert_eq!(found, 1, "conf/{name} must say once: {from}");
        text = text.replace(from, to);
    }
    text
}

fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("conf")
        .join(name)
}

fn changes<const N: usize>(
    of: [(&str, String); N],
    tls: [(String, String); 2],
) -> Vec<(String, String)> {
    let of = of.into_iter().map(|(from, to)| (from.to_owned(), to));
    of.chain(tls).collect()
}

/// A proxy that Debian does not have.
pub(super) fn program(name: &str) -> Command {
    Command::new(counterparts().join("fronts").join(name))
}

fn nginx(places: Places<'_>) -> Command {
    let own = [
        (
            "listen 443 ssl;",
            format!("listen 127.0.0.1:{} ssl;", places.port),
        ),
        (
            "server 127.0.0.1:8480;",
            format!("server {};", places.menshen),
        ),
        (
            "server 127.0.0.1:8080;",
            format!("server {};", places.application),
        ),
    ];
    let recipe = recipe("nginx.conf", &changes(own, places.tls()));
    places.dir.write("menshen.conf", &recipe);
    nginx_including(places.dir)
}

/// nginx with `menshen.conf` of this directory and no other configuration.
pub(super) fn nginx_including(dir: &TempDir) -> Command {
    let at = dir.path().display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let kept = kept.map(|kind| format!("{kind}_temp_path {at}/{kind};"));
    let main = format!(
        "daemon off; master_process off; pid {at}/pid; error_log stderr warn;
        events {{}}
        http {{ access_log off; {} include menshen.conf; }}",
        kept.join("\n")
    );
    // Debian installs it outside the PATH of ordinary users.
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .arg("-p")
        .arg(dir.path())
        .args(["-e", "stderr", "-c"]);
    command.arg(dir.write("nginx.conf", &main));
    command
}

fn haproxy(places: Places<'_>) -> Command {
    let own = [
        (
            "bind :443 ssl crt /etc/haproxy/oa.corp.example.pem",
            format!(
                "bind 127.0.0.1:{} ssl crt {}",
                places.port,
                places.file("both.pem")
            ),
        ),
        (
            "lua-load-per-thread /etc/haproxy/",
            format!("lua-load-per-thread {}/", conf("").display()),
        ),
        (
            "lua.menshen http://127.0.0.1:8480",
            format!("lua.menshen http://{}", places.menshen),
        ),
        (
            "server menshen 127.0.0.1:8480",
            format!("server menshen {}", places.menshen),
        ),
        (
            "server application 127.0.0.1:8080",
            format!("server application {}", places.application),
        ),
    ];
    let text = recipe("haproxy.cfg", &own);
    let mut command = Command::new("/usr/sbin/haproxy");
    command
        .arg("-db")
        .arg("-f")
        .arg(places.dir.write("haproxy.cfg", &text));
    command
}

fn caddy(places: Places<'_>) -> Command {
    let own = [
        (
            "https://oa.corp.example:443 {",
            format!(
                "https://oa.corp.example:{} {{\n\tbind 127.0.0.1",
                places.port
            ),
        ),
        (
            "reverse_proxy @own 127.0.0.1:8480",
            format!("reverse_proxy @own {}", places.menshen),
        ),
        (
            "forward_auth 127.0.0.1:8480",
            format!("forward_auth {}", places.menshen),
        ),
        (
            "reverse_proxy 127.0.0.1:8080",
            format!("reverse_proxy {}", places.application),
        ),
    ];
    // No admin port, no port 80, and no files outside the directory.
    let at = places.dir.path().display();
    let text = format!(
        "{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {at}\n}}\n{}",
        recipe("Caddyfile", &changes(own, places.tls()))
    );
    let mut command = program("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]);
    command
        .arg(places.dir.write("Caddyfile", &text))
        .env("HOME", places.dir.path());
    command
}

fn traefik(places: Places<'_>) -> Command {
    let own = [
        (
            "address: \":443\"",
            format!("address: \"127.0.0.1:{}\"", places.port),
        ),
        (
            "filename: /etc/traefik/traefik.yaml",
            format!("filename: {}", places.file("dynamic.yaml")),
        ),
        (
            "address: http://127.0.0.1:8480/",
            format!("address: http://{}/", places.menshen),
        ),
        (
            "- url: http://127.0.0.1:8480",
            format!("- url: http://{}", places.menshen),
        ),
        (
            "- url: http://127.0.0.1:8080",
            format!("- url: http://{}", places.application),
        ),
    ];
    let text = recipe("traefik.yaml", &changes(own, places.tls()));
    places.dir.write("dynamic.yaml", &text);
    // The static configuration is the indented part of the comment at the top.
    let fixed = text.lines().filter_map(|line| line.strip_prefix("#     "));
    let fixed = fixed.collect::<Vec<_>>().join("\n");
    let mut command = program("traefik");
    let file = places.dir.write("static.yaml", &fixed);
    command.arg(format!("--configFile={}", file.display()));
    command
}

/// Envoy with one of its listeners on the `wanted` port, and the other on any port.
fn envoy(places: Places<'_>, wanted: &str, other: &str) -> Command {
    let listener = |stands: &str| format!("address: 0.0.0.0, {stands}");
    let own = [
        (
            "port_value: 8080 }",
            format!("port_value: {} }}", places.application.port()),
        ),
        (
            "port_value: 8480 }",
            format!(
                "port_value: {} }}",
                places.menshen.rsplit_once(':').unwrap().1
            ),
        ),
        (
            "port_value: 9181 }",
            format!("port_value: {} }}", places.grpc),
        ),
    ];
    let mut changes = changes(own, places.tls());
    changes.push((
        listener(wanted),
        format!("address: 127.0.0.1, port_value: {} }}", places.port),
    ));
    changes.push((
        listener(other),
        "address: 127.0.0.1, port_value: 0 }".to_owned(),
    ));
    let text = recipe("envoy.yaml", &changes);
    let mut command = program("envoy");
    command.args([
        "--concurrency",
        "1",
        "--log-level",
        "warn",
        "--disable-hot-restart",
        "-c",
    ]);
    command.arg(places.dir.write("envoy.yaml", &text));
    command
}
