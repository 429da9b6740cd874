//! What a request costs in menshen, beside nginx, on this machine and on loopback only.
//!
//! `cargo bench --bench side_by_side [-- --group G --rounds N --seconds S --connections C]`. The proxies run on
//! core 0, the load and the upstream on core 1; the variants take turns. See `benches/README.md`.

use std::error::Error;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use load::{Ask, Load, Tally};
use report::{Report, Row};

mod checking;
mod cpu;
mod forwarding;
mod grpc;
mod load;
mod proxies;
mod report;
mod sign_in;
mod upstream;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;
mod wire;

type Outcome<T> = Result<T, Box<dyn Error>>;

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
    /// Leaves out the other groups.
    group: Option<Group>,
    rounds: u32,
    measured: Duration,
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

impl Effort {
    fn from_arguments() -> Outcome<Self> {
        let mut effort = Self {
            group: None,
            rounds: 7,
            measured: Duration::from_secs(2),
            connections: 16,
            only: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--group" => {
                    effort.group = Some(match value()?.as_str() {
                        "proxy" => Group::Proxy,
                        "checks" => Group::Checks,
                        "pace" => Group::Pace,
                        _ => return Err("the groups are proxy, checks and pace".into()),
                    });
                }
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

    fn includes(&self, group: Group) -> bool {
        self.group.is_none_or(|only| only == group)
    }

    fn keeps(&self, variant: &Variant) -> bool {
        self.only.as_ref().is_none_or(|only| variant.name == only)
    }
}

/// One thing to measure: who is asked what.
struct Variant {
    name: &'static str,
    /// Whose processor time it is, with that of their children.
    pids: Vec<u32>,
    address: SocketAddr,
    ask: Ask,
}

async fn run(effort: Effort) -> Outcome<ExitCode> {
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
    if effort.includes(Group::Proxy) {
        let stage = forwarding::Stage::set().await?;
        let mut variants = stage.variants().await?;
        variants.retain(|variant| effort.keeps(variant));
        for variant in &variants {
            stage.check(variant).await?;
        }
        failed += in_turns(&variants, &effort).await?;
    }
    if effort.includes(Group::Checks) || effort.includes(Group::Pace) {
        let stage = checking::Stage::set().await?;
        if effort.includes(Group::Checks) {
            let mut variants = stage.variants();
            variants.retain(|variant| effort.keeps(variant));
            for variant in &variants {
                stage.check(variant).await?;
            }
            failed += in_turns(&variants, &effort).await?;
        }
        if effort.includes(Group::Pace) {
            let mut variants = stage.paced();
            variants.retain(|variant| effort.keeps(variant));
            for variant in &variants {
                stage.check(variant).await?;
            }
            failed += at_a_pace(&variants, &effort).await?;
        }
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures each variant in every round, as fast as it goes; how many answers were wrong.
async fn in_turns(variants: &[Variant], effort: &Effort) -> Outcome<u64> {
    let mut report = Report::new(variants.iter().map(|variant| variant.name));
    for _ in 0..effort.rounds {
        for variant in variants {
            let (ask, lines) = (&variant.ask, effort.connections);
            let mut load = Load::open(variant.address, ask, lines).await?;
            let warm = load.run(effort.measured / 10, REQUESTS_MAX).await?;
            let row = measured(variant, warm.failed, async {
                load.run(effort.measured, REQUESTS_MAX).await
            });
            report.add(variant.name, row.await?);
        }
    }
    report.print(effort.rounds, effort.measured, effort.connections);
    Ok(report.failed())
}

/// Asks each variant by a schedule, run after run; how many answers were wrong.
async fn at_a_pace(variants: &[Variant], effort: &Effort) -> Outcome<u64> {
    let mut report = Report::new(variants.iter().map(|variant| variant.name));
    for _ in 0..PACED_RUNS {
        for variant in variants {
            let (ask, lines) = (&variant.ask, effort.connections);
            let mut load = Load::open(variant.address, ask, lines).await?;
            let rate = CHECKS_PER_SECOND;
            let warm = load.paced(rate, effort.measured / 10).await?;
            let row = measured(variant, warm.failed, async {
                load.paced(rate, effort.measured).await
            });
            report.add(variant.name, row.await?);
        }
    }
    report.print_paced(CHECKS_PER_SECOND, effort.measured, effort.connections);
    Ok(report.failed())
}

/// What a load came to, with the processor time that it took.
async fn measured(
    variant: &Variant,
    failed_before: u64,
    load: impl Future<Output = std::io::Result<Tally>>,
) -> Outcome<Row> {
    let mut clock = cpu::Clock::of(&variant.pids)?;
    let before = clock.read()?;
    let tally = load.await?;
    let spent = clock.read()?.saturating_sub(before);
    Ok(Row::of(spent, tally, failed_before))
}
