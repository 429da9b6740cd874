//! `public_paths` of a route that otherwise requires a login.

use super::Warnings;
use crate::request::route::RouteConfig;
use crate::setting::KeyPath;

pub(super) fn warn(warnings: &mut Warnings<'_>, key_path: &KeyPath<'_>, route: &RouteConfig) {
    if route.public_paths.is_empty() {
        return;
    }
    let text = "everybody can request these paths, with every method, without signing in and without \
                `allow`: name only paths that show no private data";
    warnings.add(&key_path.clone().key("public_paths"), text);
    if route.basic_auth.is_some() {
        let text = "unless `user` reads who is signed in, every request for `public_paths` is sent to \
                    the application with this password";
        warnings.add(&key_path.clone().key("basic_auth").key("user"), text);
    }
}
