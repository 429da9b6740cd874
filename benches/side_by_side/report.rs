//! Prints the results as medians with minimum and maximum.

use std::time::Duration;

use crate::load::Tally;

/// nginx that only forwards.
pub(crate) const NGINX: &str = "nginx, plain";
/// nginx with forwarding headers and an access log.
pub(crate) const NGINX_USUAL: &str = "nginx, forwarding headers, log";
/// A public route of menshen.
pub(crate) const PUBLIC: &str = "menshen, public";
/// A route of menshen for signed-in users.
pub(crate) const SIGNED_IN: &str = "menshen, signed in";
/// The same with an access log.
pub(crate) const LOGGED: &str = "menshen, signed in, log";

/// nginx that sends checks to an nginx that returns 204.
pub(crate) const NGINX_ASKS_204: &str = "nginx asks nginx: 204";
/// The same with the response headers of menshen.
pub(crate) const NGINX_ASKS_204_IDENTITY: &str = "nginx asks nginx: 204, identity";
/// nginx that sends checks to menshen.
pub(crate) const NGINX_ASKS_MENSHEN: &str = "nginx asks menshen";
/// The same with menshen's access log.
pub(crate) const NGINX_ASKS_MENSHEN_LOGGED: &str = "nginx asks menshen, log";
/// Checks sent to menshen as nginx sends them.
pub(crate) const CHECK_AUTH: &str = "check /auth";
/// Checks sent to menshen as Envoy sends them over HTTP.
pub(crate) const CHECK_ENVOY: &str = "check /ext_authz";
/// nginx that returns 204, without a check.
pub(crate) const NGINX_ANSWERS_204: &str = "nginx says 204";
/// Checks sent to menshen as four threads of Envoy send them over gRPC.
pub(crate) const CHECK_GRPC_4: &str = "check gRPC, 4 connections";
/// The same with one thread.
pub(crate) const CHECK_GRPC_1: &str = "check gRPC, 1 connection";

/// A route of menshen for signed-in users, with a single session in PostgreSQL.
pub(crate) const SESSIONS_1: &str = "1 session";
/// The same with more sessions.
pub(crate) const SESSIONS_100_000: &str = "100,000 sessions";
/// The same with still more sessions.
pub(crate) const SESSIONS_1_000_000: &str = "1,000,000 sessions";

/// Two variants and the maximum ratio of their processor times; `None`: no limit.
const RATIO_LIMITS: [(&str, &str, Option<f64>); 9] = [
    (SIGNED_IN, NGINX, Some(1.3)),
    (SIGNED_IN, PUBLIC, Some(1.1)),
    (NGINX_ASKS_MENSHEN, NGINX_ASKS_204, Some(1.3)),
    (NGINX_ASKS_MENSHEN_LOGGED, NGINX_ASKS_204, None),
    (NGINX_ASKS_MENSHEN, NGINX_ASKS_204_IDENTITY, None),
    (CHECK_GRPC_4, CHECK_ENVOY, Some(2.0)),
    (CHECK_GRPC_1, CHECK_ENVOY, Some(2.0)),
    (SESSIONS_100_000, SESSIONS_1, Some(1.1)),
    (SESSIONS_1_000_000, SESSIONS_1, Some(1.1)),
];
/// The maximum 99th percentile of the median run at a fixed rate, in microseconds.
const P99_US_MAX: f64 = 1000.0;

/// The result of a variant in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    cpu_us: f64,
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    failed: u64,
}

impl Row {
    /// Computes the result from the processor time of the proxy and its responses.
    pub(crate) fn of(cpu_ns: u64, mut tally: Tally, failed_before: u64) -> Self {
        let answered = tally.answered.max(1) as f64;
        tally.latencies_ns.sort_unstable();
        let quantile_us = |share: f64| {
            let last = tally.latencies_ns.len().saturating_sub(1);
            let index = (last as f64 * share) as usize;
            tally
                .latencies_ns
                .get(index)
                .map_or(f64::NAN, |ns| f64::from(*ns) / 1e3)
        };
        Self {
            cpu_us: cpu_ns as f64 / answered / 1e3,
            per_second: answered / tally.elapsed.as_secs_f64(),
            p50_us: quantile_us(0.5),
            p99_us: quantile_us(0.99),
            failed: tally.failed + failed_before,
        }
    }
}

/// The results of all variants and rounds.
#[derive(Debug)]
pub(crate) struct Report(Vec<(&'static str, Vec<Row>)>);

impl Report {
    pub(crate) fn new(names: impl Iterator<Item = &'static str>) -> Self {
        Self(names.map(|name| (name, Vec::new())).collect())
    }

    pub(crate) fn add(&mut self, name: &str, row: Row) {
        if let Some((_, rows)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            rows.push(row);
        }
    }

    /// The number of failed requests.
    pub(crate) fn failed(&self) -> u64 {
        self.0
            .iter()
            .flat_map(|(_, rows)| rows)
            .map(|row| row.failed)
            .sum()
    }

    /// Prints the table and the ratios with their limits.
    pub(crate) fn print(&self, rounds: u32, measured: Duration, connections: usize) {
        println!(
            "{rounds} rounds of {:.1} s, {connections} connections, proxies on one core",
            measured.as_secs_f64()
        );
        println!(
            "{:<32}{:>24}{:>11}{:>9}{:>9}{:>8}",
            "", "CPU us per request", "per s", "p50 us", "p99 us", "failed"
        );
        for (name, rows) in &self.0 {
            let of = |pick: fn(&Row) -> f64| Spread::of(rows.iter().map(pick));
            println!(
                "{name:<32}{:>24}{:>11.0}{:>9.0}{:>9.0}{:>8}",
                of(|row| row.cpu_us).to_string(),
                of(|row| row.per_second).median,
                of(|row| row.p50_us).median,
                of(|row| row.p99_us).median,
                rows.iter().map(|row| row.failed).sum::<u64>(),
            );
        }
        for (one, other, max) in RATIO_LIMITS {
            let (Some(ours), Some(theirs)) = (self.rows(one), self.rows(other)) else {
                continue;
            };
            let ratio = Spread::of(ours.iter().zip(theirs).map(|(a, b)| a.cpu_us / b.cpu_us));
            println!("{one} / {other}: {ratio}{}", verdict(ratio.median, max));
        }
    }

    /// Prints the results at a fixed rate, run by run.
    pub(crate) fn print_at_rate(&self, per_second: u32, duration: Duration, clients: usize) {
        let seconds = duration.as_secs_f64();
        println!("{per_second} requests per second, {clients} clients, {seconds:.1} s per run");
        let titles = ["p50 us", "p99 us of each run", "CPU us", "per s", "failed"];
        let [p50, p99, cpu, rate, failed] = titles;
        println!("{:<32}{p50:>9}{p99:>40}{cpu:>9}{rate:>9}{failed:>8}", "");
        for (name, rows) in &self.0 {
            let of = |pick: fn(&Row) -> f64| Spread::of(rows.iter().map(pick)).median;
            let p99_of_runs = rows.iter().map(|row| format!("{:.0}", row.p99_us));
            let p99_of_runs: Vec<_> = p99_of_runs.collect();
            println!(
                "{name:<32}{:>9.0}{:>40}{:>9.2}{:>9.0}{:>8}",
                of(|row| row.p50_us),
                p99_of_runs.join(" "),
                of(|row| row.cpu_us),
                of(|row| row.per_second),
                rows.iter().map(|row| row.failed).sum::<u64>(),
            );
        }
        for (name, rows) in &self.0 {
            let p99 = Spread::of(rows.iter().map(|row| row.p99_us)).median;
            let max = (*name != NGINX_ANSWERS_204).then_some(P99_US_MAX);
            let verdict = verdict(p99, max);
            println!("{name}, p99 of the median run: {p99:.0} us{verdict}");
        }
    }

    fn rows(&self, name: &str) -> Option<&[Row]> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, rows)| rows.as_slice())
    }
}

/// Says whether a number is within its limit.
fn verdict(number: f64, max: Option<f64>) -> String {
    let Some(max) = max else {
        return String::new();
    };
    let word = if number <= max { "within" } else { "ABOVE" };
    format!("  {word} the limit of {max}")
}

/// The median, minimum and maximum of some numbers.
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self {
            min: at(0),
            median: at(sorted.len() / 2),
            max: at(last),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}-{:.2})", self.median, self.min, self.max)
    }
}
