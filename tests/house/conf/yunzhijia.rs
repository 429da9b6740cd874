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
            "sync_every = '1h'\norigins =",
            7,
            "needs the contacts",
        ),
        (
            "origins =",
            "contacts = true\nsync_brake = 101\norigins =",
            8,
            "from 0 to 100",
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
    let team = format!("{TEAM}contacts = true\n");
    assert_eq!(warnings(&team), 0);
    // Without contacts nobody is asked about after the login.
    assert_eq!(warnings(TEAM), 1);
    assert_eq!(
        warnings(&team.replace("origins = ['https://www.yunzhijia.com']\n", "")),
        1
    );
    assert_eq!(
        warnings(&format!("{team}base = 'http://yzj.corp.example'\n")),
        1
    );
    assert_eq!(
        warnings(&format!("{team}base = 'http://127.0.0.1:8080'\n")),
        0
    );
}

#[test]
fn risky_settings_of_the_contacts_are_warned_of_only_with_contacts() {
    let warned = |more: &str| {
        let keys = warned_keys(&format!("{TEAM}{more}")).into_iter();
        let keys = keys.map(|(key, _)| key);
        let keys = keys.filter(|key| key.starts_with("connector."));
        keys.collect::<Vec<_>>()
    };
    assert_eq!(warned("contacts = true\n").len(), 0);
    assert_eq!(warned("revalidate = '0s'\n"), ["connector.yzj.yunzhijia"]);
    for more in [
        "revalidate = '0s'",
        "sync_every = '10s'",
        "sync_brake = 100",
    ] {
        let key = more.split(' ').next().unwrap();
        let found = warned(&format!("contacts = true\n{more}\n"));
        assert_eq!(found, [format!("connector.yzj.yunzhijia.{key}")]);
    }
}
