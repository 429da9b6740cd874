//! Lowers the connection limits to the number of files that the process may open.

use super::ServerLimits;

impl ServerLimits {
    /// The limits with at most this many connections; if that lowers them, one client address has at
    /// most half.
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
    fn a_lowered_limit_leaves_half_of_the_connections_to_other_clients() {
        let limits = ServerLimits::default();
        assert_eq!(limits.capped_at(20_000), limits);
        let capped = limits.capped_at(100);
        assert_eq!(capped.connections_max, 100);
        assert_eq!(capped.connections_per_client_max, 50);
        let few = ServerLimits {
            connections_per_client_max: 3,
            ..ServerLimits::default()
        };
        assert_eq!(few.capped_at(100).connections_per_client_max, 3);
        assert_eq!(limits.capped_at(0).connections_max, 1);
    }
}
