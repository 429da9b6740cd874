//! Connection limits that fit the number of files the process may have open.

use super::ServerLimits;

impl ServerLimits {
    /// These limits with at most this many connections. If that lowers the limit, one client address
    /// gets at most half of them.
    #[must_use]
    pub fn capped_at(&self, connections: usize) -> Self {
        let connections = connections.max(1);
        if self.connections_max <= connections {
            return self.clone();
        }
        let half = (connections / 2).max(1);
        Self {
            connections_max: connections,
            connections_per_client_max: self.connections_per_client_max.min(half),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_the_rest_leaves_half_to_others() {
        let limits = ServerLimits::default();
        assert_eq!(limits.capped_at(20_000), limits);
        let fitted = limits.capped_at(100);
        assert_eq!(fitted.connections_max, 100);
        assert_eq!(fitted.connections_per_client_max, 50);
        let few = ServerLimits {
            connections_per_client_max: 3,
            ..ServerLimits::default()
        };
        assert_eq!(few.capped_at(100).connections_per_client_max, 3);
        assert_eq!(limits.capped_at(0).connections_max, 1);
    }
}
