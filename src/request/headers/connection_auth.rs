//! Authentication that applies to a connection and not to a request: NTLM and Negotiate.

/// The authentication schemes, in lower case.
const SCHEMES: [&[u8]; 2] = [b"ntlm", b"negotiate"];

/// Whether credentials or a challenge use NTLM or Negotiate.
pub fn authenticates_connection(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let end = value.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let name = &value[..end.unwrap_or(value.len())];
    SCHEMES
        .iter()
        .any(|scheme| name.eq_ignore_ascii_case(scheme))
}
