//! Protocol parts that several kinds of connectors share.

pub(super) mod app_token;
pub(super) mod jose_keys;
pub(super) mod jwe;
pub(super) mod xml;
