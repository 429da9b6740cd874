//! `menshen check` warns of what a tired person overlooks.

use std::os::unix::fs::PermissionsExt as _;

use super::parse;
use crate::chinese::assert_warnings_are_chinese;
use crate::upstream::TempFolder;

/// The warnings at this key.
fn warnings_at(text: &str, key: &str) -> Vec<String> {
    let warnings = parse(text).warnings();
    assert_warnings_are_chinese(&warnings);
    let warnings = warnings.into_iter();
    let at_key = warnings.filter(|warning| warning.key == key);
    at_key.map(|warning| warning.text.to_string()).collect()
}

/// A site with a route that begins with `route`, and with a connector.
fn site(route: &str) -> String {
    format!(
        "[server]\nexternal_url = 'https://oa.corp.example'\ntrusted_proxies = ['10.0.0.1']\n\
         [connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = {{ env = 'S' }}\n\
         [connector.corp.mapping]\nlevel = 'profile.level'\n\
         [[route]]\nname = 'oa'\nupstream = ['http://127.0.0.1:1']\n{route}\n"
    )
}

#[test]
fn a_field_of_user_that_nobody_has_is_warned_of() {
    for (rule, words) in [
        ("user.phone == '1'", "`user` has no field phone, only"),
        ("user.emial == 'a'", "did you mean user.email?"),
        ("user.level == '3'", "write user.attributes.level"),
        (
            "user.attributes.leval == '3'",
            "did you mean user.attributes.level?",
        ),
        (
            "user.attributes.rank == '3'",
            "no mapping of this file fills it",
        ),
        (
            "has(user.attributes.rank)",
            "no mapping of this file fills it",
        ),
    ] {
        let found = warnings_at(&site(&format!("allow = \"{rule}\"")), "route[0].allow");
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        assert!(found[0].contains(words), "{rule}: {found:?}");
        let header = site(&format!("headers = {{ X-A = \"string({rule})\" }}"));
        assert_eq!(
            warnings_at(&header, "route[0].headers.X-A").len(),
            1,
            "{rule}"
        );
    }
    for rule in [
        "user.login == 'a' && user.attributes.level == '3'",
        "'a' in user.groups && user.in_department('b') && user.departments.size() > 0",
        "user.attributes['rank'] == '3'",
    ] {
        let found = warnings_at(&site(&format!("allow = \"{rule}\"")), "route[0].allow");
        assert_eq!(found, Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn the_list_of_the_fields_of_user_has_only_names_that_a_rule_can_read() {
    let found = warnings_at(&site("allow = 'user.phone == 1'"), "route[0].allow");
    let (_, list) = found[0].split_once(", only ").unwrap();
    let (list, _) = list.split_once(';').unwrap();
    let fields: Vec<_> = list.split(", ").collect();
    assert!(fields.len() > 15, "{fields:?}");
    for field in fields {
        let rule = site(&format!("allow = 'has(user.{field})'"));
        assert!(warnings_at(&rule, "route[0].allow").is_empty(), "{field}");
    }
}

#[test]
fn attributes_of_connectors_that_the_file_does_not_describe_are_not_warned_of() {
    let rule = "[[route]]\nname = 'oa'\nallow = 'user.attributes.rank == 1'\n";
    let server = "[server]\nexternal_url = 'https://oa.corp.example'\n";
    let local = "[connector.house.local]\npeople = '/dev/null'\n";
    for connectors in ["", local] {
        let text = format!("{server}{connectors}{rule}");
        assert_eq!(
            warnings_at(&text, "route[0].allow"),
            Vec::<String>::new(),
            "{connectors}"
        );
    }
}

#[test]
fn a_rule_that_is_no_boolean_is_warned_of() {
    for (rule, is_warned) in [
        ("user.login", true),
        ("'admins'", true),
        ("user.groups", true),
        ("'admins' in user.groups", false),
        ("user.attributes.level", false),
        ("true", false),
    ] {
        let found = warnings_at(&site(&format!("allow = \"{rule}\"")), "route[0].allow");
        let is_found = found
            .iter()
            .any(|text| text.contains("neither true nor false"));
        assert_eq!(is_found, is_warned, "{rule}: {found:?}");
    }
}

#[test]
fn a_glob_in_a_path_is_warned_of() {
    let found = warnings_at(&site("path = '/api/*'"), "route[0].path");
    assert!(found[0].contains("write path = \"/api\""), "{found:?}");
    let found = warnings_at(&site("path = '/*'"), "route[0].path");
    assert!(found[0].contains("write path = \"/\""), "{found:?}");
    let found = warnings_at(
        &site("public_paths = ['/static/*']"),
        "route[0].public_paths[0]",
    );
    assert!(found[0].contains("access = \"public\""), "{found:?}");
    assert!(warnings_at(&site("path = '/api'"), "route[0].path").is_empty());
}

#[test]
fn routes_that_differ_by_case_are_warned_of() {
    let two = |first: &str, second: &str| {
        site(&format!(
            "path = '{first}'\ncase_insensitive = false\n[[route]]\nname = 'b'\npath = '{second}'\n\
             case_insensitive = false\nupstream = ['http://127.0.0.1:1']"
        ))
    };
    let found = warnings_at(&two("/App", "/app"), "route[1].path");
    assert!(
        found[0].contains("the same path in another case"),
        "{found:?}"
    );
    assert!(warnings_at(&two("/App", "/apps"), "route[1].path").is_empty());
    // A slash at the end makes no difference at all.
    let error = super::problems::parse_error(&two("/app", "/app/"));
    assert!(
        error
            .to_string()
            .contains("two routes serve the same host and path"),
        "{error}"
    );
}

#[test]
fn an_external_url_that_no_route_serves_is_warned_of() {
    let at = "server.external_url";
    let found = warnings_at(&site("host = 'ao.corp.example'"), at);
    assert!(
        found[0].contains("did you mean ao.corp.example?"),
        "{found:?}"
    );
    let found = warnings_at(&site("host = 'oa.corp.example:8443'"), at);
    assert!(
        found[0].starts_with("no route serves oa.corp.example:443, only oa.corp.example:8443"),
        "{found:?}"
    );
    let found = warnings_at(&site("host = 'wiki.other.example'"), at);
    assert!(found[0].contains("gets 404"), "{found:?}");
    for route in [
        "",
        "host = 'oa.corp.example'",
        "host = '*.corp.example'",
        "host = 'oa.corp.example:443'",
        "host = 'oa.corp.example:8443'\n[[route]]\nname = 'b'\nupstream = ['http://[::1]']",
        // Several hosts have a host of menshen's own beside them.
        "host = 'wiki.other.example'\n[[route]]\nname = 'b'\nhost = 'git.other.example'\nupstream = ['http://[::1]']",
    ] {
        assert!(warnings_at(&site(route), at).is_empty(), "{route}");
    }
}

#[test]
fn a_corp_id_of_another_form_is_warned_of() {
    let at = "connector.corp.wecom.corp_id";
    let with = |id: &str| site("").replace("ww0123456789abcdef", id);
    for id in [
        "1000002",
        "ww0123456789abcde",
        "wwcorp",
        "WW0123456789abcdef",
    ] {
        assert_eq!(warnings_at(&with(id), at).len(), 1, "{id}");
    }
    for id in ["ww0123456789abcdef", "wx0123456789abcdef"] {
        assert!(warnings_at(&with(id), at).is_empty(), "{id}");
    }
}

#[test]
fn a_secret_that_is_a_path_is_warned_of_as_such() {
    let at = "connector.corp.wecom.secret";
    let with = |secret: &str| site("").replace("{ env = 'S' }", secret);
    let found = warnings_at(&with("'/etc/menshen/wecom.secret'"), at);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("looks like the path of a file"),
        "{found:?}"
    );
    for variable in ["${WECOM_SECRET}", "$WECOM_SECRET"] {
        let found = warnings_at(&with(&format!("'{variable}'")), at);
        assert!(found[0].contains("variables are not replaced"), "{found:?}");
    }
    for secret in ["$x", "$", "${}", "$AB-1"] {
        let found = warnings_at(&with(&format!("'{secret}'")), at);
        assert!(found[0].contains("configuration itself"), "{found:?}");
    }
    let found = warnings_at(&with("'hunter2'"), at);
    assert!(
        found[0].contains("in the configuration itself"),
        "{found:?}"
    );
    assert!(warnings_at(&with("{ env = 'S' }"), at).is_empty());
    // Anywhere, if the file exists.
    let folder = TempFolder::new();
    let path = folder.write("wecom secret+1", "hunter2");
    let there = warnings_at(&with(&format!("'{}'", path.display())), at);
    assert!(there[0].contains("the path of a file"), "{there:?}");
    let absent = folder.path("absent secret+1");
    let found = warnings_at(&with(&format!("'{}'", absent.display())), at);
    assert!(
        found[0].contains("in the configuration itself"),
        "{found:?}"
    );
}

#[test]
fn a_secret_file_that_others_may_read_is_warned_of() {
    let folder = TempFolder::new();
    let secret = folder.write("wecom.secret", "hunter2");
    let text = site("").replace("env = 'S'", &format!("file = '{}'", secret.display()));
    let mut found = Vec::new();
    for mode in [0o644, 0o640, 0o600] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let warnings = parse(&text).file_warnings().into_iter();
        let keys: Vec<_> = warnings.map(|warning| warning.key).collect();
        found.push(keys);
    }
    assert_eq!(found, [vec!["connector.corp.wecom.secret"], vec![], vec![]]);
}

#[test]
fn an_external_url_that_contradicts_the_certificates_is_warned_of() {
    for (url, listen, is_warned) in [
        ("http://oa.corp.example", "'127.0.0.1:0'", true),
        ("http://localhost", "'127.0.0.1:0'", true),
        ("https://oa.corp.example", "'127.0.0.1:0'", false),
        (
            "http://localhost",
            "{ address = '127.0.0.1:0', tls = false }",
            false,
        ),
    ] {
        let text = format!(
            "[server]\nexternal_url = '{url}'\nlisten = [{listen}]\n[server.tls]\n\
             certificate = '/a.crt'\nkey = '/a.key'\n[[route]]\nname = 'oa'\naccess = 'public'\n"
        );
        let found = warnings_at(&text, "server.external_url");
        let has_words = |text: &String| text.contains("contradicts [server.tls]");
        assert_eq!(found.iter().any(has_words), is_warned, "{url}: {found:?}");
        assert_eq!(found.len(), usize::from(is_warned), "{url}: {found:?}");
    }
}
