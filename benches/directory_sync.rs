//! Measures directory syncs of a generated company: the first one, and one after a hundredth of the people
//! changed; and how long a login waits while a sync writes.
//!
//! `cargo bench --bench directory_sync [-- --source wecom|lark|dingtalk --people N --departments N]` prints a
//! table. The targets for 20,000 people in 800 departments: 60 s, 10 s after changes, 150 MB.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::keys;
use menshen::login::directory_sync::SyncRequest;
use menshen::people::AdmissionPolicy;
use menshen::people::directory_sync::{SyncOutcome, SyncReport, SyncScope};
use menshen::people::profile::{AuthContext, Mapping, MappingConfig, Profile};
use menshen::run::{self, Running};

#[path = "../examples/demo/dingtalk.rs"]
mod dingtalk;
#[path = "../examples/demo/lark.rs"]
mod lark;
#[path = "../examples/demo/simulated_http.rs"]
mod simulated_http;
#[path = "directory_sync/source.rs"]
mod source;
#[path = "../examples/demo/wecom.rs"]
mod wecom;

use source::{SIMULATE, Source, SourceKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The pause between two logins that are measured.
const LOGIN_EVERY: Duration = Duration::from_millis(5);

/// The size of the company.
#[derive(Clone, Copy)]
struct Company {
    people: u32,
    departments: u32,
}

fn main() -> Outcome<()> {
    keys::install_crypto();
    let mut company = Company {
        people: 20_000,
        departments: 800,
    };
    let (mut kind, mut simulates) = (SourceKind::WeCom, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--source" => {
                let name = value()?;
                kind = SourceKind::named(&name).ok_or_else(|| format!("no source `{name}`"))?;
            }
            "--people" => company.people = value()?.parse::<u32>()?.clamp(100, 100_000),
            "--departments" => company.departments = value()?.parse::<u32>()?.clamp(1, 5_000),
            SIMULATE => simulates = true,
            // Added by cargo.
            "--bench" => {}
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match simulates {
        true => runtime.block_on(source::simulate(kind, company)),
        false => runtime.block_on(measure(kind, company)),
    }
}

async fn measure(kind: SourceKind, company: Company) -> Outcome<()> {
    let mut source = Source::start(kind, company)?;
    let folder = std::env::temp_dir().join(format!("menshen-bench-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let text = format!(
        "[server]\nlisten = ['127.0.0.1:0']\nexternal_url = 'http://localhost'\n\
         [store]\nurl = 'sqlite://{}/menshen.db'\n[log]\nlevel = 'error'\n{}",
        folder.display(),
        source.connector
    );
    let running = run::start(Config::parse(&text, "bench.toml")?, Clock::system()).await?;
    let mut rows = Vec::new();
    for (name, changes) in [
        ("first", false),
        ("nothing changed", false),
        ("1 % changed", true),
    ] {
        if changes {
            source.change()?;
        }
        let (report, longest) = sync_beside_logins(&running).await?;
        let people = report.people;
        rows.push(format!(
            "| {name} | {:.1} | {} | {:.0} | {} |",
            Duration::from_millis(report.duration_ms).as_secs_f64(),
            people.created + people.updated,
            longest.as_secs_f64() * 1_000.0,
            peak_memory_mb()?
        ));
    }
    running.stop().await;
    fs::remove_dir_all(&folder)?;
    let Company {
        people,
        departments,
    } = company;
    let source = kind.name();
    println!("{source}: {people} people in {departments} departments, SQLite");
    println!("| sync | s | people changed | longest login, ms | peak memory, MB |");
    println!("|---|---|---|---|---|");
    for row in rows {
        println!("{row}");
    }
    Ok(())
}

/// Syncs everything, while one person after another logs in. Returns the longest time that the store took
/// for a login.
async fn sync_beside_logins(running: &Running) -> Outcome<(Arc<SyncReport>, Duration)> {
    let people = running.live().services().people.clone();
    let ended = Arc::new(AtomicBool::new(false));
    let logins = {
        let ended = Arc::clone(&ended);
        tokio::spawn(async move {
            let policy = policy();
            let mut longest = Duration::ZERO;
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                if people.admit(&policy, &profile()).await.is_err() {
                    return None;
                }
                longest = longest.max(begun.elapsed());
                tokio::time::sleep(LOGIN_EVERY).await;
            }
            Some(longest)
        })
    };
    let login = running.live().site().login.clone();
    let request = SyncRequest {
        scope: SyncScope::Everything,
        dry_run: false,
        force: false,
        by: "benchmark".to_owned(),
    };
    let sync = login.start_sync(&"corp".parse()?, request)?;
    let report = sync.report().await.ok_or("the sync failed")?;
    ended.store(true, Ordering::Relaxed);
    if report.outcome != SyncOutcome::Done {
        return Err(format!("{:?}: {:?}", report.outcome, report.problems).into());
    }
    let longest = logins.await?.ok_or("a login was refused")?;
    Ok((report, longest))
}

/// People of another connector, so that the sync does not close them.
fn policy() -> AdmissionPolicy {
    let defaults = [("login", "profile.login")];
    AdmissionPolicy {
        connector: "other".parse().expect("an ID"),
        mapping: Mapping::build(&defaults, &MappingConfig::default(), "other-")
            .expect("the mapping compiles"),
        create: true,
        join: None,
        link_by: Vec::new(),
        sync: true,
    }
}

fn profile() -> Profile {
    Profile {
        subject: "person".parse().expect("a subject"),
        raw: serde_json::json!({ "login": "person" }),
        verified_fields: Vec::new(),
        provider_sid: None,
        auth_context: AuthContext::default(),
        tokens: None,
        response_id: None,
        local_revision: None,
    }
}

/// The most memory that this process had so far.
fn peak_memory_mb() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kb.ok_or("no VmHWM")?.parse::<u64>()? / 1_024)
}
