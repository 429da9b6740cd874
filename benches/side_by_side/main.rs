//! What a request costs in menshen, beside nginx, on this machine and on loopback only.
//!
//! `cargo bench --bench side_by_side [-- --rounds N --seconds S --connections C]`. The proxies run on core 0,
//! the load and the upstream on core 1; the variants take turns. See `benches/README.md`.

use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use load::{Load, Tally};
use proxies::{Folder, Menshen, Nginx};
use report::{Report, Row};
use upstream::Upstream;
use wecom::{AGENT_ID, Options, WeCom};

mod cpu;
mod load;
mod proxies;
mod report;
mod sign_in;
mod upstream;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Where the proxies run.
const PROXY_CORE: &str = "0";
/// Where the load and the upstream run.
const LOAD_CORE: &str = "1";
/// Set for the copy of this program that is pinned.
const PINNED: &str = "MENSHEN_SIDE_BY_SIDE_PINNED";
/// A variant stops early rather than send more.
const REQUESTS_MAX: u64 = 5_000_000;

fn main() -> Outcome<ExitCode> {
    let effort = Effort::from_arguments()?;
    if std::env::var_os(PINNED).is_none() {
        let mut again = Command::new("taskset");
        again
            .args(["-c", LOAD_CORE])
            .arg(std::env::current_exe()?)
            .args(std::env::args_os().skip(1));
        // Comes back only when it failed.
        return Err(format!(
            "taskset of util-linux is needed: {}",
            again.env(PINNED, "1").exec()
        )
        .into());
    }
    menshen::keys::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(effort))
}

/// How much is asked.
#[derive(Clone, Debug)]
struct Effort {
    rounds: u32,
    measured: Duration,
    connections: usize,
    /// Leaves out the variants whose name is another; for a profiler that looks on.
    only: Option<String>,
}

impl Effort {
    fn from_arguments() -> Outcome<Self> {
        let mut effort = Self {
            rounds: 7,
            measured: Duration::from_secs(2),
            connections: 16,
            only: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => effort.rounds = value()?.parse::<u32>()?.clamp(1, 100),
                "--seconds" => {
                    let seconds = value()?.parse::<f64>()?.clamp(0.1, 30.0);
                    effort.measured = Duration::from_secs_f64(seconds);
                }
                "--connections" => effort.connections = value()?.parse::<usize>()?.clamp(1, 1_000),
                "--only" => effort.only = Some(value()?),
                // What cargo adds.
                "--bench" => {}
                _ => return Err(format!("unknown argument {word}").into()),
            }
        }
        Ok(effort)
    }
}

/// One thing to measure: who is asked what.
struct Variant {
    name: &'static str,
    pid: u32,
    address: SocketAddr,
    request: Vec<u8>,
    /// Whether the upstream must be told who is asking.
    identified: bool,
}

async fn run(effort: Effort) -> Outcome<ExitCode> {
    // The load and the upstream never sleep: to wake a sleeping processor costs whoever sends to
    // it, the more the slower they are, and real clients and upstreams are on other machines.
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let stage = Stage::set().await?;
    let mut variants = stage.variants().await?;
    if let Some(only) = &effort.only {
        variants.retain(|variant| variant.name == only.as_str());
    }
    for variant in &variants {
        check(variant, &stage.upstream).await?;
    }
    let mut report = Report::new(variants.iter().map(|variant| variant.name));
    for _ in 0..effort.rounds {
        for variant in &variants {
            report.add(variant.name, measure(variant, &effort).await?);
        }
    }
    report.print(effort.rounds, effort.measured, effort.connections);
    Ok(if report.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything that runs. The processes end before their folder goes.
struct Stage {
    nginx: Option<Nginx>,
    quiet: Menshen,
    logging: Menshen,
    upstream: Upstream,
    _source: WeCom,
    _folder: Folder,
}

impl Stage {
    async fn set() -> Outcome<Self> {
        let folder = Folder::make()?;
        let upstream = Upstream::start().await?;
        let source = WeCom::start(Options::default()).await?;
        let to = upstream.address;
        let quiet = Menshen::start(&folder, "quiet", to, &source, false).await?;
        let logging = Menshen::start(&folder, "logging", to, &source, true).await?;
        let hosts = [&quiet, &logging].map(|menshen| menshen.address.to_string());
        source.domains_of_agent(AGENT_ID, &[&hosts[0], &hosts[1]]);
        let nginx = Nginx::start(&folder, to).await?;
        if nginx.is_none() {
            println!("nginx is not installed here; its rows are left out");
        }
        Ok(Self {
            nginx,
            quiet,
            logging,
            upstream,
            _source: source,
            _folder: folder,
        })
    }

    /// Signs in where somebody must be, and says what is to be measured.
    async fn variants(&self) -> Outcome<Vec<Variant>> {
        let quiet = &self.quiet;
        let cookie = sign_in::walk(quiet.address, "lisi").await?;
        let logged = sign_in::walk(self.logging.address, "lisi").await?;
        let mut variants = Vec::new();
        let mut add = |name, pid, address: SocketAddr, path: &str, session: Option<&str>| {
            variants.push(Variant {
                name,
                pid,
                address,
                request: load::browser_request(address, path, session),
                identified: matches!(name, report::SIGNED_IN | report::LOGGED),
            });
        };
        if let Some(nginx) = &self.nginx {
            let (board, pid) = ("/board/42", nginx.pid());
            add(report::NGINX, pid, nginx.plain, board, Some(&cookie));
            add(report::NGINX_USUAL, pid, nginx.usual, board, Some(&cookie));
        }
        let (board, pid) = ("/board/42", quiet.pid());
        add(report::PUBLIC, pid, quiet.address, "/public/42", None);
        add(report::SIGNED_IN, pid, quiet.address, board, Some(&cookie));
        let (address, pid) = (self.logging.address, self.logging.pid());
        add(report::LOGGED, pid, address, board, Some(&logged));
        Ok(variants)
    }
}

/// Sees one request go all the way, with what the upstream must and must not learn.
async fn check(variant: &Variant, upstream: &Upstream) -> Outcome<()> {
    upstream.listen();
    let mut load = Load::open(variant.address, &variant.request, 1).await?;
    let tally = load.run(Duration::ZERO, 1).await?;
    let heard = upstream.heard().ok_or("the upstream was not asked")?;
    let heard = String::from_utf8_lossy(&heard).to_ascii_lowercase();
    let named = heard.contains("x-forwarded-user: lisi\r\n");
    if tally.failed > 0 || named != variant.identified {
        return Err(format!(
            "{}: not what was expected; the upstream saw\n{heard}",
            variant.name
        )
        .into());
    }
    Ok(())
}

async fn measure(variant: &Variant, effort: &Effort) -> Outcome<Row> {
    let mut load = Load::open(variant.address, &variant.request, effort.connections).await?;
    let warm = load.run(effort.measured / 10, REQUESTS_MAX).await?;
    let mut clock = cpu::Clock::of(variant.pid)?;
    let before = clock.read()?;
    let tally: Tally = load.run(effort.measured, REQUESTS_MAX).await?;
    let spent = clock.read()?.saturating_sub(before);
    Ok(Row::of(spent, tally, warm.failed))
}
