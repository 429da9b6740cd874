//! The group `sessions`: what menshen costs when PostgreSQL holds many sessions.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::run::{self, Running};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::JoinHandle;
use url::Url;

use crate::load::{Load, LoadRequest};
use crate::proxies::{Menshen, Setup, TempFolder, free_address};
use crate::upstream::Upstream;
use crate::wecom::{AGENT_ID, Options, WeCom};
use crate::{AnyResult, Variant, forwarding, http1, report, sign_in};

/// The number of sessions in each database, and the variant that is measured there.
const SIZES: [(&str, u32); 3] = [
    (report::SESSIONS_1, 1),
    (report::SESSIONS_100_000, 100_000),
    (report::SESSIONS_1_000_000, 1_000_000),
];
/// How many sessions each person has.
const SESSIONS_PER_PERSON: u32 = 4;
/// How often each process is started.
const STARTS: usize = 5;
/// How many sessions expire at once.
const EXPIRED: u32 = 100_000;
/// How many logins are measured while no session expires.
const LOGINS: usize = 200;
/// The longest time from a start to the first connection.
const START_MAX: Duration = Duration::from_secs(5);

/// All running servers. The fields are dropped in order: processes before their folder.
pub(crate) struct SessionServers {
    sites: Vec<FilledSite>,
    upstream: Upstream,
    _source: WeCom,
    _folder: TempFolder,
}

/// A menshen process whose database holds many sessions.
struct FilledSite {
    name: &'static str,
    database: Database,
    menshen: Menshen,
    cookie: String,
    /// How long each start took, and the first request of a session after it.
    starts: Vec<(Duration, Duration)>,
}

/// A database of this run. It is removed at the end.
struct Database {
    /// The URL of the database that this one was created from.
    server: Url,
    name: String,
}

impl Database {
    async fn create(server: &Url, sessions: u32) -> AnyResult<Self> {
        let name = format!("menshen_bench_{}_{sessions}", std::process::id());
        execute(server, format!("CREATE DATABASE {name}")).await?;
        let server = server.clone();
        Ok(Self { server, name })
    }

    fn url(&self) -> Url {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url
    }

    async fn remove(self) -> AnyResult<()> {
        execute(&self.server, format!("DROP DATABASE {}", self.name)).await
    }

    /// Adds people and sessions that are like the only ones in the database.
    async fn fill(&self, sessions: u32) -> AnyResult<()> {
        let people = sessions.div_ceil(SESSIONS_PER_PERSON);
        for sql in [
            format!(
                "INSERT INTO menshen_account (id, login, login_folded, created_at) \
                 SELECT decode(md5('account' || n), 'hex'), 'person' || n, 'person' || n, a.created_at \
                 FROM generate_series(1, {people}) AS n, (SELECT * FROM menshen_account LIMIT 1) AS a"
            ),
            format!(
                "INSERT INTO menshen_identity (connector, subject, account, names, entitlements, used_at) \
                 SELECT i.connector, 'person' || n, decode(md5('account' || n), 'hex'), true, \
                 i.entitlements, i.used_at FROM generate_series(1, {people}) AS n, \
                 (SELECT * FROM menshen_identity LIMIT 1) AS i"
            ),
            format!(
                "INSERT INTO menshen_session (key, public_id, account, connector, subject, facts, \
                 minted_at, expires_at, used_at, account_epoch, connector_epoch, everyone_epoch) \
                 SELECT sha256(('session' || n)::bytea), decode(md5('session' || n), 'hex'), \
                 decode(md5('account' || (n % {people} + 1)), 'hex'), s.connector, \
                 'person' || (n % {people} + 1), s.facts, s.minted_at, s.expires_at, s.used_at, 0, \
                 s.connector_epoch, s.everyone_epoch FROM generate_series(1, {sessions}) AS n, \
                 (SELECT * FROM menshen_session LIMIT 1) AS s"
            ),
            "VACUUM ANALYZE".to_owned(),
        ] {
            execute(&self.url(), sql).await?;
        }
        Ok(())
    }

    /// Lets sessions of other people than the one who signed in expire.
    async fn expire(&self) -> AnyResult<()> {
        let sql = format!(
            "UPDATE menshen_session SET expires_at = 1 WHERE key IN (SELECT key FROM menshen_session \
             WHERE subject LIKE 'person%' LIMIT {EXPIRED})"
        );
        execute(&self.url(), sql).await
    }
}

async fn execute(url: &Url, sql: String) -> AnyResult<()> {
    let mut connection = PgConnection::connect(url.as_str()).await?;
    // All texts are of this file; no other program writes into them.
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await?;
    Ok(())
}

impl SessionServers {
    /// Creates a database of each size beside the one that the URL names, and starts a process with it.
    pub(crate) async fn start(server: &Url) -> AnyResult<Self> {
        let folder = TempFolder::create("sessions")?;
        let upstream = Upstream::start().await?;
        let source = WeCom::start(Options::default()).await?;
        let mut addresses = Vec::new();
        for _ in SIZES {
            addresses.push(free_address()?);
        }
        let hosts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        source.set_agent_domains(AGENT_ID, &hosts);
        let mut sites = Vec::new();
        for ((name, sessions), address) in SIZES.into_iter().zip(addresses) {
            println!("preparing: {name}");
            let database = Database::create(server, sessions).await?;
            let site = SiteSetup {
                folder: &folder,
                source: &source,
                upstream: upstream.address,
                address,
            };
            sites.push(site.start_filled(name, sessions, database).await?);
        }
        Ok(Self {
            sites,
            upstream,
            _source: source,
            _folder: folder,
        })
    }

    pub(crate) fn variants(&self) -> Vec<Variant> {
        let variant = |site: &FilledSite| Variant {
            name: site.name,
            pids: vec![site.menshen.pid()],
            address: site.menshen.address,
            request: board_request(site.menshen.address, &site.cookie),
        };
        self.sites.iter().map(variant).collect()
    }

    pub(crate) async fn check(&self, variant: &Variant) -> AnyResult<()> {
        forwarding::check_forwarded(variant, &self.upstream, true).await
    }

    /// Prints how long the starts took. Returns the number of starts that took too long.
    pub(crate) fn print_starts(&self) -> u64 {
        let mut late = 0;
        println!(
            "{:<32}{:>12}{:>28}",
            "", "start, ms", "first signed-in request, ms"
        );
        for site in &self.sites {
            let starts = site.starts.iter().map(|(start, _)| *start).collect();
            let requests = site.starts.iter().map(|(_, request)| *request).collect();
            let (start, request) = (median_ms(starts), median_ms(requests));
            println!("{:<32}{start:>12.0}{request:>28.1}", site.name);
            let is_late = |(start, _): &&(Duration, Duration)| *start > START_MAX;
            late += site.starts.iter().filter(is_late).count() as u64;
        }
        late
    }

    /// Measures logins, first alone, then while expired sessions are deleted.
    pub(crate) async fn measure_deletion(&self) -> AnyResult<()> {
        let Some(site) = self.sites.last() else {
            return Ok(());
        };
        let mut alone = Vec::new();
        for _ in 0..LOGINS {
            alone.push(site.log_in().await?);
        }
        site.database.expire().await?;
        // A second node, in this process, deletes the sessions while the first one takes logins.
        let other = start_other_node(&site.database).await?;
        let sessions = other.live().services().sessions.clone();
        let began = Instant::now();
        let deletion: JoinHandle<Result<Duration, String>> = tokio::spawn(async move {
            let deleted = sessions.delete_expired().await;
            deleted.map_err(|error| error.to_string())?;
            Ok(began.elapsed())
        });
        let mut beside = Vec::new();
        while !deletion.is_finished() {
            beside.push(site.log_in().await?);
        }
        let took = deletion.await??;
        other.stop().await;
        println!(
            "{EXPIRED} expired sessions of a million were deleted in {:.1} s",
            took.as_secs_f64()
        );
        println!(
            "{:<32}{:>12}{:>12}{:>12}",
            "", "logins", "median, ms", "longest, ms"
        );
        for (name, logins) in [("no deletion", alone), ("during the deletion", beside)] {
            let longest = logins.iter().max().copied().unwrap_or_default();
            println!(
                "{name:<32}{:>12}{:>12.1}{:>12.1}",
                logins.len(),
                median_ms(logins.clone()),
                longest.as_secs_f64() * 1e3
            );
        }
        Ok(())
    }

    /// Ends the processes and removes the databases.
    pub(crate) async fn remove(self) -> AnyResult<()> {
        for FilledSite {
            database, menshen, ..
        } in self.sites
        {
            drop(menshen);
            database.remove().await?;
        }
        Ok(())
    }
}

impl FilledSite {
    /// The time of a whole login, with the simulated WeCom's part.
    async fn log_in(&self) -> AnyResult<Duration> {
        let began = Instant::now();
        sign_in::session_cookie(self.menshen.address, "zhangsan").await?;
        Ok(began.elapsed())
    }
}

/// What a process with its database needs.
struct SiteSetup<'a> {
    folder: &'a TempFolder,
    source: &'a WeCom,
    upstream: SocketAddr,
    address: SocketAddr,
}

impl SiteSetup<'_> {
    async fn start_filled(
        &self,
        name: &'static str,
        sessions: u32,
        database: Database,
    ) -> AnyResult<FilledSite> {
        let first = self.start(&database).await?;
        let cookie = sign_in::session_cookie(self.address, "lisi").await?;
        drop(first);
        if sessions > 1 {
            database.fill(sessions - 1).await?;
        }
        let mut starts = Vec::new();
        let mut running = None;
        for _ in 0..STARTS {
            drop(running.take());
            let began = Instant::now();
            let menshen = self.start(&database).await?;
            let start = began.elapsed();
            let request = board_request(self.address, &cookie);
            let mut load = Load::open(self.address, &request, 1).await?;
            let began = Instant::now();
            load.request_once().await?;
            starts.push((start, began.elapsed()));
            running = Some(menshen);
        }
        Ok(FilledSite {
            name,
            database,
            menshen: running.ok_or("no start")?,
            cookie,
            starts,
        })
    }

    async fn start(&self, database: &Database) -> AnyResult<Menshen> {
        let tables = format!(
            "[login]\nbegins_per_client_per_minute = 1000000\n\
             finishes_per_client_per_minute = 1000000\n\
             [[route]]\nname = \"board\"\nupstream = [\"http://{}\"]\n",
            self.upstream
        );
        let url = database.url();
        let setup = Setup {
            name: &database.name,
            access_log: false,
            address: Some(self.address),
            external_address: None,
            store: Some(url.as_str()),
            server: "",
            tables: &tables,
        };
        Menshen::start(self.folder, &setup, self.source).await
    }
}

async fn start_other_node(database: &Database) -> AnyResult<Running> {
    let text = format!(
        "[server]\nlisten = ['127.0.0.1:0']\nexternal_url = 'http://localhost'\n\
         [store]\nurl = '{}'\n[log]\nlevel = 'error'\n\
         [connector.corp.wecom]\ncorp_id = 'corp'\nagent_id = 1\nsecret = 'secret'\n",
        database.url()
    );
    Ok(run::start(Config::parse(&text, "bench.toml")?, Clock::system()).await?)
}

fn board_request(address: SocketAddr, cookie: &str) -> LoadRequest {
    let headers = http1::browser_headers(address, Some(cookie));
    LoadRequest::Http(
        http1::get(address, &http1::target("/board/42"), &headers),
        200,
    )
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    median.as_secs_f64() * 1e3
}
