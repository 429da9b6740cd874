//! Validates `[server]`, `[session]`, `[login]`, `[admin]` and `[log]`: listeners, own paths, cookies, limits.

use std::net::IpAddr;

use super::Problems;
use crate::door::Address;
use crate::people::cookie::SameSiteConfig;
use crate::setting::{KeyPath, Period};

/// The shortest `access_token_max`: the page offers whole minutes.
const ACCESS_TOKEN_LIFE_MIN: Period = Period::s(60);

pub(super) fn validate(problems: &mut Problems<'_>) {
    validate_listeners(problems);
    validate_log_level(problems);
    validate_own_paths(problems);
    validate_login_origins(problems);
    validate_cookies(problems);
    validate_limits(problems);
}

fn validate_listeners(problems: &mut Problems<'_>) {
    let config = problems.config;
    let key_path = KeyPath::of(["server", "listen"]);
    if config.server.listen.is_empty() {
        let help = "remove listen, or name an address such as \"127.0.0.1:8080\"";
        problems.add_at_value(&key_path, "no address to listen on", help);
    }
    for (index, listen) in config.server.listen.iter().enumerate() {
        let key_path = key_path.clone().item(index);
        if listen.tls == Some(true) && config.server.tls.is_none() {
            let help = "add [server.tls] with certificate and key";
            problems.add_at_value(&key_path, "there is no certificate for TLS", help);
        }
        if listen.tls == Some(true) && listen.redirect_https {
            let help = "remove tls, or redirect_https";
            problems.add_at_value(&key_path, "it would redirect from https to https", help);
        }
        // The system chooses a free port for port 0, so two of them do not collide.
        let is_chosen_by_system = matches!(&listen.address, Address::Ip(ip) if ip.port() == 0);
        if !is_chosen_by_system
            && config.server.listen[..index]
                .iter()
                .any(|other| other.address == listen.address)
        {
            problems.add_at_value(
                &key_path,
                "this address is in the list twice",
                "remove one of them",
            );
        }
    }
}

fn validate_log_level(problems: &mut Problems<'_>) {
    if tracing_subscriber::EnvFilter::try_new(&problems.config.log.level).is_err() {
        let help = "error, warn, info, debug, trace, or directives such as info,menshen=debug";
        problems.add_at_value(
            &KeyPath::of(["log", "level"]),
            "this is not a log level",
            help,
        );
    }
}

fn validate_own_paths(problems: &mut Problems<'_>) {
    let server = &problems.config.server;
    let prefix = server.prefix.as_str();
    for path in server.files.keys() {
        let below_prefix = path.as_str().strip_prefix(prefix);
        if below_prefix.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            let key_path = KeyPath::of(["server", "files", path.as_str()]);
            let help = format!("everything below {prefix} is menshen's own");
            problems.add_at_key(&key_path, "this file would hide a page of menshen", help);
        }
    }
}

fn validate_login_origins(problems: &mut Problems<'_>) {
    for (index, origin) in problems.config.login.origins.iter().enumerate() {
        problems.require_origin(&KeyPath::of(["login", "origins"]).item(index), origin);
    }
}

fn validate_cookies(problems: &mut Problems<'_>) {
    let external = &problems.config.server.external_url;
    let session = &problems.config.session;
    if session.cookie_same_site == SameSiteConfig::None && !external.is_https() {
        let help = "browsers refuse such a cookie: make external_url https:// or remove this key";
        let key_path = KeyPath::of(["session", "cookie_same_site"]);
        problems.add_at_value(&key_path, "cookie_same_site = \"none\" needs https", help);
    }
    let frame_ancestors = KeyPath::of(["session", "frame_ancestors"]);
    for (index, origin) in session.frame_ancestors.iter().enumerate() {
        problems.require_origin(&frame_ancestors.clone().item(index), origin);
    }
    let Some(domain) = &session.cookie_domain else {
        return;
    };
    let key_path = KeyPath::of(["session", "cookie_domain"]);
    let is_address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_label = |label: &str| {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_allowed)
    };
    if is_address(domain) || !domain.contains('.') || !domain.split('.').all(is_label) {
        let help = "write a domain of at least two labels in lower case, such as corp.example";
        problems.add_at_value(&key_path, "cookie_domain cannot be used", help);
        return;
    }
    let subdomain = external.host().strip_suffix(domain.as_str());
    if !subdomain.is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
        let help = format!(
            "the host of external_url is {}: write a domain that it is in",
            external.host()
        );
        problems.add_at_value(&key_path, "cookie_domain does not cover external_url", help);
    }
}

/// Refuses shares of more than 100 percent.
fn validate_upstream_shares(problems: &mut Problems<'_>, table: &KeyPath<'_>) {
    let limits = &problems.config.server.limits;
    let (client, anonymous) = (limits.upstream_share, limits.upstream_share_anonymous);
    for (key, share, help) in [
        (
            "upstream_share",
            client,
            "100 lets one client use all connections",
        ),
        (
            "upstream_share_anonymous",
            anonymous,
            "100 leaves no connections to people who are signed in",
        ),
    ] {
        if share > 100 {
            let key_path = table.clone().key(key);
            problems.add_at_value(&key_path, format!("{key} is more than 100 percent"), help);
        }
    }
}

fn validate_limits(problems: &mut Problems<'_>) {
    let limits = &problems.config.server.limits;
    let table = KeyPath::of(["server", "limits"]);
    let numbers = [
        ("connections_max", limits.connections_max as u64),
        (
            "connections_per_client_max",
            limits.connections_per_client_max as u64,
        ),
        (
            "requests_per_client_max",
            limits.requests_per_client_max as u64,
        ),
        ("streams_max", limits.streams_max.into()),
        ("upstream_share", limits.upstream_share.into()),
        (
            "upstream_share_anonymous",
            limits.upstream_share_anonymous.into(),
        ),
        ("header_bytes_max", limits.header_bytes_max as u64),
    ];
    problems.require_at_least_one(&table, &numbers);
    let periods = [
        ("header_read", limits.header_read),
        ("keep_alive", limits.keep_alive),
        ("progress_interval", limits.progress_interval),
        ("judged_again_after", limits.judged_again_after),
    ];
    problems.require_positive(&table, &periods);
    validate_upstream_shares(problems, &table);
    validate_session(problems);
    let login = &problems.config.login;
    let table = KeyPath::of(["login"]);
    let numbers = [
        (
            "begins_per_client_per_minute",
            login.begins_per_client_per_minute.into(),
        ),
        ("begins_per_minute", login.begins_per_minute.into()),
        (
            "finishes_per_client_per_minute",
            login.finishes_per_client_per_minute.into(),
        ),
        ("finishes_per_minute", login.finishes_per_minute.into()),
        ("bad_codes_max", login.bad_codes_max.into()),
    ];
    problems.require_at_least_one(&table, &numbers);
    problems.require_positive(&table, &[("bad_codes_pause", login.bad_codes_pause)]);
}

fn validate_session(problems: &mut Problems<'_>) {
    let session = &problems.config.session;
    let table = KeyPath::of(["session"]);
    let periods = [
        ("lifetime", session.lifetime),
        ("idle_timeout", session.idle_timeout),
        ("store_outage_grace", session.store_outage_grace),
    ];
    problems.require_positive(&table, &periods);
    if session.idle_timeout > session.lifetime {
        let idle_timeout = table.clone().key("idle_timeout");
        let is_written = problems.config.source.contains(&idle_timeout);
        let key_path = if is_written {
            idle_timeout
        } else {
            table.clone().key("lifetime")
        };
        let help = "a session ends after its lifetime even if it is used: change one of them";
        problems.add_at_value(&key_path, "idle_timeout is longer than lifetime", help);
    }
    if session.access_token_max < ACCESS_TOKEN_LIFE_MIN {
        let key_path = table.clone().key("access_token_max");
        let help = "write \"1h\" or more; without `access_tokens` on a route there are no tokens";
        problems.add_at_value(&key_path, "access_token_max is shorter than a minute", help);
    }
    let numbers = [
        ("cached_sessions_max", session.cached_sessions_max),
        (
            "unknown_access_tokens_per_client_per_minute",
            session.unknown_access_tokens_per_client_per_minute.into(),
        ),
    ];
    problems.require_at_least_one(&table, &numbers);
}
