//! Bars per hour, as SVG that the server draws.

use std::fmt::Write as _;

use crate::clock::Timestamp;

const HOURS: usize = 24;
const HOUR_S: i64 = 3_600;
const WIDTH: usize = 480;
const HEIGHT: usize = 120;
const BAR_WIDTH: usize = 14;
const STEP: usize = WIDTH / HOURS;
/// The space below the bars for the hours.
const AXIS_HEIGHT: usize = 18;
/// Every how many hours the axis is labelled.
const LABEL_EVERY: usize = 6;

/// How many of the times are in each of the last 24 hours, the current one last.
pub(super) fn per_hour(times: impl Iterator<Item = Timestamp>, now: Timestamp) -> [usize; HOURS] {
    let mut counts = [0; HOURS];
    let current = now.unix_s().div_euclid(HOUR_S);
    for at in times {
        let age = current - at.unix_s().div_euclid(HOUR_S);
        let index = usize::try_from(age)
            .ok()
            .and_then(|age| (HOURS - 1).checked_sub(age));
        if let Some(count) = index.and_then(|index| counts.get_mut(index)) {
            *count += 1;
        }
    }
    counts
}

/// The bars, with a label for those who cannot see them. Nothing in it comes from people or sources.
pub(super) fn svg(counts: &[usize; HOURS], now: Timestamp, label: &str, unit: &str) -> String {
    let highest = counts.iter().copied().max().unwrap_or_default().max(1);
    let total: usize = counts.iter().sum();
    let plot = HEIGHT - AXIS_HEIGHT;
    let current = now.unix_s().div_euclid(HOUR_S);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}: {total} {unit}\">\
         <line class=\"axis\" x1=\"0\" y1=\"{plot}\" x2=\"{WIDTH}\" y2=\"{plot}\"/>"
    );
    for (index, count) in counts.iter().enumerate() {
        let back = i64::try_from(HOURS - 1 - index).unwrap_or_default();
        let hour = (current - back).rem_euclid(24);
        let (x, height) = (
            index * STEP + (STEP - BAR_WIDTH) / 2,
            count * (plot - 14) / highest,
        );
        let height = if *count > 0 { height.max(3) } else { 0 };
        let y = plot - height;
        // Writing to a String does not fail.
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{x}\" y=\"{y}\" width=\"{BAR_WIDTH}\" height=\"{height}\" rx=\"2\">\
             <title>{hour:02}:00 UTC: {count}</title></rect>"
        );
        if *count == highest && *count > 0 {
            let (x, y) = (x + BAR_WIDTH / 2, y - 4);
            let _ = write!(
                svg,
                "<text class=\"value\" x=\"{x}\" y=\"{y}\">{count}</text>"
            );
        }
        if index % LABEL_EVERY == LABEL_EVERY - 1 {
            let (x, y) = ((x + BAR_WIDTH / 2).min(WIDTH - 16), HEIGHT - 4);
            let _ = write!(
                svg,
                "<text class=\"hour\" x=\"{x}\" y=\"{y}\">{hour:02}:00</text>"
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_its_hour_and_an_old_one_is_not() {
        let now = Timestamp::from_unix_s(100 * HOUR_S + 1_800);
        let times = [
            100 * HOUR_S,
            100 * HOUR_S + 1_799,
            99 * HOUR_S + 3_599,
            77 * HOUR_S,
            77 * HOUR_S - 1,
            101 * HOUR_S,
        ];
        let counts = per_hour(times.into_iter().map(Timestamp::from_unix_s), now);
        assert_eq!((counts[23], counts[22], counts[0]), (2, 1, 1));
        assert_eq!(counts.iter().sum::<usize>(), 4);
        let svg = svg(&counts, now, "label", "times");
        assert_eq!(svg.matches("<rect").count(), 24);
        assert!(svg.contains("aria-label=\"label: 4 times\""), "{svg}");
        assert!(svg.contains(">04:00 UTC: 2<"), "{svg}");
    }
}
