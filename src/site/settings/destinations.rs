//! The URLs of the site that a login may return to, from the settings alone.

use url::Url;

use crate::login::return_to;
use crate::request::route::{HostPattern, OwnPaths, RouteConfig};

/// The origins that the routes of a configuration serve.
#[derive(Clone, Copy, Debug)]
pub struct RouteDestinations<'a> {
    /// The scheme, host and port of menshen as browsers see them.
    pub external_url: &'a Url,
    /// The prefix of own paths: `/.menshen`.
    pub prefix: &'a str,
    pub routes: &'a [RouteConfig],
    /// The paths of verification files.
    pub files: &'a [&'a str],
}

impl return_to::Destinations for RouteDestinations<'_> {
    /// A route for any host adds no host to the site.
    fn serves(&self, origin: &Url, _path: &str) -> bool {
        let external = self.external_url;
        let (Some(host), port) = (origin.host_str(), origin.port_or_known_default()) else {
            return false;
        };
        let matches_host = |pattern: &HostPattern| match pattern {
            HostPattern::Any { .. } => false,
            HostPattern::Exact { name, .. } => name == host,
            HostPattern::Wildcard { suffix, .. } => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|label| !label.is_empty()),
        };
        let matches_port = |pattern: &HostPattern| match pattern.port() {
            Some(route_port) => port == Some(route_port),
            None => port == external.port_or_known_default(),
        };
        let mut routes = self.routes.iter();
        origin.scheme() == external.scheme()
            && routes.any(|route| matches_host(&route.host) && matches_port(&route.host))
    }

    fn login_url(&self) -> &Url {
        self.external_url
    }

    fn may_be_own_path(&self, path: &str) -> bool {
        let files = self.files.iter().copied();
        OwnPaths::new(self.prefix, files).may_include(path)
    }
}
