//! Problems of listeners, cookies and limits.

use super::*;
use crate::conf::parse;

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
        parse(&format!("{SERVER}{}\n", trusting(more)));
    }
}

#[test]
fn an_external_url_is_an_origin() {
    for bad in ["https://a/b", "https://a?b", "https://u@a", "ftp://a", "a"] {
        let text = format!("[server]\nexternal_url = '{bad}'\n");
        assert_problem(&parse_error(&text), 2, 16, &["no path, query or user"]);
    }
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
    let too_short = "access_token_max is shorter than a minute";
    assert_refused("[session]\naccess_token_max = '59s'\n", 4, 20, &[too_short]);
    let guesses = "[session]\nunknown_access_tokens_per_client_per_minute = 0\n";
    assert_refused(guesses, 4, 47, &["at least 1"]);
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
        &["the address before the port is missing", "127.0.0.1:9180"],
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
