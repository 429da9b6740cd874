//! `forward()`: Permit + request → the upstream's response. Pools, timeouts, upgrade.
