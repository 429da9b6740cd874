//! Paths that everybody may ask for on a route that is not for everybody.

use super::Warnings;
use crate::request::route::RouteConfig;
use crate::setting::Place;

pub(super) fn warn(warnings: &mut Warnings<'_>, place: &Place<'_>, route: &RouteConfig) {
    if route.public_paths.is_empty() {
        return;
    }
    let text = "everybody may ask the application for these paths, by every method, without signing in \
                and whatever `allow` says: name only what holds nothing of anybody's";
    warnings.add(&place.clone().key("public_paths"), text);
    if route.basic_auth.is_some() {
        let text = "a rule for `user` that does not look at who is there gives the application's \
                    password to everybody on the `public_paths`";
        warnings.add(&place.clone().key("basic_auth").key("user"), text);
    }
}
