//! The name that a misspelt one is probably meant to be.

/// The edit distance up to which a name is suggested.
const DISTANCE_MAX: usize = 2;

/// The nearest of the names, if it is near enough. Names are in lower case.
pub(super) fn name<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names
        .map(|name| (edit_distance(written, name), name))
        .min()?;
    let (distance, name) = near;
    (distance <= DISTANCE_MAX.min(written.len() / 2)).then_some(name)
}

/// How many letters of `written` to insert, delete, replace or swap with their neighbour until it is
/// `name`, ignoring case; `usize::MAX` if their lengths alone exceed [`DISTANCE_MAX`].
fn edit_distance(written: &str, name: &str) -> usize {
    let a: Vec<char> = written.to_lowercase().chars().collect();
    // Keys are in lower case.
    let b: Vec<char> = name.chars().collect();
    if a.len().abs_diff(b.len()) > DISTANCE_MAX {
        return usize::MAX;
    }
    // `rows[i][j]` is the distance between the first `i` letters of `a` and the first `j` of `b`.
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, _) | (_, 0) => i + j,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swapped {
                        best.min(rows[i - 2][j - 2] + 1)
                    } else {
                        best
                    }
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_are_missing_or_swapped_are_counted_once() {
        assert_eq!(edit_distance("scpe", "scope"), 1);
        assert_eq!(edit_distance("agnet_id", "agent_id"), 1);
        assert_eq!(edit_distance("Listen", "listen"), 0);
        assert_eq!(
            name("lisen", ["limits", "listen"].into_iter()),
            Some("listen")
        );
        assert_eq!(name("xyzzy", ["limits", "listen"].into_iter()), None);
    }
}
