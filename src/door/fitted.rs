//! Connection limits that fit the number of files the process may have open.

use super::DoorLimits;

impl DoorLimits {
    /// The same with no more connections than so many. One client address gets at most half of them
    /// then.
    #[must_use]
    pub fn fitted_to(&self, connections: usize) -> Self {
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
        let limits = DoorLimits::default();
        assert_eq!(limits.fitted_to(20_000), limits);
        let fitted = limits.fitted_to(100);
        assert_eq!(fitted.connections_max, 100);
        assert_eq!(fitted.connections_per_client_max, 50);
        let few = DoorLimits {
            connections_per_client_max: 3,
            ..DoorLimits::default()
        };
        assert_eq!(few.fitted_to(100).connections_per_client_max, 3);
        assert_eq!(limits.fitted_to(0).connections_max, 1);
    }
}
