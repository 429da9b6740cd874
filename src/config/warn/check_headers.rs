//! What the check paths answer besides the identity, and who may read it.

use super::Warnings;
use crate::request::route::CheckHeaders;
use crate::setting::Place;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    // Nobody may ask.
    if config.server.trusted_proxies.is_empty() {
        return;
    }
    let prefix = config.server.prefix.as_str();
    let ext_authz = config.ext_authz.as_ref();
    let over_grpc = ext_authz.is_some_and(|ext_authz| ext_authz.grpc_listen.is_some());
    for (at, route) in config.route.iter().enumerate() {
        let Some(key) = route.beyond_identity() else {
            continue;
        };
        let place = Place::of(["route"]).item(at);
        if route.check_headers == CheckHeaders::All {
            let text = format!(
                "whoever reaches the check paths through one of trusted_proxies reads what only the \
                 application should, visitors too: let each of them keep visitors away from \
                 {prefix}/auth, {prefix}/forward-auth and {prefix}/ext_authz"
            );
            warnings.add(&place.key("check_headers"), text);
        } else if route.upstream.is_empty() && !over_grpc {
            let text = "the proxy that asks is not answered this, so the application does not get it: \
                        where visitors cannot reach the check paths, write check_headers = \"all\"";
            warnings.add(&place.key(key), text);
        }
    }
}
