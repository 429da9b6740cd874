//! Protocol parts that several kinds of connectors share.

pub(super) mod app_login;
pub(super) mod app_token;
pub(super) mod department_cache;
pub(super) mod department_tree;
pub(super) mod directory_settings;
pub(super) mod invalid_values;
pub(super) mod jose_keys;
pub(super) mod jwe;
pub mod login_page;
pub(super) mod message_cipher;
pub(super) mod number;
pub(super) mod refusal;
pub(super) mod response_code;
pub(super) mod time_limit;
pub(super) mod web_url;
pub mod xml;
pub mod xml_encryption;
pub mod xml_signature;
