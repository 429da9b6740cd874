//! Faces: what speaks a protocol to the outside and decides nothing.

pub mod admin;
