//! Access tokens that no route accepts, that an application could receive, or that last long.

use super::Warnings;
use crate::request::route::{AccessConfig, RouteConfig};
use crate::setting::{KeyPath, Period};

/// The longest life of an access token without a warning.
const LIFE_MAX_WITHOUT_WARNING: Period = Period::s(366 * 86_400);
/// The most guesses of a client in a minute without a warning.
const GUESSES_MAX_WITHOUT_WARNING: u32 = 10_000;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let session = &warnings.config.session;
    let table = KeyPath::of(["session"]);
    if session.access_token_max > LIFE_MAX_WITHOUT_WARNING {
        let text = "an access token that was copied or forgotten is accepted for so long: use a year \
                    at most";
        warnings.add(&table.clone().key("access_token_max"), text);
    }
    if session.unknown_access_tokens_per_client_per_minute > GUESSES_MAX_WITHOUT_WARNING {
        let text = "one client can make menshen ask the database this often: the default is 60";
        let key = "unknown_access_tokens_per_client_per_minute";
        warnings.add(&table.key(key), text);
    }
    for (index, route) in warnings.config.route.iter().enumerate() {
        if route.access_tokens {
            let key_path = KeyPath::of(["route"]).item(index).key("access_tokens");
            warn_about_route(warnings, &key_path, route);
        }
    }
}

fn warn_about_route(warnings: &mut Warnings<'_>, key_path: &KeyPath<'_>, route: &RouteConfig) {
    if route.access == AccessConfig::Public {
        let text = "everybody passes a public route, with or without an access token";
        warnings.add(key_path, text);
    } else if !route.acr_values.is_empty() || route.max_age.is_some() {
        let text = "acr_values or max_age demands a login, which an access token does not prove: \
                    every access token is refused here";
        warnings.add(key_path, text);
    }
    if route.upstream.is_empty() && warnings.config.ext_authz.is_none() {
        let text = "nginx, Caddy and Traefik forward the client's Authorization header: let them \
                    remove it, or the application receives the access tokens";
        warnings.add(key_path, text);
    }
}
