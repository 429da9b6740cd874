//! Protocol parts that several kinds of connectors share.

pub(super) mod app_token;
pub(super) mod xml;
