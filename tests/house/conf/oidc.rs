//! Problems and warnings of `[connector.ID.oidc]`.

use super::parse;
use super::problems::{assert_problem, parse_error};

/// All required keys, in six lines.
const REQUIRED_KEYS: &str = "\
[server]
external_url = \"https://sso.corp.example\"
trusted_proxies = [\"10.0.0.1\"]
[connector.kc.oidc]
issuer = \"https://id.corp.example/realms/corp\"
client_id = \"menshen\"
";

const ROUTE: &str = "[[route]]\nname = \"a\"\nupstream = [\"http://127.0.0.1:1\"]\n";

#[test]
fn issuer_and_client_id_are_enough() {
    assert_eq!(parse(&format!("{REQUIRED_KEYS}{ROUTE}")).warnings(), []);
    for missing in ["issuer", "client_id"] {
        let text: String = REQUIRED_KEYS
            .lines()
            .filter(|line| !line.starts_with(missing))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_problem(
            &parse_error(&text),
            4,
            1,
            &[&format!("`{missing}` is missing")],
        );
    }
}

#[test]
fn an_invalid_setting_is_refused_at_its_value() {
    for (more, column, words) in [
        ("scopes = ['profile']", 10, ["scopes", "\"openid\""]),
        ("algorithms = ['HS256']", 15, ["HS256", "RS256"]),
        ("algorithms = ['none']", 15, ["none", "RS256"]),
        ("algorithms = []", 14, ["algorithms", "name one"]),
        ("jwks_url = 'ftp://a/b'", 12, ["jwks_url", "https://"]),
        (
            "authorize_params = { nonce = 'x' }",
            20,
            ["authorize_params", "`nonce`"],
        ),
        ("response_mode = 'fragment'", 17, ["fragment", "form_post"]),
        ("issuer_url = 'https://a'", 1, ["issuer_url", "issuer"]),
    ] {
        assert_problem(
            &parse_error(&format!("{REQUIRED_KEYS}{more}\n")),
            7,
            column,
            &words,
        );
    }
    let both = "client_secret = { env = 'A' }\nprivate_key = { env = 'B' }\n";
    assert_problem(
        &parse_error(&format!("{REQUIRED_KEYS}{both}")),
        6,
        13,
        &["not both"],
    );
    let with_query = REQUIRED_KEYS.replace("realms/corp", "realms/corp?x=y");
    assert_problem(&parse_error(&with_query), 5, 10, &["without query"]);
}

#[test]
fn form_post_needs_https() {
    let post = format!("{REQUIRED_KEYS}response_mode = 'form_post'\n");
    parse(&post);
    let plain = post.replace("https://sso.corp.example", "http://sso.corp.example");
    assert_problem(&parse_error(&plain), 7, 17, &["external_url", "https://"]);
}

#[test]
fn plain_http_urls_of_a_provider_are_warned_of() {
    let warned = |text: &str| -> Vec<(String, usize)> {
        let warnings = parse(&format!("{text}{ROUTE}")).warnings();
        warnings
            .into_iter()
            .map(|not_multi_tenant| (not_multi_tenant.key, not_multi_tenant.line))
            .collect()
    };
    let plain = REQUIRED_KEYS.replace("https://id.corp.example", "http://id.corp.example");
    let keys = "jwks_url = 'http://id.corp.example/keys'\nclient_secret = 'hunter2'\n";
    assert_eq!(
        warned(&format!("{plain}{keys}")),
        [
            ("connector.kc.oidc.issuer".to_owned(), 5),
            ("connector.kc.oidc.jwks_url".to_owned(), 7),
            ("connector.kc.oidc.client_secret".to_owned(), 8),
        ]
    );
    let on_loopback = REQUIRED_KEYS.replace("https://id.corp.example", "http://127.0.0.1:8080");
    assert_eq!(warned(&on_loopback), []);
}

#[test]
fn a_multi_tenant_provider_needs_a_list_of_tenants() {
    const ID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let multi_tenant = REQUIRED_KEYS.replace(
        "id.corp.example/realms/corp",
        "login.example/{tenantid}/v2.0",
    );
    assert_problem(&parse_error(&multi_tenant), 5, 10, &["issuer", "`tenants`"]);
    assert_eq!(
        parse(&format!("{multi_tenant}tenants = ['{ID}']\n{ROUTE}")).warnings(),
        []
    );
    for (lines, column, words) in [
        ("tenants = []".to_owned(), 10, ["issuer", "`tenants`"]),
        (
            "tenants = ['corp.example']".to_owned(),
            12,
            ["an ID", "domain"],
        ),
        ("tenants = ['common']".to_owned(), 12, ["an ID", "\"*\""]),
        (
            format!("tenants = ['*', '{ID}']"),
            11,
            ["tenants", "every tenant"],
        ),
    ] {
        let line = if lines.ends_with("[]") { 5 } else { 7 };
        assert_problem(
            &parse_error(&format!("{multi_tenant}{lines}\n")),
            line,
            column,
            &words,
        );
    }
    let not_multi_tenant = format!("{REQUIRED_KEYS}tenants = ['{ID}']\n");
    assert_problem(&parse_error(&not_multi_tenant), 7, 11, &["no {tenantid}"]);
    let every_tenant = format!("{multi_tenant}tenants = ['*']\n");
    let warned = super::warnings::warned_keys(&format!("{every_tenant}{ROUTE}"));
    assert_eq!(warned, [("connector.kc.oidc.tenants".to_owned(), 7)]);
    // With "*" the administrator of any organisation could take over an account by its email address.
    let linked = every_tenant.replace(
        "[connector.kc.oidc]",
        "[connector.kc]\nlink_by = ['email']\n[connector.kc.oidc]",
    );
    assert_problem(&parse_error(&linked), 5, 11, &["link_by", "tenants"]);
    parse(&linked.replace("['*']", &format!("['{ID}']")));
    for with_query in ["{tenant}", "{tenantid}x", "{tenantid}/{tenantid}"] {
        let text = multi_tenant.replace("{tenantid}", with_query);
        assert_problem(&parse_error(&text), 5, 10, &["braces"]);
    }
}
