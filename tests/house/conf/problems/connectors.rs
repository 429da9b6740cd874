//! Problems of several connectors, and of the home of a connector.

use super::*;

#[test]
fn a_connector_is_of_one_kind() {
    assert_refused(
        "[connector.corp]\ndisplay_name = 'x'\n",
        3,
        12,
        &["`corp` is of no kind", ".wecom]"],
    );
}

#[test]
fn only_one_connector_starts_logins_by_itself() {
    let dev = WECOM.replace("corp", "dev").replace("dev_id", "corp_id");
    let silent = format!("{dev}[connector.dev]\nauto_login = 'never'\n");
    assert!(Config::parse(&format!("{SERVER}{WECOM}{silent}"), "m").is_ok());
    assert_refused_after_corp(
        &dev,
        7,
        12,
        &["inside the client of wecom, `corp`", "never"],
    );
    let both = format!("{dev}[connector.dev]\nauto_login = 'always'\n");
    let both = format!("{both}[connector.corp]\nauto_login = 'always'\n");
    assert_refused_after_corp(&both, 12, 14, &["`corp` already has auto_login"]);
}

#[test]
fn the_home_of_a_connector_is_a_url_of_the_site() {
    let home = |target: &str| format!("[connector.corp]\nhome = {{ desktop = '{target}' }}\n");
    for bad in [
        "//evil.example",
        "https://evil.example/",
        "portal",
        "/.menshen/sign_out",
    ] {
        assert_refused_after_corp(&home(bad), 8, 20, &["nobody can land there"]);
    }
    let route = "[[route]]\nname = 'oa'\nhost = 'oa.corp.example'\n";
    for good in [
        "/portal?x=1",
        "https://oa.corp.example/m",
        "https://sso.corp.example/",
    ] {
        let text = format!("{SERVER}{WECOM}{}{route}", home(good));
        assert!(Config::parse(&text, "m").is_ok(), "{good}");
    }
    // A route for every host adds no host to the site.
    let any = format!("{}[[route]]\nname = 'any'\n", home("https://evil.example/"));
    assert_refused_after_corp(&any, 8, 20, &["nobody can land there"]);
}

#[test]
fn only_one_connector_may_start_logins_in_an_app() {
    let two = |first: &str, second: &str| {
        let wecom = WECOM.replace("[connector.corp.wecom]\n", "");
        let one = format!("[connector.a]\nauto_login = '{first}'\n[connector.a.wecom]\n{wecom}");
        format!("{one}[connector.b]\nauto_login = '{second}'\n[connector.b.wecom]\n{wecom}")
    };
    for (first, second) in [
        ("in-app", "in-app"),
        ("always", "in-app"),
        ("in-app", "always"),
    ] {
        assert_refused(
            &two(first, second),
            10,
            14,
            &["`a` already starts logins", "never"],
        );
    }
    assert_refused(
        &two("always", "always"),
        10,
        14,
        &["`a` already has auto_login"],
    );
    for (first, second) in [("never", "always"), ("in-app", "never")] {
        let text = format!("{SERVER}{}", two(first, second));
        assert!(
            Config::parse(&text, "menshen.toml").is_ok(),
            "{first} {second}"
        );
    }
}

#[test]
fn the_interval_and_the_brake_of_a_sync_are_bounded() {
    for (line, words) in [
        ("sync_every = '0s'", "at least one second"),
        ("sync_every = '999ms'", "at least one second"),
        ("sync_brake = 101", "a number from 0 to 100"),
    ] {
        let text = format!("{SERVER}{WECOM}{line}\n");
        let error = Config::parse(&text, "m").unwrap_err().to_string();
        assert!(error.contains(words), "{line}: {error}");
    }
    for line in ["sync_every = '1s'", "sync_brake = 0", "sync_brake = 100"] {
        let text = format!("{SERVER}{WECOM}{line}\n");
        assert!(Config::parse(&text, "m").is_ok(), "{line}");
    }
    for line in ["sync_brake = 256", "sync_brake = -1", "sync_every = 60"] {
        let text = format!("{SERVER}{WECOM}{line}\n");
        assert!(Config::parse(&text, "m").is_err(), "{line}");
    }
}

#[test]
fn join_needs_something_to_give_and_gives_only_departments_and_groups() {
    for (join, words) in [
        ("{}", "gives nothing"),
        ("{ groups = [] }", "gives nothing"),
        ("{ department = '' }", "a department is a name or a path"),
        (
            "{ department = '公司//外包' }",
            "a department is a name or a path",
        ),
        ("{ department = '42' }", "a department is a name or a path"),
        ("{ groups = ['a,b'] }", "no comma"),
        ("{ groups = [''] }", "no comma"),
        ("{ groups = 'guests' }", "write [\"...\"]"),
        ("{ roles = ['x'] }", "roles"),
    ] {
        let text = format!("{SERVER}[connector.corp]\njoin = {join}\n{WECOM}");
        let error = Config::parse(&text, "m").unwrap_err().to_string();
        assert!(
            error.contains(words) && error.contains("m:4:"),
            "{join}: {error}"
        );
    }
    let many = |count| {
        let groups: Vec<_> = (0..count).map(|n| format!("'g{n}'")).collect();
        format!("{{ groups = [{}] }}", groups.join(", "))
    };
    for (join, is_accepted) in [
        ("{ department = '公司/外包' }".to_owned(), true),
        ("{ groups = ['外部 人员'] }".to_owned(), true),
        (many(100), true),
        (many(101), false),
    ] {
        let text = format!("{SERVER}[connector.corp]\njoin = {join}\n{WECOM}");
        assert_eq!(Config::parse(&text, "m").is_ok(), is_accepted, "{join}");
    }
}
