//! `Letters`: which characters the texts and patterns of an expression hold.

/// Which characters the texts and patterns of an expression hold, as far as that changes how a
/// path is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Letters {
    /// Those of two bytes in UTF-8: Latin with accents, Greek, Cyrillic, …
    pub two_bytes: bool,
    /// Those of more bytes: Chinese, Japanese, Korean, …
    pub longer: bool,
    /// A `%`.
    pub percent: bool,
}

impl Letters {
    /// Whether there are any beyond ASCII.
    pub fn beyond_ascii(self) -> bool {
        self.two_bytes || self.longer
    }

    pub(super) fn add(&mut self, text: &str) {
        for letter in text.chars() {
            match letter.len_utf8() {
                1 => self.percent |= letter == '%',
                2 => self.two_bytes = true,
                _ => self.longer = true,
            }
        }
    }

    /// A pattern may name characters by number, script or class: which ones, is not looked up.
    pub(super) fn add_pattern(&mut self, pattern: &str) {
        self.add(pattern);
        let names = ["\\p", "\\P", "\\x", "\\u", "\\U"];
        self.longer |= names.iter().any(|name| pattern.contains(name));
    }
}
