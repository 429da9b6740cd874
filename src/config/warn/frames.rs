//! Settings that prevent a login in a frame of another site.

use super::Warnings;
use crate::people::cookie::SameSiteConfig;
use crate::setting::KeyPath;
use crate::text;

/// Warns of applications on the origin of `external_url`: because of them nobody can sign in inside a
/// frame.
pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    if config.session.cookie_same_site != SameSiteConfig::None {
        return;
    }
    let external_url = config.server.external_url.url();
    let mut routes = config.route.iter();
    let route = routes.find(|route| route.host.serves_url(external_url));
    let mut origins = config.login.origins.iter();
    let is_front_end = origins.any(|url| url.origin() == external_url.origin());
    let reason = match route {
        Some(route) => text!(
            "route `{}` serves this host, too",
            "路由 `{}` 也服务这个主机",
            route.name
        ),
        None if is_front_end => text!(
            "[login] origins names this host, too",
            "[login] origins 也写了这个主机"
        ),
        None => return,
    };
    let text = text!(
        "nobody can sign in inside another site's frame: {reason}, and a script of an application there \
         could take the session of the visitor for every other host; give menshen a host of its own, \
         which no route serves (a route without `host` serves every host)",
        "没有人能在别的网站的框架中登录：{reason:#}，那里的应用脚本可以拿走访问者在其他所有主机上的会话；请给 menshen 一个没有路由服务的专用主机（没有写 `host` 的路由服务所有主机）"
    );
    warnings.add(&KeyPath::of(["server", "external_url"]), text);
}
