//! `public_paths` of a route that otherwise requires a login.

use super::Warnings;
use crate::request::route::RouteConfig;
use crate::setting::KeyPath;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>, key_path: &KeyPath<'_>, route: &RouteConfig) {
    if route.public_paths.is_empty() {
        return;
    }
    let text = text!(
        "everybody can request these paths, with every method, without signing in and without \
                `allow`: name only paths that show no private data",
        "所有人不登录、不经 `allow`，就能用任何方法请求这些路径：请只写不含隐私数据的路径"
    );
    warnings.add(&key_path.clone().key("public_paths"), text);
    if route.basic_auth.is_some() {
        let text = text!(
            "unless `user` reads who is signed in, every request for `public_paths` is sent to \
                    the application with this password",
            "除非 `user` 读取登录者，否则对 `public_paths` 的每个请求都会带着这个密码发给应用"
        );
        warnings.add(&key_path.clone().key("basic_auth").key("user"), text);
    }
}
