//! The style sheet of all pages and its hash for the Content-Security-Policy.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The style sheet, byte for byte as embedded in pages.
pub(super) const STYLE: &str = include_str!("../../../templates/style.css");

static DIGEST: LazyLock<String> =
    LazyLock::new(|| STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes())));

/// The SHA-256 of [`STYLE`] in base64, for a CSP hash source.
pub(super) fn digest() -> &'static str {
    &DIGEST
}
