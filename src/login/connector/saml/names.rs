//! The namespaces and identifiers of SAML 2.0.

pub(super) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(super) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(super) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";

pub(super) const REDIRECT_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub(super) const POST_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

pub(super) const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

pub(super) const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
pub(super) const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
pub(super) const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
pub(super) const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";
/// The format of an `Issuer`.
pub(super) const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";

/// The beginning of every status code that SAML defines.
pub(super) const STATUS: &str = "urn:oasis:names:tc:SAML:2.0:status:";
pub(super) const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

/// The fields of messages in both bindings (SAML 2.0 bindings §3.4, §3.5).
pub(super) const REQUEST_FIELD: &str = "SAMLRequest";
pub(super) const RESPONSE_FIELD: &str = "SAMLResponse";
pub(super) const RELAY_STATE: &str = "RelayState";

/// The longest `RelayState` that providers must return, in bytes (SAML 2.0 bindings §3.4.3).
pub(super) const RELAY_STATE_BYTES_MAX: usize = 80;
