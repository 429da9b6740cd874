//! Spellings of one name that directories take for the same.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The distance from a hiragana letter to the katakana letter of the same sound.
const KANA_DISTANCE: u32 = 0x60;

/// The name without case, width, accents, kinds of kana and spaces that do not count. Active Directory
/// compares names so (MS-ADTS §6.5), and other directories ignore a part of it (RFC 4518 §2). Names that only
/// some directories tell apart are one name here: use it to count, and never to find a person.
pub(super) fn folded(name: &str) -> String {
    let letters = name.nfkd().filter(|letter| !is_combining_mark(*letter));
    let lower: String = letters
        .flat_map(char::to_lowercase)
        .map(in_katakana)
        .collect();
    let words: Vec<_> = lower.split_whitespace().collect();
    words.join(" ")
}

fn in_katakana(letter: char) -> char {
    match letter {
        '\u{3041}'..='\u{3096}' => {
            char::from_u32(u32::from(letter) + KANA_DISTANCE).unwrap_or(letter)
        }
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_a_directory_takes_for_one_name_are_one() {
        for spelling in [
            "ZhangSan",
            "ｚｈａｎｇｓａｎ",
            "zhángsàn",
            "zha\u{301}ngsan",
            "ℤhangsan",
        ] {
            assert_eq!(folded(spelling), "zhangsan", "{spelling}");
        }
        assert_eq!(folded("Li  Si"), folded("li\u{3000}si"));
        assert_eq!(folded("あき"), folded("ｱｷ"));
    }

    #[test]
    fn different_names_stay_different() {
        for (one, other) in [
            ("lisi", "li si"),
            ("张三", "張三"),
            ("a1", "a2"),
            ("a.b", "ab"),
        ] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }
}
