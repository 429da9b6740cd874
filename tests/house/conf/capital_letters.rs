//! Rules that compare paths with capital letters, on routes with `case_insensitive`.

use super::parse;
use crate::setup::Setup;
use crate::test_request::TestRequest;

const HEAD: &str = "[server]\nexternal_url = 'https://sso.test'\ntrusted_proxies = ['10.0.0.1']\n\
                    [connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { env = 'X' }\n";

/// The warnings about a rule, on a route with the lines `case`.
fn warnings_of(rule: &str, case: &str) -> Vec<String> {
    let text = format!(
        "{HEAD}[[route]]\nname = 'a'\nupstream = ['http://[::1]']\naccess = 'rule'\n\
         allow = '''{rule}'''\n{case}\n"
    );
    let warnings = parse(&text).warnings().into_iter();
    let of_the_rule = warnings.filter(|warning| warning.key == "route[0].allow");
    of_the_rule
        .map(|warning| warning.text.to_string())
        .collect()
}

#[test]
fn a_rule_with_capital_letters_is_warned_of_if_paths_ignore_case() {
    let yes = "case_insensitive = true";
    for (rule, written) in [
        ("!request.path.startsWith('/Admin')", "/Admin"),
        ("request.path == '/Admin' || user.login == 'boss'", "/Admin"),
        ("request.path in ['/a', '/B']", "/B"),
        ("['/a', '/B'].exists(p, request.path.startsWith(p))", "/B"),
        ("request.path.matches('^/Admin(/|$)')", "^/Admin(/|$)"),
        ("!request.path.startsWith('/Отчёты')", "/Отчёты"),
    ] {
        let warnings = warnings_of(rule, yes);
        assert_eq!(warnings.len(), 1, "{rule}: {warnings:?}");
        for part in [written, "case_insensitive", "in lower case"] {
            assert!(warnings[0].contains(part), "{rule}: {}", warnings[0]);
        }
    }
    for rule in [
        "!request.path.startsWith('/admin')",
        "request.path.startsWith('/admin') && 'HR' in user.groups",
        "request.path == '/a' || request.method == 'GET'",
        "request.path.matches('(?i)^/Admin')",
        r"request.path.matches(r'^/[A-Za-z]+\S$')",
        "user.login == 'Boss'",
        "!request.path.startsWith('/财务')",
    ] {
        assert_eq!(warnings_of(rule, yes), [""; 0], "{rule}");
    }
    for case in ["", "case_insensitive = false"] {
        let warnings = warnings_of("request.path == '/Admin'", case);
        assert_eq!(warnings, [""; 0], "{case}");
    }
}

#[tokio::test]
async fn a_rule_with_capital_letters_matches_no_path_that_ignores_case() {
    let rule = |name: &str, rule: &str| {
        format!(
            "[[route]]\nname = '{name}'\nhost = '{name}.test'\nupstream = ['{{app}}']\n\
             access = 'rule'\nallow = \"{rule}\"\ncase_insensitive = true\n"
        )
    };
    let routes = [
        rule("forbids", "!request.path.startsWith('/Admin')"),
        rule("allows", "request.path.startsWith('/Admin')"),
        rule("forbids-small", "!request.path.startsWith('/admin')"),
        rule("allows-small", "request.path.startsWith('/admin')"),
    ];
    let menshen = Setup::default().routes(&routes.concat()).start().await;
    for (host, path, passes) in [
        // The rule does not match, although the application serves /Admin.
        ("forbids", "/admin", true),
        ("forbids", "/Admin", false),
        ("allows", "/admin", false),
        ("allows", "/Admin", false),
        ("forbids-small", "/admin", false),
        ("forbids-small", "/Admin", false),
        ("forbids-small", "/other", true),
        ("allows-small", "/admin", true),
    ] {
        let ask = TestRequest::get(path).host(&format!("{host}.test"));
        let status = ask.send(&menshen).await.status;
        assert_eq!(status == 200, passes, "{host}{path}: {status}");
    }
    // The results for both spellings differ, so the request is refused.
    let other = TestRequest::get("/Admin").host("allows-small.test");
    assert_eq!(other.send(&menshen).await.status, 400);
}
