//! Settings that weaken the verification of bearer tokens.

use std::time::Duration;

use url::Url;

use super::Warnings;
use crate::issuer::TenantName;
use crate::request::bearer::{IssuerConfig, IssuerId};
use crate::setting::KeyPath;
use crate::text;

/// The longest time for which a revoked token may stay valid without a warning.
const CACHE_MAX_WITHOUT_WARNING: Duration = Duration::from_secs(300);

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    for (id, issuer) in &warnings.config.issuer {
        let key_path = KeyPath::of(["issuer", id.as_str()]);
        let mut routes = warnings.config.route.iter();
        if !routes.any(|route| route.issuers.contains(id)) {
            let text = text!(
                "no route uses it: add issuers = [\"{id}\"] to a route",
                "没有路由使用它：请在路由中加上 issuers = [\"{id}\"]"
            );
            warnings.add(&key_path, text);
        }
        warn_about_plain_http(warnings, &key_path, id, issuer);
        if issuer.tenants.contains(&TenantName::Any) {
            let text = text!(
                "tokens of every organisation are accepted: list the tenants",
                "任何组织的令牌都被接受：请列出租户"
            );
            warnings.add(&key_path.clone().key("tenants"), text);
        }
        warn_about_login_audiences(warnings, &key_path, issuer);
        if issuer.cache.duration() > CACHE_MAX_WITHOUT_WARNING {
            let text = text!(
                "a revoked token stays valid for up to this time",
                "被吊销的令牌最多还能用这么久"
            );
            warnings.add(&key_path.clone().key("cache"), text);
        }
        let introspection = issuer.introspection.as_ref();
        if introspection.is_some_and(|introspection| introspection.audience_optional) {
            let text = text!(
                "tokens that the issuer made for other applications are accepted, too",
                "签发方发给其他应用的令牌也会被接受"
            );
            let key_path = key_path.key("introspection").key("audience_optional");
            warnings.add(&key_path, text);
        }
    }
}

/// Warns of an audience that is the client ID of a connector: then ID tokens of people are accepted as
/// bearer tokens.
fn warn_about_login_audiences(
    warnings: &mut Warnings<'_>,
    key_path: &KeyPath<'_>,
    issuer: &IssuerConfig,
) {
    let login_audiences: Vec<_> = warnings
        .config
        .connector
        .iter()
        .flat_map(|(id, connector)| connector.configured_kinds().map(move |kind| (id, kind)))
        .filter_map(|(id, kind)| Some((id, kind.token_issuer()?)))
        .filter(|(_, token_issuer)| *token_issuer.issuer == issuer.url)
        .filter_map(|(id, token_issuer)| {
            let mut audiences = issuer.audiences.iter();
            let index = audiences.position(|audience| *audience == token_issuer.client_id)?;
            Some((index, id))
        })
        .collect();
    for (index, id) in login_audiences {
        let text = text!(
            "ID tokens of [connector.{id}] are accepted as bearer tokens: let the issuer use another \
             audience for bearer tokens",
            "[connector.{id}] 的 ID 令牌会被当作 Bearer 令牌接受：请让签发方给 Bearer 令牌用另一个 audience"
        );
        warnings.add(&key_path.clone().key("audiences").item(index), text);
    }
}

fn warn_about_plain_http(
    warnings: &mut Warnings<'_>,
    key_path: &KeyPath<'_>,
    id: &IssuerId,
    issuer: &IssuerConfig,
) {
    let introspection = issuer.introspection.as_ref();
    let issuer_url = issuer.url.url();
    let urls = [
        (vec!["url"], Some(&issuer_url)),
        (vec!["metadata_url"], issuer.metadata_url.as_ref()),
        (vec!["jwks_url"], issuer.jwks_url.as_ref()),
        (
            vec!["introspection", "url"],
            introspection.and_then(|introspection| introspection.url.as_ref()),
        ),
    ];
    for (keys, url) in urls {
        if url.is_some_and(leaves_machine_in_plain_http) {
            let key_path = keys
                .iter()
                .fold(key_path.clone(), |key_path, key| key_path.key(key));
            let text = text!(
                "keys and tokens of {id} are sent in plain http: an attacker in the network can forge \
                 tokens",
                "{id} 的密钥和令牌以明文 http 传输：网络中的攻击者可以伪造令牌"
            );
            warnings.add(&key_path, text);
        }
    }
}

/// Whether requests leave this machine without TLS.
fn leaves_machine_in_plain_http(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() != "https" && !loopback
}
