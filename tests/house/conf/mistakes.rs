//! Usual mistakes of people who know other programs are named with what to write instead.

use super::problems::parse_error;
use super::remedies::{ROUTE, SERVER, assert_says, help};

const CORP_ID: &str = "corp_id = 'ww0123456789abcdef'\n";

#[test]
fn an_internal_listener_without_address_is_suggested_loopback() {
    let place = (4, 10);
    for table in ["[admin]\nlisten", "[console]\nlisten"] {
        for (address, english, chinese) in [
            (
                "9180",
                (
                    "the address before the port is missing",
                    "write \"127.0.0.1:9180\"",
                ),
                ("端口之前缺少地址", "请写 \"127.0.0.1:9180\""),
            ),
            (
                "localhost:9180",
                (
                    "an address to listen on is no name",
                    "write \"127.0.0.1:9180\"",
                ),
                ("监听地址不能写名字", "请写 \"127.0.0.1:9180\""),
            ),
            (
                "127.0.0.1:91800",
                ("91800 is no port", "at most 65535"),
                ("91800 不是端口", "最大 65535"),
            ),
        ] {
            let more = format!("{table} = '{address}'\n");
            assert_says(&more, place, english, chinese);
        }
    }
    let grpc = "trusted_proxies = ['127.0.0.1']\n[ext_authz]\ngrpc_listen = ':9181'\n";
    assert_eq!(help(grpc), "write \"127.0.0.1:9181\"");
    assert_eq!(help("[admin]\nlisten = '::1'\n"), "write \"[::1]:9180\"");
    for more in ["[admin]\nlisten = 'x'\n", "[admin]\nlisten = '*'\n"] {
        let wanted = "an address and a port, such as \"127.0.0.1:9180\", or \"unix:/path\"";
        assert_eq!(help(more), wanted);
    }
}

#[test]
fn keys_of_a_source_without_the_table_of_its_kind_are_told_where_to_stand() {
    let table = help(&format!("[connector.corp]\n{CORP_ID}"));
    assert!(
        table.starts_with(
            "the keys of a source stand in a table of its kind, such as [connector.corp.wecom]"
        ),
        "{table}"
    );
    let near = help("[connector.corp]\nenable = true\n");
    assert!(near.starts_with("did you mean `enabled`?"), "{near}");
    for (header, kind) in [
        ("[connector.wecom]", "wecom"),
        ("[connector.ldap]", "ldap"),
        ("[wecom]", "wecom"),
        ("[oidc]", "oidc"),
    ] {
        let wanted = format!(
            "write [connector.ID.{kind}], with a name of your choice for ID, such as \"corp\""
        );
        assert_eq!(help(&format!("{header}\n{CORP_ID}")), wanted, "{header}");
    }
    // A connector may have the name of a kind, and an unknown key elsewhere is none of a source.
    let named =
        format!("[connector.wecom.wecom]\n{CORP_ID}agent_id = 7\nsecret = {{ env = 'S' }}\n");
    assert_eq!(super::parse(&format!("{SERVER}{named}")).connector.len(), 1);
    assert!(!help(&format!("{named}surplus_key = 1\n")).contains("table of its kind"));
    assert!(!help("[server.wecom]\n").contains("[connector"));
}

#[test]
fn a_period_without_unit_or_quotes_is_shown_with_both() {
    let place = (4, 12);
    let english = "expected a period in quotes, with its unit: \"30s\", \"5m\", \"12h\" or \"7d\"";
    let chinese = "应为带单位和引号的时长：\"30s\"、\"5m\"、\"12h\" 或 \"7d\"";
    assert_says(
        "[session]\nlifetime = 12\n",
        place,
        ("an integer does not fit here", english),
        ("这里不能写整数", chinese),
    );
    for period in ["'12'", "'12 hours'", "'h'"] {
        assert_says(
            &format!("[session]\nlifetime = {period}\n"),
            place,
            (
                "a period is a whole number and a unit",
                "500ms, 30s, 5m, 12h or 7d",
            ),
            ("时长应为整数加单位", "500ms、30s、5m、12h 或 7d"),
        );
    }
}

#[test]
fn a_list_of_people_in_the_place_of_a_rule_is_answered_with_a_rule() {
    assert_says(
        &format!("{ROUTE}allow = ['zhangsan', 'lisi']\n"),
        (5, 9),
        (
            "an array does not fit here",
            "expected a rule in quotes, such as \"user.login in ['zhangsan', 'lisi']\"",
        ),
        (
            "这里不能写数组",
            "应为带引号的规则，例如 \"user.login in ['zhangsan', 'lisi']\"",
        ),
    );
    assert_eq!(help("prefix = ['/a']\n"), "expected a text in quotes");
    let rule = "access = 'rule'\nallow = \"user.login in ['zhangsan', 'lisi']\"\n";
    super::parse(&format!("{SERVER}{WECOM}{ROUTE}{rule}"));
}

const WECOM: &str = "[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { env = 'S' }\n";

#[test]
fn one_session_key_without_a_list_is_put_into_one() {
    for key in [
        "{ file = '/etc/menshen/session.key' }",
        "'/etc/menshen/session.key'",
    ] {
        let help = help(&format!("[session]\nkeys = {key}\n"));
        assert_eq!(help, "write [{ file = \"...\" }], also with one element");
    }
}

#[test]
fn words_for_operators_in_a_rule_are_named_with_the_operators() {
    let message = |rule: &str| {
        let error = parse_error(&format!(
            "{SERVER}{WECOM}{ROUTE}access = 'rule'\nallow = \"{rule}\"\n"
        ));
        error.problems[0].message.to_string()
    };
    for (rule, words) in [
        (
            "user.login == 'a' and user.login == 'b'",
            "write && for and",
        ),
        (
            "user.login == 'a' AND user.login == 'b'",
            "write && for AND",
        ),
        ("user.login == 'a' or user.login == 'b'", "write || for or"),
        ("not user.login == 'a'", "write ! for not: !(...)"),
        ("user.login not in ['a']", "write ! for not: !(...)"),
    ] {
        let message = message(rule);
        assert!(message.ends_with(words), "{rule}: {message}");
    }
    for rule in [
        "user.login == 'a' 'and'",
        "user.login user",
        "user.login ==",
    ] {
        let message = message(rule);
        assert!(!message.contains("write "), "{rule}: {message}");
    }
    let rule = "access = 'rule'\nallow = \"user.login == 'not'\"\n";
    super::parse(&format!("{SERVER}{WECOM}{ROUTE}{rule}"));
}

#[test]
fn lines_of_other_formats_are_answered_with_those_of_this_one() {
    let toml = "the configuration is TOML: a table is [server], and a key has = behind it";
    let backslash = "a text with \\ in it stands in '...'";
    for (more, wanted) in [
        ("// the store\n", "a comment begins with #"),
        ("-- the store\n", "a comment begins with #"),
        ("; the store\n", "a comment begins with #"),
        ("prefix: /a\n", toml),
        ("session:\n  lifetime: 12h\n", toml),
        ("prefix = \"C:\\menshen\\a\"\n", backslash),
        (
            "[session]\n[server]\n",
            "write [server] only once, with all its keys below it",
        ),
        (
            "prefix = '/a'\nprefix = '/b'\n",
            "write this key only once in its table",
        ),
    ] {
        assert_eq!(help(more), wanted, "{more}");
        parse_error(&format!("{SERVER}{more}"));
    }
    for more in ["prefix\n", "prefix = \n", "= 7\n", "a:b = 7\n"] {
        assert_ne!(help(more), toml, "{more}");
    }
}

#[test]
fn an_issuer_that_is_the_address_of_its_metadata_is_cut_to_its_name() {
    let path = "/.well-known/openid-configuration";
    let issuer = "https://id.corp.example/realms/a";
    let oidc = |issuer: &str| {
        format!(
            "{SERVER}[connector.kc.oidc]\nissuer = '{issuer}'\nclient_id = 'a'\n\
             client_secret = {{ env = 'S' }}\n"
        )
    };
    let bearer =
        |issuer: &str| format!("{SERVER}[issuer.ci]\nurl = '{issuer}'\naudiences = ['a']\n");
    for text in [&oidc as &dyn Fn(&str) -> String, &bearer] {
        super::parse(&text(issuer));
        let error = parse_error(&text(&format!("{issuer}{path}")));
        let help = error.problems[0].help.as_ref().unwrap().to_string();
        assert_eq!(help, format!("write {issuer}: menshen adds {path} itself"));
        assert_eq!(error.problems[0].line, 4, "{error}");
    }
}
