//! Limits that limit nothing, or that exceed those of the operating system.

use ipnet::{IpNet, Ipv6Net};

use super::Warnings;
use crate::login::connector::{ConnectorConfig, LoginMethod};
use crate::open_files::OpenFiles;
use crate::setting::KeyPath;
use crate::setting::Period;
use crate::text;

/// The longest time for which a response may outlive its session without a warning.
const JUDGED_AGAIN_AFTER_MAX_WITHOUT_WARNING: Period = Period::s(300);

/// Only a few of the largest organisations have an IPv6 network with a shorter prefix.
const ORGANISATION_BITS: u8 = 32;

/// The most passwords that can be tried in an hour without a warning: for one user name, and by one client.
const GUESSES_PER_LOGIN_MAX: u128 = 1_000;
const GUESSES_PER_CLIENT_MAX: u128 = 10_000;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    warn_about_guesses(warnings);
    let limits = &warnings.config.server.limits;
    let table = KeyPath::of(["server", "limits"]);
    if limits.upstream_share == 100 {
        let text = text!(
            "one client can use all connections of an application: use less than 100",
            "一个客户端可以用光应用的所有连接：请设为小于 100"
        );
        warnings.add(&table.clone().key("upstream_share"), text);
    }
    if limits.upstream_share_anonymous == 100 {
        let text = text!(
            "clients without a session can use all connections of an application: use less \
                    than 100",
            "未登录的客户端可以用光应用的所有连接：请设为小于 100"
        );
        warnings.add(&table.clone().key("upstream_share_anonymous"), text);
    }
    if limits.connections_per_client_max >= limits.connections_max {
        let text = text!(
            "one client can use all connections: use less than connections_max",
            "一个客户端可以用光所有连接：请设为小于 connections_max"
        );
        warnings.add(&table.clone().key("connections_per_client_max"), text);
    }
    for (index, range) in limits.count_by_address.iter().enumerate() {
        if matches!(range.network(), IpNet::V6(network) if exceeds_one_organisation(network)) {
            let text = text!(
                "a client with a whole network in this range has one share of every limit for \
                        each of its addresses: name only networks of yours",
                "在这个范围内拥有整个网段的客户端，每个地址都各有一份限额：请只写本组织的网段"
            );
            warnings.add(&table.clone().key("count_by_address").item(index), text);
        }
    }
    if limits.judged_again_after > JUDGED_AGAIN_AFTER_MAX_WITHOUT_WARNING {
        let text = text!(
            "a streamed response goes on for up to this time after the end of its session: the \
                    default is 10s",
            "会话结束后，流式响应最多还会继续这么久：默认是 10s"
        );
        warnings.add(&table.key("judged_again_after"), text);
    }
}

/// Warns if so many wrong passwords are allowed that passwords can be guessed.
fn warn_about_guesses(warnings: &mut Warnings<'_>) {
    let verifies_passwords = |connector: &ConnectorConfig| {
        let kind = connector.kind();
        kind.is_ok_and(|kind| kind.features().login_method == LoginMethod::PasswordForm)
    };
    if !warnings.config.connector.values().any(verifies_passwords) {
        return;
    }
    let login = &warnings.config.login;
    let pause_ms = login.wrong_passwords_pause.duration().as_millis().max(1);
    let limits = [
        (
            "wrong_passwords_per_login",
            login.wrong_passwords_per_login,
            GUESSES_PER_LOGIN_MAX,
            text!("for one user name", "对同一个用户名"),
        ),
        (
            "wrong_passwords_per_client",
            login.wrong_passwords_per_client,
            GUESSES_PER_CLIENT_MAX,
            text!("from one address", "从同一个地址"),
        ),
    ];
    for (key, times, max, scope) in limits {
        let per_hour = u128::from(times) * 3_600_000 / pause_ms;
        if per_hour > max {
            let text = text!(
                "{per_hour} passwords can be tried in an hour {scope}: allow fewer, or set a longer \
                 wrong_passwords_pause",
                "{scope:#}，一小时可以试 {per_hour} 个密码：请减少次数，或把 wrong_passwords_pause 设长一些"
            );
            warnings.add(&KeyPath::of(["login", key]), text);
        }
    }
}

/// Whether a network is larger than that of one organisation, and not private (`fc00::/7`).
fn exceeds_one_organisation(network: Ipv6Net) -> bool {
    let is_private = network.prefix_len() >= 7 && network.addr().is_unique_local();
    network.prefix_len() < ORGANISATION_BITS && !is_private
}

/// Warns if `connections_max` is set and exceeds the limit of open files. The default is lowered without
/// a warning.
pub(super) fn open_files(warnings: &mut Warnings<'_>, files: OpenFiles) {
    let connections_max = warnings.config.server.limits.connections_max;
    let key_path = KeyPath::of(["server", "limits"]).key("connections_max");
    if connections_max > files.clients && warnings.config.source.contains(&key_path) {
        let text = text!(
            "only {} are possible: this process may open {} files; raise its hard limit (LimitNOFILE= \
             of a systemd unit)",
            "最多只能有 {} 个：本进程可以打开 {} 个文件；请调高硬限制（systemd 单元中的 LimitNOFILE=）",
            files.clients,
            files.limit
        );
        warnings.add(&key_path, text);
    }
}
