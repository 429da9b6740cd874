//! Secrets in the responses of the check endpoints, and who can read them.

use super::Warnings;
use crate::request::route::CheckHeaders;
use crate::setting::KeyPath;

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
            let text = format!(
                "whoever reaches the check endpoints through one of trusted_proxies can read secrets of \
                 the application: configure each of these proxies to block {prefix}/auth, \
                 {prefix}/forward-auth and {prefix}/ext_authz for visitors"
            );
            warnings.add(&key_path.key("check_headers"), text);
        } else if route.upstream.is_empty() && !over_grpc {
            let text = "the check endpoints do not return this, so the application does not get it: if \
                        visitors cannot reach the check endpoints, write check_headers = \"all\"";
            warnings.add(&key_path.key(key), text);
        }
    }
}
