//! What a request costs in menshen, beside nginx, on this machine and on loopback only.
//!
//! `cargo bench --bench side_by_side [-- --group G --rounds N --seconds S --connections C]`. The proxies run on
//! core 0, the load and the upstream on core 1; the variants take turns. See `benches/README.md`.

use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use load::{Load, LoadRequest, Tally};
use report::{Report, Row};

mod checking;
mod cpu;
mod forwarding;
mod grpc;
mod http1;
mod load;
mod proxies;
mod report;
mod sign_in;
mod upstream;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;

type AnyResult<T> = Result<T, Box<dyn Error>>;

/// Where the proxies run.
const PROXY_CORE: &str = "0";
/// Where the load and the upstream run.
const LOAD_CORE: &str = "1";
/// Set for the copy of this program that is pinned.
const PINNED: &str = "MENSHEN_SIDE_BY_SIDE_PINNED";
/// A variant stops early rather than send more.
const REQUESTS_MAX: u64 = 5_000_000;
/// How often menshen is asked at a pace, and how many runs there are.
const CHECKS_PER_SECOND: u32 = 10_000;
const PACED_RUNS: u32 = 5;

fn main() -> AnyResult<ExitCode> {
    let options = BenchOptions::from_arguments()?;
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
    runtime.block_on(run(options))
}

/// How much is asked.
#[derive(Clone, Debug)]
struct BenchOptions {
    /// Leaves out the other groups.
    group: Option<Group>,
    rounds: u32,
    duration: Duration,
    connections: usize,
    /// Leaves out the variants whose name is another; for a profiler that looks on.
    only: Option<String>,
}

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Proxy,
    Checks,
    Pace,
}

impl BenchOptions {
    fn from_arguments() -> AnyResult<Self> {
        let mut options = Self {
            group: None,
            rounds: 7,
            duration: Duration::from_secs(2),
            connections: 16,
            only: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--group" => {
                    options.group = Some(match value()?.as_str() {
                        "proxy" => Group::Proxy,
                        "checks" => Group::Checks,
                        "pace" => Group::Pace,
                        _ => return Err("the groups are proxy, checks and pace".into()),
                    });
                }
                "--rounds" => options.rounds = value()?.parse::<u32>()?.clamp(1, 100),
                "--seconds" => {
                    let seconds = value()?.parse::<f64>()?.clamp(0.1, 30.0);
                    options.duration = Duration::from_secs_f64(seconds);
                }
                "--connections" => options.connections = value()?.parse::<usize>()?.clamp(1, 1_000),
                "--only" => options.only = Some(value()?),
                // What cargo adds.
                "--bench" => {}
                _ => return Err(format!("unknown argument {word}").into()),
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

/// One thing to measure: who is asked what.
struct Variant {
    name: &'static str,
    /// Whose processor time it is, with that of their children.
    pids: Vec<u32>,
    address: SocketAddr,
    request: LoadRequest,
}

async fn run(options: BenchOptions) -> AnyResult<ExitCode> {
    // The load and the upstream never sleep: to wake a sleeping processor costs whoever sends to
    // it, the more the slower they are, and real clients and upstreams are on other machines.
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    if !proxies::has_nginx() {
        println!("nginx is not installed here; its rows are left out");
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
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures each variant in every round, as fast as it goes; how many answers were wrong.
async fn measure_throughput(variants: &[Variant], options: &BenchOptions) -> AnyResult<u64> {
    let mut report = Report::new(variants.iter().map(|variant| variant.name));
    for _ in 0..options.rounds {
        for variant in variants {
            let (request, clients) = (&variant.request, options.connections);
            let mut load = Load::open(variant.address, request, clients).await?;
            let warm = load.run(options.duration / 10, REQUESTS_MAX).await?;
            let row = measure(variant, warm.failed, async {
                load.run(options.duration, REQUESTS_MAX).await
            });
            report.add(variant.name, row.await?);
        }
    }
    report.print(options.rounds, options.duration, options.connections);
    Ok(report.failed())
}

/// Asks each variant by a schedule, run after run; how many answers were wrong.
async fn measure_at_rate(variants: &[Variant], options: &BenchOptions) -> AnyResult<u64> {
    let mut report = Report::new(variants.iter().map(|variant| variant.name));
    for _ in 0..PACED_RUNS {
        for variant in variants {
            let (request, clients) = (&variant.request, options.connections);
            let mut load = Load::open(variant.address, request, clients).await?;
            let rate = CHECKS_PER_SECOND;
            let warm = load.run_at_rate(rate, options.duration / 10).await?;
            let row = measure(variant, warm.failed, async {
                load.run_at_rate(rate, options.duration).await
            });
            report.add(variant.name, row.await?);
        }
    }
    report.print_at_rate(CHECKS_PER_SECOND, options.duration, options.connections);
    Ok(report.failed())
}

/// What a load came to, with the processor time that it took.
async fn measure(
    variant: &Variant,
    failed_before: u64,
    load: impl Future<Output = std::io::Result<Tally>>,
) -> AnyResult<Row> {
    let mut clock = cpu::Clock::of(&variant.pids)?;
    let before = clock.read()?;
    let tally = load.await?;
    let cpu_ns = clock.read()?.saturating_sub(before);
    Ok(Row::of(cpu_ns, tally, failed_before))
}
