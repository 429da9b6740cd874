//! Problems and warnings of `[connector.ID.oauth2]`.

use super::parse;
use super::problems::{assert_problem, parse_error};

const SERVER: &str = "[server]\nexternal_url = \"https://sso.corp.example\"\n";

/// Every required key of a provider without a preset but `subject`, in lines 3 to 9.
const REQUIRED_KEYS: &str = "\
[connector.gh.mapping]
login = \"profile.login\"
[connector.gh.oauth2]
client_id = \"me\"
authorize_url = \"https://p.example/a\"
token_url = \"https://p.example/t\"
profile_url = \"https://p.example/me\"
";

/// Asserts that `more`, which begins in line 11, is refused there.
fn assert_refused(more: &str, line: usize, column: usize, words: &[&str]) {
    let text = format!("{SERVER}{REQUIRED_KEYS}subject = \"profile.id\"\n{more}");
    assert_problem(&parse_error(&text), line, column, words);
}

#[test]
fn a_provider_without_a_preset_needs_all_keys() {
    let complete = format!("{SERVER}{REQUIRED_KEYS}subject = \"profile.id\"\n");
    parse(&complete);
    for (missing, words) in [
        (
            "authorize_url = \"https://p.example/a\"\n",
            "authorize_url: it is missing",
        ),
        (
            "token_url = \"https://p.example/t\"\n",
            "token_url: it is missing",
        ),
        (
            "profile_url = \"https://p.example/me\"\n",
            "profile_url: it is missing",
        ),
        ("subject = \"profile.id\"\n", "subject: it is missing"),
    ] {
        let text = complete.replace(missing, "");
        assert_problem(
            &parse_error(&text),
            5,
            15,
            &[words, "[connector.gh.oauth2]"],
        );
    }
    let text = complete.replace("login = \"profile.login\"\n", "");
    assert_problem(
        &parse_error(&text),
        4,
        15,
        &["mapping must have a login", "login"],
    );
    let text = complete.replace("client_id = \"me\"\n", "");
    assert_problem(&parse_error(&text), 5, 1, &["client_id"]);
    let text = complete.replace("\"me\"", "\"\"");
    assert_problem(&parse_error(&text), 6, 13, &["client_id: it is empty"]);
}

#[test]
fn a_preset_with_a_cloud_service_needs_no_base_url() {
    for preset in ["github", "gitlab", "google", "gitee", "feishu"] {
        parse(&format!(
            "{SERVER}[connector.x.oauth2]\npreset = '{preset}'\nclient_id = 'me'\n"
        ));
    }
    for preset in ["microsoft", "keycloak"] {
        let text = format!("{SERVER}[connector.x.oauth2]\npreset = '{preset}'\nclient_id = 'me'\n");
        assert_problem(&parse_error(&text), 3, 14, &["base_url", "needs it"]);
        parse(&format!(
            "{text}base_url = 'https://id.corp.example/realms/corp'\n"
        ));
    }
    let google = "[connector.x.oauth2]\npreset = 'google'\nclient_id = 'me'\n";
    let text = format!("{SERVER}{google}base_url = 'https://g.corp.example'\n");
    assert_problem(&parse_error(&text), 6, 12, &["one address only"]);
    let text = format!("{SERVER}[connector.x.oauth2]\npreset = 'githab'\nclient_id = 'me'\n");
    assert_problem(&parse_error(&text), 4, 10, &["githab", "github"]);
}

#[test]
fn an_invalid_setting_is_refused_at_its_value() {
    for (more, column, words) in [
        ("base_url = 'https://p.example'", 12, "without a preset"),
        (
            "logout_url = 'ftp://p.example'",
            14,
            "this URL cannot be used",
        ),
        (
            "logout_url = 'https://me:hunter2@p.example'",
            14,
            "this URL cannot be used",
        ),
        ("logout_return_param = 'service'", 23, "`logout_url`"),
        ("token_at = 'data'", 12, "JSON pointer"),
        ("profile_at = 'data'", 14, "JSON pointer"),
        ("profile_auth = 'basic'", 16, "bearer"),
        ("scopes = ['a b']", 10, "each scope"),
        ("scopes = ['']", 10, "each scope"),
        ("scope_separator = 'x'", 19, "between scopes"),
        ("return_param = 'state'", 16, "taken"),
        ("return_param = ''", 16, "taken"),
        ("client_auth = 'basic'", 15, "`client_secret`"),
        ("client_auth = 'private-key-jwt'", 15, "`private_key`"),
        ("pkce = 'yes'", 8, "true or false"),
        ("vouched_email = 'profile.('", 26, "does not compile"),
        ("vouched_email = 'user.email'", 18, "profile"),
        (
            "profiles = { 'a-b' = 'https://p.example' }",
            22,
            "cannot be used",
        ),
        (
            "profiles = { teams = 'mailto:a@b' }",
            22,
            "this URL cannot be used",
        ),
        ("authorize_params = { state = 'x' }", 30, "menshen itself"),
        (
            "authorize_params = { redirect_uri = 'x' }",
            37,
            "menshen itself",
        ),
        ("authorize_params = { scope = 'x' }", 30, "`scopes`"),
    ] {
        assert_refused(more, 11, column, &[words]);
    }
    assert_refused("scpes = []", 11, 1, &["did you mean `scopes`"]);
    let text = format!("{SERVER}{REQUIRED_KEYS}subject = \"profile.id +\"\n");
    assert_problem(&parse_error(&text), 10, 24, &["does not compile"]);
    let both = "client_secret = 'a'\nprivate_key = 'b'";
    assert_refused(both, 12, 15, &["not both"]);
    let nine_profiles: String = (0..9)
        .map(|at| format!("p{at} = 'https://p.example'\n"))
        .collect();
    assert_refused(
        &format!("[connector.gh.oauth2.profiles]\n{nine_profiles}"),
        11,
        1,
        &["at most 8"],
    );
}

#[test]
fn one_connector_is_of_one_kind() {
    let wecom = "[connector.gh.wecom]\ncorp_id = \"ww0123456789abcdef\"\nagent_id = 7\nsecret = { file = \"/s\" }\n";
    let text = format!("{SERVER}{REQUIRED_KEYS}subject = \"profile.id\"\n{wecom}");
    let words = [
        "of two kinds",
        "[connector.gh.wecom] or [connector.gh.oauth2]",
    ];
    assert_problem(&parse_error(&text), 5, 15, &words);
    let without_kind = format!("{SERVER}[connector.gh]\nsync = false\n");
    assert_problem(&parse_error(&without_kind), 3, 12, &["of no kind"]);
}

#[test]
fn several_providers_can_be_configured() {
    let connector_with_preset = |id: &str, preset: &str| {
        format!("[connector.{id}.oauth2]\npreset = '{preset}'\nclient_id = 'me'\n")
    };
    parse(&format!(
        "{SERVER}{}{}",
        connector_with_preset("a", "github"),
        connector_with_preset("b", "gitlab")
    ));
    // In the Feishu app both would start a login automatically.
    let text = format!(
        "{SERVER}{}{}",
        connector_with_preset("a", "feishu"),
        connector_with_preset("b", "feishu")
    );
    assert_problem(
        &parse_error(&text),
        6,
        12,
        &["client of feishu", "`a` already"],
    );
}

#[test]
fn insecure_settings_are_warned_of() {
    let text = "[server]
external_url = \"https://sso.corp.example\"
trusted_proxies = [\"10.0.0.1\"]
[connector.gh.mapping]
login = \"profile.login\"
[connector.gh.oauth2]
client_id = \"me\"
client_secret = \"hunter2\"
authorize_url = \"http://p.example/a\"
token_url = \"http://127.0.0.1:8080/t\"
profile_url = \"http://p.example/me\"
subject = \"profile.id\"
pkce = false
logout_url = \"http://p.example/out\"
[connector.gh.oauth2.profiles]
teams = \"http://p.example/teams\"
[[route]]
name = \"a\"
upstream = [\"http://127.0.0.1:1\"]
";
    let warnings = parse(text).warnings();
    let found: Vec<_> = warnings
        .iter()
        .map(|one| (one.key.as_str(), one.line))
        .collect();
    let expected = [
        ("connector.gh.oauth2.client_secret", 8),
        ("connector.gh.oauth2.authorize_url", 9),
        ("connector.gh.oauth2.profile_url", 11),
        ("connector.gh.oauth2.pkce", 13),
        ("connector.gh.oauth2.logout_url", 14),
        ("connector.gh.oauth2.profiles.teams", 16),
    ];
    assert_eq!(found, expected);
    assert!(!format!("{warnings:?}").contains("hunter2"));
}
