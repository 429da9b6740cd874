//! The known name that is nearest to an unknown one.

/// The most letters that may differ.
const DISTANCE_MAX: usize = 3;
/// The longest name that is compared, in characters.
const CHARS_MAX: usize = 64;

/// The name with the fewest letters to change, if these are few.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written: Vec<char> = written.to_lowercase().chars().take(CHARS_MAX + 1).collect();
    if written.len() > CHARS_MAX {
        return None;
    }
    let distances = names.map(|name| (distance(&written, name), name));
    let near = distances.filter(|(distance, _)| *distance <= DISTANCE_MAX.min(written.len() / 2));
    near.min().map(|(_, name)| name)
}

/// How many letters to insert, delete or replace, without case.
fn distance(written: &[char], name: &str) -> usize {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (i, letter) in written.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in name.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let names = ["agentId", "secret", "corpId"];
        for (written, expected) in [
            ("agentid", Some("agentId")),
            ("agent_id", Some("agentId")),
            ("secrets", Some("secret")),
            ("corp", Some("corpId")),
            ("x", None),
            ("password", None),
        ] {
            assert_eq!(nearest(written, names.into_iter()), expected, "{written}");
        }
        assert_eq!(nearest(&"s".repeat(10_000), names.into_iter()), None);
    }
}
