//! Secrets in the responses of the check endpoints, and who can read them.

use super::Warnings;
use crate::request::route::CheckHeaders;
use crate::setting::KeyPath;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    // Without trusted proxies the check endpoints refuse every request.
    if config.server.trusted_proxies.is_empty() {
        return;
    }
    let prefix = config.server.prefix.as_str();
    let ext_authz = config.ext_authz.as_ref();
    let over_grpc = ext_authz.is_some_and(|ext_authz| ext_authz.grpc_listen.is_some());
    for (index, route) in config.route.iter().enumerate() {
        let Some(key) = route.first_key_beyond_identity() else {
            continue;
        };
        let key_path = KeyPath::of(["route"]).item(index);
        if route.check_headers == CheckHeaders::All {
            let text = text!(
                "whoever reaches the check endpoints through one of trusted_proxies can read secrets of \
                 the application: configure each of these proxies to block {prefix}/auth, \
                 {prefix}/forward-auth and {prefix}/ext_authz for visitors",
                "能经 trusted_proxies 中的代理访问检查接口的人，可以读到应用的密钥：请在每个代理上禁止访问者访问 {prefix}/auth、{prefix}/forward-auth 和 {prefix}/ext_authz"
            );
            warnings.add(&key_path.key("check_headers"), text);
        } else if route.upstream.is_empty() && !over_grpc {
            let text = text!(
                "the check endpoints do not return this, so the application does not get it: if \
                        visitors cannot reach the check endpoints, write check_headers = \"all\"",
                "检查接口不返回它，所以应用收不到：如果访问者到不了检查接口，请写 check_headers = \"all\""
            );
            warnings.add(&key_path.key(key), text);
        }
    }
}
