//! How many logins per second one core serves, when many people sign in at once.

use std::path::Path;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Outcome;
use super::site::{LOGINS, Site};
use super::statistics::process_seconds;

/// Logins per second and core.
const TARGET: f64 = 200.0;
/// How many people sign in at the same time.
const AT_ONCE: usize = 16;

/// The connectors that are measured. A hash is slow on purpose, so the target is for the directory, which
/// computes none here.
const SOURCES: [(&str, bool); 3] = [("ldap", true), ("bcrypt", false), ("argon2id", false)];

pub(super) async fn measure(folder: &Path, logins: usize) -> Outcome<()> {
    let site = Site::start(folder, "rate").await?;
    println!(
        "\n{logins} logins, {AT_ONCE} at once, SQLite; processor time of this process, with the directory\n"
    );
    println!("| connector | logins per second | per second of processor time |");
    println!("|---|---|---|");
    for (connector, has_target) in SOURCES {
        let source = &site.source(connector)?;
        // The hash of bcrypt is of another password.
        let expected = connector != "bcrypt";
        let (begun_at, used) = (Instant::now(), process_seconds()?);
        let all = stream::iter(0..logins).map(|number| async move {
            let attempt = source
                .begin(LOGINS[number % 2], super::site::PASSWORD)
                .await?;
            attempt.finish().await
        });
        let outcomes: Vec<bool> = all.buffer_unordered(AT_ONCE).try_collect().await?;
        let (elapsed, used) = (begun_at.elapsed(), process_seconds()? - used);
        if outcomes.iter().any(|outcome| *outcome != expected) {
            return Err(format!("a login at {connector} has another result").into());
        }
        let per_core = logins as f64 / used;
        let verdict = match (has_target, per_core >= TARGET) {
            (false, _) => "",
            (true, true) => ", within the target of 200",
            (true, false) => ", BELOW the target of 200",
        };
        println!(
            "| {connector} | {:.0} | {per_core:.0}{verdict} |",
            logins as f64 / elapsed.as_secs_f64()
        );
    }
    site.stop().await;
    Ok(())
}
