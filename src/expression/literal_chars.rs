//! `LiteralChars`: the kinds of characters in the literals of an expression.

/// The kinds of characters in the strings and patterns of an expression. They decide how the path of a
/// request is decoded before the expression reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiteralChars {
    /// Two bytes in UTF-8, such as Greek and Cyrillic.
    pub has_two_byte: bool,
    /// Three or four bytes in UTF-8, such as Chinese.
    pub has_longer: bool,
    pub has_percent: bool,
}

impl LiteralChars {
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

    /// Adds a pattern. Escapes of characters, scripts and classes count as characters of three bytes.
    pub(super) fn add_pattern(&mut self, pattern: &str) {
        self.add(pattern);
        let names = ["\\p", "\\P", "\\x", "\\u", "\\U"];
        self.has_longer |= names.iter().any(|name| pattern.contains(name));
    }
}
