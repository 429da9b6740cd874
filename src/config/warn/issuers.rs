//! What weakens the verification of bearer tokens.

use std::time::Duration;

use url::Url;

use super::Warnings;
use crate::issuer::TenantName;
use crate::request::bearer::{IssuerConfig, IssuerId};
use crate::setting::Place;

/// Longer than this nobody should wait for a withdrawn token or key to stop counting.
const CACHE_LONG: Duration = Duration::from_secs(300);

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    for (id, issuer) in &warnings.config.issuer {
        let place = Place::of(["issuer", id.as_str()]);
        let mut routes = warnings.config.route.iter();
        if !routes.any(|route| route.issuers.contains(id)) {
            let text = format!("no route names it: add issuers = [\"{id}\"] to one");
            warnings.add(&place, text);
        }
        plain_http(warnings, &place, id, issuer);
        if issuer.tenants.contains(&TenantName::Any) {
            let text = "tokens of every organisation there is let programs in: name the tenants";
            warnings.add(&place.clone().key("tenants"), text);
        }
        login_audiences(warnings, &place, issuer);
        if issuer.cache.duration() > CACHE_LONG {
            let text = "a token that was withdrawn lets its program in for that long";
            warnings.add(&place.clone().key("cache"), text);
        }
        let introspection = issuer.introspection.as_ref();
        if introspection.is_some_and(|introspection| introspection.audience_optional) {
            let text =
                "tokens that the issuer made for other applications let programs in here, too";
            let place = place.key("introspection").key("audience_optional");
            warnings.add(&place, text);
        }
    }
}

/// An ID token is for the client that people log in by: as an audience it is no program's.
fn login_audiences(warnings: &mut Warnings<'_>, place: &Place<'_>, issuer: &IssuerConfig) {
    let found: Vec<_> = warnings
        .config
        .connector
        .iter()
        .flat_map(|(id, connector)| connector.kinds().map(move |kind| (id, kind)))
        .filter_map(|(id, kind)| Some((id, kind.token_issuer()?)))
        .filter(|(_, known)| *known.issuer == issuer.url)
        .filter_map(|(id, known)| {
            let mut audiences = issuer.audiences.iter();
            let at = audiences.position(|audience| *audience == known.client_id)?;
            Some((at, id))
        })
        .collect();
    for (at, id) in found {
        let text = format!(
            "people's ID tokens of [connector.{id}] let programs in here: let the issuer make \
             tokens for an audience of their own"
        );
        warnings.add(&place.clone().key("audiences").item(at), text);
    }
}

fn plain_http(
    warnings: &mut Warnings<'_>,
    place: &Place<'_>,
    id: &IssuerId,
    issuer: &IssuerConfig,
) {
    let introspection = issuer.introspection.as_ref();
    let name = issuer.url.url();
    let urls = [
        (vec!["url"], Some(&name)),
        (vec!["metadata_url"], issuer.metadata_url.as_ref()),
        (vec!["jwks_url"], issuer.jwks_url.as_ref()),
        (
            vec!["introspection", "url"],
            introspection.and_then(|it| it.url.as_ref()),
        ),
    ];
    for (keys, url) in urls {
        if url.is_some_and(is_plain) {
            let place = keys.iter().fold(place.clone(), |place, key| place.key(key));
            let text = format!(
                "keys and tokens of {id} travel in plain http: whoever is on the way can make \
                 tokens that count"
            );
            warnings.add(&place, text);
        }
    }
}

/// Whether others than this machine could listen.
fn is_plain(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() != "https" && !loopback
}
