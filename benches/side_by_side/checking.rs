//! The groups `checks` and `pace`: authorization checks by nginx, compared with a check that always
//! returns 204, and checks sent to menshen directly, as nginx and Envoy send them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::load::{Load, LoadRequest};
use crate::proxies::{Menshen, Nginx, Setup, TempFolder, free_address, has_nginx};
use crate::upstream::Upstream;
use crate::wecom::{AGENT_ID, Options, WeCom};
use crate::{AnyResult, Variant, forwarding, grpc, http1, report, sign_in};

/// The nginx configuration that is shipped; every front nginx uses it.
const NGINX_CONF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/nginx.conf");

/// All running servers. The fields are dropped in order: processes before their folder.
pub(crate) struct CheckServers {
    /// Writes no access log.
    quiet: MenshenBehindNginx,
    /// Writes an access log.
    logging: MenshenBehindNginx,
    fixed_answer: Option<FixedAnswer>,
    /// The session cookie at `quiet`.
    cookie: String,
    /// The session cookie at `logging`.
    logging_cookie: String,
    upstream: Upstream,
    _source: WeCom,
    _folder: TempFolder,
}

/// menshen and the nginx that sends checks to it.
struct MenshenBehindNginx {
    menshen: Menshen,
    /// The address of the gRPC listener for Envoy.
    grpc_address: SocketAddr,
    /// The address that browsers use.
    public_address: SocketAddr,
    front: Option<Nginx>,
}

/// An nginx that responds to every check with 204, and two front nginx that send checks to it.
struct FixedAnswer {
    /// The address that returns only the status.
    address: SocketAddr,
    nginx: Nginx,
    /// Receives only the status.
    status_only: FrontNginx,
    /// Receives the identity headers of menshen, too.
    with_identity: FrontNginx,
}

/// An nginx with the shipped configuration.
struct FrontNginx {
    address: SocketAddr,
    nginx: Nginx,
}

impl CheckServers {
    pub(crate) async fn start() -> AnyResult<Self> {
        let folder = TempFolder::create("checks")?;
        let upstream = Upstream::start().await?;
        let source = WeCom::start(Options::default()).await?;
        let start = |name| MenshenBehindNginx::start(&folder, name, &source, upstream.address);
        let (quiet, logging) = (start("quiet").await?, start("logging").await?);
        let hosts = [&quiet, &logging].map(|pair| pair.public_address.to_string());
        source.set_agent_domains(AGENT_ID, &[&hosts[0], &hosts[1]]);
        let cookie = sign_in::session_cookie(quiet.public_address, "lisi").await?;
        let logging_cookie = sign_in::session_cookie(logging.public_address, "lisi").await?;
        let mut servers = Self {
            quiet,
            logging,
            fixed_answer: None,
            cookie,
            logging_cookie,
            upstream,
            _source: source,
            _folder: folder,
        };
        if has_nginx() {
            servers.fixed_answer = Some(servers.start_fixed_answer().await?);
        }
        Ok(servers)
    }

    /// The variants of the group `checks`.
    pub(crate) fn variants(&self) -> Vec<Variant> {
        let mut variants = Vec::new();
        let mut add = |name, pids: [u32; 2], address, cookie: &str| {
            let headers = http1::browser_headers(address, Some(cookie));
            let request = http1::get(address, &http1::target("/board/42"), &headers);
            variants.push(Variant {
                name,
                pids: pids.into(),
                address,
                request: LoadRequest::Http(request, 200),
            });
        };
        if let Some(FixedAnswer {
            nginx,
            status_only,
            with_identity,
            ..
        }) = &self.fixed_answer
        {
            let pids = [nginx.pid(), status_only.nginx.pid()];
            add(
                report::NGINX_ASKS_204,
                pids,
                status_only.address,
                &self.cookie,
            );
            let pids = [nginx.pid(), with_identity.nginx.pid()];
            add(
                report::NGINX_ASKS_204_IDENTITY,
                pids,
                with_identity.address,
                &self.cookie,
            );
        }
        for (name, pair, cookie) in [
            (report::NGINX_ASKS_MENSHEN, &self.quiet, &self.cookie),
            (
                report::NGINX_ASKS_MENSHEN_LOGGED,
                &self.logging,
                &self.logging_cookie,
            ),
        ] {
            if let Some(front) = &pair.front {
                let pids = [pair.menshen.pid(), front.pid()];
                add(name, pids, pair.public_address, cookie);
            }
        }
        variants.extend([
            self.auth(),
            self.ext_authz(),
            self.grpc(report::CHECK_GRPC_4, 4),
            self.grpc(report::CHECK_GRPC_1, 1),
        ]);
        variants
    }

    /// The variants of the group `pace`; the first is the cheapest response, as a reference for the
    /// machine.
    pub(crate) fn variants_at_rate(&self) -> Vec<Variant> {
        let mut variants = Vec::new();
        if let Some(FixedAnswer { nginx, address, .. }) = &self.fixed_answer {
            let headers = http1::browser_headers(*address, Some(&self.cookie));
            let request = LoadRequest::Http(
                http1::get(*address, &http1::target("/board/42"), &headers),
                204,
            );
            variants.push(Variant {
                name: report::NGINX_ANSWERS_204,
                pids: vec![nginx.pid()],
                address: *address,
                request,
            });
        }
        variants.extend([
            self.auth(),
            self.ext_authz(),
            self.grpc(report::CHECK_GRPC_4, 4),
        ]);
        variants
    }

    /// Sends one request and verifies that the response identifies the user.
    pub(crate) async fn check(&self, variant: &Variant) -> AnyResult<()> {
        match variant.name {
            report::NGINX_ANSWERS_204 => Load::open(variant.address, &variant.request, 1)
                .await?
                .request_once()
                .await
                .map(drop)
                .map_err(Into::into),
            report::NGINX_ASKS_204 => {
                forwarding::check_forwarded(variant, &self.upstream, false).await
            }
            report::NGINX_ASKS_204_IDENTITY
            | report::NGINX_ASKS_MENSHEN
            | report::NGINX_ASKS_MENSHEN_LOGGED => {
                forwarding::check_forwarded(variant, &self.upstream, true).await
            }
            name => {
                let mut load = Load::open(variant.address, &variant.request, 1).await?;
                let answer = load.request_once().await?;
                let text = String::from_utf8_lossy(&answer);
                let with_identity = ["x-auth-request-user: lisi", "x-forwarded-user: lisi"];
                // Over gRPC: the header name, the tag and length of the value, and the value.
                let with_grpc_identity = "\u{a}\u{10}x-forwarded-user\u{12}\u{4}lisi";
                match with_identity
                    .into_iter()
                    .chain([with_grpc_identity])
                    .any(|header| text.contains(header))
                {
                    true => Ok(()),
                    false => Err(format!("{name}: no user is named in\n{text}").into()),
                }
            }
        }
    }

    fn direct(&self, name: &'static str, address: SocketAddr, request: LoadRequest) -> Variant {
        Variant {
            name,
            pids: vec![self.quiet.menshen.pid()],
            address,
            request,
        }
    }

    /// A check as `conf/nginx.conf` sends it: the headers of the browser and the original URL.
    fn auth(&self) -> Variant {
        let menshen = self.quiet.public_address;
        let mut headers = http1::browser_headers(menshen, Some(&self.cookie));
        headers.extend([
            ("X-Forwarded-Host", menshen.to_string()),
            ("X-Forwarded-Uri", http1::target("/board/42")),
            ("X-Original-Method", "GET".to_owned()),
            ("X-Forwarded-Proto", "http".to_owned()),
            ("X-Forwarded-For", "127.0.0.1".to_owned()),
        ]);
        let request = http1::get(menshen, "/.menshen/auth", &headers);
        let request = LoadRequest::Http(request, 202);
        self.direct(report::CHECK_AUTH, self.quiet.menshen.address, request)
    }

    /// A check of Envoy over HTTP, with the browser headers that `conf/envoy.yaml` allows.
    fn ext_authz(&self) -> Variant {
        let menshen = self.quiet.public_address;
        let mut headers = http1::browser_headers(menshen, Some(&self.cookie));
        let left_out = [
            "sec-ch-ua",
            "sec-ch-ua-mobile",
            "sec-ch-ua-platform",
            "Upgrade-Insecure-Requests",
            "Accept-Encoding",
        ];
        headers.retain(|(name, _)| !left_out.contains(name));
        headers.extend([
            ("X-Forwarded-For", "127.0.0.1".to_owned()),
            ("X-Forwarded-Proto", "http".to_owned()),
            ("Content-Length", "0".to_owned()),
        ]);
        let target = http1::target("/.menshen/ext_authz/board/42");
        let request = LoadRequest::Http(http1::get(menshen, &target, &headers), 200);
        self.direct(report::CHECK_ENVOY, self.quiet.menshen.address, request)
    }

    /// A check of Envoy over gRPC, with all headers of the browser.
    fn grpc(&self, name: &'static str, connections: usize) -> Variant {
        let menshen = self.quiet.public_address;
        let headers = http1::browser_headers(menshen, Some(&self.cookie));
        let check_request = grpc::check_request(menshen, &http1::target("/board/42"), &headers);
        self.direct(
            name,
            self.quiet.grpc_address,
            LoadRequest::Grpc(check_request, connections),
        )
    }

    /// Starts the nginx with the fixed response; one of its servers returns the headers of menshen.
    async fn start_fixed_answer(&self) -> AnyResult<FixedAnswer> {
        let check = self.auth();
        let mut load = Load::open(check.address, &check.request, 1).await?;
        let answer = String::from_utf8(load.request_once().await?)?.to_ascii_lowercase();
        let headers = answer
            .split("\r\n")
            .filter_map(|line| line.split_once(": "));
        let headers =
            headers.filter(|(name, _)| name.starts_with("x-") || *name == "cache-control");
        let add_headers: String = headers
            .map(|(name, value)| format!("add_header {name} '{value}'; "))
            .collect();
        let (status_only, with_identity) = (free_address()?, free_address()?);
        let servers = format!(
            r#"
            server {{ listen {status_only}; location / {{ return 204; }} }}
            server {{ listen {with_identity}; location / {{ {add_headers} return 204; }} }}
            "#
        );
        let (folder, upstream) = (&self._folder, self.upstream.address);
        Ok(FixedAnswer {
            nginx: Nginx::start(folder, "nginx", &servers, with_identity).await?,
            address: status_only,
            status_only: FrontNginx::start(
                folder,
                "status_only",
                free_address()?,
                status_only,
                upstream,
            )
            .await?,
            with_identity: FrontNginx::start(
                folder,
                "with_identity",
                free_address()?,
                with_identity,
                upstream,
            )
            .await?,
        })
    }
}

impl MenshenBehindNginx {
    async fn start(
        folder: &TempFolder,
        name: &str,
        source: &WeCom,
        upstream: SocketAddr,
    ) -> AnyResult<Self> {
        let (grpc_address, front) = (free_address()?, free_address()?);
        let tables = format!(
            r#"
            [ext_authz]
            grpc_listen = "{grpc_address}"
            [[route]]
            name = "board"
            "#
        );
        let setup = Setup {
            name,
            access_log: name == "logging",
            address: None,
            external_address: has_nginx().then_some(front),
            store: None,
            server: r#"trusted_proxies = ["127.0.0.1"]"#,
            tables: &tables,
        };
        let menshen = Menshen::start(folder, &setup, source).await?;
        let front = match setup.external_address {
            Some(front) => {
                let name = format!("front-{name}");
                Some(FrontNginx::start(folder, &name, front, menshen.address, upstream).await?)
            }
            None => None,
        };
        Ok(Self {
            grpc_address,
            public_address: front
                .as_ref()
                .map_or(menshen.address, |front| front.address),
            front: front.map(|front| front.nginx),
            menshen,
        })
    }
}

impl FrontNginx {
    /// Starts nginx with the shipped configuration, without TLS and with other addresses. It sends its
    /// checks to `checker`.
    async fn start(
        folder: &TempFolder,
        name: &str,
        address: SocketAddr,
        checker: SocketAddr,
        upstream: SocketAddr,
    ) -> AnyResult<Self> {
        let mut servers = fs::read_to_string(Path::new(NGINX_CONF))?;
        for (shipped, changed) in [
            ("listen 443 ssl;", format!("listen {address};")),
            ("ssl_certificate ", "#".to_owned()),
            ("ssl_certificate_key ", "#".to_owned()),
            ("server 127.0.0.1:8480;", format!("server {checker};")),
            ("server 127.0.0.1:8080;", format!("server {upstream};")),
            // The load uses an address instead of a host name.
            ("^oa.corp.example", format!("^{}", address.ip())),
        ] {
            if !servers.contains(shipped) {
                return Err(format!("{NGINX_CONF} no longer contains \"{shipped}\"").into());
            }
            servers = servers.replace(shipped, &changed);
        }
        let nginx = Nginx::start(folder, name, &servers, address).await?;
        Ok(Self { address, nginx })
    }
}
