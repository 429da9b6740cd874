//! The certificates of the authorities that this system trusts, for connections to PostgreSQL.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;

/// The certificates as PEM, which is what the database driver reads: by itself it trusts only the
/// authorities of the public web, and not those that an administrator has added to this system.
pub(super) fn system_roots() -> Vec<u8> {
    let mut pem = String::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // The driver refuses all certificates if one cannot be parsed.
        if RootCertStore::empty().add(certificate.clone()).is_ok() {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            let text = BASE64_STANDARD.encode(&certificate);
            for line in text.as_bytes().chunks(64) {
                pem.push_str(&String::from_utf8_lossy(line));
                pem.push('\n');
            }
            pem.push_str("-----END CERTIFICATE-----\n");
        }
    }
    pem.into_bytes()
}
