//! What is permitted reaches the upstream as it was, and the answer comes back as it was.

mod addresses;
mod bodies;
mod codings;
mod cut;
mod destinations;
mod given_up;
mod heads;
mod lies;
mod mended;
mod ntlm;
mod pools;
mod private;
mod secured;
mod shapes;
mod soak;
mod spelling;
mod streams;
mod targets;
mod trailers;
mod trouble;
pub(crate) mod upgrades;
mod upstream_tls;
