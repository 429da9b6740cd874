//! Full-width characters and other encodings than UTF-8 are named as such, at their place.

use menshen::config::{Config, ConfigError};

use super::problems::{assert_problem, parse_error};
use crate::chinese::assert_problems_are_chinese;
use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

const SERVER: &str = "[server]\nexternal_url = \"https://sso.corp.example\"\n";

fn refused_bytes(bytes: &[u8]) -> ConfigError {
    let error = Config::parse_bytes(bytes, "menshen.toml").unwrap_err();
    assert_problems_are_chinese(&error);
    error
}

#[test]
fn full_width_punctuation_is_named_at_its_place() {
    for (line, column, words) in [
        (
            "listen ＝ []",
            8,
            &["`＝` is a full-width character", "write `=`"][..],
        ),
        ("prefix = “/a”", 10, &["`“`", "write `\"`"]),
        ("prefix = \"/a\"，", 14, &["`，`", "write `,`"]),
        ("listen = 【】", 10, &["`【`", "write `[`"]),
        ("prefix：\"/a\"", 7, &["`：`", "write `:`"]),
        ("[login]\nbad_codes_max = １２", 17, &["`１`", "write `1`"]),
        ("prefix =\u{a0}\"/a\"", 9, &["U+00A0"]),
        ("prefix = \"/a\"\u{200b}", 14, &["U+200B", "invisible"]),
    ] {
        let number = 3 + line.matches('\n').count();
        assert_problem(
            &parse_error(&format!("{SERVER}{line}\n")),
            number,
            column,
            words,
        );
    }
}

#[test]
fn a_full_width_closing_quote_is_named_and_the_path_of_a_key_is_shown() {
    let error = parse_error(&format!(
        "{SERVER}[server.tls]\ncertificate = \"/a.crt\"\nkey = \"/a.key”\n[admin]\nlisten = \"：\"\n"
    ));
    assert_problem(
        &error,
        5,
        14,
        &["`”` is a full-width character", "write `\"`", "/a.key”"],
    );
    assert_eq!(error.problems.len(), 1, "{error}");
    let error = parse_error(&format!("{SERVER}prefix = \"/a\nsource = \"”\"\n"));
    assert_eq!(error.problems[0].line, 3, "{error}");
    assert!(!error.to_string().contains("full-width"), "{error}");
}

#[test]
fn every_line_with_a_full_width_character_is_reported_once() {
    let error = parse_error(&format!(
        "{SERVER}prefix ＝ “/a”\n[login]\nbad_codes_max = １\n"
    ));
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [3, 5]);
}

#[test]
fn a_full_width_character_in_a_value_is_pointed_at() {
    for (line, column, words) in [
        (
            "listen = [\"127.0.0.1：8080\"]",
            21,
            &["`：`", "is not an address"][..],
        ),
        (
            "prefix = \"／menshen\"",
            11,
            &["write `/`", "a prefix is a plain path"],
        ),
        (
            "[session]\nlifetime = \"１２h\"",
            13,
            &["write `1`", "a period is"],
        ),
        (
            "[[route]]\nname = \"a\"\nallow = \"user.login ＝＝ 'a'\"",
            21,
            &["write `=`"],
        ),
    ] {
        let number = 3 + line.matches('\n').count();
        assert_problem(
            &parse_error(&format!("{SERVER}{line}\n")),
            number,
            column,
            words,
        );
    }
}

#[test]
fn chinese_punctuation_in_names_and_comments_is_fine() {
    let text = format!("# 注释：“全角”，１２３\n{SERVER}[[route]]\nname = \"办公（一）：，\"\n");
    assert!(Config::parse(&text, "menshen.toml").is_ok());
    // Beside a problem, too, if it is part of Chinese words.
    let error = parse_error(&format!(
        "{SERVER}[[route]]\nname = \"a\"\npath = \"办公，一\"\n"
    ));
    assert!(!error.to_string().contains("full-width"), "{error}");
}

#[test]
fn gbk_and_utf_16_are_named_and_a_byte_order_mark_is_accepted() {
    let gbk = [SERVER.as_bytes(), b"# ", &[0xc6, 0xf3, 0xd2, 0xb5], b"\n"].concat();
    assert_problem(
        &refused_bytes(&gbk),
        3,
        3,
        &["looks like GBK", "iconv -f GB18030"],
    );
    let latin = [SERVER.as_bytes(), b"# caf\xe9\n"].concat();
    let error = refused_bytes(&latin);
    assert_problem(&error, 3, 6, &["this is not UTF-8"]);
    assert!(!error.to_string().contains("GBK"), "{error}");
    let units = SERVER.encode_utf16();
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(units.flat_map(u16::to_le_bytes))
        .collect();
    assert_problem(&refused_bytes(&utf16), 1, 1, &["UTF-16"]);
    let marked = [b"\xef\xbb\xbf", SERVER.as_bytes()].concat();
    assert!(Config::parse_bytes(&marked, "menshen.toml").is_ok());
    let middle = format!("{SERVER}\u{feff}prefix = \"/a\"\n");
    assert_problem(&parse_error(&middle), 3, 1, &["byte order mark"]);
}

#[test]
fn run_and_check_name_the_encoding_of_a_file() {
    let folder = TempFolder::new();
    let path = folder.path("menshen.toml");
    std::fs::write(&path, b"# \xc3\xc5\xc9\xf1\n").unwrap();
    for command in ["check", "run"] {
        let output = run_menshen(&[command, "-c", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let printed = text(&output.stderr);
        assert!(printed.contains("looks like GBK"), "{printed}");
        assert!(printed.contains("menshen.toml:1:3"), "{printed}");
    }
}
