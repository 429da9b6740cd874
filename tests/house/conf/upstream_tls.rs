//! Problems and warnings of `[route.upstream_tls]`.

use super::problems::{assert_refused, parse_error};
use super::warnings::warned_keys;

const ROUTE: &str =
    "[[route]]\nname = \"a\"\naccess = \"public\"\nupstream = [\"https://a.test\"]\n";

#[test]
fn an_incomplete_or_useless_table_is_refused() {
    // The route begins in line 3, its table in line 7.
    for (lines, line, column, words) in [
        (
            "certificate = \"/a\"",
            8,
            1,
            ["private key", "key = { file"],
        ),
        (
            "key = { file = \"/a\" }",
            8,
            1,
            ["needs its certificate", "certificate ="],
        ),
        (
            "ca = \"/a\"\nverify = false",
            8,
            1,
            ["verify = false", "`ca`"],
        ),
    ] {
        let text = format!("{ROUTE}[route.upstream_tls]\n{lines}\n");
        assert_refused(&text, line, column, &words);
    }
    let plain = ROUTE.replace("https://", "http://");
    let text = format!("{plain}[route.upstream_tls]\nca = \"/a\"\n");
    let whole = format!("[server]\nexternal_url = \"https://sso.corp.example\"\n{text}");
    let shown = parse_error(&whole).to_string();
    assert!(
        shown.contains("no upstream of this route uses TLS"),
        "{shown}"
    );
}

#[test]
fn an_unverified_upstream_certificate_is_warned_of() {
    let head = "[server]\nexternal_url = \"http://127.0.0.1:8080\"\n";
    for (lines, keys) in [
        ("ca = \"/a\"", vec![]),
        ("verify = true", vec![]),
        (
            "verify = false",
            vec![("route[0].upstream_tls.verify".to_owned(), 8)],
        ),
    ] {
        let text = format!("{head}{ROUTE}[route.upstream_tls]\n{lines}\n");
        assert_eq!(warned_keys(&text), keys, "{lines}");
    }
}
