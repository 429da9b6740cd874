//! Problems and warnings of `[connector.ID.yunzhijia]`.

use super::parse;
use super::problems::parse_error;
use super::warnings::warned_keys;

const TEAM: &str = "[server]
external_url = \"https://sso.corp.example\"
[connector.yzj.yunzhijia]
app_id = '500000001'
app_secret = { file = '/etc/menshen/yzj.secret' }
eid = '17951708'
origins = ['https://www.yunzhijia.com']
";

#[test]
fn an_invalid_value_is_refused_at_its_line() {
    parse(TEAM);
    for (from, to, line, words) in [
        ("'500000001'", "''", 4, "letters and digits"),
        ("'500000001'", "'a:b'", 4, "letters and digits"),
        ("'17951708'", "'17951708:x'", 6, "letters and digits"),
        ("'17951708'", "17951708", 6, "text in quotes"),
        (
            "'https://www.yunzhijia.com'",
            "'https://a.example/b'",
            7,
            "must be an origin",
        ),
        (
            "origins =",
            "base = 'ftp://a.example'\norigins =",
            7,
            "https://",
        ),
        (
            "origins =",
            "base = 'https://a.example/?b=c'\norigins =",
            7,
            "no query",
        ),
        (
            "origins =",
            "appid = 'x'\norigins =",
            7,
            "did you mean `app_id`",
        ),
    ] {
        let error = parse_error(&TEAM.replace(from, to));
        let shown = error.to_string();
        assert_eq!(error.problems[0].line, line, "{shown}");
        assert!(shown.contains(words), "`{words}` in:\n{shown}");
    }
}

#[test]
fn a_missing_origin_and_plain_http_are_warned_of() {
    let warnings = |text: &str| {
        let warned = warned_keys(text).into_iter();
        warned
            .filter(|(key, _)| key.starts_with("connector."))
            .count()
    };
    assert_eq!(warnings(TEAM), 0);
    assert_eq!(
        warnings(&TEAM.replace("origins = ['https://www.yunzhijia.com']\n", "")),
        1
    );
    assert_eq!(
        warnings(&format!("{TEAM}base = 'http://yzj.corp.example'\n")),
        1
    );
    assert_eq!(
        warnings(&format!("{TEAM}base = 'http://127.0.0.1:8080'\n")),
        0
    );
}
