//! What only shows when everything is built: keys, certificates and files that the configuration names.

use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

const SERVER: &str = "[server]\nexternal_url = 'http://127.0.0.1:8080'\nlisten = ['127.0.0.1:0']\n";
const STORE: &str = "[store]\nurl = 'sqlite::memory:'\n";
const WECOM: &str =
    "[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = 'hunter2'\n";
const ROUTE: &str = "[[route]]\nname = 'a'\nupstream = ['https://127.0.0.1:1']\n";

/// Files of a folder, by their names in a document.
const FILES: [(&str, &str); 3] = [
    ("EMPTY", ""),
    ("NOPEM", "no PEM at all\n"),
    (
        "PEOPLE",
        "[zhang.san]\npassword = 7\n['a b']\nbadge = 1\n[li]\npassword = 'x'\nname = 7\ngroups = 1\n",
    ),
];

#[test]
fn what_cannot_be_built_is_said_in_chinese() {
    let keys = "[session]\nkeys = ";
    let tls = "tls = { certificate = 'NOPEM', key = 'NOPEM' }\n";
    let documents = [
        format!("{SERVER}{tls}{STORE}{WECOM}"),
        format!("{SERVER}{STORE}{keys}['short']\n{WECOM}"),
        format!("{SERVER}{STORE}{keys}['c2hvcnQ=']\n{WECOM}"),
        format!("{SERVER}{STORE}{keys}[{{ file = 'EMPTY' }}]\n{WECOM}"),
        format!("{SERVER}{STORE}{keys}[{{ env = 'MENSHEN_TEST_NOT_SET' }}]\n{WECOM}"),
        format!("{SERVER}{STORE}{WECOM}events = {{ token = 't', encoding_aes_key = 'short' }}\n"),
        format!("{SERVER}{STORE}[connector.corp]\nca = 'NOPEM'\n{WECOM}"),
        format!("{SERVER}{STORE}[connector.corp]\nca = 'EMPTY'\n{WECOM}"),
        format!("{SERVER}{STORE}[connector.corp]\nca_pem = 'no PEM'\n{WECOM}"),
        format!("{SERVER}{STORE}[connector.staff.local]\npeople = 'PEOPLE'\n"),
        format!("{SERVER}{STORE}[connector.staff.local]\npeople = 'NOPEM'\n"),
        format!("{SERVER}{STORE}{WECOM}{ROUTE}upstream_tls = {{ ca = 'NOPEM' }}\n"),
        format!("{SERVER}{STORE}{WECOM}{ROUTE}upstream_tls = {{ server_name = 'a b' }}\n"),
        format!("{SERVER}{STORE}{WECOM}[pages]\nlogo = 'NOPEM'\n"),
        format!(
            "{SERVER}{STORE}{WECOM}[admin]\nlisten = 'nowhere'\ntoken = 'admin-token-of-32-characters-0001'\n"
        ),
        format!(
            "{SERVER}{STORE}{WECOM}[admin]\nlisten = '127.0.0.1:0'\n\
             tokens = [{{ name = 'a', token = 'admin-token-of-32-characters-0001' }}, \
             {{ name = 'b', token = 'admin-token-of-32-characters-0001' }}]\n"
        ),
        format!(
            "{SERVER}{STORE}[connector.portal.jwt]\nalgorithm = 'RS256'\nkey = 'no PEM'\nissuer = 'p'\n\
             audience = 'm'\norigins = ['https://a.corp.example']\n"
        ),
        format!(
            "{SERVER}{STORE}[connector.idp.saml]\nmetadata = 'https://idp.corp.example/m'\n\
             private_key = 'no PEM'\ncertificate_pem = 'no PEM'\n"
        ),
        format!(
            "{SERVER}{STORE}[connector.op.oidc]\nissuer = 'https://op.corp.example'\nclient_id = 'm'\n\
             private_key = 'no PEM'\n"
        ),
        format!("{SERVER}[store]\nurl = 'sqlite:NOPEM'\n{WECOM}"),
    ];
    for document in documents {
        let folder = TempFolder::new();
        let mut filled = document.clone();
        for (name, content) in FILES {
            let path = folder.write(&name.to_lowercase(), content);
            filled = filled.replace(name, path.to_str().unwrap());
        }
        let path = folder.write("menshen.toml", &filled);
        let output = run_menshen(&["check", "-c", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{document}: {output:?}");
        assert!(!text(&output.stderr).is_empty(), "{document}");
    }
}

#[test]
fn a_session_key_that_cannot_be_read_is_named_by_its_place() {
    let folder = TempFolder::new();
    let document = format!("{SERVER}{STORE}[session]\nkeys = [{{ file = '/' }}]\n{WECOM}{ROUTE}");
    let path = folder.write("menshen.toml", &document);
    let output = run_menshen(&["check", "--lang", "zh", "-c", path.to_str().unwrap()]);
    let printed = text(&output.stderr);
    assert!(
        printed.contains("[session] keys[0]：无法读取密钥文件 /"),
        "{printed}"
    );
}

#[test]
fn a_certificate_or_key_that_cannot_be_used_is_refused_at_its_key() {
    let folder = TempFolder::new();
    let generated = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (one, other) = (generated("a.test"), generated("b.test"));
    let write = |name: &str, content: &str| folder.write(name, content).display().to_string();
    let certificate = write("one.pem", &one.cert.pem());
    let key = write("one.key", &one.signing_key.serialize_pem());
    let other_key = write("other.key", &other.signing_key.serialize_pem());
    let bad = write("bad.pem", "no PEM");
    for (certificate, key, line, words) in [
        (&bad, &key, 5, "contains no certificate"),
        (&certificate, &bad, 6, "contains no private key"),
        (
            &certificate,
            &other_key,
            6,
            "does not match the certificate",
        ),
    ] {
        let document = format!(
            "[server]\nexternal_url = 'https://a.test'\nlisten = ['127.0.0.1:0']\n[server.tls]\n\
             certificate = '{certificate}'\nkey = '{key}'\n{STORE}{WECOM}"
        );
        let path = folder.write("menshen.toml", &document);
        let output = run_menshen(&["check", "-c", path.to_str().unwrap()]);
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(printed.contains(words), "{words}: {printed}");
        assert!(
            printed.contains(&format!("menshen.toml:{line}:")),
            "{printed}"
        );
        assert!(printed.contains('^'), "{printed}");
    }
}
