//! Routes with `reload_user` whose sources post their responses, and connectors with a `reload_user` that
//! confirms nobody.

use super::Warnings;
use crate::people::cookie::SameSiteConfig;
use crate::request::route::{ReloadUser, RouteConfig};
use crate::setting::KeyPath;
use crate::text;

/// Warns of a `reload_user` that confirms nobody: with a post from another site browsers send no session
/// cookie, so the response cannot be compared with the session.
pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    warn_about_connectors(warnings);
    if config.session.cookie_same_site == SameSiteConfig::None {
        return;
    }
    for (index, route) in config.route.iter().enumerate() {
        let is_asked = matches!(
            route.reload_user,
            Some(ReloadUser::Always | ReloadUser::Embedded)
        );
        if is_asked && all_responses_are_posted(warnings, route) {
            let text = text!(
                "the sources of this route post their responses, and browsers send no session \
                        cookie with that: nobody is confirmed again unless [session] has \
                        cookie_same_site = \"none\"",
                "这条路由的认证源用 POST 返回响应，浏览器此时不发送会话 Cookie：除非 [session] 中有 cookie_same_site = \"none\"，否则无法重新确认任何人"
            );
            let key_path = KeyPath::of(["route"]).item(index).key("reload_user");
            warnings.add(&key_path, text);
        }
    }
}

/// Whether every connector of the route that can log people in silently gets a posted response.
fn all_responses_are_posted(warnings: &Warnings<'_>, route: &RouteConfig) -> bool {
    let is_accepted = |id| route.connectors.is_empty() || route.connectors.contains(id);
    let connectors = warnings.config.connector.iter();
    let mut silent = connectors
        .filter(|(id, _)| is_accepted(id))
        .filter_map(|(_, connector)| Some(connector.kind().ok()?.features()))
        .filter(|features| features.supports_silent_login())
        .peekable();
    silent.peek().is_some() && silent.all(|features| features.returns_by_post())
}

/// Warns of a connector with `reload_user` whose source cannot confirm anybody without a click.
fn warn_about_connectors(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    for (id, connector) in config
        .connector
        .iter()
        .filter(|(_, connector)| connector.reload_user)
    {
        let features = connector.kind().map(|kind| kind.features());
        let Ok(features) = features else { continue };
        let key_path = KeyPath::of(["connector", id.as_str()]).key("reload_user");
        if !features.supports_silent_login() {
            let help = match features.silent_login_help {
                help if help.is_empty() => text!("remove it", "请删除它"),
                help => help,
            };
            let text = text!(
                "this source confirms nobody without a click: {help}",
                "这个认证源不能免点击确认身份：{help:#}"
            );
            warnings.add(&key_path, text);
        } else if features.returns_by_post()
            && config.session.cookie_same_site != SameSiteConfig::None
        {
            let text = text!(
                "this source posts its responses, and browsers send no session cookie with that: \
                        nobody is confirmed again unless [session] has cookie_same_site = \"none\"",
                "这个认证源用 POST 返回响应，浏览器此时不发送会话 Cookie：除非 [session] 中有 cookie_same_site = \"none\"，否则无法重新确认任何人"
            );
            warnings.add(&key_path, text);
        }
    }
}
