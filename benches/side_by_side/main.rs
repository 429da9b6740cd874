//! Compares the processor time and the latency of menshen and nginx, on loopback only.
//!
//! `cargo bench --bench side_by_side [-- --group G --rounds N --seconds S --connections C --database URL]`.
//! The proxies run on core 0, the load and the upstream on core 1; the variants are measured in turn.
//! See `benches/README.md`.

use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use load::{Load, LoadRequest, Tally};
use report::{Report, Row};
use url::Url;

mod checking;
mod cpu;
mod forwarding;
mod grpc;
mod http1;
mod load;
mod proxies;
mod report;
mod sessions;
mod sign_in;
#[path = "../../examples/demo/simulated_http.rs"]
mod simulated_http;
mod upstream;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;

type AnyResult<T> = Result<T, Box<dyn Error>>;

/// The core of the proxies.
const PROXY_CORE: &str = "0";
/// The core of the load and the upstream.
const LOAD_CORE: &str = "1";
/// The environment variable that marks the pinned copy of this program.
const PINNED: &str = "MENSHEN_SIDE_BY_SIDE_PINNED";
/// The maximum number of requests of a run.
const REQUESTS_MAX: u64 = 5_000_000;
/// The rate of the group `pace` and its number of runs.
const CHECKS_PER_SECOND: u32 = 10_000;
const PACED_RUNS: u32 = 5;

fn main() -> AnyResult<ExitCode> {
    let options = BenchOptions::from_arguments()?;
    if std::env::var_os(PINNED).is_none() {
        let mut pinned_copy = Command::new("taskset");
        pinned_copy
            .args(["-c", LOAD_CORE])
            .arg(std::env::current_exe()?)
            .args(std::env::args_os().skip(1));
        // `exec` only returns on failure.
        return Err(format!(
            "taskset of util-linux is needed: {}",
            pinned_copy.env(PINNED, "1").exec()
        )
        .into());
    }
    menshen::keys::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(options))
}

/// The command line options.
#[derive(Clone, Debug)]
struct BenchOptions {
    /// The only group to run.
    group: Option<Group>,
    /// A database on the PostgreSQL server of the group `sessions`.
    database: Option<Url>,
    rounds: u32,
    duration: Duration,
    connections: usize,
    /// The name of the only variant to run, for use with a profiler.
    only: Option<String>,
}

/// Variants that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Proxy,
    Checks,
    Pace,
    /// Runs only when a database is given.
    Sessions,
}

impl BenchOptions {
    fn from_arguments() -> AnyResult<Self> {
        let mut options = Self {
            group: None,
            database: None,
            rounds: 7,
            duration: Duration::from_secs(2),
            connections: 16,
            only: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--group" => {
                    options.group = Some(match value()?.as_str() {
                        "proxy" => Group::Proxy,
                        "checks" => Group::Checks,
                        "pace" => Group::Pace,
                        "sessions" => Group::Sessions,
                        _ => return Err("the groups are proxy, checks, pace and sessions".into()),
                    });
                }
                "--database" => options.database = Some(value()?.parse()?),
                "--rounds" => options.rounds = value()?.parse::<u32>()?.clamp(1, 100),
                "--seconds" => {
                    let seconds = value()?.parse::<f64>()?.clamp(0.1, 30.0);
                    options.duration = Duration::from_secs_f64(seconds);
                }
                "--connections" => options.connections = value()?.parse::<usize>()?.clamp(1, 1_000),
                "--only" => options.only = Some(value()?),
                // Cargo adds this argument.
                "--bench" => {}
                _ => return Err(format!("unknown argument {argument}").into()),
            }
        }
        Ok(options)
    }

    fn includes(&self, group: Group) -> bool {
        self.group.is_none_or(|only| only == group)
    }

    fn selects(&self, variant: &Variant) -> bool {
        self.only.as_ref().is_none_or(|only| variant.name == only)
    }
}

/// A measurement: a request and the server that it is sent to.
struct Variant {
    name: &'static str,
    /// The processes whose processor time counts, including their children.
    pids: Vec<u32>,
    address: SocketAddr,
    request: LoadRequest,
}

async fn run(options: BenchOptions) -> AnyResult<ExitCode> {
    // The load and the upstream never sleep. Waking a sleeping processor costs the sender time, and
    // real clients and upstreams are on other machines.
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    if !proxies::has_nginx() {
        println!("nginx is not installed; its rows are omitted");
    }
    let mut failed = 0;
    if options.includes(Group::Proxy) {
        let servers = forwarding::ProxyServers::start().await?;
        let mut variants = servers.variants().await?;
        variants.retain(|variant| options.selects(variant));
        for variant in &variants {
            servers.check(variant).await?;
        }
        failed += measure_throughput(&variants, &options).await?;
    }
    if options.includes(Group::Checks) || options.includes(Group::Pace) {
        let servers = checking::CheckServers::start().await?;
        if options.includes(Group::Checks) {
            let mut variants = servers.variants();
            variants.retain(|variant| options.selects(variant));
            for variant in &variants {
                servers.check(variant).await?;
            }
            failed += measure_throughput(&variants, &options).await?;
        }
        if options.includes(Group::Pace) {
            let mut variants = servers.variants_at_rate();
            variants.retain(|variant| options.selects(variant));
            for variant in &variants {
                servers.check(variant).await?;
            }
            failed += measure_at_rate(&variants, &options).await?;
        }
    }
    match &options.database {
        Some(database) if options.includes(Group::Sessions) => {
            failed += measure_sessions(database, &options).await?;
        }
        None if options.group == Some(Group::Sessions) => {
            return Err("the group sessions needs --database postgres://…".into());
        }
        Some(_) | None => {}
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures requests, starts, and logins beside a deletion with databases of several sizes. Returns the
/// number of failures.
async fn measure_sessions(database: &Url, options: &BenchOptions) -> AnyResult<u64> {
    let servers = sessions::SessionServers::start(database).await?;
    let variants = servers.variants();
    for variant in &variants {
        servers.check(variant).await?;
    }
    let mut failed = measure_throughput(&variants, options).await?;
    failed += servers.print_starts();
    servers.measure_deletion().await?;
    servers.remove().await?;
    Ok(failed)
}

/// Measures each variant at full speed in every round. Returns the number of failed requests.
async fn measure_throughput(variants: &[Variant], options: &BenchOptions) -> AnyResult<u64> {
    let mut report = Report::new(variants.iter().map(|variant| variant.name));
    for _ in 0..options.rounds {
        for variant in variants {
            let (request, clients) = (&variant.request, options.connections);
            let mut load = Load::open(variant.address, request, clients).await?;
            let warm_up = load.run(options.duration / 10, REQUESTS_MAX).await?;
            let row = measure(variant, warm_up.failed, async {
                load.run(options.duration, REQUESTS_MAX).await
            });
            report.add(variant.name, row.await?);
        }
    }
    report.print(options.rounds, options.duration, options.connections);
    Ok(report.failed())
}

/// Measures each variant at a fixed rate. Returns the number of failed requests.
async fn measure_at_rate(variants: &[Variant], options: &BenchOptions) -> AnyResult<u64> {
    let mut report = Report::new(variants.iter().map(|variant| variant.name));
    for _ in 0..PACED_RUNS {
        for variant in variants {
            let (request, clients) = (&variant.request, options.connections);
            let mut load = Load::open(variant.address, request, clients).await?;
            let rate = CHECKS_PER_SECOND;
            let warm_up = load.run_at_rate(rate, options.duration / 10).await?;
            let row = measure(variant, warm_up.failed, async {
                load.run_at_rate(rate, options.duration).await
            });
            report.add(variant.name, row.await?);
        }
    }
    report.print_at_rate(CHECKS_PER_SECOND, options.duration, options.connections);
    Ok(report.failed())
}

/// Runs a load and measures the processor time of the servers.
async fn measure(
    variant: &Variant,
    failed_before: u64,
    load: impl Future<Output = std::io::Result<Tally>>,
) -> AnyResult<Row> {
    let mut clock = cpu::CpuClock::of(&variant.pids)?;
    let before = clock.read()?;
    let tally = load.await?;
    let cpu_ns = clock.read()?.saturating_sub(before);
    Ok(Row::of(cpu_ns, tally, failed_before))
}
