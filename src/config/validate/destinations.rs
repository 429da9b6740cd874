//! The URLs of the site that a login may return to, from the configuration alone.

use url::Url;

use crate::config::{Config, FilePath};
use crate::login::return_to;
use crate::request::route::{HostPattern, OwnPaths};

/// The origins that the routes of the document serve.
pub(super) struct Destinations<'a>(&'a Config);

impl<'a> Destinations<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self(config)
    }
}

impl return_to::Destinations for Destinations<'_> {
    /// A route for any host adds no host to the site.
    fn serves(&self, origin: &Url) -> bool {
        let external = self.0.server.external_url.url();
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
        origin.scheme() == external.scheme()
            && self
                .0
                .route
                .iter()
                .any(|route| matches_host(&route.host) && matches_port(&route.host))
    }

    fn login_url(&self) -> &Url {
        self.0.server.external_url.url()
    }

    fn may_be_own_path(&self, path: &str) -> bool {
        let server = &self.0.server;
        let files = server.files.keys().map(FilePath::as_str);
        OwnPaths::new(server.prefix.as_str(), files).may_include(path)
    }
}
