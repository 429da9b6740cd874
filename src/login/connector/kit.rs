//! Protocol parts that several kinds of connectors share.

pub(super) mod app_token;
pub(super) mod department_tree;
pub(super) mod jose_keys;
pub(super) mod jwe;
pub(super) mod message_cipher;
pub(super) mod number;
pub(super) mod refusal;
pub mod xml;
pub mod xml_encryption;
pub mod xml_signature;
