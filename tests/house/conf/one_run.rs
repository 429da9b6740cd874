//! One run finds all problems of a file, and only those.

use menshen::config::Config;
use menshen::wording::Language;

use super::problems::parse_error;
use super::project_file;
use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

/// The lines of all problems.
fn lines(text: &str) -> Vec<usize> {
    let error = parse_error(text);
    error.problems.iter().map(|problem| problem.line).collect()
}

const SERVER: &str = "[server]\nexternal_url = 'https://sso.corp.example'\n";
const CORP: &str = "[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { env = 'S' }\n";

#[test]
fn problems_of_every_kind_are_in_one_report() {
    let text = "\
[server]
external_url = 'https://sso.corp.example'
lisen = []
prefix = 7
[login]
bad_codes_max = 0
[connector.corp.wecom]
corp_id = 'ww0123456789abcdef'
[[route]]
name = 'a'
access = 'rul'
allow = 'user.'
[[route]]
name = 'b'
path = '/b'
issuers = ['ci']
upstream = ['http://a', 'a:1', 'b:1']
";
    assert_eq!(lines(text), [3, 4, 6, 7, 7, 11, 12, 16, 17, 17]);
    let shown = parse_error(text).to_string();
    for words in [
        "unknown key `lisen`",
        "an integer does not fit here",
        "bad_codes_max must be at least 1",
        "`agent_id` is missing",
        "`secret` is missing",
        "`rul` is not a choice here",
        "this expression does not compile",
        "there is no issuer `ci`",
        "menshen.toml:17:32",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn what_is_only_a_consequence_of_a_problem_is_not_reported() {
    // The secret is not missing as well, and the connector does not lack its kind.
    let bad_secret = CORP.replace("{ env = 'S' }", "{ path = '/s' }");
    assert_eq!(lines(&format!("{SERVER}{bad_secret}")), [6]);
    let bad_kind = CORP.replace("wecom", "wecm");
    assert_eq!(lines(&format!("{SERVER}{bad_kind}")), [3]);
    // A connector with a problem is there.
    let broker = "[admin]\nlisten = '127.0.0.1:0'\n[[admin.tokens]]\nname = 'b'\nbroker = ['corp']\n\
                  token = { env = 'T' }\n";
    let bad_agent = CORP.replace("= 7", "= 'seven'");
    assert_eq!(lines(&format!("{SERVER}{broker}{bad_agent}")), [11]);
    // A list whose only address is wrong is not empty.
    assert_eq!(lines(&format!("{SERVER}listen = ['8080']\n")), [3]);
}

#[test]
fn a_wrong_external_url_does_not_hide_other_problems() {
    let text = "[server]\nexternal_url = 'sso.corp.example'\n[session]\nlifetime = '12'\n[[route]]\n\
                name = 'a'\nallow = 'x'\naccess = 'rule'\n";
    assert_eq!(lines(text), [2, 4, 7]);
    assert_eq!(
        lines(&text.replace("external_url = 'sso.corp.example'", "")),
        [1, 4, 7]
    );
}

#[test]
fn of_very_many_problems_at_most_200_are_reported() {
    let keys: String = (0..2_000)
        .map(|number| format!("k{number} = 1\n"))
        .collect();
    let found = lines(&format!("{SERVER}{keys}"));
    assert!((100..=200).contains(&found.len()), "{}", found.len());
}

#[test]
fn a_key_that_is_like_no_other_may_be_of_a_later_version() {
    let error = parse_error(&format!("{SERVER}future_feature = true\nlisten_ = []\n"));
    let [far, near] = error.problems.as_slice() else {
        panic!("{error}");
    };
    let help = |language| far.help.as_ref().unwrap().in_language(language).to_owned();
    let version = env!("CARGO_PKG_VERSION");
    assert!(help(Language::English).contains(&format!("this is menshen {version}")));
    assert!(help(Language::Chinese).contains("需要先升级"));
    let near = near.help.as_ref().unwrap().to_string();
    assert!(near.contains("did you mean `listen`"), "{near}");
    assert!(!near.contains("later version"), "{near}");
}

#[test]
fn only_the_secret_of_a_line_is_masked() {
    let text = format!(
        "{SERVER}[connector.corp]\nwecom = {{ corp_id = 'ww0123456789abcdef', agent_id = 'x', secret = 'hunter2' }}\n"
    );
    let shown = parse_error(&text).to_string();
    assert!(
        shown.contains("corp_id = 'ww0123456789abcdef', agent_id = 'x'"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    // A mistyped name of a secret is no reason to show it.
    let text = format!("{SERVER}[store]\npasswrod = 'hunter2'\n");
    let shown = parse_error(&text).to_string();
    assert!(shown.contains("passwrod = '*******'"), "{shown}");
}

#[test]
fn files_that_are_missing_are_in_the_same_report() {
    let folder = TempFolder::new();
    let missing = folder.path("missing");
    let document = format!(
        "{SERVER}lisen = []\n[store]\nurl = 'sqlite::memory:'\n{}",
        CORP.replace("env = 'S'", &format!("file = '{}'", missing.display()))
    );
    let path = folder.write("menshen.toml", &document);
    let output = run_menshen(&["check", "-c", path.to_str().unwrap()]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for words in [
        "menshen.toml:3:1",
        "menshen.toml:9:10",
        "read the secret file",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[test]
fn numbers_in_every_notation_are_read_and_other_values_are_refused() {
    let config = Config::parse(
        &format!("\u{feff}{SERVER}[server.limits]\nstreams_max = 0x10\nconnections_max = 1_000\n"),
        "menshen.toml",
    );
    let config = config.unwrap();
    assert_eq!(config.server.limits.streams_max, 16);
    assert_eq!(config.server.limits.connections_max, 1_000);
    for bad in [
        "-1",
        "1.5",
        "99999999999999999999999999999999999999999",
        "2026-01-01",
        "[]",
    ] {
        let text = format!("{SERVER}[server.limits]\nstreams_max = {bad}\n");
        assert_eq!(lines(&text), [4], "{bad}");
    }
}

#[test]
fn the_problem_on_the_page_about_check_is_the_real_one() {
    let page = std::fs::read_to_string(project_file("docs/check.md")).unwrap();
    let (_, shown) = page.split_once("```text\n").unwrap();
    let (shown, _) = shown.split_once(", ...\n```").unwrap();
    let text = format!(
        "{SERVER}\n[[route]]\nname = 'oa'\nupstream = ['http://[::1]']\n[connector.corp]\n\
         wecom = {{ corp_id = \"ww0123456789abcdef\", agent_id = 7, secret = \"hunter2\", scop = \"snsapi_base\" }}\n"
    );
    let error = Config::parse(&text, "/etc/menshen/menshen.toml").unwrap_err();
    let error = error.to_string();
    let without_margin = |text: &str| {
        let lines = text.lines().map(str::trim);
        lines.collect::<Vec<_>>().join("\n")
    };
    let (real, shown) = (without_margin(&error), without_margin(shown));
    assert!(real.starts_with(&shown), "{real}\n---\n{shown}");
}

#[test]
fn warnings_stand_beside_the_problems_of_a_file_whose_values_can_be_read() {
    let folder = TempFolder::new();
    let corp = CORP.replace("ww0123456789abcdef", "corp");
    let route = |name: &str, more: &str| {
        format!("[[route]]\nname = '{name}'\nupstream = ['http://[::1]']\n{more}\n")
    };
    let same = format!("{}{}", route("a", ""), route("b", "allow = 'user.login'"));
    let unreadable = format!("{same}access = 7\n");
    for (routes, problem, warned) in [
        (&same, "two routes serve the same host and path", true),
        (&unreadable, "does not fit here", false),
    ] {
        let file = folder.write("menshen.toml", &format!("{SERVER}{corp}{routes}"));
        let output = run_menshen(&["check", "-c", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(problem), "{output:?}");
        for words in ["does not look like a corp ID", "neither true nor false"] {
            assert_eq!(text(&output.stdout).contains(words), warned, "{output:?}");
        }
    }
}

#[test]
fn a_connector_that_is_refused_is_not_warned_of() {
    let folder = TempFolder::new();
    let check = |more: &str| {
        let route = "[[route]]\nname = 'a'\nupstream = ['http://[::1]']\nconnectors = ['crop']\n";
        let file = folder.write("menshen.toml", &format!("{SERVER}{CORP}{more}{route}"));
        run_menshen(&["check", "-c", file.to_str().unwrap()])
    };
    let warned = "the file has no connector `crop`";
    let output = check("");
    assert!(
        text(&output.stderr).contains("there is no connector `crop`"),
        "{output:?}"
    );
    assert!(!text(&output.stdout).contains(warned), "{output:?}");
    // The admin API can make one.
    let output = check("[admin]\nlisten = '127.0.0.1:0'\n");
    assert!(text(&output.stdout).contains(warned), "{output:?}");
}
