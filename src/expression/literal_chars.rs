//! `LiteralChars`: which characters the texts and patterns of an expression hold.

/// Which characters the texts and patterns of an expression hold, as far as that changes how a
/// path is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiteralChars {
    /// Those of two bytes in UTF-8: Latin with accents, Greek, Cyrillic, …
    pub has_two_byte: bool,
    /// Those of more bytes: Chinese, Japanese, Korean, …
    pub has_longer: bool,
    /// A `%`.
    pub has_percent: bool,
}

impl LiteralChars {
    /// Whether there are any beyond ASCII.
    pub fn has_non_ascii(self) -> bool {
        self.has_two_byte || self.has_longer
    }

    pub(super) fn add(&mut self, text: &str) {
        for letter in text.chars() {
            match letter.len_utf8() {
                1 => self.has_percent |= letter == '%',
                2 => self.has_two_byte = true,
                _ => self.has_longer = true,
            }
        }
    }

    /// A pattern may name characters by number, script or class: which ones, is not looked up.
    pub(super) fn add_pattern(&mut self, pattern: &str) {
        self.add(pattern);
        let names = ["\\p", "\\P", "\\x", "\\u", "\\U"];
        self.has_longer |= names.iter().any(|name| pattern.contains(name));
    }
}
