//! The groups `checks` and `pace`: menshen asked by another proxy, beside the cheapest answer there
//! is; and asked directly, as nginx and Envoy ask.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::load::{Ask, Load};
use crate::proxies::{Folder, Menshen, Nginx, Setup, free_address, has_nginx};
use crate::upstream::Upstream;
use crate::wecom::{AGENT_ID, Options, WeCom};
use crate::{Outcome, Variant, forwarding, grpc, report, sign_in, wire};

/// The recipe as it is shipped: what stands in front is set up by it, whoever is asked.
const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/nginx.conf");

/// Everything that runs. The processes end before their folder goes.
pub(crate) struct Stage {
    quiet: Sidecar,
    logging: Sidecar,
    fixed: Option<Fixed>,
    cookie: String,
    logged: String,
    upstream: Upstream,
    _source: WeCom,
    _folder: Folder,
}

/// menshen, and the nginx that asks it.
struct Sidecar {
    menshen: Menshen,
    /// Where Envoy asks.
    grpc: SocketAddr,
    /// What browsers know.
    menshen: SocketAddr,
    front: Option<Nginx>,
}

/// An nginx that answers every check with the same 204; and two that ask it.
struct Fixed {
    /// Where it says nothing but 204.
    at: SocketAddr,
    says: Nginx,
    /// Told nothing but the status.
    bare: Front,
    /// Told the headers that menshen answers, too.
    named: Front,
}

/// nginx by the recipe.
struct Front {
    address: SocketAddr,
    nginx: Nginx,
}

impl Stage {
    pub(crate) async fn set() -> Outcome<Self> {
        let folder = Folder::make("checks")?;
        let upstream = Upstream::start().await?;
        let source = WeCom::start(Options::default()).await?;
        let to = upstream.address;
        let quiet = Sidecar::start(&folder, "quiet", &source, to).await?;
        let logging = Sidecar::start(&folder, "logging", &source, to).await?;
        let hosts = [&quiet, &logging].map(|sidecar| sidecar.menshen.to_string());
        source.domains_of_agent(AGENT_ID, &[&hosts[0], &hosts[1]]);
        let cookie = sign_in::walk(quiet.menshen, "lisi").await?;
        let logged = sign_in::walk(logging.menshen, "lisi").await?;
        let mut stage = Self {
            quiet,
            logging,
            fixed: None,
            cookie,
            logged,
            upstream,
            _source: source,
            _folder: folder,
        };
        if has_nginx() {
            stage.fixed = Some(stage.fixed().await?);
        }
        Ok(stage)
    }

    /// What is measured through nginx, and directly.
    pub(crate) fn variants(&self) -> Vec<Variant> {
        let mut variants = Vec::new();
        let mut add = |name, pids: [u32; 2], address, cookie: &str| {
            let headers = wire::browser_headers(address, Some(cookie));
            let request = wire::get(address, &wire::target("/board/42"), &headers);
            variants.push(Variant {
                name,
                pids: pids.into(),
                address,
                ask: Ask::Http(request, 200),
            });
        };
        if let Some(Fixed {
            says, bare, named, ..
        }) = &self.fixed
        {
            let pids = [says.pid(), bare.nginx.pid()];
            add(report::ASKS_204, pids, bare.address, &self.cookie);
            let pids = [says.pid(), named.nginx.pid()];
            add(report::ASKS_204_NAMED, pids, named.address, &self.cookie);
        }
        for (name, sidecar, cookie) in [
            (report::ASKS_US, &self.quiet, &self.cookie),
            (report::ASKS_US_LOGGED, &self.logging, &self.logged),
        ] {
            if let Some(front) = &sidecar.front {
                let pids = [sidecar.menshen.pid(), front.pid()];
                add(name, pids, sidecar.menshen, cookie);
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

    /// What is asked at a pace; first what costs next to nothing, to see what the machine is worth.
    pub(crate) fn paced(&self) -> Vec<Variant> {
        let mut variants = Vec::new();
        if let Some(Fixed { says, at, .. }) = &self.fixed {
            let headers = wire::browser_headers(*at, Some(&self.cookie));
            let ask = Ask::Http(wire::get(*at, &wire::target("/board/42"), &headers), 204);
            variants.push(Variant {
                name: report::SAYS_204,
                pids: vec![says.pid()],
                address: *at,
                ask,
            });
        }
        variants.extend([
            self.auth(),
            self.ext_authz(),
            self.grpc(report::CHECK_GRPC_4, 4),
        ]);
        variants
    }

    /// Sees one answer, and that it says who is asking.
    pub(crate) async fn check(&self, variant: &Variant) -> Outcome<()> {
        match variant.name {
            report::SAYS_204 => Load::open(variant.address, &variant.ask, 1)
                .await?
                .once()
                .await
                .map(drop)
                .map_err(Into::into),
            report::ASKS_204 => forwarding::arrives(variant, &self.upstream, false).await,
            report::ASKS_204_NAMED | report::ASKS_US | report::ASKS_US_LOGGED => {
                forwarding::arrives(variant, &self.upstream, true).await
            }
            name => {
                let mut load = Load::open(variant.address, &variant.ask, 1).await?;
                let answer = load.once().await?;
                let text = String::from_utf8_lossy(&answer);
                let named = ["x-auth-request-user: lisi", "x-forwarded-user: lisi"];
                // Over gRPC: the value, its tag and length, and the name before it.
                let grpc = "\u{a}\u{10}x-forwarded-user\u{12}\u{4}lisi";
                match named.into_iter().chain([grpc]).any(|it| text.contains(it)) {
                    true => Ok(()),
                    false => Err(format!("{name}: nobody is named in\n{text}").into()),
                }
            }
        }
    }

    fn direct(&self, name: &'static str, address: SocketAddr, ask: Ask) -> Variant {
        Variant {
            name,
            pids: vec![self.quiet.menshen.pid()],
            address,
            ask,
        }
    }

    /// The question of `conf/nginx.conf`: all that the browser sent, and where to.
    fn auth(&self) -> Variant {
        let menshen = self.quiet.menshen;
        let mut headers = wire::browser_headers(menshen, Some(&self.cookie));
        headers.extend([
            ("X-Forwarded-Host", menshen.to_string()),
            ("X-Forwarded-Uri", wire::target("/board/42")),
            ("X-Original-Method", "GET".to_owned()),
            ("X-Forwarded-Proto", "http".to_owned()),
            ("X-Forwarded-For", "127.0.0.1".to_owned()),
        ]);
        let request = wire::get(menshen, "/.menshen/auth", &headers);
        let ask = Ask::Http(request, 202);
        self.direct(report::CHECK_AUTH, self.quiet.menshen.address, ask)
    }

    /// The question of Envoy over HTTP: what `conf/envoy.yaml` lets through of the browser's.
    fn ext_authz(&self) -> Variant {
        let menshen = self.quiet.menshen;
        let mut headers = wire::browser_headers(menshen, Some(&self.cookie));
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
        let target = wire::target("/.menshen/ext_authz/board/42");
        let ask = Ask::Http(wire::get(menshen, &target, &headers), 200);
        self.direct(report::CHECK_ENVOY, self.quiet.menshen.address, ask)
    }

    /// The question of Envoy over gRPC: all that the browser sent.
    fn grpc(&self, name: &'static str, connections: usize) -> Variant {
        let menshen = self.quiet.menshen;
        let headers = wire::browser_headers(menshen, Some(&self.cookie));
        let question = grpc::question(menshen, &wire::target("/board/42"), &headers);
        self.direct(name, self.quiet.grpc, Ask::Grpc(question, connections))
    }

    /// Sets up what answers the same to everybody, one server of it with the very headers of menshen.
    async fn fixed(&self) -> Outcome<Fixed> {
        let asked = self.auth();
        let mut load = Load::open(asked.address, &asked.ask, 1).await?;
        let answer = String::from_utf8(load.once().await?)?.to_ascii_lowercase();
        let told = answer
            .split("\r\n")
            .filter_map(|line| line.split_once(": "));
        let told = told.filter(|(name, _)| name.starts_with("x-") || *name == "cache-control");
        let told: String = told
            .map(|(name, value)| format!("add_header {name} '{value}'; "))
            .collect();
        let (bare, named) = (free_address()?, free_address()?);
        let servers = format!(
            r#"
            server {{ listen {bare}; location / {{ return 204; }} }}
            server {{ listen {named}; location / {{ {told} return 204; }} }}
            "#
        );
        let (folder, to) = (&self._folder, self.upstream.address);
        Ok(Fixed {
            says: Nginx::start(folder, "says", &servers, named).await?,
            at: bare,
            bare: Front::start(folder, "bare", free_address()?, bare, to).await?,
            named: Front::start(folder, "named", free_address()?, named, to).await?,
        })
    }
}

impl Sidecar {
    async fn start(
        folder: &Folder,
        name: &str,
        source: &WeCom,
        upstream: SocketAddr,
    ) -> Outcome<Self> {
        let (grpc, front) = (free_address()?, free_address()?);
        let tables = format!(
            r#"
            [ext_authz]
            grpc_listen = "{grpc}"
            [[route]]
            name = "board"
            "#
        );
        let setup = Setup {
            name,
            access_log: name == "logging",
            known_as: has_nginx().then_some(front),
            server: r#"trusted_proxies = ["127.0.0.1"]"#,
            tables: &tables,
        };
        let menshen = Menshen::start(folder, &setup, source).await?;
        let asked = menshen.address;
        let front = match setup.known_as {
            Some(front) => {
                let name = format!("front-{name}");
                Some(Front::start(folder, &name, front, asked, upstream).await?)
            }
            None => None,
        };
        Ok(Self {
            grpc,
            menshen: front.as_ref().map_or(asked, |front| front.address),
            front: front.map(|front| front.nginx),
            menshen,
        })
    }
}

impl Front {
    /// nginx by the recipe, without TLS; only the addresses are others.
    async fn start(
        folder: &Folder,
        name: &str,
        address: SocketAddr,
        asked: SocketAddr,
        upstream: SocketAddr,
    ) -> Outcome<Self> {
        let mut servers = fs::read_to_string(Path::new(RECIPE))?;
        for (theirs, ours) in [
            ("listen 443 ssl;", format!("listen {address};")),
            ("ssl_certificate ", "#".to_owned()),
            ("ssl_certificate_key ", "#".to_owned()),
            ("server 127.0.0.1:8480;", format!("server {asked};")),
            ("server 127.0.0.1:8080;", format!("server {upstream};")),
            // The load goes to an address.
            ("^oa.corp.example", format!("^{}", address.ip())),
        ] {
            if !servers.contains(theirs) {
                return Err(format!("{RECIPE} has no \"{theirs}\" any more").into());
            }
            servers = servers.replace(theirs, &ours);
        }
        let nginx = Nginx::start(folder, name, &servers, address).await?;
        Ok(Self { address, nginx })
    }
}
