//! Measures logins with a password: what one costs beside the hash of its password, how many are served at once,
//! and whether their time tells an unknown user name from a wrong password.
//!
//! `cargo bench --bench password_login [-- --only cost|rate|timing --logins N --tries N]` prints a table for each.
//! The targets: a login costs at most a millisecond more than one hash; 200 logins per second and core beside the
//! hashes; an unknown user name differs from a wrong password by less than two people do.

mod cost;
mod rate;
mod site;
mod statistics;
mod timing;

#[path = "../../examples/demo/ldap_directory.rs"]
mod ldap_directory;

use std::error::Error;
use std::fs;

use menshen::keys;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the arguments choose.
struct Options {
    /// The name of a measurement; all of them without it.
    only: Option<String>,
    /// How many logins `cost` and `rate` measure.
    logins: usize,
    /// How often `timing` tries each user name.
    tries: usize,
}

fn main() -> Outcome<()> {
    keys::install_crypto();
    let options = options()?;
    let folder = std::env::temp_dir().join(format!("menshen-bench-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let is_chosen = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let measure = || -> Outcome<()> {
        // One thread serves requests, so that whatever blocks it is seen.
        let runtime = || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
        };
        if is_chosen("cost") {
            runtime()?.block_on(cost::measure(&folder, options.logins))?;
        }
        if is_chosen("rate") {
            tokio::runtime::Runtime::new()?.block_on(rate::measure(&folder, options.logins))?;
        }
        if is_chosen("timing") {
            runtime()?.block_on(timing::measure(&folder, options.tries))?;
        }
        Ok(())
    };
    let measured = measure();
    fs::remove_dir_all(&folder)?;
    measured
}

fn options() -> Outcome<Options> {
    let mut options = Options {
        only: None,
        logins: 100,
        tries: 1_000,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--only" => options.only = Some(value()?),
            "--logins" => options.logins = value()?.parse::<usize>()?.clamp(1, 10_000),
            "--tries" => options.tries = value()?.parse::<usize>()?.clamp(1, 10_000),
            // Added by cargo.
            "--bench" => {}
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    match options.only.as_deref() {
        None | Some("cost" | "rate" | "timing") => Ok(options),
        Some(other) => Err(format!("--only takes cost, rate or timing, not {other}").into()),
    }
}
