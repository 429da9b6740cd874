//! The names of the kinds of connectors that HENGSHI has, too.

pub(super) const CAS: &str = "cas";
pub(super) const CUSTOM: &str = "custom";
pub(super) const DINGTALK: &str = "dingtalk";
pub(super) const JWT: &str = "jwt";
pub(super) const LARK: &str = "lark";
pub(super) const LDAP: &str = "ldap";
pub(super) const LOCAL: &str = "local";
pub(super) const OAUTH2: &str = "oauth2";
pub(super) const SAML: &str = "saml";
pub(super) const WECOM: &str = "wecom";
pub(super) const YUNZHIJIA: &str = "yunzhijia";
