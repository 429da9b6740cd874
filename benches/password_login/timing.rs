//! Whether the time of a refusal tells that nobody has the user name.
//!
//! Each round tries three user names with a wrong password, in random order: two people, and somebody unknown. What
//! the two people differ by is noise. An unknown user name must not differ from a person by more. The directory
//! refuses after whole seconds, so its rounds run side by side.

use std::path::Path;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Outcome;
use super::site::{LOGINS, Site, Source};
use super::statistics::{Interval, Random, difference_of_medians, median, ms, rank_sum_z};

/// As long as the others.
const UNKNOWN: &str = "nobodyxx";

/// The user names of a round.
const TRIED: [&str; 3] = [LOGINS[0], LOGINS[1], UNKNOWN];

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
    for (connector, at_once) in [("argon2id", 1), ("bcrypt", 1), ("ldap", 20)] {
        measure_source(connector, &site.source(connector)?, tries, at_once).await?;
    }
    site.stop().await;
    Ok(())
}

/// `at_once` rounds run at the same time.
async fn measure_source(name: &str, source: &Source, tries: usize, at_once: usize) -> Outcome<()> {
    let mut random = Random::new();
    // The first ones open connections and fill caches.
    for login in TRIED {
        time_of_refusal(source, login).await?;
    }
    let orders = (0..tries).map(|_| {
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        order
    });
    let rounds = orders.collect::<Vec<_>>().into_iter();
    let rounds = stream::iter(rounds.map(|order| round(source, order))).buffer_unordered(at_once);
    let rounds: Vec<[f64; 3]> = rounds.try_collect().await?;
    let [mut person, other, mut unknown] =
        [0, 1, 2].map(|index| rounds.iter().map(|times| times[index]).collect::<Vec<_>>());
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

/// Tries each user name once, and returns the times in the order of [`TRIED`].
async fn round(source: &Source, order: [usize; 3]) -> Outcome<[f64; 3]> {
    let mut times = [0.0; 3];
    for index in order {
        times[index] = time_of_refusal(source, TRIED[index]).await?;
    }
    Ok(times)
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
