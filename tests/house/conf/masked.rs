//! An error shows its line, but no value that may be a secret.

use menshen::config::Config;

use super::problems::parse_error;
use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

const SERVER: &str = "[server]\nexternal_url = 'https://sso.corp.example'\n";

/// The report in English. Neither it nor the Chinese one contains `hunter2`.
fn shown(more: &str) -> String {
    let error = parse_error(&format!("{SERVER}{more}\n"));
    let (english, chinese) = (error.to_string(), format!("{error:#}"));
    assert!(!english.contains("hunter2"), "{english}");
    assert!(!chinese.contains("hunter2"), "{chinese}");
    assert!(english.contains('^'), "{english}");
    english
}

#[test]
fn a_misspelt_key_of_a_secret_shows_no_value() {
    for (more, words) in [
        // Each is beside another problem in the same line.
        (
            "[connector.a]\noidc = { issuer = 7, client_secrt = 'hunter2' }",
            "issuer = 7, client_secrt = '*******'",
        ),
        (
            "[connector.a]\noidc = { secrt = { value = 'hunter2' }, issuer = 7 }",
            "secrt = { value = '*******' }, issuer = 7",
        ),
        (
            "[connector.a]\nwecm = { agent = { pin = 'hunter2' } }",
            "wecm = { agent = { pin = '*******' } }",
        ),
        ("[store]\npasswrd = ['hunter2']", "passwrd = ['*******']"),
        (
            "[store]\npasswrd = \"\"\"hunter2\n\"\"\"",
            "passwrd = \"\"\"*******",
        ),
        (
            "[admin]\nlisten = '127.0.0.1:0'\ntokens = [{ nme = 'a', tokn = 'hunter2' }]",
            "nme = '*', tokn = '*******'",
        ),
    ] {
        let shown = shown(more);
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn a_text_in_the_place_of_a_table_is_not_shown() {
    for more in [
        "[admin]\nlisten = '127.0.0.1:0'\ntokens = ['hunter2']",
        "[[route]]\nname = 'a'\nbasic_auth = 'a:hunter2'",
        "[connector.a]\nwecom = 'hunter2'",
        "[[route]]\nname = 'a'\nheaders = 'X-Role: hunter2'",
    ] {
        shown(more);
    }
    let in_place_of_list = shown("listen = '127.0.0.1:1'");
    assert!(
        in_place_of_list.contains("listen = '127.0.0.1:1'"),
        "{in_place_of_list}"
    );
}

#[test]
fn a_line_that_is_not_toml_shows_no_value() {
    for (more, words) in [
        ("client_secrt = \"hunter2", "client_secrt = \"*******"),
        ("client_secrt = hunter2", "client_secrt = *******"),
        ("client_secrt \"hunter2\"", "client_secrt \"*******\""),
        ("client_secrt = “hunter2”", "client_secrt = “"),
        ("client_secrt: hunter2", "client_secrt: *******"),
        (
            "[connector.a]\noidc = { client_secrt = 'hunter2' client_id = 'x' }",
            "client_secrt = '*******",
        ),
        ("[store] # hunter2\n[server]", "[server]"),
        ("[store] passwrd = 'hunter2'", "[store] *"),
        ("keys = [\n'a',\nhunter2=\n]", "*"),
        ("name = 'a' 'hunter2'", "name = '*"),
    ] {
        let shown = shown(more);
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn an_expression_of_a_secret_is_repeated_by_no_message() {
    for (line, words) in [
        ("X-Api-Key = 'hunter2'", "X-Api-Key = '*******'"),
        (
            "Authorization = \"Bearer hunter2\"",
            "Authorization = \"**************\"",
        ),
        ("X-Token = \"'hunter2\"", "X-Token = \"********\""),
    ] {
        let route = "[[route]]\nname = 'a'\nupstream = ['http://a:1']\n[route.headers]\n";
        let shown = shown(&format!("{route}{line}"));
        assert!(
            shown.contains("this expression does not compile"),
            "{shown}"
        );
        let names = words.split(" = ").next().unwrap();
        assert!(shown.contains(names), "{shown}");
    }
}

#[test]
fn a_wrong_url_is_repeated_by_no_message() {
    for (url, words) in [
        ("https://u:hunter2@h:port/", "invalid port number"),
        ("https://u:hunter2@", "empty host"),
        ("//u:hunter2@h", "relative URL without a base"),
    ] {
        let shown = shown(&format!("[connector.a]\ncas = {{ url = '{url}' }}"));
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn a_password_in_the_place_of_a_port_and_keys_of_parameters_are_not_shown() {
    for (line, words) in [
        ("url = 'https://u:hunter2/'", "url = 'https://u:*******/'"),
        (
            "url = 'https://h:99999/cas?sig=hunter2abc&a=b'",
            "url = 'https://h:99999/cas?sig=**********&a=b'",
        ),
        ("url = 'https://h:8o80/'", "url = 'https://h:8o80/'"),
    ] {
        let shown = shown(&format!("[connector.a.cas]\n{line}"));
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn a_key_in_the_expression_of_a_header_is_not_shown_and_its_mistake_is() {
    let route = "[[route]]\nname = 'a'\nupstream = ['http://a:1']\n[route.headers]\n";
    let shown = shown(&format!(
        "{route}X-Gateway = \"'hunter2abc' + user.lgin +\""
    ));
    let words = "X-Gateway = \"'**********' + user.lgin +\"";
    assert!(shown.contains(words), "{shown}");
}

#[test]
fn a_comment_is_not_shown_beside_a_problem() {
    let shown = shown("prefix = 7 # password: hunter2");
    assert!(shown.contains("prefix = 7 #"), "{shown}");
}

#[test]
fn values_of_keys_without_secrets_are_shown() {
    let shown = shown(
        "[connector.a]\nwecom = { corp_id = 'ww#1', secret = { file = '/s' }, agent_id = 'x' }",
    );
    let words = "corp_id = 'ww#1', secret = { file = '/s' }, agent_id = 'x'";
    assert!(shown.contains(words), "{shown}");
}

#[test]
fn errors_of_a_command_that_reads_only_the_store_mask_secrets_too() {
    let text = "[store]\nurl = 7\n[store.x]\n[session]\nkeys = ['hunter2'\n";
    let error = Config::parse_store(text.as_bytes(), "menshen.toml").unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn the_command_prints_no_misspelt_secret() {
    let folder = TempFolder::new();
    let document =
        format!("{SERVER}[connector.a]\noidc = {{ issuer = 7, client_secrt = 'hunter2' }}\n");
    let path = folder.write("menshen.toml", &document);
    for language in ["en", "zh"] {
        let output = run_menshen(&["check", "-c", path.to_str().unwrap(), "--lang", language]);
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains("client_secrt = '*******'"), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
