//! Settings that prevent a login in a frame of another site.

use super::Warnings;
use crate::people::cookie::SameSiteConfig;
use crate::setting::KeyPath;

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
        Some(route) => format!("route `{}` serves this host, too", route.name),
        None if is_front_end => "[login] origins names this host, too".to_owned(),
        None => return,
    };
    let text = format!(
        "nobody can sign in inside another site's frame: {reason}, and a script of an application there \
         could take the session of the visitor for every other host; give menshen a host of its own, \
         which no route serves (a route without `host` serves every host)"
    );
    warnings.add(&KeyPath::of(["server", "external_url"]), text);
}
