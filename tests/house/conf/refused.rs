//! A configuration that is wrong is refused at the right place, in words that help.

use menshen::config::{Config, ConfigError};

const SERVER: &str = "[server]\nexternal_url = \"https://sso.corp.example\"\n";
const WECOM: &str = "\
[connector.corp.wecom]
corp_id = \"ww1\"
agent_id = 7
secret = { file = \"/s\" }
";

/// Refuses a whole document.
pub(super) fn refuse(text: &str) -> ConfigError {
    match Config::parse(text, "menshen.toml") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error,
    }
}

/// Each line of `more` stands after a `[server]` of two lines, so `more` begins in line 3. The first
/// problem must stand at `line` and `column` and say every one of `words`.
pub(super) fn refused(more: &str, line: usize, column: usize, words: &[&str]) {
    says(&refuse(&format!("{SERVER}{more}")), line, column, words);
}

/// The same with a connector `corp` of four lines before `more`, which begins in line 7.
fn refused_behind_corp(more: &str, line: usize, column: usize, words: &[&str]) {
    says(
        &refuse(&format!("{SERVER}{WECOM}{more}")),
        line,
        column,
        words,
    );
}

pub(super) fn says(error: &ConfigError, line: usize, column: usize, words: &[&str]) {
    let shown = error.to_string();
    let first = &error.problems[0];
    assert_eq!((first.line, first.column), (line, column), "{shown}");
    assert!(
        shown.contains(&format!("menshen.toml:{line}:{column}")),
        "{shown}"
    );
    assert!(shown.contains('^'), "{shown}");
    for word in words {
        assert!(shown.contains(word), "`{word}` in:\n{shown}");
    }
}

#[test]
fn what_is_no_toml_is_shown_with_a_caret() {
    refused("a = = 1\n", 3, 5, &["extra `=`"]);
    refused("prefix = /.menshen\n", 3, 10, &["quoted"]);
    refused(
        "prefix = \"/a\"\nprefix = \"/b\"\n",
        4,
        1,
        &["duplicate key"],
    );
    refused("[session]\nkeys = [\"abc\n", 4, 13, &["unclosed array"]);
}

#[test]
fn an_unknown_key_is_told_what_is_allowed_and_what_was_meant() {
    refused(
        "lisen = []\n",
        3,
        1,
        &["unknown key `lisen`", "did you mean `listen`", "files"],
    );
    refused(
        "[sesion]\n",
        3,
        2,
        &["unknown key `sesion`", "did you mean `session`"],
    );
    refused(
        "[session]\nxyzzy = 1\n",
        4,
        1,
        &["unknown key `xyzzy`", "allowed here: keys"],
    );
    refused_behind_corp("scpe = \"a\"\n", 7, 1, &["did you mean `scope`"]);
    refused(
        "[[route]]\nname = 'a'\n[route.limits]\nconect = '1s'\n",
        6,
        1,
        &["`connect`"],
    );
    refused(
        "[session]\nkeys = [{ path = 'x' }]\n",
        4,
        9,
        &["`path`", "file, env"],
    );
}

#[test]
fn a_key_of_a_later_version_is_refused_as_such() {
    refused(
        "[store]\nurl = 'postgres://u:hunter2@h/d'\n",
        4,
        7,
        &["PostgreSQL yet", "sqlite"],
    );
}

#[test]
fn a_store_that_no_start_could_open_is_refused_with_the_configuration() {
    for url in [
        "sqlite:///menshen.db?mode=ro",
        "sqlite:///menshen%FF.db",
        "sqlite:menshen.db",
        "sqlite://",
        "/menshen.db",
    ] {
        let store = format!("[store]\nurl = '{url}'\n");
        refused(&store, 4, 7, &["a store is sqlite:///path/to/menshen.db"]);
    }
}

#[test]
fn ext_authz_needs_somewhere_to_ask_and_somebody_who_may() {
    refused(
        "[ext_authz]\ngrpc_listen = '127.0.0.1:9181'\n",
        3,
        2,
        &["trusted_proxies is empty", "127.0.0.1"],
    );
    let trusting = |more: &str| format!("trusted_proxies = ['127.0.0.1']\n[ext_authz]\n{more}");
    refused(&trusting(""), 4, 2, &["has no listener", "on_main = true"]);
    refused(
        &trusting("grpc_listen = 'a'\n"),
        5,
        15,
        &["`a` is no address", "unix:/path"],
    );
    refused(
        &trusting("grpc_listen = '127.0.0.1:8080'\n"),
        5,
        15,
        &["used by [server] listen"],
    );
    refused(&trusting("grpc = 1\n"), 5, 1, &["`grpc`", "grpc_listen"]);
    for more in [
        "on_main = true",
        "grpc_listen = 'unix:/run/menshen/grpc.sock'",
    ] {
        super::parse(&format!("{SERVER}{}\n", trusting(more)));
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_told_the_right_one() {
    refused(
        "prefix = 7\n",
        3,
        10,
        &["an integer does not fit", "text in quotes"],
    );
    refused(
        "[session]\nkeys = 'a'\n",
        4,
        8,
        &["a text does not fit", "an array"],
    );
    refused(
        "[session]\nlifetime = '12'\n",
        4,
        12,
        &["a period is a whole number and a unit", "12h"],
    );
    refused(
        "[[route]]\nname = 'a'\naccess = 'sign-in'\n",
        5,
        10,
        &["`signed-in`", "public"],
    );
    refused(
        "[[route]]\nname = 'a'\npath = '/%2f'\n",
        5,
        8,
        &["a path starts with /"],
    );
    refused(
        "[[route]]\nname = 'a'\nhost = 'https://a'\n",
        5,
        8,
        &["a host is a name"],
    );
    refused("[connector.Corp]\n", 3, 12, &["a connector's id is"]);
}

#[test]
fn the_wrong_item_of_an_array_is_found() {
    refused(
        "trusted_proxies = ['10.0.0.0/8', 'x']\n",
        3,
        34,
        &["a network such as 10.0.0.0/8"],
    );
    refused(
        "trusted_proxies = [\n  'unix',\n  'x',\n]\n",
        5,
        3,
        &["or `unix`"],
    );
    refused(
        "[[route]]\nname = 'a'\nupstream = ['http://a', 'a:1']\n",
        5,
        25,
        &["http://host"],
    );
}

#[test]
fn what_is_missing_is_named() {
    says(&refuse(""), 1, 1, &["`server` is missing", "external_url"]);
    says(&refuse("[server]\n"), 1, 1, &["`external_url` is missing"]);
    refused(
        "[connector.corp.wecom]\ncorp_id = 'a'\n",
        3,
        1,
        &["`agent_id` is missing"],
    );
    refused("[[route]]\nhost = 'a.b'\n", 3, 1, &["`name` is missing"]);
}

#[test]
fn an_external_url_is_an_origin() {
    for bad in ["https://a/b", "https://a?b", "https://u@a", "ftp://a", "a"] {
        let text = format!("[server]\nexternal_url = '{bad}'\n");
        says(&refuse(&text), 2, 16, &["no path, query or user"]);
    }
}

#[test]
fn a_connector_is_of_one_kind() {
    refused(
        "[connector.corp]\ndisplay_name = 'x'\n",
        3,
        12,
        &["`corp` is of no kind", ".wecom]"],
    );
}

#[test]
fn only_one_connector_starts_logins_by_itself() {
    let dev = WECOM.replace("corp", "dev").replace("dev_id", "corp_id");
    let silent = format!("{dev}[connector.dev]\nauto_login = 'never'\n");
    assert!(Config::parse(&format!("{SERVER}{WECOM}{silent}"), "m").is_ok());
    refused_behind_corp(
        &dev,
        7,
        12,
        &["inside the client of wecom, `corp`", "never"],
    );
    let both = format!("{dev}[connector.dev]\nauto_login = 'always'\n");
    let both = format!("{both}[connector.corp]\nauto_login = 'always'\n");
    refused_behind_corp(&both, 12, 14, &["`corp` already has auto_login"]);
}

#[test]
fn logins_land_on_the_site() {
    let home = |target: &str| format!("[connector.corp]\nhome = {{ desktop = '{target}' }}\n");
    for bad in [
        "//evil.example",
        "https://evil.example/",
        "portal",
        "/.menshen/sign_out",
    ] {
        refused_behind_corp(&home(bad), 8, 20, &["nobody can land there"]);
    }
    let route = "[[route]]\nname = 'oa'\nhost = 'oa.corp.example'\n";
    for good in [
        "/portal?x=1",
        "https://oa.corp.example/m",
        "https://sso.corp.example/",
    ] {
        let text = format!("{SERVER}{WECOM}{}{route}", home(good));
        assert!(Config::parse(&text, "m").is_ok(), "{good}");
    }
    // A route for any host makes no host a place of ours.
    let any = format!("{}[[route]]\nname = 'any'\n", home("https://evil.example/"));
    refused_behind_corp(&any, 8, 20, &["nobody can land there"]);
}

#[test]
fn route_names_and_places_are_unique() {
    let route = |name: &str, path: &str| format!("[[route]]\nname = '{name}'\npath = '{path}'\n");
    let names = format!("{}{}", route("a", "/"), route("a", "/b"));
    refused_behind_corp(&names, 11, 8, &["two routes are named `a`", "line 7"]);
    let places = format!("{}{}", route("a", "/x"), route("b", "/x"));
    refused_behind_corp(&places, 12, 8, &["the same host and path", "line 7"]);
    let slash = format!("{}{}", route("a", "/x"), route("b", "/x/"));
    refused_behind_corp(&slash, 12, 8, &["the same host and path", "line 7"]);
    let ports = "[[route]]\nname = 'a'\nhost = 'a:1'\n[[route]]\nname = 'b'\nhost = 'a:2'\n";
    assert!(Config::parse(&format!("{SERVER}{WECOM}{ports}"), "m").is_ok());
}

#[test]
fn access_and_allow_fit_together() {
    let route =
        |access: &str, more: &str| format!("[[route]]\nname = 'a'\naccess = '{access}'\n{more}");
    let allow = "allow = 'user.login == \"a\"'\n";
    refused_behind_corp(
        &route("public", allow),
        10,
        1,
        &["`allow` has no effect", "rule"],
    );
    refused_behind_corp(&route("rule", ""), 9, 10, &["needs `allow`"]);
    for (access, more) in [("rule", allow), ("signed-in", allow), ("public", "")] {
        let text = format!("{SERVER}{WECOM}{}", route(access, more));
        assert!(Config::parse(&text, "m").is_ok(), "{access}");
    }
}

#[test]
fn an_audience_is_one_and_of_an_assertion() {
    let route = |lines: &str| format!("[[route]]\nname = 'a'\n{lines}\n");
    let unread = &["`audience` has no effect", "assertion = true"];
    refused_behind_corp(&route("audience = 'oa'"), 9, 1, unread);
    refused_behind_corp(&route("assertion = false\naudience = 'oa'"), 10, 1, unread);
    for bad in ["''", "'  '", "\"a\\n\"", &format!("'{}'", "a".repeat(257))] {
        let text = route(&format!("assertion = true\naudience = {bad}"));
        refused_behind_corp(&text, 10, 12, &["audience cannot be used"]);
    }
    let longest = format!("assertion = true\naudience = '{}'", "a".repeat(256));
    super::parse(&format!("{SERVER}{WECOM}{}", route(&longest)));
}

#[test]
fn a_route_somebody_must_sign_in_for_needs_a_connector() {
    refused(
        "[[route]]\nname = 'oa'\n",
        3,
        1,
        &["nobody passes `oa`", "[connector.ID]"],
    );
    let unknown = "[[route]]\nname = 'oa'\nconnectors = ['corp', 'crop']\n";
    refused_behind_corp(unknown, 9, 23, &["no connector `crop`", "there are: corp"]);
    let hidden = "[[route]]\nname = 'oa'\npath = '/.menshen/x'\n";
    refused_behind_corp(hidden, 9, 8, &["no request reaches this route"]);
}

#[test]
fn a_rule_that_does_not_compile_is_shown_where_it_breaks() {
    let allow = "[[route]]\nname = 'a'\nallow = \"user.login == 'x' && usr.login == 'y'\"\n";
    refused_behind_corp(
        allow,
        9,
        31,
        &["unknown variable `usr`", "known here: user"],
    );
    let lines = "[[route]]\nname = 'a'\nallow = '''\nuser.login == 'a' ||\nuser.login = 'b'\n'''\n";
    refused_behind_corp(lines, 11, 12, &["does not compile"]);
    let header = "[[route]]\nname = 'a'\n[route.headers]\nX-A = 'profile.name'\n";
    refused_behind_corp(header, 10, 8, &["unknown variable `profile`"]);
    let basic = "[[route]]\nname = 'a'\nbasic_auth = { user = 'who()', password = 'hunter2' }\n";
    refused_behind_corp(basic, 9, 27, &["unknown function `who`"]);
    let mapping = "[connector.corp.mapping]\nlogin = 'user.login'\n";
    refused_behind_corp(
        mapping,
        8,
        10,
        &["unknown variable `user`", "CEL over profile"],
    );
}

#[test]
fn a_header_that_cannot_be_set_is_refused() {
    let header = |name: &str| format!("[[route]]\nname = 'a'\n[route.headers]\n{name} = '\"x\"'\n");
    for bad in [
        "Host",
        "Connection",
        "Content-Length",
        "Cookie",
        "Transfer-Encoding",
    ] {
        refused_behind_corp(&header(bad), 10, 1, &["cannot be set"]);
    }
    refused_behind_corp(&header("'X A'"), 10, 1, &["is not a valid header name"]);
    refused_behind_corp(
        &header("X-A = '\"x\"'\nx_a"),
        11,
        1,
        &["`x_a` is set twice"],
    );
}

#[test]
fn a_header_that_two_keys_would_write_is_refused() {
    let route = |lines: &str| format!("[[route]]\nname = 'a'\n{lines}\n");
    let basic = "basic_auth = { user = 'user.login', password = 'hunter2' }";
    let own = "[route.headers]\nauthorization = '\"x\"'";
    let twice = &["Authorization is set twice"];
    refused_behind_corp(&route(&format!("{basic}\n{own}")), 9, 1, twice);
    refused_behind_corp(
        &route(&format!("pass_id_token = true\n{basic}")),
        9,
        1,
        twice,
    );
    refused_behind_corp(&route(&format!("pass_id_token = true\n{own}")), 9, 1, twice);
    let token = "pass_access_token = true\n[route.headers]\nx_forwarded_access_token = '\"x\"'";
    let twice = &["X-Forwarded-Access-Token is set twice"];
    refused_behind_corp(&route(token), 9, 1, twice);
    let assertion = "assertion = true\n[route.headers]\nx_menshen_assertion = '\"x\"'";
    let twice = &["X-Menshen-Assertion is set twice"];
    refused_behind_corp(&route(assertion), 9, 1, twice);
    let apart = "pass_access_token = true\npass_id_token = false\nassertion = true";
    super::parse(&format!(
        "{SERVER}{WECOM}{}",
        route(&format!("{apart}\n{basic}"))
    ));
}

#[test]
fn a_header_that_says_who_somebody_is_never_passes() {
    let pass = |name: &str| format!("[[route]]\nname = 'a'\npass_headers = ['Proxy', '{name}']\n");
    for bad in [
        "X-Forwarded-User",
        "x_forwarded-email",
        "X-Menshen-Assertion",
    ] {
        refused_behind_corp(&pass(bad), 9, 26, &["never passed on"]);
    }
    let own = format!("{}[route.headers]\nX-Who = 'user.login'\n", pass("x-who"));
    refused_behind_corp(&own, 9, 26, &["is an identity header"]);
}

#[test]
fn a_cookie_name_is_plain_and_gets_its_prefix_from_us() {
    let named = |name: &str| format!("[session]\ncookie_name = '{name}'\n");
    for bad in [
        "",
        "a b",
        "a;b",
        "__Host-gate",
        "__secure-gate",
        "门神",
        "a-flow-b",
    ] {
        refused(&named(bad), 4, 15, &["a cookie name is"]);
    }
    for good in ["gate", "_oauth2_proxy", "menshen-test"] {
        let text = format!("{SERVER}{}", named(good));
        assert!(Config::parse(&text, "m").is_ok(), "{good}");
    }
}

#[test]
fn a_cookie_reaches_the_site_and_not_the_world() {
    let domain = |domain: &str| format!("[session]\ncookie_domain = '{domain}'\n");
    for bad in [
        "example",
        "10.0.0.1",
        ".corp.example",
        "Corp.Example",
        "[::1]",
        "",
    ] {
        refused(&domain(bad), 4, 17, &["cookie_domain cannot be used"]);
    }
    for bad in ["orp.example", "other.example", "x.sso.corp.example"] {
        refused(&domain(bad), 4, 17, &["does not cover external_url"]);
    }
    for good in ["corp.example", "sso.corp.example"] {
        assert!(
            Config::parse(&format!("{SERVER}{}", domain(good)), "m").is_ok(),
            "{good}"
        );
    }
    let embedded = "[session]\ncookie_same_site = 'none'\n";
    let plain = SERVER.replace("https", "http");
    says(
        &refuse(&format!("{plain}{embedded}")),
        4,
        20,
        &["needs https"],
    );
    assert!(Config::parse(&format!("{SERVER}{embedded}"), "m").is_ok());
}

#[test]
fn who_may_frame_the_sign_in_is_an_origin() {
    let framed_by = |origins: &str| {
        let embedded = "[session]\ncookie_same_site = 'none'\n";
        format!("{SERVER}{embedded}frame_ancestors = [{origins}]\n")
    };
    for bad in [
        "'https://portal.example/x'",
        "'https://a@portal.example'",
        "'https://portal.example?x'",
        "'ftp://portal.example'",
        "'https://portal.example', 'data:x'",
    ] {
        let error = refuse(&framed_by(bad));
        assert!(error.to_string().contains("origin"), "{bad}: {error}");
    }
    for good in ["", "'https://portal.example', 'http://x.test:8080'"] {
        assert!(Config::parse(&framed_by(good), "m").is_ok(), "{good}");
    }
}

#[test]
fn times_and_limits_make_sense() {
    let longer = "idle_timeout is longer than lifetime";
    refused("[session]\nlifetime = '1h'\n", 4, 12, &[longer]);
    refused(
        "[session]\nlifetime = '1h'\nidle_timeout = '61m'\n",
        5,
        16,
        &[longer],
    );
    refused(
        "[session]\nidle_timeout = '0s'\n",
        4,
        16,
        &["must not be 0"],
    );
    refused(
        "[session]\ncached_sessions_max = 0\n",
        4,
        23,
        &["at least 1"],
    );
    refused("[login]\nbegins_per_minute = 0\n", 4, 21, &["at least 1"]);
    refused("listen = []\n", 3, 10, &["no address to listen on"]);
    let limits = "[[route]]\nname = 'a'\nlimits = { response = '0ms' }\n";
    refused_behind_corp(limits, 9, 23, &["response must not be 0"]);
}

#[test]
fn listeners_can_be_put_up() {
    refused(
        "listen = ['127.0.0.1:1', 'localhost']\n",
        3,
        26,
        &["is no address"],
    );
    let tls = "listen = [{ address = '127.0.0.1:1', tls = true }]\n";
    refused(tls, 3, 11, &["no certificate for TLS", "[server.tls]"]);
    let pair = "[server.tls]\ncertificate = '/c'\nkey = '/k'\n";
    assert!(Config::parse(&format!("{SERVER}{tls}{pair}"), "m").is_ok());
    let twice = "listen = ['127.0.0.1:1', 'unix:/a', '127.0.0.1:1']\n";
    refused(twice, 3, 37, &["in the list twice"]);
    assert!(Config::parse(&format!("{SERVER}listen = ['[::1]:0', '[::1]:0']\n"), "m").is_ok());
    refused(
        "[admin]\nlisten = '9180'\n",
        4,
        10,
        &["is no address", "127.0.0.1:9180"],
    );
    refused(
        "[log]\nlevel = 'a=loud'\n",
        4,
        9,
        &["not a log level", "debug"],
    );
}

#[test]
fn own_pages_are_not_hidden() {
    refused(
        "files = { '/.menshen/start' = 'x' }\n",
        3,
        11,
        &["would hide a page of menshen"],
    );
    let base = "[connector.corp]\ncallback_base = 'https://a/b'\n";
    refused_behind_corp(base, 8, 17, &["must be an origin"]);
}

/// A route after a connector `corp`; `more` begins in line 10.
fn refused_of_route(more: &str, line: usize, column: usize, words: &[&str]) {
    let route = format!("[[route]]\nname = 'a'\nupstream = ['http://a']\n{more}");
    refused_behind_corp(&route, line, column, words);
}

#[test]
fn a_proof_that_nobody_can_give_is_refused_where_it_stands() {
    refused_of_route(
        "prompt = 'none'\n",
        10,
        10,
        &["login", "consent", "select_account"],
    );
    refused_of_route(
        "acr_values = ['a b']\n",
        10,
        15,
        &["acr value cannot be used"],
    );
    refused_of_route(
        "acr_values = ['a', 'b\"']\n",
        10,
        20,
        &["acr value cannot be used"],
    );
    refused_of_route("acr_values = ['']\n", 10, 15, &["acr value cannot be used"]);
    let many = format!("acr_values = {:?}\n", ["a"; 9]);
    refused_of_route(&many, 10, 14, &["too many acr_values", "at most 8"]);
    refused_of_route("max_age = '9s'\n", 10, 11, &["max_age is too short", "10s"]);
    refused_of_route("max_age = 10\n", 10, 11, &["quotes"]);
    for key in [
        "acr_values = ['a']",
        "max_age = '1h'",
        "prompt = 'login'",
        "reload_user = 'always'",
    ] {
        let public = format!("access = 'public'\n{key}\n");
        refused_of_route(&public, 11, 1, &["a public route", "has no effect"]);
    }
}

#[test]
fn a_source_that_cannot_be_asked_silently_is_refused_where_it_is_to_be() {
    refused_of_route(
        "reload_user = 'sometimes'\n",
        10,
        15,
        &["embedded", "always"],
    );
    let short = "reload_user = 'always'\nreload_after = '1s'\n";
    refused_of_route(short, 11, 16, &["reload_after is too short"]);
    let embedded = "reload_user = 'embedded'\nhost = 'sso.corp.example'\n";
    refused_of_route(embedded, 10, 15, &["cookie_same_site = \"none\""]);
    let elsewhere = "reload_user = 'embedded'\nhost = 'oa.corp.example'\n\
                     [session]\ncookie_same_site = 'none'\n";
    refused_of_route(elsewhere, 10, 15, &["external_url", "cookie_domain"]);
    for never in ["mode = 'web'\n", "scope = 'snsapi_privateinfo'\n"] {
        let more = format!(
            "{never}[[route]]\nname = 'a'\nupstream = ['http://a']\nreload_user = 'always'\n"
        );
        refused_behind_corp(&more, 11, 15, &["none of the connectors", "WeCom"]);
    }
    // What can be is taken.
    let covered = "[session]\ncookie_same_site = 'none'\ncookie_domain = 'corp.example'\n";
    for good in [
        format!("reload_user = 'embedded'\nhost = '*.corp.example'\n{covered}"),
        format!("reload_user = 'embedded'\n{covered}"),
        "reload_user = 'always'\nmax_age = '10s'\nprompt = 'select_account'\n".to_owned(),
    ] {
        let route = format!("[[route]]\nname = 'a'\nupstream = ['http://a']\n{good}");
        let text = format!("{SERVER}{WECOM}{route}");
        if let Err(error) = Config::parse(&text, "menshen.toml") {
            panic!("{error}\n{text}");
        }
    }
}

#[test]
fn inside_one_client_one_connector_starts_logins_in_whatever_order_they_stand() {
    let two = |first: &str, second: &str| {
        let wecom = WECOM.replace("[connector.corp.wecom]\n", "");
        let one = format!("[connector.a]\nauto_login = '{first}'\n[connector.a.wecom]\n{wecom}");
        format!("{one}[connector.b]\nauto_login = '{second}'\n[connector.b.wecom]\n{wecom}")
    };
    for (first, second) in [
        ("in-app", "in-app"),
        ("always", "in-app"),
        ("in-app", "always"),
    ] {
        refused(
            &two(first, second),
            10,
            14,
            &["`a` already starts logins", "never"],
        );
    }
    refused(
        &two("always", "always"),
        10,
        14,
        &["`a` already has auto_login"],
    );
    for (first, second) in [("never", "always"), ("in-app", "never")] {
        let text = format!("{SERVER}{}", two(first, second));
        assert!(
            Config::parse(&text, "menshen.toml").is_ok(),
            "{first} {second}"
        );
    }
}

#[test]
fn every_problem_is_told_at_once_and_in_order() {
    let text =
        format!("{SERVER}[login]\nbad_codes_max = 0\n[[route]]\nname = 'a'\naccess = 'rule'\n");
    let error = refuse(&text);
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 7]);
}

#[test]
fn a_refusal_shows_no_secret_and_is_plain_ascii() {
    for more in [
        "[session]\nkeys = 'hunter2'\n",
        "[session]\nkeys = [\n'hunter2',\n7]\n",
        "[connector.corp]\nsecret = 'hunter2'\n",
        "[connector.corp.wecom]\nsecrte = 'hunter2'\n",
        "[connector.corp.wecom]\nsecret = hunter2\n",
        "[store]\nurl = 'postgres://u:hunter2@h/d'\n",
        "[[route]]\nname = 'a'\nbasic_auth = { user = 'x', password = 'hunter2', more = 1 }\n",
        "[connector.corp.wecom]\ncorp_id = 'a'\nagent_id = 1\nsecret = \"hunter2\" 1\n",
    ] {
        let shown = refuse(&format!("{SERVER}{more}")).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.is_ascii(), "{shown}");
    }
}

#[test]
fn a_public_path_is_whole_and_read_in_one_way_only() {
    for path in [
        "icon.png", "", "/a%20b", "/a//b", "/a/../b", "/a;b", "/a?b", "/a#b", "/a\\\\b", "/图标",
    ] {
        let route = format!("[[route]]\nname = \"a\"\npublic_paths = [\"{path}\"]\n");
        let error = refuse(&format!("{SERVER}{WECOM}{route}")).to_string();
        assert!(error.contains("a public path is a whole path"), "{error}");
    }
    let route = "[[route]]\nname = \"a\"\npath = \"/app\"\n";
    let elsewhere = format!("{route}public_paths = [\"/app/a\", \"/b\"]\n");
    refused_behind_corp(&elsewhere, 10, 27, &["does not serve", "/app"]);
    let public = format!("{route}access = \"public\"\npublic_paths = [\"/app/a\"]\n");
    refused_behind_corp(&public, 11, 1, &["every path is public"]);
}
