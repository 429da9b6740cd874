//! What one login costs beside the hash of its password, and how long it keeps other requests from running.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

use super::Outcome;
use super::site::{LOGINS, PASSWORD, Site};
use super::statistics::{median, ms};

/// How much more than a hash a login may cost.
const TARGET_MS: f64 = 1.0;
/// How often the observer wants to run.
const TICK: Duration = Duration::from_millis(1);

pub(super) async fn measure(folder: &Path, logins: usize) -> Outcome<()> {
    let site = Site::start(folder, "cost").await?;
    let source = site.source("argon2id")?;
    // The first login creates the account.
    source.sign_in(LOGINS[0]).await?;
    let (mut hashes, mut whole) = (Vec::new(), Vec::new());
    let observer = Observer::start();
    // They alternate, so that load on the machine affects both.
    for _ in 0..logins {
        hashes.push(ms(tokio::task::spawn_blocking(hash_once).await??));
        let begun_at = Instant::now();
        source.sign_in(LOGINS[0]).await?;
        whole.push(ms(begun_at.elapsed()));
    }
    let longest = observer.stop().await?;
    site.stop().await;
    let (hash, whole) = (median(&mut hashes), median(&mut whole));
    let verdict = match whole - hash <= TARGET_MS {
        true => "within",
        false => "ABOVE",
    };
    println!(
        "\n{logins} logins one after the other, argon2id with the parameters of `menshen passwd`, SQLite\n"
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
