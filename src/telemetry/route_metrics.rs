//! The metrics of routes and upstreams.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Telemetry;
use super::metrics::{Labels, STATUS_CLASSES, histogram};
use super::named_counters::{ActiveNames, NamedCounters};

/// The metrics of the active routes and their upstreams.
#[derive(Debug)]
pub(super) struct RouteMetrics {
    /// By route and status class.
    requests: Family<Labels, Counter>,
    /// By route.
    upstream_durations: Family<Labels, Histogram>,
    /// By upstream and reason.
    upstream_failures: NamedCounters,
    /// The routes that have metrics.
    routes: Mutex<BTreeSet<String>>,
}

/// The counters of one route, looked up once when the route is built. Clones share them. Those of
/// `default` are in no metric.
#[derive(Clone, Debug)]
pub struct RouteCounters {
    /// By status class.
    requests: [Counter; STATUS_CLASSES.len()],
    upstream_duration: Histogram,
}

impl Default for RouteCounters {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            upstream_duration: histogram(),
        }
    }
}

impl RouteCounters {
    /// Counts one response. `class` is an index of [`STATUS_CLASSES`].
    pub(super) fn count(&self, class: usize, upstream_took: Option<Duration>) {
        self.requests[class].inc();
        if let Some(took) = upstream_took {
            self.upstream_duration.observe(took.as_secs_f64());
        }
    }
}

impl RouteMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            upstream_durations: Family::new_with_constructor(histogram as fn() -> _),
            upstream_failures: NamedCounters::default(),
            routes: Mutex::default(),
        };
        let help = "Requests with a response, by the route that matched";
        registry.register("route_requests", help, metrics.requests.clone());
        let help = "Part of request_duration that the upstream took, by route";
        let durations = metrics.upstream_durations.clone();
        registry.register_with_unit("upstream_duration", help, Unit::Seconds, durations);
        let help = "Requests without a valid response from their upstream, by upstream and reason";
        let failures = metrics.upstream_failures.family();
        registry.register("upstream_failures", help, failures);
        metrics
    }

    fn counters(&self, route: &str) -> RouteCounters {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.insert(route.to_owned());
        RouteCounters {
            requests: STATUS_CLASSES.map(|class| {
                self.requests
                    .get_or_create_owned(&request_labels(route, class))
            }),
            upstream_duration: self
                .upstream_durations
                .get_or_create_owned(&route_label(route)),
        }
    }

    /// Removes the metrics of all routes and upstreams but the active ones.
    pub(super) fn retain(&self, active: &ActiveNames) {
        self.upstream_failures.retain(&active.upstreams);
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|route| {
            let is_active = active.routes.contains(route);
            if !is_active {
                for class in STATUS_CLASSES {
                    self.requests.remove(&request_labels(route, class));
                }
                self.upstream_durations.remove(&route_label(route));
            }
            is_active
        });
    }
}

impl Telemetry {
    /// The counters of a route.
    pub fn route_counters(&self, route: &str) -> RouteCounters {
        self.0.metrics.routes.counters(route)
    }

    /// Counts a request without a valid response from its upstream. `upstream` is `host:port`, and several
    /// separated by commas if none of them was chosen.
    pub fn count_upstream_failure(&self, upstream: &str, reason: &'static str) {
        let labels = vec![
            ("upstream", upstream.to_owned()),
            ("reason", reason.to_owned()),
        ];
        let failures = &self.0.metrics.routes.upstream_failures;
        failures.counter(labels).inc();
    }
}

fn route_label(route: &str) -> Labels {
    vec![("route", route.to_owned())]
}

fn request_labels(route: &str, class: &str) -> Labels {
    let mut labels = route_label(route);
    labels.push(("status", class.to_owned()));
    labels
}
