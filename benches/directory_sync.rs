//! Measures directory syncs of a generated company: the first one, and one after a hundredth of the people
//! changed; and how long a login waits while a sync writes.
//!
//! `cargo bench --bench directory_sync [-- --people N --departments N]` prints a table. The targets for
//! 20,000 people in 800 departments: 60 s, 10 s after changes, 150 MB.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
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

#[path = "../examples/demo/simulated_http.rs"]
mod simulated_http;
#[path = "../examples/demo/wecom.rs"]
mod wecom;

use wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The argument with which this program runs itself as the simulated WeCom, so that its memory does not
/// count.
const SIMULATE: &str = "--simulate-wecom";
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
    let mut simulates = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next();
            number.ok_or_else(|| format!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--people" => company.people = number()?.parse::<u32>()?.clamp(100, 100_000),
            "--departments" => company.departments = number()?.parse::<u32>()?.clamp(1, 5_000),
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
        true => runtime.block_on(simulate(company)),
        false => runtime.block_on(measure(company)),
    }
}

/// Runs the simulated WeCom: prints its address, and changes people for each line that it reads.
async fn simulate(company: Company) -> Outcome<()> {
    let wecom = WeCom::start(Options::default()).await?;
    wecom.generate_company(company.people, company.departments);
    println!("{}", wecom.base_url());
    let mut lines = std::io::stdin().lines();
    let mut round = 0;
    while let Some(Ok(_)) = tokio::task::block_in_place(|| lines.next()) {
        round += 1;
        wecom.members(|members| {
            for member in members.iter_mut().step_by(100) {
                member.name = format!("{} {round}", member.userid);
            }
        });
        println!("changed");
    }
    Ok(())
}

/// The simulated WeCom in a process of its own.
struct SimulatedWeCom {
    process: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
    base_url: String,
}

impl SimulatedWeCom {
    fn start(company: Company) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SIMULATE)
            .args(["--people", &company.people.to_string()])
            .args(["--departments", &company.departments.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let mut wecom = Self {
            process,
            input: input.ok_or("no input")?,
            output: BufReader::new(output.ok_or("no output")?),
            base_url: String::new(),
        };
        wecom.base_url = wecom.line()?;
        Ok(wecom)
    }

    /// Changes the name of every hundredth person.
    fn change(&mut self) -> Outcome<()> {
        writeln!(self.input, "change")?;
        self.line().map(drop)
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for SimulatedWeCom {
    fn drop(&mut self) {
        // It ends by itself when its input ends.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn measure(company: Company) -> Outcome<()> {
    let mut wecom = SimulatedWeCom::start(company)?;
    let folder = std::env::temp_dir().join(format!("menshen-bench-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let text = format!(
        "[server]\nlisten = ['127.0.0.1:0']\nexternal_url = 'http://localhost'\n\
         [store]\nurl = 'sqlite://{}/menshen.db'\n[log]\nlevel = 'error'\n\
         [connector.corp.wecom]\ncorp_id = '{CORP_ID}'\nagent_id = {AGENT_ID}\nsecret = '{SECRET}'\n\
         api_base = '{}'\n",
        folder.display(),
        wecom.base_url
    );
    let running = run::start(Config::parse(&text, "bench.toml")?, Clock::system()).await?;
    let mut rows = Vec::new();
    for (name, changes) in [
        ("first", false),
        ("nothing changed", false),
        ("1 % changed", true),
    ] {
        if changes {
            wecom.change()?;
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
    println!("{people} people in {departments} departments, SQLite");
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
    }
}

/// The most memory that this process had so far.
fn peak_memory_mb() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kb.ok_or("no VmHWM")?.parse::<u64>()? / 1_024)
}
