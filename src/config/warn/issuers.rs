//! What weakens the verification of bearer tokens.

use std::time::Duration;

use url::Url;

use super::List;
use crate::config::place::Place;
use crate::request::bearer::{IssuerConfig, IssuerId};

/// Longer than this nobody should wait for a withdrawn token or key to stop counting.
const CACHE_LONG: Duration = Duration::from_secs(300);

pub(super) fn look(list: &mut List<'_>) {
    for (id, issuer) in &list.config.issuer {
        let place = Place::of(["issuer", id.as_str()]);
        let mut routes = list.config.route.iter();
        if !routes.any(|route| route.issuers.contains(id)) {
            let text = format!("no route names it: add issuers = [\"{id}\"] to one");
            list.add(&place, text);
        }
        plain(list, &place, id, issuer);
        if issuer.cache.duration() > CACHE_LONG {
            let text = "a token that was withdrawn lets its program in for that long";
            list.add(&place.clone().key("cache"), text);
        }
        let introspection = issuer.introspection.as_ref();
        if introspection.is_some_and(|introspection| introspection.audience_optional) {
            let text =
                "tokens that the issuer made for other applications let programs in here, too";
            let place = place.key("introspection").key("audience_optional");
            list.add(&place, text);
        }
    }
}

fn plain(list: &mut List<'_>, place: &Place<'_>, id: &IssuerId, issuer: &IssuerConfig) {
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
            list.add(&place, text);
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
