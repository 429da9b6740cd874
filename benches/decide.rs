//! Measures one decision, from a parsed HTTP message to the verdict, with the session in the cache.
//!
//! `cargo bench --bench decide [-- --rounds N --calls N]` prints a table in nanoseconds per call.
//! The target: a signed-in request is decided within two microseconds.

use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use http::request::Parts;
use menshen::clock::Clock;
use menshen::expression::{Expression, Scope};
use menshen::keys::{self, KeyRing};
use menshen::people::cookie::{self, CookieName, CookieSettings, SameSiteConfig};
use menshen::people::profile::{AuthContext, Mapping, MappingConfig, Profile};
use menshen::people::session::{
    NewLogin, RefreshTimeouts, Refresher, SessionLookup, SessionTimeouts, Sessions,
};
use menshen::people::{AdmissionPolicy, People};
use menshen::request;
use menshen::request::access_token::AccessTokenLimits;
use menshen::request::bearer::BearerTokens;
use menshen::request::gate::Gate;
use menshen::request::head::{Connection, Head, ParseOptions, Peer, Trust};
use menshen::request::policy::Verdict;
use menshen::request::route::{
    self, Access, HeaderRules, HostHeader, HostPattern, Limits, OwnPaths, PathPrefix, Preflight,
    Route, RouteName, Routes, UpstreamId,
};

use menshen::store::{self, ConnectorId, Subject};
use menshen::telemetry::{LogConfig, LogLimiter, Telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The highest cost of a signed-in decision.
const TARGET_NS: f64 = 2_000.0;
const HOSTS: [&str; 5] = ["oa", "erp", "git", "wiki", "pay"];
const PATHS: [&str; 4] = ["/", "/finance", "/public", "/api/v2"];

fn main() -> Outcome<()> {
    keys::install_crypto();
    let effort = Effort::from_arguments()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let setup = Setup::build().await?;
        let table = setup.measure(effort).await?;
        table.print();
        Ok(())
    })
}

/// How often each case is measured, and how many calls one measurement takes: about a millisecond,
/// so that many measurements are not interrupted by other processes.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    calls: u32,
}

impl Effort {
    fn from_arguments() -> Outcome<Self> {
        let mut effort = Self {
            rounds: 301,
            calls: 1_000,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let number = arguments.next();
                number.ok_or_else(|| format!("{argument} needs a number"))
            };
            match argument.as_str() {
                "--rounds" => effort.rounds = number()?.parse::<usize>()?.clamp(1, 100_000),
                "--calls" => effort.calls = number()?.parse::<u32>()?.clamp(1, 10_000_000),
                // Added by cargo.
                "--bench" => {}
                _ => return Err(format!("unknown argument {argument}").into()),
            }
        }
        Ok(effort)
    }
}

/// What decisions need, and the session cookie of one signed-in person.
struct Setup {
    clock: Clock,
    connection: Connection,
    trust: Trust,
    cookie_name: String,
    external_url: url::Url,
    routes: Routes,
    gate: Gate,
    cookie: String,
}

/// A measured operation.
#[derive(Clone, Copy)]
enum Case {
    SignedIn,
    Rule,
    Public,
    Parse,
    Find,
    Session,
}

impl Case {
    const ALL: [Self; 6] = [
        Self::SignedIn,
        Self::Rule,
        Self::Public,
        Self::Parse,
        Self::Find,
        Self::Session,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "head + decide, signed-in, no rule",
            Self::Rule => "head + decide, '财务部' in user.departments",
            Self::Public => "head + decide, public, no cookie",
            Self::Parse => "Head::parse alone",
            Self::Find => "Routes::find alone",
            Self::Session => "Sessions::find alone",
        }
    }
}

impl Setup {
    async fn build() -> Outcome<Self> {
        let clock = Clock::system();
        let store = store::open(&store::StoreUrl::MEMORY, &store::StoreOptions::default()).await?;
        let grace = Duration::from_secs(300);
        let sessions = Sessions::open(Arc::clone(&store), clock.clone(), 1_000_000, grace).await?;
        let people = People::new(store, Arc::clone(&sessions), clock.clone());
        let ring = Arc::new(KeyRing::new(&[keys::generate()], None)?);
        let timeouts = SessionTimeouts {
            lifetime: Duration::from_secs(12 * 3600),
            idle_timeout: Duration::from_secs(2 * 3600),
        };
        let corp = ConnectorId::try_from("corp".to_owned())?;
        let cookie = sign_in(&people, &sessions, &ring, &timeouts, &corp, &clock).await?;
        let cookie_settings =
            CookieSettings::new(&CookieName::default(), true, None, SameSiteConfig::Lax);
        Ok(Self {
            clock,
            connection: Connection {
                peer: Peer::Ip(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3))),
                tls: true,
                server_name: Some("oa.corp.example".to_owned()),
                tls_subject: None,
                private_upstream_connections:
                    menshen::request::head::PrivateUpstreamConnections::default(),
            },
            trust: Trust::default(),
            cookie_name: cookie_settings.session_name().to_owned(),
            external_url: "https://sso.corp.example".parse()?,
            routes: routes()?,
            gate: Gate {
                refresher: Refresher::new(
                    Arc::clone(&sessions),
                    Arc::clone(&ring),
                    Telemetry::new(&LogConfig::default()),
                    [],
                    RefreshTimeouts::default(),
                ),
                sessions,
                ring,
                timeouts,
                connectors: vec![corp],
                bearers: BearerTokens::default(),
                access_token_limits: AccessTokenLimits::new(60, None),
                conflict_log: LogLimiter::default(),
                outage_log: LogLimiter::default(),
            },
            cookie,
        })
    }

    /// Alternates between the cases, so that load on the machine affects all of them.
    async fn measure(&self, effort: Effort) -> Outcome<Table> {
        let mut table = Table::default();
        for case in Case::ALL {
            self.measure_case(case, effort.calls).await?;
        }
        for _ in 0..effort.rounds {
            for case in Case::ALL {
                let ns = self.measure_case(case, effort.calls).await?;
                table.add(case, ns);
            }
        }
        Ok(table)
    }

    /// Nanoseconds per call.
    async fn measure_case(&self, case: Case, calls: u32) -> Outcome<f64> {
        let (path, cookie) = match case {
            Case::Rule => ("/finance/ledger", Some(self.cookie.as_str())),
            Case::Public => ("/public/app.js", None),
            Case::SignedIn | Case::Parse | Case::Find | Case::Session => {
                ("/projects/42/board", Some(self.cookie.as_str()))
            }
        };
        let parts = browser_request(path, &self.cookie_name, cookie)?;
        let head = self.head(&parts)?;
        let started_at = Instant::now();
        match case {
            Case::SignedIn | Case::Rule | Case::Public => {
                for _ in 0..calls {
                    let head = self.head(black_box(&parts))?;
                    let verdict = request::decide(&self.routes, &self.gate, &head).await;
                    if !matches!(black_box(verdict), Verdict::Allow(_)) {
                        return Err("a request was not allowed".into());
                    }
                }
            }
            Case::Parse => {
                for _ in 0..calls {
                    black_box(self.head(black_box(&parts))?);
                }
            }
            Case::Find => {
                for _ in 0..calls {
                    let head = black_box(&head);
                    let found = self
                        .routes
                        .find(&head.host, head.effective_port(), &head.path);
                    if !matches!(black_box(found), route::RouteMatch::Route(_)) {
                        return Err("no route was found".into());
                    }
                }
            }
            Case::Session => {
                let Gate {
                    sessions,
                    ring,
                    timeouts,
                    ..
                } = &self.gate;
                for _ in 0..calls {
                    let cookie = black_box(self.cookie.as_str());
                    let found = sessions
                        .find(ring, timeouts, cookie, head.host.as_str())
                        .await?;
                    if !matches!(black_box(found), SessionLookup::Person(_)) {
                        return Err("nobody was found".into());
                    }
                }
            }
        }
        Ok(started_at.elapsed().as_secs_f64() * 1e9 / f64::from(calls))
    }

    fn head<'a>(&'a self, parts: &'a Parts) -> Outcome<Head<'a>> {
        let now = self.clock.now();
        let parse_options = ParseOptions {
            trust: &self.trust,
            external_url: &self.external_url,
            session_cookie_name: &self.cookie_name,
            ring: &self.gate.ring,
        };
        Ok(Head::parse(parts, &self.connection, parse_options, now)?)
    }
}

/// Admits 李四 of 财务部 and returns the session cookie.
async fn sign_in(
    people: &People,
    sessions: &Arc<Sessions>,
    ring: &KeyRing,
    timeouts: &SessionTimeouts,
    corp: &ConnectorId,
    clock: &Clock,
) -> Outcome<String> {
    let defaults = [
        ("login", "profile.userid"),
        ("name", "profile.name"),
        ("email", "profile.biz_mail"),
        ("departments", "profile.department_names"),
    ];
    let admission = AdmissionPolicy {
        connector: corp.clone(),
        mapping: Mapping::build(&defaults, &MappingConfig::default(), "")?,
        create: true,
        join: None,
        sync: true,
        link_by: Vec::new(),
    };
    let subject = Subject::try_from("ww0123456789abcdef:lisi".to_owned())?;
    let raw = serde_json::json!({
        "userid": "lisi",
        "name": "李四",
        "biz_mail": "lisi@corp.example",
        "department_names": ["总经办", "财务部", "预算组"],
    });
    let profile = Profile {
        subject: subject.clone(),
        raw,
        verified_fields: Vec::new(),
        provider_sid: None,
        auth_context: AuthContext::default(),
        tokens: None,
        response_id: None,
        local_revision: None,
    };
    let (connector_epoch, everyone_epoch) = sessions.epochs_of(corp);
    let (account, _) = people.admit(&admission, &profile).await?;
    let login = NewLogin {
        account,
        via: corp.clone(),
        subject,
        provider_sid: None,
        auth_context: AuthContext::default(),
        tokens: None,
        expires_at: None,
        origin: Default::default(),
        began_at: clock.now(),
        connector_epoch,
        everyone_epoch,
        needs_current_password: false,
    };
    let minting = sessions.mint(ring, login, timeouts).await?;
    Ok(cookie::sign(ring, &minting.claims))
}

fn routes() -> Outcome<Routes> {
    let rule = Expression::compile("'财务部' in user.departments", Scope::Rule)?;
    let mut routes = Vec::new();
    for host in HOSTS {
        for path in PATHS {
            let (access, allow) = match path {
                "/public" => (Access::Public, None),
                "/finance" => (Access::SignedIn, Some(rule.clone())),
                _ => (Access::SignedIn, None),
            };
            routes.push(Arc::new(Route {
                name: RouteName::new(&format!("{host}{path}")),
                host: HostPattern::try_from(format!("{host}.corp.example"))?,
                path: PathPrefix::try_from(path.to_owned())?,
                access,
                public_paths: Vec::new(),
                allow,
                connectors: Vec::new(),
                issuers: Vec::new(),
                scopes: Vec::new(),
                access_tokens: false,
                demands: None,
                upstream: Some(UpstreamId(0)),
                preflight: Preflight::Deny,
                strip_path: false,
                case_insensitive: false,
                keep_fragment: false,
                keep_header_case: false,
                host_header: HostHeader::Client,
                headers: HeaderRules::default(),
                limits: Limits {
                    connect: Duration::from_secs(5),
                    response: Duration::from_secs(60),
                    idle: Duration::from_secs(60),
                    body_bytes_max: 1 << 30,
                    recheck_after: Duration::from_secs(10),
                },
                own_prefix: "/.menshen".into(),
                private_connections: false,
                counters: menshen::telemetry::RouteCounters::default(),
            }));
        }
    }
    let own_paths = OwnPaths::new("/.menshen", std::iter::empty());
    Ok(Routes::new(routes, own_paths))
}

/// A page load as a browser sends it.
fn browser_request(path: &str, cookie_name: &str, session: Option<&str>) -> Outcome<Parts> {
    let mut cookies = "theme=dark; lang=zh-CN; _ga=GA1.1.1234567890.1700000000".to_owned();
    if let Some(value) = session {
        cookies.push_str(&format!("; {cookie_name}={value}"));
    }
    let request = Request::get(format!("{path}?tab=open&page=2&q=%E9%A2%84%E7%AE%97"))
        .header("host", "oa.corp.example")
        .header("connection", "keep-alive")
        .header(
            "sec-ch-ua",
            "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"",
        )
        .header("sec-ch-ua-mobile", "?0")
        .header("sec-ch-ua-platform", "\"Windows\"")
        .header("upgrade-insecure-requests", "1")
        .header(
            "user-agent",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0",
        )
        .header(
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-user", "?1")
        .header("sec-fetch-dest", "document")
        .header("referer", "https://oa.corp.example/projects")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("accept-language", "zh-CN,zh;q=0.9,en;q=0.8")
        .header("cookie", cookies)
        .body(())?;
    Ok(request.into_parts().0)
}

/// The measurements, a row per case.
#[derive(Default)]
struct Table([Vec<f64>; Case::ALL.len()]);

impl Table {
    fn add(&mut self, case: Case, ns: f64) {
        self.0[case as usize].push(ns);
    }

    fn print(mut self) {
        println!(
            "{:<46}{:>9}{:>9}{:>9}  ns per call",
            "", "min", "median", "max"
        );
        for case in Case::ALL {
            let row = &mut self.0[case as usize];
            row.sort_by(f64::total_cmp);
            let (min, median, max) = (row[0], row[row.len() / 2], row[row.len() - 1]);
            // Han characters take two columns.
            let wide_letters = case
                .name()
                .chars()
                .filter(|letter| !letter.is_ascii())
                .count();
            let width = 46 - wide_letters;
            print!("{:<width$}{min:>9.0}{median:>9.0}{max:>9.0}", case.name());
            let verdict = if median <= TARGET_NS {
                "within"
            } else {
                "ABOVE"
            };
            match case {
                Case::SignedIn => println!("  {verdict} the target of {TARGET_NS:.0}"),
                Case::Rule | Case::Public | Case::Parse | Case::Find | Case::Session => println!(),
            }
        }
    }
}
