//! The group `proxy`: requests through menshen, compared with requests through nginx.

use std::net::SocketAddr;

use crate::load::{Load, LoadRequest};
use crate::proxies::{Menshen, Nginx, Setup, TempFolder, free_address, has_nginx};
use crate::upstream::Upstream;
use crate::wecom::{AGENT_ID, Options, WeCom};
use crate::{AnyResult, Variant, http1, report, sign_in};

/// All running servers. The fields are dropped in order: processes before their folder.
pub(crate) struct ProxyServers {
    nginx: Option<PlainNginx>,
    /// Writes no access log.
    quiet: Menshen,
    /// Writes an access log.
    logging: Menshen,
    upstream: Upstream,
    _source: WeCom,
    _folder: TempFolder,
}

/// nginx as a proxy without authentication, with two configurations.
struct PlainNginx {
    /// Only forwards.
    plain: SocketAddr,
    /// Writes the usual forwarding headers and an access log.
    usual: SocketAddr,
    nginx: Nginx,
}

impl ProxyServers {
    pub(crate) async fn start() -> AnyResult<Self> {
        let folder = TempFolder::create("proxy")?;
        let upstream = Upstream::start().await?;
        let source = WeCom::start(Options::default()).await?;
        let upstream_address = upstream.address;
        let tables = format!(
            r#"
            [[route]]
            name = "board"
            upstream = ["http://{upstream_address}"]
            [[route]]
            name = "public"
            path = "/public"
            upstream = ["http://{upstream_address}"]
            access = "public"
            "#
        );
        let setup = |name, access_log| Setup {
            name,
            access_log,
            address: None,
            external_address: None,
            store: None,
            server: "",
            tables: &tables,
        };
        let quiet = Menshen::start(&folder, &setup("quiet", false), &source).await?;
        let logging = Menshen::start(&folder, &setup("logging", true), &source).await?;
        let hosts = [&quiet, &logging].map(|menshen| menshen.address.to_string());
        source.set_agent_domains(AGENT_ID, &[&hosts[0], &hosts[1]]);
        let nginx = match has_nginx() {
            true => Some(PlainNginx::start(&folder, upstream_address).await?),
            false => None,
        };
        Ok(Self {
            nginx,
            quiet,
            logging,
            upstream,
            _source: source,
            _folder: folder,
        })
    }

    /// Signs in and returns the variants of the group.
    pub(crate) async fn variants(&self) -> AnyResult<Vec<Variant>> {
        let quiet = &self.quiet;
        let cookie = sign_in::session_cookie(quiet.address, "lisi").await?;
        let logging_cookie = sign_in::session_cookie(self.logging.address, "lisi").await?;
        let mut variants = Vec::new();
        let mut add = |name, pid, address: SocketAddr, path: &str, session: Option<&str>| {
            let headers = http1::browser_headers(address, session);
            let request = http1::get(address, &http1::target(path), &headers);
            variants.push(Variant {
                name,
                pids: vec![pid],
                address,
                request: LoadRequest::Http(request, 200),
            });
        };
        if let Some(PlainNginx {
            plain,
            usual,
            nginx,
        }) = &self.nginx
        {
            let (board, pid) = ("/board/42", nginx.pid());
            add(report::NGINX, pid, *plain, board, Some(&cookie));
            add(report::NGINX_USUAL, pid, *usual, board, Some(&cookie));
        }
        let (board, pid) = ("/board/42", quiet.pid());
        add(report::PUBLIC, pid, quiet.address, "/public/42", None);
        add(report::SIGNED_IN, pid, quiet.address, board, Some(&cookie));
        let (address, pid) = (self.logging.address, self.logging.pid());
        add(report::LOGGED, pid, address, board, Some(&logging_cookie));
        Ok(variants)
    }

    /// Sends one request and verifies that the upstream receives the identity headers that it
    /// should.
    pub(crate) async fn check(&self, variant: &Variant) -> AnyResult<()> {
        let expects_identity = matches!(variant.name, report::SIGNED_IN | report::LOGGED);
        check_forwarded(variant, &self.upstream, expects_identity).await
    }
}

/// Sends one request and verifies whether the upstream receives identity headers.
pub(crate) async fn check_forwarded(
    variant: &Variant,
    upstream: &Upstream,
    expects_identity: bool,
) -> AnyResult<()> {
    upstream.capture_next_head();
    let mut load = Load::open(variant.address, &variant.request, 1).await?;
    load.request_once().await?;
    let head = upstream
        .captured_head()
        .ok_or("the upstream received no request")?;
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if head.contains("x-forwarded-user: lisi\r\n") != expects_identity {
        let name = variant.name;
        let message = format!("{name}: unexpected request at the upstream:\n{head}");
        return Err(message.into());
    }
    Ok(())
}

impl PlainNginx {
    async fn start(folder: &TempFolder, upstream: SocketAddr) -> AnyResult<Self> {
        let (plain, usual) = (free_address()?, free_address()?);
        let forward = "proxy_pass http://upstream; proxy_http_version 1.1; \
            proxy_set_header Connection \"\"; proxy_set_header Host $http_host;";
        let usual_headers = "proxy_set_header X-Real-IP $remote_addr; \
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
            proxy_set_header X-Forwarded-Proto $scheme; \
            proxy_set_header X-Forwarded-Host $http_host; \
            proxy_set_header X-Forwarded-Port $server_port; \
            proxy_set_header X-Request-Id $request_id;";
        let servers = format!(
            r#"
            upstream upstream {{
                server {upstream};
                keepalive 1024;
                keepalive_requests 1000000000;
            }}
            server {{
                listen {plain};
                location / {{ {forward} }}
            }}
            server {{
                listen {usual};
                access_log access.log;
                location / {{ {forward} {usual_headers} }}
            }}
            "#
        );
        let nginx = Nginx::start(folder, "nginx", &servers, usual).await?;
        Ok(Self {
            plain,
            usual,
            nginx,
        })
    }
}
