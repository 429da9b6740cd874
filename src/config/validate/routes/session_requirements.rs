//! Validates what a route requires of a session: `acr_values`, `max_age` and `reload_user`.

use std::time::Duration;

use super::Problems;
use crate::login::connector::Features;
use crate::people::cookie::SameSiteConfig;
use crate::request::route::{AccessConfig, HostPattern, ReloadUser, RouteConfig};
use crate::setting::KeyPath;
use crate::text;
use crate::wording::Text;

/// The most `acr_values` of a route, and the longest one in bytes; they are sent in URLs.
const ACR_VALUES_MAX: usize = 8;
const ACR_BYTES_MAX: usize = 128;
/// The shortest period in which a browser can complete a login at the source.
const PERIOD_MIN: Duration = Duration::from_secs(10);

pub(super) fn validate<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &'a RouteConfig,
) {
    if route.access == AccessConfig::Public {
        validate_public_route(problems, key_path, route);
        return;
    }
    validate_acr_values(problems, key_path, route);
    let periods = [
        ("max_age", route.max_age),
        ("reload_after", Some(route.reload_after)),
    ];
    for (key, period) in periods {
        if period.is_some_and(|period| period.duration() < PERIOD_MIN) {
            let key_path = key_path.clone().key(key);
            let help = text!(
                "a login at the source takes longer: write \"10s\" or more",
                "在认证源处登录不止这么久：请写 \"10s\" 或更长"
            );
            problems.add_at_value(&key_path, text!("{key} is too short", "{key} 太短"), help);
        }
    }
    if asks_the_source(route) && problems.is_complete("connector") {
        validate_silent_login(problems, key_path, route);
    }
    let surroundings_are_complete =
        problems.is_complete("session") && problems.is_complete("server");
    if route.reload_user == Some(ReloadUser::Embedded) && surroundings_are_complete {
        validate_embedded_login(problems, key_path, route);
    }
}

/// Whether the route itself demands that the source confirms who is signed in.
fn asks_the_source(route: &RouteConfig) -> bool {
    matches!(
        route.reload_user,
        Some(ReloadUser::Always | ReloadUser::Embedded)
    )
}

fn validate_public_route<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &RouteConfig,
) {
    let settings = [
        ("acr_values", !route.acr_values.is_empty()),
        ("max_age", route.max_age.is_some()),
        ("prompt", route.prompt.is_some()),
        ("reload_user", asks_the_source(route)),
    ];
    for (key, _) in settings.into_iter().filter(|(_, written)| *written) {
        let message = text!(
            "a public route lets everybody pass: {key} has no effect",
            "公开路由放行所有人：{key} 不起作用"
        );
        let help = text!(
            "remove it, or write access = \"signed-in\"",
            "请删除它，或写 access = \"signed-in\""
        );
        problems.add_at_key(&key_path.clone().key(key), message, help);
    }
}

fn validate_acr_values<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &RouteConfig,
) {
    let key_path = key_path.clone().key("acr_values");
    if route.acr_values.len() > ACR_VALUES_MAX {
        let help = text!(
            "at most {ACR_VALUES_MAX}, the preferred one first",
            "最多 {ACR_VALUES_MAX} 个，首选的放在最前"
        );
        problems.add_at_value(
            &key_path,
            text!("there are too many acr_values", "acr_values 太多"),
            help,
        );
    }
    for (index, acr) in route.acr_values.iter().enumerate() {
        // They are sent in one parameter, separated by spaces, and in a quoted header (RFC 9470).
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
        if acr.is_empty() || acr.len() > ACR_BYTES_MAX || !acr.bytes().all(is_allowed) {
            let help = text!(
                "1 to {ACR_BYTES_MAX} letters, digits and signs, no spaces or quotes",
                "1 到 {ACR_BYTES_MAX} 个字母、数字和符号，不含空格和引号"
            );
            let key_path = key_path.clone().item(index);
            problems.add_at_value(
                &key_path,
                text!("this acr value cannot be used", "这个 acr 值无法使用"),
                help,
            );
        }
    }
}

/// One of the connectors of the route must support a login without interaction.
fn validate_silent_login<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &RouteConfig,
) {
    let is_accepted = |id| route.connectors.is_empty() || route.connectors.contains(id);
    let connectors = problems.config.connector.iter();
    let features: Vec<_> = connectors
        .filter(|(id, _)| is_accepted(id))
        .filter_map(|(_, connector)| Some(connector.kind().ok()?.features()))
        .collect();
    if !features.is_empty() && !features.iter().any(Features::supports_silent_login) {
        let message = text!(
            "none of the connectors of this route can log in without a click",
            "这条路由的认证源都不能免点击登录"
        );
        let requirements = features.iter().map(|features| &features.silent_login_help);
        let mut requirements: Vec<_> = requirements.filter(|text| !text.is_empty()).collect();
        requirements.sort_by_key(|text| text.to_string());
        requirements.dedup();
        let help = match requirements.is_empty() {
            true => text!("remove reload_user", "请删除 reload_user"),
            false => {
                let list = Text::join(requirements, &Text::fixed("; ", "；"));
                text!(
                    "{list}; otherwise remove reload_user",
                    "{list:#}；否则请删除 reload_user"
                )
            }
        };
        problems.add_at_value(&key_path.clone().key("reload_user"), message, help);
    }
}

/// The session cookie must be sent in a frame of another site, and reach this host.
fn validate_embedded_login<'a>(
    problems: &mut Problems<'a>,
    key_path: &KeyPath<'a>,
    route: &RouteConfig,
) {
    let key_path = key_path.clone().key("reload_user");
    let session = &problems.config.session;
    if session.cookie_same_site != SameSiteConfig::None {
        let message = text!(
            "browsers do not send the session cookie in a frame of another site",
            "浏览器在别的网站的框架中不发送会话 Cookie"
        );
        let help = text!(
            "add cookie_same_site = \"none\" to [session]",
            "请在 [session] 中加上 cookie_same_site = \"none\""
        );
        problems.add_at_value(&key_path, message, help);
    }
    let covered = |host: &str| {
        let domain = session.cookie_domain.as_deref();
        let subdomain = domain.and_then(|domain| host.strip_suffix(domain));
        subdomain.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_covered = match &route.host {
        HostPattern::Any { .. } => true,
        HostPattern::Exact { name, .. } => {
            covered(name) || *name == problems.config.server.external_url.host()
        }
        HostPattern::Wildcard { suffix, .. } => covered(suffix),
    };
    if !is_covered {
        let message = text!(
            "a login in a frame cannot set the session cookie of this host",
            "框架中的登录无法设置这个主机的会话 Cookie"
        );
        let help = text!(
            "serve it on the host of external_url, or set cookie_domain",
            "请放到 external_url 的主机上，或设置 cookie_domain"
        );
        problems.add_at_value(&key_path, message, help);
    }
}
