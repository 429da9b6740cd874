//! `[connector.ID.oidc]`: what does not fit is refused at its place, what weakens is read out.

use super::parse;
use super::refused::{refuse, says};

/// Everything an issuer needs; six lines.
const WHOLE: &str = "\
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
    assert_eq!(parse(&format!("{WHOLE}{ROUTE}")).warnings(), []);
    for missing in ["issuer", "client_id"] {
        let text: String = WHOLE
            .lines()
            .filter(|line| !line.starts_with(missing))
            .map(|line| format!("{line}\n"))
            .collect();
        says(&refuse(&text), 4, 1, &[&format!("`{missing}` is missing")]);
    }
}

#[test]
fn what_does_not_fit_is_refused_at_its_place() {
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
        says(&refuse(&format!("{WHOLE}{more}\n")), 7, column, &words);
    }
    let both = "client_secret = { env = 'A' }\nprivate_key = { env = 'B' }\n";
    says(&refuse(&format!("{WHOLE}{both}")), 6, 13, &["not both"]);
    let bad = WHOLE.replace("realms/corp", "realms/corp?x=y");
    says(&refuse(&bad), 5, 10, &["without query"]);
}

#[test]
fn a_post_from_elsewhere_needs_https() {
    let post = format!("{WHOLE}response_mode = 'form_post'\n");
    parse(&post);
    let plain = post.replace("https://sso.corp.example", "http://sso.corp.example");
    says(&refuse(&plain), 7, 17, &["external_url", "https://"]);
}

#[test]
fn plain_http_on_the_way_to_an_issuer_is_read_out() {
    let warned = |text: &str| -> Vec<(String, usize)> {
        let warnings = parse(&format!("{text}{ROUTE}")).warnings();
        warnings
            .into_iter()
            .map(|one| (one.key, one.line))
            .collect()
    };
    let plain = WHOLE.replace("https://id.corp.example", "http://id.corp.example");
    let keys = "jwks_url = 'http://id.corp.example/keys'\nclient_secret = 'hunter2'\n";
    assert_eq!(
        warned(&format!("{plain}{keys}")),
        [
            ("connector.kc.oidc.issuer".to_owned(), 5),
            ("connector.kc.oidc.jwks_url".to_owned(), 7),
            ("connector.kc.oidc.client_secret".to_owned(), 8),
        ]
    );
    let here = WHOLE.replace("https://id.corp.example", "http://127.0.0.1:8080");
    assert_eq!(warned(&here), []);
}
