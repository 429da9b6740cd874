//! Problems and warnings of `[issuer.NAME]` and of the `issuers` of routes.

use super::parse;
use super::problems::assert_refused;
use super::warnings::warned_keys;

// The lines of these errors count two lines of `[server]` that come first.

#[test]
fn an_issuer_needs_a_url_and_audiences() {
    assert_refused(
        "[issuer.ci]\nurl = 'https://a'\n",
        3,
        1,
        &["`audiences` is missing"],
    );
    assert_refused(
        "[issuer.ci]\naudiences = ['a']\n",
        3,
        1,
        &["`url` is missing"],
    );
    assert_refused(
        "[issuer.ci]\nurl = 'a'\naudiences = ['a']\n",
        4,
        7,
        &["http(s) address without query"],
    );
    assert_refused(
        "[issuer.ci]\nurl = 'https://a'\naudiences = []\n",
        5,
        13,
        &["without audiences", "`aud`"],
    );
    assert_refused(
        "[issuer.ci]\nurl = 'https://a'\naudiences = ['a', '']\n",
        5,
        19,
        &["must not be empty"],
    );
    assert_refused(
        "[issuer.Ci]\nurl = 'https://a'\naudiences = ['a']\n",
        3,
        9,
        &["1 to 32 characters"],
    );
}

#[test]
fn invalid_issuer_settings_are_refused() {
    let issuer =
        |lines: &str| format!("[issuer.ci]\nurl = 'https://a'\naudiences = ['a']\n{lines}");
    for (bad, word) in [
        ("algorithms = ['HS256']\n", "not a choice here"),
        ("algorithms = ['none']\n", "not a choice here"),
        ("algorithms = []\n", "every token is refused"),
        ("scopes = ['a b']\n", "without spaces"),
        ("scopes = ['a\"b']\n", "without spaces"),
        ("cached_max = 0\n", "at least 1"),
        ("new_tokens_per_client_per_minute = 0\n", "at least 1"),
        ("new_tokens_per_client_at_once = 0\n", "at least 1"),
        ("jwks_url = 'file:///keys'\n", "this URL cannot be used"),
        (
            "metadata_url = 'https://u:p@a/'\n",
            "this URL cannot be used",
        ),
    ] {
        let column = bad.find(['[', '\'', '0']).unwrap() + 1;
        let column = if bad.contains("['") {
            column + 1
        } else {
            column
        };
        assert_refused(&issuer(bad), 6, column, &[word]);
    }
    let introspection = |lines: &str| issuer(&format!("[issuer.ci.introspection]\n{lines}"));
    assert_refused(
        &introspection("client_id = 'a'\n"),
        6,
        1,
        &["`client_secret` is missing"],
    );
    assert_refused(
        &introspection("client_id = ''\nclient_secret = { env = 'A' }\n"),
        7,
        13,
        &["needs a client_id"],
    );
    assert_refused(
        &introspection("client_id = 'a'\nclient_secret = { env = 'A' }\nurl = 'ftp://a'\n"),
        9,
        7,
        &["this URL cannot be used"],
    );
}

#[test]
fn a_multi_tenant_issuer_needs_a_list_of_tenants() {
    const ID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let issuer = |url: &str, lines: &str| {
        format!("[issuer.ci]\nurl = 'https://a{url}'\naudiences = ['a']\n{lines}")
    };
    let multi_tenant = |lines: &str| issuer("/{tenantid}/v2.0", lines);
    assert_refused(
        &multi_tenant(""),
        4,
        7,
        &["tokens of every tenant", "`tenants`"],
    );
    let two = format!("tenants = ['*', '{ID}']\n");
    assert_refused(&multi_tenant(&two), 6, 11, &["every tenant"]);
    let one = format!("tenants = ['{ID}']\n");
    assert_refused(&issuer("/v2.0", &one), 6, 11, &["no {tenantid}"]);
    // A token could belong to both.
    let both = format!(
        "{}[issuer.one]\nurl = 'https://a/{ID}/v2.0'\naudiences = ['a']\n[[route]]\nname = 'r'\n\
         issuers = ['ci', 'one']\n",
        multi_tenant(&one)
    );
    assert_refused(&both, 12, 18, &["already"]);
}

const TWO_ISSUERS: &str = "\
[issuer.ci]
url = 'https://a'
audiences = ['a']
[issuer.other]
url = 'https://b'
audiences = ['a']
";

#[test]
fn a_route_names_existing_issuers_and_is_not_public() {
    let route = |lines: &str| format!("{TWO_ISSUERS}[[route]]\nname = 'r'\n{lines}\n");
    assert_refused(
        &route("issuers = ['ci', 'cI']"),
        11,
        18,
        &["1 to 32 characters"],
    );
    assert_refused(
        &route("issuers = ['ci', 'si']"),
        11,
        18,
        &["no issuer `si`", "there are: ci, other"],
    );
    let without_issuers = "[[route]]\nname = 'r'\nissuers = ['ci']\n";
    assert_refused(
        without_issuers,
        5,
        12,
        &["no issuer `ci`", "add [issuer.ci]"],
    );
    assert_refused(
        &route("access = 'public'\nissuers = ['ci']"),
        12,
        1,
        &["has no effect", "access = \"rule\""],
    );
    assert_refused(
        &route("access = 'public'\nscopes = ['x']"),
        12,
        1,
        &["`scopes` has no effect"],
    );
    // No connector is needed if only programs use the route.
    parse(&format!(
        "[server]\nexternal_url = 'https://a.example'\n{}",
        route("issuers = ['ci', 'other']")
    ));
}

#[test]
fn a_token_belongs_to_one_issuer_of_a_route() {
    let same = TWO_ISSUERS.replace("https://b", "https://a");
    let route = "[[route]]\nname = 'r'\nissuers = ['ci', 'other']\n";
    assert_refused(
        &format!("{same}{route}"),
        11,
        18,
        &["an issuer of https://a already"],
    );
    let introspection_of = |id: &str| {
        format!("[issuer.{id}.introspection]\nclient_id = 'a'\nclient_secret = {{ env = 'A' }}\n")
    };
    let both = format!(
        "{TWO_ISSUERS}{}{}{route}",
        introspection_of("ci"),
        introspection_of("other")
    );
    assert_refused(&both, 17, 18, &["would be sent to the other"]);
}

#[test]
fn insecure_issuer_settings_are_warned_of_with_their_lines() {
    let text = r#"[server]
external_url = "http://localhost"
[issuer.idle]
url = "https://id.corp.example"
audiences = ["a"]
[issuer.loose]
url = "http://id.corp.example"
jwks_url = "http://id.corp.example/keys"
audiences = ["a"]
cache = "6m"
[issuer.loose.introspection]
url = "http://id.corp.example/explain"
client_id = "a"
client_secret = "hunter2"
audience_optional = true
[issuer.sound]
url = "http://127.0.0.1:8080/realms/corp"
audiences = ["a"]
cache = "5m"
[[route]]
name = "api"
upstream = ["http://127.0.0.1:8081"]
issuers = ["loose", "sound"]
"#;
    let expected = [
        ("issuer.idle", 3),
        ("issuer.loose.url", 7),
        ("issuer.loose.jwks_url", 8),
        ("issuer.loose.cache", 10),
        ("issuer.loose.introspection.url", 12),
        ("issuer.loose.introspection.client_secret", 14),
        ("issuer.loose.introspection.audience_optional", 15),
    ];
    assert_eq!(
        warned_keys(text),
        expected.map(|(key, line)| (key.to_owned(), line))
    );
}

#[test]
fn an_audience_that_is_the_client_id_of_a_connector_is_warned_of() {
    let text = |issuer: &str, audience: &str| {
        format!(
            r#"[server]
external_url = "http://localhost"
[connector.keycloak.oidc]
issuer = "https://id.corp.example/realms/corp"
client_id = "menshen"
[connector.other.oidc]
issuer = "https://id.corp.example/realms/other"
client_id = "ci"
[issuer.ci]
url = "{issuer}"
audiences = ["api", "{audience}"]
[[route]]
name = "api"
upstream = ["http://127.0.0.1:8081"]
issuers = ["ci"]
"#
        )
    };
    let corp = "https://id.corp.example/realms/corp";
    let bad = text(corp, "menshen");
    let warned = ("issuer.ci.audiences[1]".to_owned(), 11);
    assert_eq!(warned_keys(&bad), [warned]);
    let warnings = parse(&bad).warnings();
    assert!(
        warnings[0]
            .text
            .to_string()
            .contains("[connector.keycloak]")
    );
    for (issuer, audience) in [
        (corp, "ci"),
        (corp, "Menshen"),
        ("https://id.corp.example/realms/corp/", "menshen"),
    ] {
        assert_eq!(
            warned_keys(&text(issuer, audience)),
            [],
            "{issuer} {audience}"
        );
    }
}
