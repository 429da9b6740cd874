//! The parser never panics on a configuration with random mistakes.

use menshen::clock::Timestamp;
use menshen::config::Config;
use proptest::prelude::*;

use super::full::text_with_all_keys;
use crate::chinese::assert_problems_are_chinese;

/// Text that people and editors insert by mistake, and that breaks parsers.
const INSERTIONS: [&str; 20] = [
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    "\n",
    "\r\n",
    "#",
    ".",
    ",",
    "\0",
    "\\u0041",
    "\u{feff}",
    "企业",
    "-9223372036854775809",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_mutation_of_a_configuration_panics(
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, 0..21_usize), 1..4)
    ) {
        let mut text = text_with_all_keys();
        for (at, length, insertion) in mutations {
            let start = text.floor_char_boundary(at.index(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end.max(start), INSERTIONS.get(insertion).unwrap_or(&""));
        }
        match Config::parse(&text, "menshen.toml") {
            Ok(config) => drop((config.warnings(), config.files(), config.site())),
            Err(error) => {
                let now = Timestamp::from_unix_s(1_800_000_000);
                drop(Config::warnings_beside_problems(text.as_bytes(), "menshen.toml", now));
                prop_assert!(!error.problems.is_empty());
                prop_assert!(error.to_string().contains("menshen.toml"));
                assert_problems_are_chinese(&error);
            }
        }
    }
}
