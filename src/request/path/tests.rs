use proptest::prelude::*;

use super::*;

fn parse(path: &str) -> Result<(), PathError> {
    Path::parse(path, None).map(drop)
}

#[test]
fn ordinary_paths_are_plain() {
    for path in ["/", "/a/b.c", "/a/..b", "/~x/@y/:z", "/$a:b", "/a-b_c/$"] {
        assert!(Path::parse(path, None).unwrap().is_plain(), "{path}");
    }
    for path in [
        "/a/...", "/a./b", "/a::$b", "/a%20", "/a//b", "/a;b", "/\u{e9}",
    ] {
        assert!(!Path::parse(path, None).unwrap().is_plain(), "{path}");
    }
}

#[test]
fn paths_without_dot_segments_are_accepted() {
    for path in [
        "/group%2fproject",
        "/@scope%2Fname",
        "/a//b",
        "/job;jsessionid=1/x",
        "/%B2%C6%CE%F1",
        "/100%25",
        "/a/..b/c",
        "/a/...",
        "/a%3fb%23c%20",
        "/%D5%5C",
    ] {
        assert_eq!(parse(path), Ok(()), "{path}");
    }
}

#[test]
fn dot_segments_are_refused_in_every_encoding() {
    for path in [
        "/.",
        "/..",
        "/a/../b",
        "/a/./b",
        "/%2e%2e/a",
        "/.%2E/a",
        "/%252e%252e/a",
        "/..;/a",
        "/..;x=y/a",
        "/%2e%2e;a/b",
        "/a%2f..%2fb",
        "/a%5c..%5cb",
        "/a/%c0%ae%c0%ae/b",
        "/a/%e0%80%ae./b",
        "/a%c0%af../b",
        "/a/%25c0%25ae./b",
        "/..%3b/a",
        "/a/..%5c",
        "/a/.;x%2f./b",
        "/%252e%252e/100%25",
        "/a/..%20/b",
        "/a/..%3fx",
        "/a/..%23",
        "/a/.%09./b",
        "/a/.%20.",
        "//x%2f../b",
    ] {
        assert_eq!(parse(path), Err(PathError::DotSegment), "{path}");
    }
}

#[test]
fn controls_backslashes_and_broken_escapes_are_refused() {
    for path in ["/a%00", "/a%0d%0a", "/a\\b", "/%2500", "/a\nb"] {
        assert_eq!(parse(path), Err(PathError::Control), "{path:?}");
    }
    for path in ["/%", "/%2", "/%zz", "/a%2gb"] {
        assert_eq!(parse(path), Err(PathError::InvalidEscape), "{path}");
    }
    assert_eq!(parse("*"), Err(PathError::NoSlash));
    let path_of_escapes = |n: usize| format!("/{}", "%41".repeat(n));
    assert_eq!(parse(&path_of_escapes(2_700)), Ok(()));
    assert_eq!(
        parse(&path_of_escapes(2_800)),
        Err(PathError::TooManyReadings)
    );
    assert_eq!(parse(&format!("/{}", "a".repeat(20_000))), Ok(()));
}

#[test]
fn readings_are_what_upstream_servers_parse() {
    let path = Path::parse("/A%2fb;c//d", None).unwrap();
    let readings = path.readings(true);
    for expected in [
        &b"/A%2fb;c//d"[..],
        b"/A/b;c//d",
        b"/A/b/d",
        b"/a/b/d",
        b"/A%2fb/d",
    ] {
        assert!(
            readings.iter().any(|reading| **reading == *expected),
            "{expected:?}"
        );
    }
    let path = Path::parse("/%61;x%2fy/b", None).unwrap();
    assert!(
        path.readings(false)
            .iter()
            .any(|reading| **reading == *b"/a/b")
    );
    assert_eq!(
        Path::parse("/plain", None).unwrap().readings(false).len(),
        1
    );
}

fn is_read_as(path: &str, expected: &str) -> bool {
    let path = Path::parse(path, None).unwrap();
    let readings = path.readings(false);
    readings
        .iter()
        .any(|reading| **reading == *expected.as_bytes())
}

#[test]
fn two_slashes_at_the_start_may_be_followed_by_a_host() {
    for path in [
        "//x/finance",
        "///x/finance",
        "//x@y:1/finance",
        "/%2fx/finance",
        "/%5cx/finance",
        "/%5c%5cx/finance",
        "//x%2ffinance",
        "//x//y/finance",
        "/%252fx/finance",
        "//x;y/finance",
    ] {
        assert!(is_read_as(path, "/finance"), "{path}");
    }
    // The host ends at the `?`, and the path is empty.
    assert!(is_read_as("//x%3fy/finance%3fz", "/"));
    assert!(is_read_as("//x", "/") && is_read_as("//", "/"));
    assert!(!is_read_as("/x//y/finance", "/finance"));
}

#[test]
fn readings_omit_what_servers_remove_from_a_path() {
    for path in [
        "/finance%3f",
        "/finance%3fa/b",
        "/finance%23",
        "/finance%253f",
        "/finance%20",
        "/finance%09%20",
        "/finance.",
        "/finance%2e%2e%2e",
        "/finance.%20.",
        "/finance%20%3f",
        "/finance::$DATA",
        "/finance%3a%3a$data",
        "/finance:$I30:$INDEX_ALLOCATION",
        "/fin%09ance",
    ] {
        assert!(is_read_as(path, "/finance"), "{path}");
    }
    for path in ["/%25u0066inance", "/fin%25U0061nce", "/finance%25u003f"] {
        assert!(is_read_as(path, "/finance"), "{path}");
    }
    assert!(is_read_as("/finance%20/x", "/finance/x"));
    assert!(is_read_as("/finance./x", "/finance/x"));
    assert!(!is_read_as("/%20finance", "/finance"));
    assert!(!is_read_as("/finance:$/x", "/x"));
}

#[test]
fn non_ascii_letters_may_have_an_ascii_letter_as_other_case() {
    for path in ["/Admin", "/adm%C4%B1n", "/ADM%C4%B0N", "/adm\u{131}n"] {
        let path = Path::parse(path, None).unwrap();
        let is_read_as_admin = |ignores_case: bool| {
            let readings = path.readings(ignores_case);
            readings.iter().any(|reading| **reading == *b"/admin")
        };
        assert!(
            is_read_as_admin(true) && !is_read_as_admin(false),
            "{path:?}"
        );
    }
    let path = Path::parse("/ta%C5%BF%E2%84%AA", None).unwrap();
    let readings = path.readings(true);
    assert!(readings.iter().any(|reading| **reading == *b"/task"));
}

#[test]
fn the_rest_of_a_path_is_read_below_its_prefix() {
    let path = Path::parse("/Mounted//x/admin", None).unwrap();
    let readings = path.readings_below("/mounted", false).unwrap();
    assert!(
        readings
            .iter()
            .any(|reading| **reading == *b"/Mounted/admin")
    );
    for other_prefix in ["/other", "/mount", "/mounted//x/admin/and/more"] {
        let readings = path.readings_below(other_prefix, false).unwrap();
        assert_eq!(readings, path.readings(false), "{other_prefix}");
    }
    let plain = Path::parse("/mounted/x", None).unwrap();
    assert_eq!(plain.readings_below("/mounted", false).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
        let _ = Path::parse(&text, None);
    }

    #[test]
    fn no_accepted_path_has_a_reading_with_dot_segments(text in "/[a./%25cC0aefE2;\\\\-]{0,24}") {
        if let Ok(path) = Path::parse(&text, None) {
            for reading in path.readings(true) {
                let mut segments = reading.split(|byte| *byte == b'/');
                prop_assert!(!segments.any(|segment| matches!(segment, b"." | b"..")));
            }
        }
    }
}

#[test]
fn a_long_path_with_many_readings_is_refused_and_a_long_name_is_not() {
    let ambiguous = "a;%253bc%3b%252fB%2f/x//y%5cz%255c%c1%81%25c1%2581";
    let path = format!("/{}{ambiguous}", "x/".repeat(3_900));
    assert_eq!(parse(&path), Err(PathError::TooManyReadings));
    assert_eq!(parse(&format!("/{ambiguous}")), Ok(()));
    let name = "/%E6%96%87;v=1//".repeat(500);
    assert_eq!(parse(&name), Ok(()));
}
