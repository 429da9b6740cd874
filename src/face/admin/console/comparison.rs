//! Compares two texts line by line.

/// The most lines of each text that are compared: the time grows with their product.
const LINES_MAX: usize = 2_000;

/// A line of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: LineKind,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    Same,
    Removed,
    Added,
}

impl Line {
    pub(super) fn is_removed(&self) -> bool {
        self.kind == LineKind::Removed
    }

    pub(super) fn is_added(&self) -> bool {
        self.kind == LineKind::Added
    }

    fn new(kind: LineKind, text: &str) -> Self {
        let text = text.to_owned();
        Self { kind, text }
    }
}

/// The lines of both texts: a longest common part of them once, the others as removed or added.
pub(super) fn compare(before: &str, after: &str) -> Vec<Line> {
    let before: Vec<_> = before.lines().take(LINES_MAX).collect();
    let after: Vec<_> = after.lines().take(LINES_MAX).collect();
    // The length of the longest common part of what follows line `i` of the one and line `j` of the other.
    let width = after.len() + 1;
    let mut lengths = vec![0_u16; (before.len() + 1) * width];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            lengths[i * width + j] = match before[i] == after[j] {
                true => lengths[(i + 1) * width + j + 1] + 1,
                false => lengths[(i + 1) * width + j].max(lengths[i * width + j + 1]),
            };
        }
    }
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] {
            lines.push(Line::new(LineKind::Same, before[i]));
            i += 1;
            j += 1;
        } else if j == after.len()
            || (i < before.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
        {
            lines.push(Line::new(LineKind::Removed, before[i]));
            i += 1;
        } else {
            lines.push(Line::new(LineKind::Added, after[j]));
            j += 1;
        }
    }
    lines
}
