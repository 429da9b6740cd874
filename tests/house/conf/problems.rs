//! An invalid configuration is refused with the right line, column and help.

use menshen::config::{Config, ConfigError};

const SERVER: &str = "[server]\nexternal_url = \"https://sso.corp.example\"\n";
const WECOM: &str = "\
[connector.corp.wecom]
corp_id = \"ww1\"
agent_id = 7
secret = { file = \"/s\" }
";

/// The error of an invalid document.
pub(super) fn parse_error(text: &str) -> ConfigError {
    match Config::parse(text, "menshen.toml") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error,
    }
}

/// Parses `more` after a `[server]` of two lines, so that `more` begins in line 3. The first problem must
/// be at `line` and `column` and contain every one of `words`.
pub(super) fn assert_refused(more: &str, line: usize, column: usize, words: &[&str]) {
    assert_problem(
        &parse_error(&format!("{SERVER}{more}")),
        line,
        column,
        words,
    );
}

/// The same with a connector `corp` of four lines before `more`, which begins in line 7.
fn assert_refused_after_corp(more: &str, line: usize, column: usize, words: &[&str]) {
    assert_problem(
        &parse_error(&format!("{SERVER}{WECOM}{more}")),
        line,
        column,
        words,
    );
}

pub(super) fn assert_problem(error: &ConfigError, line: usize, column: usize, words: &[&str]) {
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
fn invalid_toml_is_shown_with_a_caret() {
    assert_refused("a = = 1\n", 3, 5, &["extra `=`"]);
    assert_refused("prefix = /.menshen\n", 3, 10, &["quoted"]);
    assert_refused(
        "prefix = \"/a\"\nprefix = \"/b\"\n",
        4,
        1,
        &["duplicate key"],
    );
    assert_refused("[session]\nkeys = [\"abc\n", 4, 13, &["unclosed array"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_allowed_keys_and_a_suggestion() {
    assert_refused(
        "lisen = []\n",
        3,
        1,
        &["unknown key `lisen`", "did you mean `listen`", "files"],
    );
    assert_refused(
        "[sesion]\n",
        3,
        2,
        &["unknown key `sesion`", "did you mean `session`"],
    );
    assert_refused(
        "[session]\nxyzzy = 1\n",
        4,
        1,
        &["unknown key `xyzzy`", "allowed here: keys"],
    );
    assert_refused_after_corp("scpe = \"a\"\n", 7, 1, &["did you mean `scope`"]);
    assert_refused(
        "[[route]]\nname = 'a'\n[route.limits]\nconect = '1s'\n",
        6,
        1,
        &["`connect`"],
    );
    assert_refused(
        "[session]\nkeys = [{ path = 'x' }]\n",
        4,
        9,
        &["`path`", "file, env"],
    );
}

#[test]
fn a_key_of_a_later_version_is_refused_as_such() {
    assert_refused(
        "[store]\nurl = 'postgres://u:hunter2@h/d'\n",
        4,
        7,
        &["PostgreSQL yet", "sqlite"],
    );
}

#[test]
fn an_invalid_store_url_is_refused() {
    for url in [
        "sqlite:///menshen.db?mode=ro",
        "sqlite:///menshen%FF.db",
        "sqlite:menshen.db",
        "sqlite://",
        "/menshen.db",
    ] {
        let store = format!("[store]\nurl = '{url}'\n");
        assert_refused(&store, 4, 7, &["a store is sqlite:///path/to/menshen.db"]);
    }
}

#[test]
fn ext_authz_needs_a_listener_and_a_trusted_proxy() {
    assert_refused(
        "[ext_authz]\ngrpc_listen = '127.0.0.1:9181'\n",
        3,
        2,
        &["trusted_proxies is empty", "127.0.0.1"],
    );
    let trusting = |more: &str| format!("trusted_proxies = ['127.0.0.1']\n[ext_authz]\n{more}");
    assert_refused(&trusting(""), 4, 2, &["has no listener", "on_main = true"]);
    assert_refused(
        &trusting("grpc_listen = 'a'\n"),
        5,
        15,
        &["`a` is not an address", "unix:/path"],
    );
    assert_refused(
        &trusting("grpc_listen = '127.0.0.1:8080'\n"),
        5,
        15,
        &["used by [server] listen"],
    );
    assert_refused(&trusting("grpc = 1\n"), 5, 1, &["`grpc`", "grpc_listen"]);
    for more in [
        "on_main = true",
        "grpc_listen = 'unix:/run/menshen/grpc.sock'",
    ] {
        super::parse(&format!("{SERVER}{}\n", trusting(more)));
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_the_right_type() {
    assert_refused(
        "prefix = 7\n",
        3,
        10,
        &["an integer does not fit", "text in quotes"],
    );
    assert_refused(
        "[session]\nkeys = 'a'\n",
        4,
        8,
        &["a text does not fit", "an array"],
    );
    assert_refused(
        "[session]\nlifetime = '12'\n",
        4,
        12,
        &["a period is a whole number and a unit", "12h"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\naccess = 'sign-in'\n",
        5,
        10,
        &["`signed-in`", "public"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\npath = '/%2f'\n",
        5,
        8,
        &["a path starts with /"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\nhost = 'https://a'\n",
        5,
        8,
        &["a host is a name"],
    );
    assert_refused("[connector.Corp]\n", 3, 12, &["a connector's id is"]);
}

#[test]
fn the_wrong_item_of_an_array_is_found() {
    assert_refused(
        "trusted_proxies = ['10.0.0.0/8', 'x']\n",
        3,
        34,
        &["a network such as 10.0.0.0/8"],
    );
    assert_refused(
        "trusted_proxies = [\n  'unix',\n  'x',\n]\n",
        5,
        3,
        &["or `unix`"],
    );
    assert_refused(
        "[[route]]\nname = 'a'\nupstream = ['http://a', 'a:1']\n",
        5,
        25,
        &["http://host"],
    );
}

#[test]
fn a_missing_key_is_named() {
    assert_problem(
        &parse_error(""),
        1,
        1,
        &["`server` is missing", "external_url"],
    );
    assert_problem(
        &parse_error("[server]\n"),
        1,
        1,
        &["`external_url` is missing"],
    );
    assert_refused(
        "[connector.corp.wecom]\ncorp_id = 'a'\n",
        3,
        1,
        &["`agent_id` is missing"],
    );
    assert_refused("[[route]]\nhost = 'a.b'\n", 3, 1, &["`name` is missing"]);
}

#[test]
fn an_external_url_is_an_origin() {
    for bad in ["https://a/b", "https://a?b", "https://u@a", "ftp://a", "a"] {
        let text = format!("[server]\nexternal_url = '{bad}'\n");
        assert_problem(&parse_error(&text), 2, 16, &["no path, query or user"]);
    }
}

#[test]
fn a_connector_is_of_one_kind() {
    assert_refused(
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
    assert_refused_after_corp(
        &dev,
        7,
        12,
        &["inside the client of wecom, `corp`", "never"],
    );
    let both = format!("{dev}[connector.dev]\nauto_login = 'always'\n");
    let both = format!("{both}[connector.corp]\nauto_login = 'always'\n");
    assert_refused_after_corp(&both, 12, 14, &["`corp` already has auto_login"]);
}

#[test]
fn the_home_of_a_connector_is_a_url_of_the_site() {
    let home = |target: &str| format!("[connector.corp]\nhome = {{ desktop = '{target}' }}\n");
    for bad in [
        "//evil.example",
        "https://evil.example/",
        "portal",
        "/.menshen/sign_out",
    ] {
        assert_refused_after_corp(&home(bad), 8, 20, &["nobody can land there"]);
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
    // A route for any host adds no host to the site.
    let any = format!("{}[[route]]\nname = 'any'\n", home("https://evil.example/"));
    assert_refused_after_corp(&any, 8, 20, &["nobody can land there"]);
}

#[test]
fn route_names_and_paths_are_unique() {
    let route = |name: &str, path: &str| format!("[[route]]\nname = '{name}'\npath = '{path}'\n");
    let names = format!("{}{}", route("a", "/"), route("a", "/b"));
    assert_refused_after_corp(&names, 11, 8, &["two routes are named `a`", "line 7"]);
    let places = format!("{}{}", route("a", "/x"), route("b", "/x"));
    assert_refused_after_corp(&places, 12, 8, &["the same host and path", "line 7"]);
    let slash = format!("{}{}", route("a", "/x"), route("b", "/x/"));
    assert_refused_after_corp(&slash, 12, 8, &["the same host and path", "line 7"]);
    let ports = "[[route]]\nname = 'a'\nhost = 'a:1'\n[[route]]\nname = 'b'\nhost = 'a:2'\n";
    assert!(Config::parse(&format!("{SERVER}{WECOM}{ports}"), "m").is_ok());
}

#[test]
fn access_and_allow_must_match() {
    let route =
        |access: &str, more: &str| format!("[[route]]\nname = 'a'\naccess = '{access}'\n{more}");
    let allow = "allow = 'user.login == \"a\"'\n";
    assert_refused_after_corp(
        &route("public", allow),
        10,
        1,
        &["`allow` has no effect", "rule"],
    );
    assert_refused_after_corp(&route("rule", ""), 9, 10, &["needs `allow`"]);
    for (access, more) in [("rule", allow), ("signed-in", allow), ("public", "")] {
        let text = format!("{SERVER}{WECOM}{}", route(access, more));
        assert!(Config::parse(&text, "m").is_ok(), "{access}");
    }
}

#[test]
fn an_audience_is_not_empty_and_needs_an_assertion() {
    let route = |lines: &str| format!("[[route]]\nname = 'a'\n{lines}\n");
    let unread = &["`audience` has no effect", "assertion = true"];
    assert_refused_after_corp(&route("audience = 'oa'"), 9, 1, unread);
    assert_refused_after_corp(&route("assertion = false\naudience = 'oa'"), 10, 1, unread);
    for bad in ["''", "'  '", "\"a\\n\"", &format!("'{}'", "a".repeat(257))] {
        let text = route(&format!("assertion = true\naudience = {bad}"));
        assert_refused_after_corp(&text, 10, 12, &["audience cannot be used"]);
    }
    let longest = format!("assertion = true\naudience = '{}'", "a".repeat(256));
    super::parse(&format!("{SERVER}{WECOM}{}", route(&longest)));
}

#[test]
fn a_route_that_requires_a_login_needs_a_connector() {
    assert_refused(
        "[[route]]\nname = 'oa'\n",
        3,
        1,
        &["nobody passes `oa`", "[connector.ID]"],
    );
    let unknown = "[[route]]\nname = 'oa'\nconnectors = ['corp', 'crop']\n";
    assert_refused_after_corp(unknown, 9, 23, &["no connector `crop`", "there are: corp"]);
    let hidden = "[[route]]\nname = 'oa'\npath = '/.menshen/x'\n";
    assert_refused_after_corp(hidden, 9, 8, &["no request reaches this route"]);
}

#[test]
fn a_rule_that_does_not_compile_is_refused_at_the_wrong_word() {
    let allow = "[[route]]\nname = 'a'\nallow = \"user.login == 'x' && usr.login == 'y'\"\n";
    assert_refused_after_corp(
        allow,
        9,
        31,
        &["unknown variable `usr`", "known here: user"],
    );
    let lines = "[[route]]\nname = 'a'\nallow = '''\nuser.login == 'a' ||\nuser.login = 'b'\n'''\n";
    assert_refused_after_corp(lines, 11, 12, &["does not compile"]);
    let header = "[[route]]\nname = 'a'\n[route.headers]\nX-A = 'profile.name'\n";
    assert_refused_after_corp(header, 10, 8, &["unknown variable `profile`"]);
    let basic = "[[route]]\nname = 'a'\nbasic_auth = { user = 'who()', password = 'hunter2' }\n";
    assert_refused_after_corp(basic, 9, 27, &["unknown function `who`"]);
    let mapping = "[connector.corp.mapping]\nlogin = 'user.login'\n";
    assert_refused_after_corp(
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
        assert_refused_after_corp(&header(bad), 10, 1, &["cannot be set"]);
    }
    assert_refused_after_corp(&header("'X A'"), 10, 1, &["is not a valid header name"]);
    assert_refused_after_corp(
        &header("X-A = '\"x\"'\nx_a"),
        11,
        1,
        &["`x_a` is set twice"],
    );
}

#[test]
fn a_header_that_two_keys_set_is_refused() {
    let route = |lines: &str| format!("[[route]]\nname = 'a'\n{lines}\n");
    let basic = "basic_auth = { user = 'user.login', password = 'hunter2' }";
    let own = "[route.headers]\nauthorization = '\"x\"'";
    let twice = &["Authorization is set twice"];
    assert_refused_after_corp(&route(&format!("{basic}\n{own}")), 9, 1, twice);
    assert_refused_after_corp(
        &route(&format!("pass_id_token = true\n{basic}")),
        9,
        1,
        twice,
    );
    assert_refused_after_corp(&route(&format!("pass_id_token = true\n{own}")), 9, 1, twice);
    let token = "pass_access_token = true\n[route.headers]\nx_forwarded_access_token = '\"x\"'";
    let twice = &["X-Forwarded-Access-Token is set twice"];
    assert_refused_after_corp(&route(token), 9, 1, twice);
    let assertion = "assertion = true\n[route.headers]\nx_menshen_assertion = '\"x\"'";
    let twice = &["X-Menshen-Assertion is set twice"];
    assert_refused_after_corp(&route(assertion), 9, 1, twice);
    let apart = "pass_access_token = true\npass_id_token = false\nassertion = true";
    super::parse(&format!(
        "{SERVER}{WECOM}{}",
        route(&format!("{apart}\n{basic}"))
    ));
}

#[test]
fn an_identity_header_of_a_client_cannot_be_passed() {
    let pass = |name: &str| format!("[[route]]\nname = 'a'\npass_headers = ['Proxy', '{name}']\n");
    for bad in [
        "X-Forwarded-User",
        "x_forwarded-email",
        "X-Menshen-Assertion",
    ] {
        assert_refused_after_corp(&pass(bad), 9, 26, &["never passed on"]);
    }
    let own = format!("{}[route.headers]\nX-Who = 'user.login'\n", pass("x-who"));
    assert_refused_after_corp(&own, 9, 26, &["is an identity header"]);
}

#[test]
fn a_cookie_name_is_plain_and_has_no_prefix() {
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
        assert_refused(&named(bad), 4, 15, &["a cookie name is"]);
    }
    for good in ["gate", "_oauth2_proxy", "menshen-test"] {
        let text = format!("{SERVER}{}", named(good));
        assert!(Config::parse(&text, "m").is_ok(), "{good}");
    }
}

#[test]
fn a_cookie_domain_covers_the_site_and_has_two_labels() {
    let domain = |domain: &str| format!("[session]\ncookie_domain = '{domain}'\n");
    for bad in [
        "example",
        "10.0.0.1",
        ".corp.example",
        "Corp.Example",
        "[::1]",
        "",
    ] {
        assert_refused(&domain(bad), 4, 17, &["cookie_domain cannot be used"]);
    }
    for bad in ["orp.example", "other.example", "x.sso.corp.example"] {
        assert_refused(&domain(bad), 4, 17, &["does not cover external_url"]);
    }
    for good in ["corp.example", "sso.corp.example"] {
        assert!(
            Config::parse(&format!("{SERVER}{}", domain(good)), "m").is_ok(),
            "{good}"
        );
    }
    let embedded = "[session]\ncookie_same_site = 'none'\n";
    let plain = SERVER.replace("https", "http");
    assert_problem(
        &parse_error(&format!("{plain}{embedded}")),
        4,
        20,
        &["needs https"],
    );
    assert!(Config::parse(&format!("{SERVER}{embedded}"), "m").is_ok());
}

#[test]
fn frame_ancestors_are_origins() {
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
        let error = parse_error(&framed_by(bad));
        assert!(error.to_string().contains("origin"), "{bad}: {error}");
    }
    for good in ["", "'https://portal.example', 'http://x.test:8080'"] {
        assert!(Config::parse(&framed_by(good), "m").is_ok(), "{good}");
    }
}

#[test]
fn periods_and_limits_must_be_valid() {
    let longer = "idle_timeout is longer than lifetime";
    assert_refused("[session]\nlifetime = '1h'\n", 4, 12, &[longer]);
    assert_refused(
        "[session]\nlifetime = '1h'\nidle_timeout = '61m'\n",
        5,
        16,
        &[longer],
    );
    assert_refused(
        "[session]\nidle_timeout = '0s'\n",
        4,
        16,
        &["must not be 0"],
    );
    assert_refused(
        "[session]\ncached_sessions_max = 0\n",
        4,
        23,
        &["at least 1"],
    );
    assert_refused("[login]\nbegins_per_minute = 0\n", 4, 21, &["at least 1"]);
    assert_refused("listen = []\n", 3, 10, &["no address to listen on"]);
    let limits = "[[route]]\nname = 'a'\nlimits = { response = '0ms' }\n";
    assert_refused_after_corp(limits, 9, 23, &["response must not be 0"]);
}

#[test]
fn listeners_must_be_valid() {
    assert_refused(
        "listen = ['127.0.0.1:1', 'localhost']\n",
        3,
        26,
        &["is not an address"],
    );
    let tls = "listen = [{ address = '127.0.0.1:1', tls = true }]\n";
    assert_refused(tls, 3, 11, &["no certificate for TLS", "[server.tls]"]);
    let pair = "[server.tls]\ncertificate = '/c'\nkey = '/k'\n";
    assert!(Config::parse(&format!("{SERVER}{tls}{pair}"), "m").is_ok());
    let twice = "listen = ['127.0.0.1:1', 'unix:/a', '127.0.0.1:1']\n";
    assert_refused(twice, 3, 37, &["in the list twice"]);
    assert!(Config::parse(&format!("{SERVER}listen = ['[::1]:0', '[::1]:0']\n"), "m").is_ok());
    assert_refused(
        "[admin]\nlisten = '9180'\n",
        4,
        10,
        &["is not an address", "127.0.0.1:9180"],
    );
    assert_refused(
        "[log]\nlevel = 'a=loud'\n",
        4,
        9,
        &["not a log level", "debug"],
    );
}

#[test]
fn files_and_callbacks_do_not_hide_own_pages() {
    assert_refused(
        "files = { '/.menshen/start' = 'x' }\n",
        3,
        11,
        &["would hide a page of menshen"],
    );
    let base = "[connector.corp]\ncallback_base = 'https://a/b'\n";
    assert_refused_after_corp(base, 8, 17, &["must be an origin"]);
}

/// A route after a connector `corp`; `more` begins in line 10.
fn assert_route_refused(more: &str, line: usize, column: usize, words: &[&str]) {
    let route = format!("[[route]]\nname = 'a'\nupstream = ['http://a']\n{more}");
    assert_refused_after_corp(&route, line, column, words);
}

#[test]
fn invalid_session_requirements_of_a_route_are_refused() {
    assert_route_refused(
        "prompt = 'none'\n",
        10,
        10,
        &["login", "consent", "select_account"],
    );
    assert_route_refused(
        "acr_values = ['a b']\n",
        10,
        15,
        &["acr value cannot be used"],
    );
    assert_route_refused(
        "acr_values = ['a', 'b\"']\n",
        10,
        20,
        &["acr value cannot be used"],
    );
    assert_route_refused("acr_values = ['']\n", 10, 15, &["acr value cannot be used"]);
    let many = format!("acr_values = {:?}\n", ["a"; 9]);
    assert_route_refused(&many, 10, 14, &["too many acr_values", "at most 8"]);
    assert_route_refused("max_age = '9s'\n", 10, 11, &["max_age is too short", "10s"]);
    assert_route_refused("max_age = 10\n", 10, 11, &["quotes"]);
    for key in [
        "acr_values = ['a']",
        "max_age = '1h'",
        "prompt = 'login'",
        "reload_user = 'always'",
    ] {
        let public = format!("access = 'public'\n{key}\n");
        assert_route_refused(&public, 11, 1, &["a public route", "has no effect"]);
    }
}

#[test]
fn reload_user_needs_a_connector_with_silent_login() {
    assert_route_refused(
        "reload_user = 'sometimes'\n",
        10,
        15,
        &["embedded", "always"],
    );
    let short = "reload_user = 'always'\nreload_after = '1s'\n";
    assert_route_refused(short, 11, 16, &["reload_after is too short"]);
    let embedded = "reload_user = 'embedded'\nhost = 'sso.corp.example'\n";
    assert_route_refused(embedded, 10, 15, &["cookie_same_site = \"none\""]);
    let elsewhere = "reload_user = 'embedded'\nhost = 'oa.corp.example'\n\
                     [session]\ncookie_same_site = 'none'\n";
    assert_route_refused(elsewhere, 10, 15, &["external_url", "cookie_domain"]);
    for never in ["mode = 'web'\n", "scope = 'snsapi_privateinfo'\n"] {
        let more = format!(
            "{never}[[route]]\nname = 'a'\nupstream = ['http://a']\nreload_user = 'always'\n"
        );
        assert_refused_after_corp(&more, 11, 15, &["none of the connectors", "WeCom"]);
    }
    // Valid combinations are accepted.
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
fn only_one_connector_may_start_logins_in_an_app() {
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
        assert_refused(
            &two(first, second),
            10,
            14,
            &["`a` already starts logins", "never"],
        );
    }
    assert_refused(
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
fn all_problems_are_reported_in_order() {
    let text =
        format!("{SERVER}[login]\nbad_codes_max = 0\n[[route]]\nname = 'a'\naccess = 'rule'\n");
    let error = parse_error(&text);
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 7]);
}

#[test]
fn an_error_shows_no_secret_and_is_ascii() {
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
        let shown = parse_error(&format!("{SERVER}{more}")).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.is_ascii(), "{shown}");
    }
}

#[test]
fn a_public_path_is_a_plain_path_of_the_route() {
    for path in [
        "icon.png", "", "/a%20b", "/a//b", "/a/../b", "/a;b", "/a?b", "/a#b", "/a\\\\b", "/图标",
    ] {
        let route = format!("[[route]]\nname = \"a\"\npublic_paths = [\"{path}\"]\n");
        let error = parse_error(&format!("{SERVER}{WECOM}{route}")).to_string();
        assert!(error.contains("a public path is a whole path"), "{error}");
    }
    let route = "[[route]]\nname = \"a\"\npath = \"/app\"\n";
    let elsewhere = format!("{route}public_paths = [\"/app/a\", \"/b\"]\n");
    assert_refused_after_corp(&elsewhere, 10, 27, &["does not serve", "/app"]);
    let public = format!("{route}access = \"public\"\npublic_paths = [\"/app/a\"]\n");
    assert_refused_after_corp(&public, 11, 1, &["every path is public"]);
}
