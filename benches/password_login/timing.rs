//! Whether the time of a refusal tells that nobody has the user name.
//!
//! Each round tries three user names with a wrong password, in random order: two people, and somebody unknown. What
//! the two people differ by is noise. An unknown user name must not differ from a person by more.

use std::path::Path;
use std::time::Instant;

use super::Outcome;
use super::site::{LOGINS, Site, Source};
use super::statistics::{Interval, Random, difference_of_medians, median, ms, rank_sum_z};

/// As long as the others.
const UNKNOWN: &str = "nobodyxx";

/// The largest deviation of a rank sum that is still chance, in 99 of 100 runs.
const Z_MAX: f64 = 2.576;

pub(super) async fn measure(folder: &Path, tries: usize) -> Outcome<()> {
    let site = Site::start(folder, "timing").await?;
    println!(
        "\n{tries} wrong passwords for each of two people and an unknown user name, in random order\n"
    );
    println!(
        "| connector | a person, ms | unknown, ms | unknown − person, µs (95 %) | one person − another, µs (95 %) \
         | rank sum, z | |"
    );
    println!("|---|---|---|---|---|---|---|");
    for connector in ["argon2id", "bcrypt", "ldap"] {
        measure_source(connector, &site.source(connector)?, tries).await?;
    }
    site.stop().await;
    Ok(())
}

async fn measure_source(name: &str, source: &Source, tries: usize) -> Outcome<()> {
    let mut random = Random::new();
    // The first ones open connections and fill caches.
    for login in [LOGINS[0], LOGINS[1], UNKNOWN] {
        time_of_refusal(source, login).await?;
    }
    let mut times = [LOGINS[0], LOGINS[1], UNKNOWN].map(|login| (login, Vec::new()));
    for _ in 0..tries {
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        for index in order {
            let (login, durations) = &mut times[index];
            durations.push(time_of_refusal(source, login).await?);
        }
    }
    let [(_, mut person), (_, other), (_, mut unknown)] = times;
    let difference = difference_of_medians(&unknown, &person, &mut random);
    let noise = difference_of_medians(&other, &person, &mut random);
    let z = rank_sum_z(&unknown, &person);
    let verdict = match is_hidden(&difference, &noise, z) {
        true => "no difference",
        false => "DIFFERS",
    };
    println!(
        "| {name} | {:.3} | {:.3} | {} | {} | {z:.2} | {verdict} |",
        median(&mut person),
        median(&mut unknown),
        in_us(&difference),
        in_us(&noise),
    );
    Ok(())
}

/// Either nothing points to a difference, or it is smaller than what two people may differ by.
fn is_hidden(difference: &Interval, noise: &Interval, z: f64) -> bool {
    let is_noise = difference.middle.abs() <= noise.low.abs().max(noise.high.abs());
    is_noise || (difference.low <= 0.0 && difference.high >= 0.0 && z.abs() <= Z_MAX)
}

fn in_us(interval: &Interval) -> String {
    let [middle, low, high] = [interval.middle, interval.low, interval.high].map(|ms| ms * 1_000.0);
    format!("{middle:.1} ({low:.1} to {high:.1})")
}

/// In milliseconds.
async fn time_of_refusal(source: &Source, login: &str) -> Outcome<f64> {
    let attempt = source.begin(login, "wrong password").await?;
    let begun_at = Instant::now();
    let is_signed_in = attempt.finish().await?;
    let elapsed = begun_at.elapsed();
    match is_signed_in {
        true => Err(format!("{login} is signed in with a wrong password").into()),
        false => Ok(ms(elapsed)),
    }
}
