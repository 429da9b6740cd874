//! What several kinds of connectors need to speak their protocols.

pub(super) mod app_token;
