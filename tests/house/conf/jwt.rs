//! Problems and warnings of `[connector.ID.jwt]`.

use super::parse;
use super::problems::{assert_problem, parse_error};
use super::warnings::warned_keys;

/// A portal with a public key, in lines 3 to 6; further keys begin in line 7.
const PORTAL: &str = "[server]
external_url = \"https://sso.corp.example\"
[connector.portal.jwt]
algorithm = 'ES256'
key = { file = '/etc/menshen/portal.pem' }
origins = ['https://portal.corp.example']
";

/// Asserts that `more` is refused in its first line.
fn assert_refused(more: &str, column: usize, words: &[&str]) {
    assert_problem(&parse_error(&format!("{PORTAL}{more}\n")), 7, column, words);
}

#[test]
fn an_invalid_setting_is_refused_at_its_value() {
    parse(PORTAL);
    for (more, column, words) in [
        ("parameter = ''", 13, "name of a parameter"),
        ("parameter = 'a b'", 13, "name of a parameter"),
        ("parameter = 'rd'", 13, "of menshen itself"),
        ("parameter = 'flow'", 13, "of menshen itself"),
        ("key_encoding = 'hex'", 16, "base64"),
        ("key_encoding = 'base64'", 16, "in PEM"),
        (
            "jwks_url = 'https://portal.corp.example/keys'",
            1,
            "exclude each other",
        ),
        ("lifetime_max = '0s'", 16, "must not be 0"),
        ("lifetime_max = 300", 16, "a period in quotes"),
        ("subject = 'profile.('", 20, "does not compile"),
        ("subject = 'user.login'", 12, "profile"),
        ("on_routes = 'yes'", 13, "true or false"),
        ("algorithms = ['ES256']", 1, "did you mean `algorithm`"),
        ("script = 'return claims.sub'", 10, "[connector.ID.mapping]"),
    ] {
        assert_refused(more, column, &[words]);
    }
    let with_algorithm = |name: &str| PORTAL.replace("'ES256'", &format!("'{name}'"));
    for name in [
        "none", "None", "", "es256", "ES512", "HS1", "RS1", "dir", "RSA1_5",
    ] {
        let words = ["is not a choice here"];
        assert_problem(&parse_error(&with_algorithm(name)), 4, 13, &words);
    }
    let several = PORTAL.replace("'ES256'", "['ES256', 'RS256']");
    assert_eq!(parse_error(&several).problems[0].line, 4);
}

#[test]
fn a_key_is_needed_and_published_ones_are_public() {
    let without_key = PORTAL.replace("key = { file = '/etc/menshen/portal.pem' }\n", "");
    let words = ["nothing verifies the signature", "`jwks_url`"];
    assert_problem(&parse_error(&without_key), 3, 19, &words);
    let empty = PORTAL.replace("{ file = '/etc/menshen/portal.pem' }", "[]");
    assert_problem(&parse_error(&empty), 5, 7, &["accepts no token"]);
    for bad in [
        "7",
        "{}",
        "[7]",
        "[['a']]",
        "{ path = '/a' }",
        "[{ file = '/a', env = 'B' }]",
    ] {
        let text = PORTAL.replace("{ file = '/etc/menshen/portal.pem' }", bad);
        assert_eq!(parse_error(&text).problems[0].line, 5, "{bad}");
    }
    let published = |url: &str| format!("{without_key}jwks_url = '{url}'\n");
    parse(&published("https://portal.corp.example/keys"));
    let url = published("ftp://portal.corp.example/keys");
    assert_problem(&parse_error(&url), 6, 12, &["URL of keys"]);
    let hmac = published("https://portal.corp.example/keys").replace("ES256", "HS256");
    assert_problem(&parse_error(&hmac), 6, 1, &["secret that is published"]);
}

#[test]
fn an_origin_has_no_path() {
    for bad in [
        "https://portal.corp.example/home",
        "https://portal.corp.example?a",
        "https://a@portal.corp.example",
        "data:x",
    ] {
        let origins = format!("['https://portal.corp.example', '{bad}']");
        let text = PORTAL.replace("['https://portal.corp.example']", &origins);
        assert_problem(&parse_error(&text), 6, 43, &["must be an origin"]);
    }
    let with_port = PORTAL.replace("portal.corp.example'", "portal.corp.example:8443/'");
    parse(&with_port);
}

#[test]
fn decryption_needs_all_its_keys_and_known_algorithms() {
    let decrypt = "[connector.portal.jwt.decrypt]\nalgorithm = 'RSA-OAEP-256'\nmethod = 'A256GCM'\n\
                   key = { file = '/etc/menshen/decrypt.pem' }\n";
    parse(&format!("{PORTAL}{decrypt}"));
    for (from, to, line, column, words) in [
        ("RSA-OAEP-256", "RSA1_5", 8, 13, "RSA-OAEP"),
        ("RSA-OAEP-256", "PBES2-HS256+A128KW", 8, 13, "dir"),
        ("RSA-OAEP-256", "A192KW", 8, 13, "A128KW"),
        ("RSA-OAEP-256", "ECDH-ES+A128KW", 8, 13, "ECDH-ES+A256KW"),
        ("A256GCM", "A192GCM", 9, 10, "A128GCM"),
        ("method = 'A256GCM'\n", "", 7, 1, "method"),
        ("algorithm = 'RSA-OAEP-256'\n", "", 7, 1, "algorithm"),
        (
            "key = { file = '/etc/menshen/decrypt.pem' }\n",
            "",
            7,
            1,
            "key",
        ),
        ("method", "zip = 'DEF'\nmethod", 9, 1, "zip"),
        ("method", "key_encoding = 'base64'\nmethod", 9, 16, "in PEM"),
    ] {
        let text = format!("{PORTAL}{}", decrypt.replacen(from, to, 1));
        assert_problem(&parse_error(&text), line, column, &[words]);
    }
}

#[test]
fn insecure_settings_are_warned_of() {
    let text = "[server]
external_url = \"https://sso.corp.example\"
trusted_proxies = [\"10.0.0.1\"]
[connector.portal.jwt]
algorithm = 'HS256'
key = ['a secret', { env = 'SECOND' }]
lifetime_max = '61m'
clock_skew = '301s'
[connector.portal.jwt.decrypt]
algorithm = 'dir'
method = 'A128GCM'
key = 'another secret'
[connector.published.jwt]
algorithm = 'RS256'
jwks_url = 'http://portal.corp.example/keys'
origins = ['https://portal.corp.example']
[[route]]
name = \"a\"
upstream = [\"http://127.0.0.1:1\"]
";
    let keys = [
        ("connector.portal.jwt", 4),
        ("connector.portal.jwt.key[0]", 6),
        ("connector.portal.jwt.lifetime_max", 7),
        ("connector.portal.jwt.clock_skew", 8),
        ("connector.portal.jwt.decrypt.key", 12),
        ("connector.published.jwt.jwks_url", 15),
    ];
    let keys = keys.map(|(key, line)| (key.to_owned(), line));
    assert_eq!(warned_keys(text), keys);
    // A public key is no secret, and the origins are those of the portal.
    let pem = "key = '''-----BEGIN PUBLIC KEY-----'''";
    let public = PORTAL.replace("key = { file = '/etc/menshen/portal.pem' }", pem);
    let public = public.replace("[connector", "trusted_proxies = ['10.0.0.1']\n[connector");
    let route = "[[route]]\nname = 'a'\nupstream = ['http://127.0.0.1:1']\n";
    assert_eq!(warned_keys(&format!("{public}{route}")), []);
}

#[test]
fn key_files_are_watched() {
    let text = format!(
        "{PORTAL}[connector.portal.jwt.decrypt]\nalgorithm = 'dir'\nmethod = 'A128GCM'\n\
         key = {{ file = '/etc/menshen/decrypt.key' }}\n"
    );
    for text in [&text, &text.replace("ES256", "HS256")] {
        let files = parse(text).files();
        for name in ["/etc/menshen/portal.pem", "/etc/menshen/decrypt.key"] {
            assert!(files.contains(&name.into()), "{name}: {files:?}");
        }
    }
}
