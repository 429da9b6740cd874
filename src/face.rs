//! What speaks to the outside; it decides nothing.

pub mod page;
