//! An invalid configuration is refused with the right line, column and help.

use menshen::config::{Config, ConfigError};

use crate::chinese::assert_problems_are_chinese;

mod connectors;
mod routes;
mod server;

const SERVER: &str = "[server]\nexternal_url = \"https://sso.corp.example\"\n";
const WECOM: &str = "\
[connector.corp.wecom]
corp_id = \"ww1\"
agent_id = 7
secret = { file = \"/s\" }
";

/// The error for an invalid configuration.
pub(super) fn parse_error(text: &str) -> ConfigError {
    match Config::parse(text, "menshen.toml") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => {
            assert_problems_are_chinese(&error);
            error
        }
    }
}

/// Parses `more` after a `[server]` of two lines, so that `more` begins in line 3. The first problem must
/// be at `line` and `column` and contain every one of `words`.
pub(crate) fn assert_refused(more: &str, line: usize, column: usize, words: &[&str]) {
    assert_problem(
        &parse_error(&format!("{SERVER}{more}")),
        line,
        column,
        words,
    );
}

/// The same with a connector `corp` of four lines before `more`, which begins in line 7.
fn assert_refused_after_corp(more: &str, line: usize, column: usize, words: &[&str]) {
    assert_problem(
        &parse_error(&format!("{SERVER}{WECOM}{more}")),
        line,
        column,
        words,
    );
}

pub(super) fn assert_problem(error: &ConfigError, line: usize, column: usize, words: &[&str]) {
    let shown = error.to_string();
    let first = &error.problems[0];
    assert_eq!((first.line, first.column), (line, column), "{shown}");
    assert!(
        shown.contains(&format!("menshen.toml:{line}:{column}")),
        "{shown}"
    );
    assert!(shown.contains('^'), "{shown}");
    for word in words {
        assert!(shown.contains(word), "`{word}` in:\n{shown}");
    }
}

#[test]
fn a_number_in_quotes_is_told_from_another_text() {
    let help = |agent_id: &str| {
        let wecom = WECOM.replace("agent_id = 7", &format!("agent_id = {agent_id}"));
        let error = parse_error(&format!("{SERVER}{wecom}"));
        assert_problem(&error, 5, 12, &["a text does not fit here"]);
        error.problems[0].help.clone().unwrap().to_string()
    };
    assert_eq!(
        help("'1000002'"),
        "expected a whole number, not below 0, without quotation marks"
    );
    assert_eq!(help("'ww1'"), "expected a whole number, not below 0");
}

#[test]
fn invalid_toml_is_shown_with_a_caret() {
    assert_refused("a = = 1\n", 3, 5, &["extra `=`"]);
    assert_refused("prefix = /.menshen\n", 3, 10, &["quoted"]);
    assert_refused(
        "prefix = \"/a\"\nprefix = \"/b\"\n",
        4,
        1,
        &["duplicate key"],
    );
    assert_refused("[session]\nkeys = [\"abc\n", 4, 13, &["unclosed array"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_allowed_keys_and_a_suggestion() {
    assert_refused(
        "lisen = []\n",
        3,
        1,
        &["unknown key `lisen`", "did you mean `listen`", "files"],
    );
    assert_refused(
        "[sesion]\n",
        3,
        2,
        &["unknown key `sesion`", "did you mean `session`"],
    );
    assert_refused(
        "[session]\nxyzzy = 1\n",
        4,
        1,
        &["unknown key `xyzzy`", "allowed here: keys"],
    );
    assert_refused_after_corp("scpe = \"a\"\n", 7, 1, &["did you mean `scope`"]);
    assert_refused(
        "[[route]]\nname = 'a'\n[route.limits]\nconect = '1s'\n",
        6,
        1,
        &["`connect`"],
    );
    assert_refused(
        "[session]\nkeys = [{ path = 'x' }]\n",
        4,
        9,
        &["`path`", "file, env"],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_the_right_type() {
    assert_refused(
        "prefix = 7\n",
        3,
        10,
        &["an integer does not fit", "text in quotes"],
    );
    assert_refused(
        "[session]\nkeys = 'a'\n",
        4,
        8,
        &["a text does not fit", "write [{ file = \"...\" }]"],
    );
    assert_refused(
        "[session]\nlifetime = '12'\n",
        4,
        12,
        &["a period is a whole number and a unit", "12h"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\naccess = 'sign-in'\n",
        5,
        10,
        &["`signed-in`", "public"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\npath = '/%2f'\n",
        5,
        8,
        &["a path starts with /"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\nhost = 'https://a'\n",
        5,
        8,
        &["a host is a name"],
    );
    assert_refused("[connector.Corp]\n", 3, 12, &["a connector's ID is"]);
}

#[test]
fn the_wrong_item_of_an_array_is_found() {
    assert_refused(
        "trusted_proxies = ['10.0.0.0/8', 'x']\n",
        3,
        34,
        &["a network such as 10.0.0.0/8"],
    );
    assert_refused(
        "trusted_proxies = [\n  'unix',\n  'x',\n]\n",
        5,
        3,
        &["or `unix`"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\nupstream = ['http://a', 'a:1']\n",
        5,
        25,
        &["did you mean http://a:1?"],
    );
}

#[test]
fn a_missing_key_is_named() {
    assert_problem(
        &parse_error(""),
        1,
        1,
        &["`server` is missing", "external_url"],
    );
    assert_problem(
        &parse_error("[server]\n"),
        1,
        1,
        &["`external_url` is missing"],
    );
    assert_refused(
        "[connector.corp.wecom]\ncorp_id = 'a'\n",
        3,
        1,
        &["`agent_id` is missing"],
    );
    assert_refused("[[route]]\nhost = 'a.b'\n", 3, 1, &["`name` is missing"]);
}

#[test]
fn all_problems_are_reported_in_order() {
    let text =
        format!("{SERVER}[login]\nbad_codes_max = 0\n[[route]]\nname = 'a'\naccess = 'rule'\n");
    let error = parse_error(&text);
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 7]);
}

#[test]
fn an_error_shows_no_secret_and_is_in_ascii() {
    for more in [
        "[session]\nkeys = 'hunter2'\n",
        "[session]\nkeys = [\n'hunter2',\n7]\n",
        "[connector.corp]\nsecret = 'hunter2'\n",
        "[connector.corp.wecom]\nsecrte = 'hunter2'\n",
        "[connector.corp.wecom]\nsecret = hunter2\n",
        "[store]\nurl = 'postgres://u:hunter2@h/d?x=1'\n",
        "[[route]]\nname = 'a'\nbasic_auth = { user = 'x', password = 'hunter2', more = 1 }\n",
        "[connector.corp.wecom]\ncorp_id = 'a'\nagent_id = 1\nsecret = \"hunter2\" 1\n",
    ] {
        let shown = parse_error(&format!("{SERVER}{more}")).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.is_ascii(), "{shown}");
    }
}
