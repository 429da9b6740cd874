//! Medians, and whether two samples differ by more than chance.

use std::fs;
use std::time::Duration;

use menshen::keys;

use super::Outcome;

/// How often a sample is drawn again from itself.
const RESAMPLES: usize = 1_000;

pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Sorts the values; 0 for none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// An estimate, and the interval that contains the true value in 95 of 100 runs.
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) middle: f64,
    pub(super) high: f64,
}

/// The difference of the medians of `a` and `b`, whose values at one index belong together, with the interval of
/// the bootstrap percentiles.
pub(super) fn difference_of_medians(a: &[f64], b: &[f64], random: &mut Random) -> Interval {
    let count = a.len().min(b.len());
    let difference = |indexes: &[usize]| {
        let [mut a, mut b] = [a, b]
            .map(|sample| -> Vec<f64> { indexes.iter().map(|index| sample[*index]).collect() });
        median(&mut a) - median(&mut b)
    };
    let all: Vec<usize> = (0..count).collect();
    let mut drawn: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let indexes: Vec<usize> = (0..count).map(|_| random.below(count)).collect();
            difference(&indexes)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let percentile = |per_mille: usize| drawn[(RESAMPLES - 1) * per_mille / 1_000];
    Interval {
        low: percentile(25),
        middle: difference(&all),
        high: percentile(975),
    }
}

/// The rank sum of `a` among both samples (Mann and Whitney), in standard deviations from the one that is expected
/// if both have the same distribution. Equal values share their ranks.
pub(super) fn rank_sum_z(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = a.iter().map(|value| (*value, true)).collect();
    all.extend(b.iter().map(|value| (*value, false)));
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut sum = 0.0;
    let mut first = 0;
    for group in all.chunk_by(|one, other| one.0 == other.0) {
        let of_a = group.iter().filter(|(_, is_of_a)| *is_of_a).count();
        // The ranks of the group are first + 1 to first + group.len().
        let rank = first as f64 + (group.len() as f64 + 1.0) / 2.0;
        sum += of_a as f64 * rank;
        first += group.len();
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let expected = n * (n + m + 1.0) / 2.0;
    let deviation = (n * m * (n + m + 1.0) / 12.0).sqrt();
    (sum - expected) / deviation
}

/// The processor time of this process so far, in seconds, of all its threads.
pub(super) fn process_seconds() -> Outcome<f64> {
    let mut nanoseconds = 0;
    for task in fs::read_dir("/proc/self/task")? {
        // A thread that has just ended has no file any more.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let used = text.split_whitespace().next().ok_or("an empty schedstat")?;
        nanoseconds += used.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// Random numbers that are good enough for drawing samples (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new() -> Self {
        Self(u64::from_be_bytes(keys::random::<8>()) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap_or(0) % limit.max(1)
    }

    pub(super) fn shuffle(&mut self, values: &mut [usize]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}
