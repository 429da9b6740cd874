//! out
/// o
#[derive(Clone, Debug)] pub struct Outbound;
/// e
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct OutboundError;
