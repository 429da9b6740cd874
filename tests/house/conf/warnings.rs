//! `menshen check` warns of insecure settings with their lines.

use super::parse;
use crate::chinese::assert_warnings_are_chinese;

/// The keys of all warnings, with their lines.
pub(super) fn warned_keys(text: &str) -> Vec<(String, usize)> {
    let warnings = parse(text).warnings();
    assert_warnings_are_chinese(&warnings);
    warnings
        .into_iter()
        .map(|warning| (warning.key, warning.line))
        .collect()
}

#[test]
fn a_secure_configuration_has_no_warnings() {
    for name in ["minimal.toml", "sidecar.toml", "oauth2-proxy.toml"] {
        let text = std::fs::read_to_string(super::project_file("conf").join(name)).unwrap();
        assert_eq!(parse(&text).warnings(), [], "{name}");
    }
}

#[test]
fn limits_that_allow_passwords_to_be_guessed_are_warned_of() {
    let text = |login: &str, kind: &str| {
        format!(
            "[server]\nexternal_url = 'http://localhost'\n[[route]]\nname = 'a'\n\
             upstream = ['http://[::1]']\n[connector.house.{kind}\n[login]\n{login}\n"
        )
    };
    let local = "local]\npeople = '/dev/null'";
    let oidc = "oidc]\nissuer = 'https://id.corp.example'\nclient_id = 'menshen'\n\
                client_secret = { env = 'S' }";
    let (per_login, per_client) = ("wrong_passwords_per_login", "wrong_passwords_per_client");
    let pause = "wrong_passwords_pause";
    for (login, warned) in [
        (String::new(), vec![]),
        (format!("{per_login} = 83"), vec![]),
        (format!("{per_login} = 84"), vec![per_login]),
        (format!("{per_client} = 833"), vec![]),
        (format!("{per_client} = 834"), vec![per_client]),
        (format!("{pause} = '36s'"), vec![]),
        (format!("{pause} = '1s'"), vec![per_login, per_client]),
        (format!("{pause} = '0s'"), vec![per_login, per_client]),
    ] {
        let keys = warned_keys(&text(&login, local)).into_iter();
        let keys: Vec<_> = keys.map(|(key, _)| key).collect();
        let expected: Vec<_> = warned.iter().map(|key| format!("login.{key}")).collect();
        assert_eq!(keys, expected, "{login}");
        assert_eq!(warned_keys(&text(&login, oidc)), [], "{login}");
    }
}

#[test]
fn people_in_the_store_whom_nobody_can_add_are_warned_of() {
    let text = |more: &str, local: &str| {
        format!(
            "[server]\nexternal_url = 'http://localhost'\n[[route]]\nname = 'a'\n\
             upstream = ['http://[::1]']\n{more}[connector.house.local]\n{local}\n"
        )
    };
    let admin = "[admin]\nlisten = '127.0.0.1:0'\n";
    let token = format!("{admin}token = {{ env = 'T' }}\n");
    let view =
        format!("{admin}[[admin.tokens]]\nname = 'v'\nview = true\ntoken = {{ env = 'T' }}\n");
    for (more, local, is_warned) in [
        ("", "", true),
        (admin, "", true),
        (&view, "", true),
        (&token, "", false),
        ("", "people = '/dev/null'", false),
    ] {
        let warned = warned_keys(&text(more, local));
        let mut keys = warned.iter().map(|(key, _)| key.as_str());
        let is_found = keys.any(|key| key == "connector.house.local");
        assert_eq!(is_found, is_warned, "{more}{local}");
    }
}

#[test]
fn a_route_without_upstream_is_warned_of_unless_no_route_has_one() {
    let head = "[server]\nexternal_url = \"http://sso.corp.example\"\n";
    let trusting = format!("{head}trusted_proxies = [\"10.0.0.1\"]\n");
    let route = |name: &str| format!("[[route]]\nname = \"{name}\"\naccess = \"public\"\n");
    let check_only = route("asked");
    let forwarded = format!(
        "{}path = \"/f\"\nupstream = [\"http://[::1]\"]\n",
        route("f")
    );
    for (text, warnings) in [
        (format!("{trusting}{check_only}"), 0),
        (format!("{trusting}{check_only}{forwarded}"), 1),
        (format!("{trusting}{forwarded}"), 0),
        (format!("{head}{check_only}"), 1),
    ] {
        let warned = warned_keys(&text);
        let of_route = warned.iter().filter(|(key, _)| key.starts_with("route"));
        assert_eq!(of_route.count(), warnings, "{text}");
    }
}

#[test]
fn secrets_of_the_check_endpoints_are_warned_of_if_exposed_or_missing() {
    let head = "[server]\nexternal_url = \"http://localhost\"\n";
    let trusting = format!("{head}trusted_proxies = [\"10.0.0.1\"]\n");
    let grpc = "[ext_authz]\ngrpc_listen = \"127.0.0.1:9181\"\n";
    let route = |more: &str| format!("[[route]]\nname = \"a\"\naccess = \"public\"\n{more}\n");
    let (all, upstream) = ("check_headers = \"all\"", "upstream = [\"http://[::1]\"]");
    let secrets = [
        ("headers", "headers = { X-Key = \"'k'\" }"),
        (
            "basic_auth",
            "basic_auth = { user = \"'u'\", password = { env = \"P\" } }",
        ),
        ("assertion", "assertion = true"),
        ("pass_access_token", "pass_access_token = true"),
        ("pass_id_token", "pass_id_token = true"),
    ];
    for (key, secret) in secrets {
        for (text, expected) in [
            (format!("{trusting}{}", route(secret)), Some(key)),
            (format!("{trusting}{grpc}{}", route(secret)), None),
            (
                format!("{trusting}{}", route(&format!("{secret}\n{all}"))),
                Some("check_headers"),
            ),
            (
                format!(
                    "{trusting}{}",
                    route(&format!("{secret}\n{all}\n{upstream}"))
                ),
                Some("check_headers"),
            ),
            (
                format!("{trusting}{}", route(&format!("{secret}\n{upstream}"))),
                None,
            ),
            // Without trusted proxies the check endpoints are disabled.
            (
                format!("{head}{}", route(&format!("{secret}\n{all}\n{upstream}"))),
                None,
            ),
            (format!("{trusting}{}", route(all)), None),
        ] {
            let warned = warned_keys(&text);
            let keys: Vec<_> = warned.iter().map(|(key, _)| key.as_str()).collect();
            let expected = expected.map(|key| format!("route[0].{key}"));
            assert_eq!(keys, Vec::from_iter(expected.as_deref()), "{text}");
        }
    }
}

#[test]
fn applications_that_accept_each_others_assertions_are_warned_of() {
    let head = "[server]\nexternal_url = \"https://sso.corp.example\"\n[server.tls]\n\
                certificate = \"/a\"\nkey = \"/b\"\n[connector.corp.wecom]\ncorp_id = \"ww0123456789abcdef\"\n\
                agent_id = 7\nsecret = { env = \"S\" }\n";
    let route = |name: &str, host: &str, upstream: u8, more: &str| {
        format!(
            "[[route]]\nname = \"{name}\"\nhost = \"{host}\"\npath = \"/{name}\"\n\
             upstream = [\"http://127.0.0.{upstream}\"]\n{more}\n"
        )
    };
    let (with_assertion, with_audience) =
        ("assertion = true", "assertion = true\naudience = \"a\"");
    for (only_corp, other, expected) in [
        (
            route("a", "oa", 1, with_assertion),
            route("b", "oa", 2, with_assertion),
            2,
        ),
        (
            route("a", "oa:81", 1, with_assertion),
            route("b", "oa:82", 2, with_assertion),
            2,
        ),
        (
            route("a", "*.oa", 1, with_assertion),
            route("b", "*.oa", 2, with_assertion),
            2,
        ),
        // One application on two paths, another host, another audience or no assertion is no problem.
        (
            route("a", "oa", 1, with_assertion),
            route("b", "oa", 1, with_assertion),
            0,
        ),
        (
            route("a", "oa", 1, with_assertion),
            route("b", "hr", 2, with_assertion),
            0,
        ),
        (
            route("a", "oa", 1, with_assertion),
            route("b", "oa", 2, with_audience),
            0,
        ),
        (
            route("a", "oa", 1, with_assertion),
            route("b", "oa", 2, ""),
            0,
        ),
    ] {
        let mut warned = warned_keys(&format!("{head}{only_corp}{other}"));
        warned.retain(|(key, _)| !key.ends_with(".host") && key != "server.external_url");
        let keys = warned.iter().filter(|(key, _)| key.ends_with(".assertion"));
        assert_eq!(
            (keys.count(), warned.len()),
            (expected, expected),
            "{only_corp}{other}"
        );
    }
}

#[test]
fn a_path_that_another_case_bypasses_is_warned_of() {
    let head = "[server]\nexternal_url = 'https://oa.test'\ntrusted_proxies = ['10.0.0.1']\n\
                [connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { env = 'X' }\n";
    let route = |name: &str, path: &str, more: &str| {
        format!(
            "[[route]]\nname = '{name}'\nhost = 'oa.test'\npath = '{path}'\n\
             upstream = ['http://10.0.0.5']\n{more}\n"
        )
    };
    let (public, rule) = ("access = 'public'", "allow = \"user.login == 'boss'\"");
    let only_corp = "connectors = ['corp']";
    let elsewhere = "host = 'hr.test'\npath = '/finance'";
    let case_insensitive = format!("{rule}\ncase_insensitive = true");
    let case_sensitive = format!("{rule}\ncase_insensitive = false");
    for (all, path, expected) in [
        (public, ("/finance", rule), true),
        (public, ("/finance", ""), true),
        ("", ("/finance", rule), true),
        ("", ("/finance", only_corp), true),
        ("", ("/finance", "max_age = '1m'"), true),
        (rule, ("/finance", only_corp), true),
        // Whoever the route `one` denies, the route `all` denies, too.
        ("", ("/finance", ""), false),
        (rule, ("/finance", ""), false),
        (rule, ("/finance", rule), false),
        ("", ("/finance", public), false),
        // The path has no letters, or `case_insensitive` is set.
        ("", ("/2026", rule), false),
        ("", ("/finance", &case_sensitive), false),
    ] {
        let text = format!(
            "{head}{}{}",
            route("all", "/", all),
            route("one", path.0, path.1)
        );
        let keys: Vec<_> = warned_keys(&text).into_iter().map(|(key, _)| key).collect();
        let with_audience = ["route[1].path".to_owned()];
        let expected = if expected { &with_audience[..] } else { &[] };
        assert_eq!(keys, expected, "{text}");
    }
    let text = format!(
        "{head}{}{}",
        route("all", "/", public),
        route("one", "/finance", &case_insensitive)
    );
    assert_eq!(
        warned_keys(&text).len(),
        1,
        "case_insensitive itself is warned of"
    );
    let other =
        route("one", "/finance", rule).replace("host = 'oa.test'\npath = '/finance'", elsewhere);
    let text = format!("{head}{}{other}", route("all", "/", public));
    assert_eq!(warned_keys(&text), [], "another host");
}

#[test]
fn limits_that_limit_nothing_are_warned_of() {
    let head = "[server]\nexternal_url = \"http://localhost\"\n[server.limits]\n";
    let route = "[[route]]\nname = \"a\"\naccess = \"public\"\n\
                 upstream = [\"http://localhost:1\"]\n";
    let wide = "upstream_share = 100\nconnections_per_client_max = 20000\n\
                judged_again_after = \"10m\"\nupstream_share_anonymous = 100\n";
    let expected = [
        ("server.limits.upstream_share", 4),
        ("server.limits.connections_per_client_max", 5),
        ("server.limits.judged_again_after", 6),
        ("server.limits.upstream_share_anonymous", 7),
    ];
    assert_eq!(
        warned_keys(&format!("{head}{wide}{route}")),
        expected.map(|(key, line)| (key.to_owned(), line))
    );
    let narrow = "upstream_share = 99\nconnections_per_client_max = 19999\n\
                  upstream_share_anonymous = 99\n";
    assert_eq!(warned_keys(&format!("{head}{narrow}{route}")), []);
}

#[test]
fn an_application_on_the_host_of_the_sign_in_prevents_logins_in_frames() {
    let with = |session: &str, rest: &str| {
        let session = format!("[session]\n{session}\n");
        let server = "[server]\nexternal_url = \"https://sso.corp.example\"\n\
                      trusted_proxies = [\"10.0.0.1\"]\n";
        let source = "[connector.corp.wecom]\ncorp_id = \"ww0123456789abcdef\"\nagent_id = 7\n\
                      secret = { env = \"S\" }\n";
        let text = format!("{server}{session}{source}{rest}");
        let mut warnings = parse(&text).warnings().into_iter();
        let found = warnings.find(|warning| {
            warning
                .text
                .to_string()
                .contains("inside another site's frame")
        });
        found.map(|warning| (warning.key, warning.text))
    };
    let none = "cookie_same_site = \"none\"";
    let route =
        |host: &str| format!("[[route]]\nname = \"wiki\"\n{host}\nupstream = [\"http://[::1]\"]\n");
    let front_end = format!(
        "{}[login]\norigins = [\"https://sso.corp.example\"]\n",
        route("host = \"oa.corp.example\"")
    );
    for (rest, with_audience) in [
        (route("host = \"sso.corp.example\""), "`wiki`"),
        (
            route("host = \"sso.corp.example:443\"\npath = \"/w\""),
            "`wiki`",
        ),
        (route("host = \"*.corp.example\""), "`wiki`"),
        (route(""), "`wiki`"),
        (front_end, "[login] origins"),
    ] {
        let (key, text) = with(none, &rest).unwrap_or_else(|| panic!("{rest}"));
        let text = text.to_string();
        assert_eq!(key, "server.external_url", "{rest}");
        assert!(
            text.contains(with_audience) && text.contains("a host of its own"),
            "{text}"
        );
        assert_eq!(with("", &rest), None, "without cookies for frames: {rest}");
    }
    for host in ["oa.corp.example", "*.lab.example", "sso.corp.example:8443"] {
        let rest = route(&format!("host = \"{host}\""));
        assert_eq!(with(none, &rest), None, "{host}");
    }
}

#[test]
fn every_insecure_setting_is_warned_of_with_its_line() {
    let text = r#"[server]
external_url = "https://sso.corp.example"
trusted_proxies = ["10.0.0.0/8", "0.0.0.0/0"]
[admin]
listen = "0.0.0.0:9180"
[ext_authz]
grpc_listen = "10.0.0.5:9181"
[session]
keys = ["hunter2"]
cookie_domain = "corp.example"
cookie_same_site = "none"
[connector.corp]
link_by = ["mobile"]
[connector.corp.wecom]
corp_id = "ww0123456789abcdef"
agent_id = 7
secret = "hunter2"
api_base = "http://relay"
revalidate = "0s"
[[route]]
name = "oa"
upstream = ["http://127.0.0.1:8080"]
preflight = "pass"
pass_headers = ["X-Original-URL"]
case_insensitive = true
[[route]]
name = "hr"
path = "/hr"
upstream = ["https://10.0.0.5", "http://10.0.0.5"]
pass_access_token = true
pass_id_token = true
[[route]]
name = "here"
path = "/here"
upstream = ["http://[::1]:8080", "http://localhost", "unix:/run/app.sock", "https://10.0.0.5"]
pass_access_token = true
[managed]
allow_metadata_addresses = true
allow_local_sockets = true
"#;
    let expected = [
        ("server.external_url", 2),
        ("server.trusted_proxies[1]", 3),
        ("admin.listen", 5),
        ("ext_authz.grpc_listen", 7),
        ("session.keys[0]", 9),
        ("session.cookie_domain", 10),
        ("session.cookie_same_site", 11),
        ("connector.corp.link_by", 13),
        ("connector.corp.wecom.secret", 17),
        ("connector.corp.wecom.api_base", 18),
        ("connector.corp.wecom.revalidate", 19),
        ("route[0].preflight", 23),
        ("route[0].pass_headers", 24),
        ("route[0].case_insensitive", 25),
        ("route[1].pass_access_token", 30),
        ("route[1].pass_id_token", 31),
        ("managed.allow_metadata_addresses", 38),
        ("managed.allow_local_sockets", 39),
    ];
    assert_eq!(
        warned_keys(text),
        expected.map(|(key, line)| (key.to_owned(), line))
    );
    let shown = parse(text)
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn public_paths_are_warned_of() {
    let head = "[server]\nexternal_url = 'https://sso.test'\ntrusted_proxies = ['10.0.0.1']\n\
                [connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { env = 'X' }\n\
                [[route]]\nname = 'a'\nupstream = ['http://[::1]']\n";
    let basic = "basic_auth = { user = \"'app'\", password = { env = 'X' } }\n";
    let public = "public_paths = ['/icon.png']\n";
    for (more, keys) in [
        (String::new(), &[][..]),
        (basic.to_owned(), &[]),
        (public.to_owned(), &["route[0].public_paths"]),
        (
            format!("{public}{basic}"),
            &["route[0].public_paths", "route[0].basic_auth.user"],
        ),
    ] {
        let warned = warned_keys(&format!("{head}{more}"));
        let shown: Vec<_> = warned.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(shown, keys, "{more}");
    }
}

#[test]
fn a_wildcard_host_that_receives_sessions_is_warned_of() {
    let head = "[server]\nexternal_url = 'https://sso.corp.example'\ntrusted_proxies = ['unix']\n";
    let connector = "[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\n\
                     secret = { env = 'S' }\n";
    let route = |host: &str, more: &str| {
        format!("[[route]]\nname = 'a'\nupstream = ['http://a']\nhost = '{host}'\n{more}\n")
    };
    let one_cookie = |domain: &str| format!("[session]\ncookie_domain = '{domain}'\n");
    for (session, route, warnings) in [
        (String::new(), route("*.lab.example", ""), 1),
        (String::new(), route("*.lab.example:8443", ""), 1),
        (
            String::new(),
            route("*.corp.example", "access = 'rule'\nallow = 'true'"),
            1,
        ),
        (
            String::new(),
            route("*.lab.example", "access = 'public'"),
            0,
        ),
        (String::new(), route("x.lab.example", ""), 0),
        (one_cookie("corp.example"), route("*.corp.example", ""), 0),
        (
            one_cookie("corp.example"),
            route("*.lab.corp.example", ""),
            0,
        ),
        (one_cookie("corp.example"), route("*.xcorp.example", ""), 1),
        (one_cookie("corp.example"), route("*.example", ""), 1),
    ] {
        let warned = warned_keys(&format!("{head}{session}{connector}{route}"));
        let hosts = warned.iter().filter(|(key, _)| key == "route[0].host");
        assert_eq!(hosts.count(), warnings, "{session}{route}");
    }
}

#[test]
fn plain_http_is_warned_of_except_on_loopback() {
    let site = |url: &str| {
        let route = "[[route]]\nname = 'a'\naccess = 'public'\nupstream = ['http://a']\n";
        warned_keys(&format!("[server]\nexternal_url = '{url}'\n{route}"))
    };
    assert_eq!(
        site("http://sso.corp.example"),
        [("server.external_url".to_owned(), 2)]
    );
    assert_eq!(site("http://127.0.0.1:8080"), []);
    assert_eq!(site("http://localhost:8080"), []);
}

#[test]
fn https_without_tls_or_a_proxy_is_warned_of() {
    let route = "[[route]]\nname = 'a'\naccess = 'public'\nupstream = ['http://a']\n";
    let external = "[server]\nexternal_url = 'https://sso.corp.example'\n";
    assert_eq!(
        warned_keys(&format!("{external}{route}")),
        [("server.external_url".to_owned(), 2)]
    );
    let proxied = format!("{external}trusted_proxies = ['127.0.0.1']\n{route}");
    assert_eq!(warned_keys(&proxied), []);
}

#[test]
fn a_single_route_without_upstream_is_warned_of() {
    let text =
        "[server]\nexternal_url = 'http://127.0.0.1'\n[[route]]\nname = 'a'\naccess = 'public'\n";
    assert_eq!(warned_keys(text), [("route[0]".to_owned(), 3)]);
}

#[test]
fn acr_values_that_no_connector_reports_are_warned_of() {
    let text = "[server]\nexternal_url = 'http://127.0.0.1'\n[connector.corp.wecom]\n\
                corp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { file = '/s' }\n[[route]]\nname = 'a'\n\
                upstream = ['http://a']\nacr_values = ['gold']\n";
    assert_eq!(warned_keys(text), [("route[0].acr_values".to_owned(), 10)]);
}

#[test]
fn a_sync_that_reads_too_often_or_may_close_everybody_is_warned_of() {
    let head = "[server]\nexternal_url = 'https://sso.test'\n[connector.corp.wecom]\n\
                corp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { env = 'X' }\n";
    let keys = |more: &str| {
        let found = warned_keys(&format!("{head}{more}"));
        let keys = found.into_iter().map(|(key, _)| key);
        let of_connector = keys.filter(|key| key.starts_with("connector"));
        of_connector.collect::<Vec<_>>()
    };
    let (every, brake) = (
        "connector.corp.wecom.sync_every",
        "connector.corp.wecom.sync_brake",
    );
    let secret = "connector.corp.wecom.contact_secret";
    let nothing: [&str; 0] = [];
    for (more, expected) in [
        ("sync_every = '1h'\nsync_brake = 10\n", &nothing[..]),
        ("sync_every = '5m'\n", &nothing),
        ("sync_every = '299s'\n", &[every]),
        ("sync_every = '1h'\nsync_brake = 99\n", &nothing),
        ("sync_every = '1h'\nsync_brake = 100\n", &[brake]),
        ("contact_secret = 'hunter2'\n", &[secret]),
        ("contact_secret = { env = 'Y' }\n", &nothing),
    ] {
        assert_eq!(keys(more), expected, "{more}");
    }
}

#[test]
fn access_tokens_that_are_refused_disclosed_or_long_are_warned_of() {
    let head = "[server]\nexternal_url = 'http://127.0.0.1'\n";
    let route = |lines: &str| {
        format!("[[route]]\nname = 'a'\nhost = 'a.test'\naccess_tokens = true\n{lines}\n")
    };
    let upstream = "upstream = ['http://[::1]']";
    let corp = "[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = { file = '/s' }\n";
    let asked = "[server]\nexternal_url = 'http://127.0.0.1'\ntrusted_proxies = ['10.0.0.1']\n";
    let grpc = "[ext_authz]\ngrpc_listen = '127.0.0.1:9181'\n";
    for (text, key) in [
        (format!("{head}{corp}{}", route(upstream)), None),
        (
            format!(
                "{head}{corp}{}",
                route(&format!("{upstream}\nmax_age = '1h'"))
            ),
            Some("route[0].access_tokens"),
        ),
        (
            format!("{head}{}", route(&format!("{upstream}\naccess = 'public'"))),
            Some("route[0].access_tokens"),
        ),
        (
            format!("{asked}{corp}{}", route("")),
            Some("route[0].access_tokens"),
        ),
        (format!("{asked}{corp}{grpc}{}", route("")), None),
        (
            format!(
                "{head}[session]\naccess_token_max = '400d'\n{corp}{}",
                route(upstream)
            ),
            Some("session.access_token_max"),
        ),
        (
            format!(
                "{head}[session]\naccess_token_max = '365d'\n{corp}{}",
                route(upstream)
            ),
            None,
        ),
        (
            format!(
                "{head}[session]\nunknown_access_tokens_per_client_per_minute = 20000\n{corp}{}",
                route(upstream)
            ),
            Some("session.unknown_access_tokens_per_client_per_minute"),
        ),
    ] {
        let warned = warned_keys(&text);
        let warned: Vec<_> = warned.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(warned, Vec::from_iter(key), "{text}");
    }
}

#[test]
fn a_join_of_a_connector_that_creates_no_account_is_warned_of() {
    for (admission, is_warned) in [("create", false), ("existing", true)] {
        let text = format!(
            "[server]\nexternal_url = \"https://sso.corp.example\"\n[connector.corp]\n\
             admission = \"{admission}\"\njoin = {{ groups = [\"guests\"] }}\n[connector.corp.wecom]\n\
             corp_id = \"ww0123456789abcdef\"\nagent_id = 7\nsecret = {{ file = \"/s\" }}\n"
        );
        let keys = warned_keys(&text);
        let join = ("connector.corp.join".to_owned(), 5);
        assert_eq!(keys.contains(&join), is_warned, "{admission}: {keys:?}");
    }
}

#[test]
fn an_application_on_the_host_of_the_token_page_is_warned_of() {
    let head = "[server]\nexternal_url = 'http://127.0.0.1'\n";
    let corp = |lines: &str| {
        format!(
            "[connector.corp]\n{lines}\n[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\n\
             secret = {{ file = '/s' }}\n"
        )
    };
    let route = |name: &str, lines: &str| {
        format!("[[route]]\nname = '{name}'\nupstream = ['http://[::1]']\n{lines}\n")
    };
    let tokens = route("git", "host = 'git.test'\naccess_tokens = true");
    for (text, is_warned) in [
        (format!("{}{tokens}", corp("")), false),
        (
            format!("{}{tokens}{}", corp(""), route("b", "host = 'b.test'")),
            false,
        ),
        (format!("{}{tokens}{}", corp(""), route("b", "")), true),
        (
            format!("{}{tokens}{}", corp(""), route("b", "host = '127.0.0.1'")),
            true,
        ),
        (
            format!("{}{}", corp(""), route("b", "access_tokens = true")),
            true,
        ),
        (format!("{}{}", corp(""), route("b", "")), false),
        (
            format!("{}{}", corp("link_on_request = true"), route("b", "")),
            true,
        ),
        (
            format!(
                "{}{}",
                corp("link_on_request = true"),
                route("b", "host = 'b.test'")
            ),
            false,
        ),
    ] {
        let warned = warned_keys(&format!("{head}{text}"));
        let warned = warned.iter().any(|(key, _)| key == "server.external_url");
        assert_eq!(warned, is_warned, "{text}");
    }
}

#[test]
fn access_tokens_of_people_whom_nobody_asks_about_are_warned_of() {
    let head = "[server]\nexternal_url = 'http://127.0.0.1'\n";
    let wecom = |lines: &str| {
        format!(
            "[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = {{ file = '/s' }}\n{lines}\n"
        )
    };
    let events = "revalidate = '0s'\n[connector.corp.wecom.events]\ntoken = { file = '/t' }\n\
                  encoding_aes_key = { file = '/k' }\n";
    let oidc = "[connector.idp.oidc]\nissuer = 'https://idp.test'\nclient_id = 'm'\n\
                client_secret = { file = '/s' }\n";
    let oauth2 = "[connector.gl.oauth2]\npreset = 'gitlab'\nclient_id = 'm'\n\
                  client_secret = { file = '/s' }\n";
    let local_file = "[connector.house.local]\npeople = '/p.toml'\n";
    let local = "[connector.house.local]\n";
    let route = |lines: &str| {
        format!(
            "[[route]]\nname = 'a'\nhost = 'a.test'\naccess_tokens = true\n\
             upstream = ['http://[::1]']\n{lines}\n"
        )
    };
    for (connectors, lines, named) in [
        (wecom(""), "", None),
        (wecom(events), "", None),
        (wecom("revalidate = '0s'"), "", Some("`corp`")),
        (oidc.to_owned(), "", Some("`idp`")),
        (oauth2.to_owned(), "", Some("`gl`")),
        // Tokens of local accounts end as soon as somebody is removed or disabled.
        (local.to_owned(), "", None),
        (local_file.to_owned(), "", None),
        (
            format!("{local}{oauth2}"),
            "",
            Some("menshen does not ask `gl` whether"),
        ),
        (format!("{}{oidc}", wecom("")), "", Some("`idp`")),
        (
            format!("{}{oidc}", wecom("")),
            "connectors = ['corp']",
            None,
        ),
        (
            format!("{}{oidc}", wecom("")),
            "connectors = ['idp']",
            Some("`idp`"),
        ),
    ] {
        let text = format!("{head}{connectors}{}", route(lines));
        let warnings = parse(&text).warnings();
        let warned = warnings
            .iter()
            .find(|warning| warning.key == "route[0].access_tokens");
        assert_eq!(warned.is_some(), named.is_some(), "{text}");
        if let (Some(warned), Some(named)) = (warned, named) {
            assert!(warned.text.to_string().contains(named), "{warned}");
        }
    }
}
