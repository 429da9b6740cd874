//! Access tokens that no route accepts, that an application could receive, or that last long.

use super::Warnings;
use crate::request::route::{AccessConfig, RouteConfig};
use crate::setting::{KeyPath, Period};
use crate::text;

/// The longest life of an access token without a warning.
const LIFE_MAX_WITHOUT_WARNING: Period = Period::s(366 * 86_400);
/// The most guesses of a client in a minute without a warning.
const GUESSES_MAX_WITHOUT_WARNING: u32 = 10_000;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    warn_about_login_host(warnings);
    let session = &warnings.config.session;
    let table = KeyPath::of(["session"]);
    if session.access_token_max > LIFE_MAX_WITHOUT_WARNING {
        let text = text!(
            "an access token that was copied or forgotten is accepted for so long: use a year \
                    at most",
            "被复制或遗忘的访问令牌在这么长的时间里都有效：最多设为一年"
        );
        warnings.add(&table.clone().key("access_token_max"), text);
    }
    if session.unknown_access_tokens_per_client_per_minute > GUESSES_MAX_WITHOUT_WARNING {
        let text = text!(
            "one client can make menshen ask the database this often: the default is 60",
            "一个客户端可以让 menshen 这么频繁地查数据库：默认是 60"
        );
        let key = "unknown_access_tokens_per_client_per_minute";
        warnings.add(&table.key(key), text);
    }
    for (index, route) in warnings.config.route.iter().enumerate() {
        if route.access_tokens {
            let key_path = KeyPath::of(["route"]).item(index).key("access_tokens");
            warn_about_route(warnings, &key_path, route);
            warn_about_connectors(warnings, &key_path, route);
        }
    }
}

/// Warns of applications on the host of `external_url`: a browser does not separate their scripts from
/// menshen's pages on which a person makes tokens or adds an identity.
fn warn_about_login_host(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    let makes_tokens = config.route.iter().any(|route| route.access_tokens);
    let links = config.connector.values().any(|it| it.link_on_request);
    let key = match (makes_tokens, links) {
        (true, _) => "access_tokens",
        (false, true) => "link_on_request",
        (false, false) => return,
    };
    let external_url = config.server.external_url.url();
    let mut routes = config.route.iter();
    let Some(route) = routes.find(|route| route.host.serves_url(external_url)) else {
        return;
    };
    let text = text!(
        "`{key}` is on, and route `{}` serves this host, too: a script of an application there can press \
         the buttons of menshen's pages in the name of the visitor; give menshen a host of its own, which \
         no route serves (a route without `host` serves every host)",
        "开启了 `{key}`，而路由 `{}` 也服务这个主机：那里的应用脚本可以替访问者点 menshen 页面上的按钮；请给 menshen 一个没有路由服务的专用主机（没有写 `host` 的路由服务所有主机）",
        route.name
    );
    warnings.add(&KeyPath::of(["server", "external_url"]), text);
}

/// Warns of connectors from which menshen does not learn who has left: the tokens stay valid after that.
fn warn_about_connectors(warnings: &mut Warnings<'_>, key_path: &KeyPath<'_>, route: &RouteConfig) {
    let connectors = warnings.config.connector.iter();
    let never_learns = connectors.filter(|(id, connector)| {
        let may_enter = route.connectors.is_empty() || route.connectors.contains(id);
        let learns = connector.kind().is_ok_and(|kind| {
            let features = kind.features();
            features.revalidate_every.is_some() || features.receives_events || features.lists_people
        });
        may_enter && !learns
    });
    let never_learns: Vec<_> = never_learns.map(|(id, _)| format!("`{id}`")).collect();
    if never_learns.is_empty() {
        return;
    }
    let text = text!(
        "menshen does not ask {} whether a person has left: their access tokens last until their end, or \
         until an administrator closes the account; set `[session] access_token_max` to what you accept",
        "menshen 不会向 {} 查询人员是否已离职：他们的访问令牌到期前，或管理员关闭账号前一直有效；请把 `[session] access_token_max` 设成可以接受的时长",
        never_learns.join(", ")
    );
    warnings.add(key_path, text);
}

fn warn_about_route(warnings: &mut Warnings<'_>, key_path: &KeyPath<'_>, route: &RouteConfig) {
    if route.access == AccessConfig::Public {
        let text = text!(
            "everybody passes a public route, with or without an access token",
            "公开路由放行所有人，有没有访问令牌都一样"
        );
        warnings.add(key_path, text);
    } else if !route.acr_values.is_empty() || route.max_age.is_some() {
        let text = text!(
            "acr_values or max_age demands a login, which an access token does not prove: \
                    every access token is refused here",
            "acr_values 或 max_age 要求登录，访问令牌证明不了：这里会拒绝所有访问令牌"
        );
        warnings.add(key_path, text);
    }
    if route.upstream.is_empty() && warnings.config.ext_authz.is_none() {
        let text = text!(
            "nginx, Caddy and Traefik forward the client's Authorization header: let them \
                    remove it, or the application receives the access tokens",
            "nginx、Caddy 和 Traefik 会转发客户端的 Authorization 请求头：请让它们删除，否则应用会收到访问令牌"
        );
        warnings.add(key_path, text);
    }
}
