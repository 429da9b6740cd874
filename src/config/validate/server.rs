//! Validates `[server]`, `[session]`, `[login]`, `[admin]` and `[log]`: listeners, own paths, cookies, limits.

use std::net::IpAddr;

use super::Problems;
use crate::door::Address;
use crate::people::cookie::SameSiteConfig;
use crate::setting::{KeyPath, Period};
use crate::text;

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
        let help = text!(
            "remove listen, or name an address such as \"127.0.0.1:8080\"",
            "请删除 listen，或写一个地址，例如 \"127.0.0.1:8080\""
        );
        problems.add_at_value(
            &key_path,
            text!("no address to listen on", "没有监听地址"),
            help,
        );
    }
    for (index, listen) in config.server.listen.iter().enumerate() {
        let key_path = key_path.clone().item(index);
        if listen.tls == Some(true) && config.server.tls.is_none() && problems.is_complete("server")
        {
            let help = text!(
                "add [server.tls] with certificate and key",
                "请加上 [server.tls]，其中写 certificate 和 key"
            );
            problems.add_at_value(
                &key_path,
                text!("there is no certificate for TLS", "没有用于 TLS 的证书"),
                help,
            );
        }
        if listen.tls == Some(true) && listen.redirect_https {
            let help = text!(
                "remove tls, or redirect_https",
                "请删除 tls 或 redirect_https"
            );
            problems.add_at_value(
                &key_path,
                text!(
                    "it would redirect from https to https",
                    "这样会从 https 重定向到 https"
                ),
                help,
            );
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
                text!(
                    "this address is in the list twice",
                    "这个地址在列表中出现了两次"
                ),
                text!("remove one of them", "请删除其中一个"),
            );
        }
    }
}

fn validate_log_level(problems: &mut Problems<'_>) {
    if tracing_subscriber::EnvFilter::try_new(&problems.config.log.level).is_err() {
        let help = text!(
            "error, warn, info, debug, trace, or directives such as info,menshen=debug",
            "应为 error、warn、info、debug、trace，或 info,menshen=debug 这样的写法"
        );
        problems.add_at_value(
            &KeyPath::of(["log", "level"]),
            text!("this is not a log level", "这不是日志级别"),
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
            let help = text!(
                "everything below {prefix} is menshen's own",
                "{prefix} 以下都由 menshen 自己使用"
            );
            problems.add_at_key(
                &key_path,
                text!(
                    "this file would hide a page of menshen",
                    "这个文件会挡住 menshen 的页面"
                ),
                help,
            );
        }
    }
}

fn validate_login_origins(problems: &mut Problems<'_>) {
    for (index, origin) in problems.config.login.origins.iter().enumerate() {
        problems.require_origin(&KeyPath::of(["login", "origins"]).item(index), origin);
    }
}

fn validate_cookies(problems: &mut Problems<'_>) {
    if !problems.is_complete("server") {
        return;
    }
    let external = &problems.config.server.external_url;
    let session = &problems.config.session;
    if session.cookie_same_site == SameSiteConfig::None && !external.is_https() {
        let help = text!(
            "browsers refuse such a cookie: make external_url https:// or remove this key",
            "浏览器会拒绝这样的 Cookie：请把 external_url 改成 https://，或删除这个键"
        );
        let key_path = KeyPath::of(["session", "cookie_same_site"]);
        problems.add_at_value(
            &key_path,
            text!(
                "cookie_same_site = \"none\" needs https",
                "cookie_same_site = \"none\" 需要 https"
            ),
            help,
        );
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
        let help = text!(
            "write a domain of at least two labels in lower case, such as corp.example",
            "请写至少两段的小写域名，例如 corp.example"
        );
        problems.add_at_value(
            &key_path,
            text!("cookie_domain cannot be used", "cookie_domain 无法使用"),
            help,
        );
        return;
    }
    let subdomain = external.host().strip_suffix(domain.as_str());
    if !subdomain.is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
        let help = text!(
            "the host of external_url is {}: write a domain that it is in",
            "external_url 的主机是 {}：请写它所在的域名",
            external.host()
        );
        problems.add_at_value(
            &key_path,
            text!(
                "cookie_domain does not cover external_url",
                "cookie_domain 不包含 external_url 的主机"
            ),
            help,
        );
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
            text!(
                "100 lets one client use all connections",
                "100 表示一个客户端可以用光所有连接"
            ),
        ),
        (
            "upstream_share_anonymous",
            anonymous,
            text!(
                "100 leaves no connections to people who are signed in",
                "100 表示不给已登录的人留连接"
            ),
        ),
    ] {
        if share > 100 {
            let key_path = table.clone().key(key);
            problems.add_at_value(
                &key_path,
                text!("{key} is more than 100 percent", "{key} 超过百分之百"),
                help,
            );
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
    if session.idle_timeout > session.lifetime && problems.is_complete("session") {
        let idle_timeout = table.clone().key("idle_timeout");
        let is_written = problems.config.source.contains(&idle_timeout);
        let key_path = if is_written {
            idle_timeout
        } else {
            table.clone().key("lifetime")
        };
        let help = text!(
            "a session ends after its lifetime even if it is used: change one of them",
            "会话即使在用，到了 lifetime 也会结束：请改其中一个"
        );
        problems.add_at_value(
            &key_path,
            text!(
                "idle_timeout is longer than lifetime",
                "idle_timeout 比 lifetime 还长"
            ),
            help,
        );
    }
    if session.access_token_max < ACCESS_TOKEN_LIFE_MIN {
        let key_path = table.clone().key("access_token_max");
        let help = text!(
            "write \"1h\" or more; without `access_tokens` on a route there are no tokens",
            "请写 \"1h\" 或更长；路由上没有 `access_tokens` 就没有访问令牌"
        );
        problems.add_at_value(
            &key_path,
            text!(
                "access_token_max is shorter than a minute",
                "access_token_max 不到一分钟"
            ),
            help,
        );
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
