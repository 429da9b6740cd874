//! Problems of `[[route]]`.

use super::*;
use crate::conf::parse;

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
    parse(&format!("{SERVER}{WECOM}{}", route(&longest)));
}

#[test]
fn a_route_names_connectors_that_exist_and_a_path_that_requests_reach() {
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
    parse(&format!(
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
    assert_refused_after_corp(&own, 9, 26, &["only menshen sets"]);
    let authorization = pass("Authorization") + "[route.headers]\nAuthorization = 'user.login'\n";
    let words = ["passed on without pass_headers, except by routes that set it"];
    assert_refused_after_corp(&authorization, 9, 26, &words);
    for reserved in ["Host", "Cookie", "Content-Length", "Connection"] {
        let words = ["pass_headers has no effect on it"];
        assert_refused_after_corp(&pass(reserved), 9, 26, &words);
    }
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
