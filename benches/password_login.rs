//! Measures logins with a password at a connector `local`: what one costs beside the hash of its password, and
//! how long it keeps other requests from running.
//!
//! `cargo bench --bench password_login [-- --logins N]` prints a table. The target: a login costs at most a
//! millisecond more than one hash.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::keys;
use menshen::login::connector::local::PasswordHash;
use menshen::login::connector::{AuthnRequest, AuthnResponse};
use menshen::login::fields::Fields;
use menshen::login::return_to::ReturnTo;
use menshen::login::{BeginRequest, Login};
use menshen::run::{self, Running};
use menshen::store::{ConnectorId, SessionOrigin};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PASSWORD: &str = "correct horse battery staple";
const TARGET_MS: f64 = 1.0;
/// How often the observer wants to run.
const TICK: Duration = Duration::from_millis(1);

fn main() -> Outcome<()> {
    keys::install_crypto();
    let mut logins = 100;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--logins" => {
                let number = arguments.next().ok_or("--logins needs a number")?;
                logins = number.parse::<usize>()?.clamp(1, 10_000);
            }
            // Added by cargo.
            "--bench" => {}
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    // One thread serves requests, so that whatever blocks it is seen.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let folder = std::env::temp_dir().join(format!("menshen-bench-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let measured = runtime.block_on(measure(&folder, logins));
    fs::remove_dir_all(&folder)?;
    measured
}

async fn measure(folder: &Path, logins: usize) -> Outcome<()> {
    let running = start(folder).await?;
    let login = running.live().site().login.clone();
    let connector = ConnectorId::try_from("house".to_owned())?;
    // The first login creates the account.
    sign_in(&login, &connector).await?;
    let (mut hashes, mut whole) = (Vec::new(), Vec::new());
    let observer = Observer::start();
    // They alternate, so that load on the machine affects both.
    for _ in 0..logins {
        hashes.push(tokio::task::spawn_blocking(hash_once).await??);
        let begun_at = Instant::now();
        sign_in(&login, &connector).await?;
        whole.push(begun_at.elapsed());
    }
    let longest = observer.stop().await?;
    running.stop().await;
    let (hash, whole) = (median_ms(hashes), median_ms(whole));
    let verdict = match whole - hash <= TARGET_MS {
        true => "within",
        false => "ABOVE",
    };
    println!(
        "{logins} logins one after the other, argon2id with the parameters of `menshen passwd`, SQLite"
    );
    println!("| | ms, median |");
    println!("|---|---|");
    println!("| one hash alone | {hash:.1} |");
    println!("| one login | {whole:.1} |");
    println!(
        "| their difference, {verdict} the target of {TARGET_MS} | {:.1} |",
        whole - hash
    );
    println!(
        "| the longest wait of another task, beyond its {} ms | {:.1} |",
        TICK.as_millis(),
        ms(longest)
    );
    Ok(())
}

async fn start(folder: &Path) -> Outcome<Running> {
    let hash = PasswordHash::create(PASSWORD)?;
    let people = folder.join("people.toml");
    fs::write(&people, format!("[zhangsan]\npassword = '{hash}'\n"))?;
    let text = format!(
        "[server]\nlisten = ['127.0.0.1:0']\nexternal_url = 'http://localhost'\n\
         [store]\nurl = 'sqlite://{}/menshen.db'\n[log]\nlevel = 'error'\n\
         [login]\nbegins_per_minute = 1_000_000\nfinishes_per_minute = 1_000_000\n\
         [connector.house.local]\npeople = '{}'\n",
        folder.display(),
        people.display()
    );
    Ok(run::start(Config::parse(&text, "bench.toml")?, Clock::system()).await?)
}

async fn sign_in(login: &Login, connector: &ConnectorId) -> Outcome<()> {
    let begun = login.begin(begin_request(connector)).await?;
    let fields = [("login", "zhangsan"), ("password", PASSWORD)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let response = AuthnResponse {
        fields: Fields::new(fields.to_vec()),
        client: None,
        origin: SessionOrigin::default(),
        kind: None,
    };
    match &*login.finish(begun.pending, response).await? {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().into()),
    }
}

fn begin_request(via: &ConnectorId) -> BeginRequest<'_> {
    BeginRequest {
        via,
        mode: None,
        return_to: ReturnTo::login_host_root(),
        automatic: false,
        retries: 0,
        ticket_for: None,
        for_frame: false,
        replaces: None,
        client: None,
        user_agent: "benchmark",
        authn: AuthnRequest::default(),
        link_to: None,
    }
}

/// The time of one hash with the parameters of `menshen passwd`.
fn hash_once() -> Result<Duration, argon2::Error> {
    let argon2id = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    let begun_at = Instant::now();
    argon2id.hash_password_into(PASSWORD.as_bytes(), &[7; 16], &mut [0; 32])?;
    Ok(begun_at.elapsed())
}

/// A task that wants to run every millisecond, as requests of other people do.
struct Observer {
    ended: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Duration>,
}

impl Observer {
    fn start() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let ended = Arc::clone(&ended);
            async move {
                let mut longest = Duration::ZERO;
                while !ended.load(Ordering::Relaxed) {
                    let begun_at = Instant::now();
                    tokio::time::sleep(TICK).await;
                    longest = longest.max(begun_at.elapsed().saturating_sub(TICK));
                }
                longest
            }
        });
        Self { ended, task }
    }

    /// The longest time that it waited for the thread.
    async fn stop(self) -> Outcome<Duration> {
        self.ended.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn median_ms(mut durations: Vec<Duration>) -> f64 {
    durations.sort();
    durations.get(durations.len() / 2).copied().map_or(0.0, ms)
}
