//! Certificates read from files.

use super::*;

/// A temporary folder, removed when it is dropped.
pub(in crate::door) struct Folder(PathBuf);

impl Folder {
    pub(in crate::door) fn new() -> Self {
        let name = format!(
            "menshen-door-{:032x}",
            u128::from_be_bytes(crate::keys::random())
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(in crate::door) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a new certificate and key as `file.pem` and `file.key`; returns the certificate.
    pub(in crate::door) fn create_pair(
        &self,
        file: &str,
        names: &[&str],
    ) -> CertificateDer<'static> {
        self.create_pair_signed(file, names, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    fn create_pair_signed(
        &self,
        file: &str,
        names: &[&str],
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> CertificateDer<'static> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let parameters = rcgen::CertificateParams::new(names).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
        certificate.der().clone()
    }

    /// The settings with the pairs of these names, the first as `certificate` and the others as `more`.
    pub(in crate::door) fn config(&self, files: &[&str]) -> TlsConfig {
        let pair = |file: &str| CertificateConfig {
            certificate: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        };
        let CertificateConfig { certificate, key } = pair(files[0]);
        TlsConfig {
            certificate,
            key,
            more: files[1..].iter().map(|file| pair(file)).collect(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_server_name_chooses_an_exact_match_then_a_wildcard_then_the_first() {
    let folder = Folder::new();
    let first = folder.create_pair("first", &["sso.example"]);
    let wide = folder.create_pair("wide", &["*.corp.example"]);
    let exact = folder.create_pair("exact", &["oa.corp.example"]);
    let pairs = folder.config(&["first", "wide", "exact"]).load().unwrap();
    let chosen = |name: Option<&str>| choose(&pairs, name, |_| true).unwrap().cert[0].clone();
    assert_eq!(chosen(Some("oa.corp.example")), exact);
    assert_eq!(chosen(Some("git.corp.example")), wide);
    assert_eq!(chosen(Some("sso.example")), first);
    for other in [
        Some("a.b.corp.example"),
        Some("corp.example"),
        Some("192.0.2.1"),
        None,
    ] {
        assert_eq!(chosen(other), first, "{other:?}");
    }
}

#[test]
fn a_client_gets_a_certificate_whose_signature_scheme_it_supports() {
    use rustls::SignatureScheme::{ECDSA_NISTP256_SHA256, ED25519};

    let folder = Folder::new();
    let other = folder.create_pair("other", &["other.example"]);
    let modern = folder.create_pair_signed("modern", &["oa.example"], &rcgen::PKCS_ED25519);
    let usual = folder.create_pair("usual", &["oa.example"]);
    let pairs = folder.config(&["other", "modern", "usual"]).load().unwrap();
    let chosen = |name: Option<&str>, schemes: &[rustls::SignatureScheme]| {
        let is_usable = |pair: &CertifiedKey| pair.key.choose_scheme(schemes).is_some();
        choose(&pairs, name, is_usable).unwrap().cert[0].clone()
    };
    let oa = Some("oa.example");
    assert_eq!(chosen(oa, &[ECDSA_NISTP256_SHA256]), usual);
    assert_eq!(chosen(oa, &[ED25519]), modern);
    assert_eq!(chosen(oa, &[ECDSA_NISTP256_SHA256, ED25519]), modern);
    // Without a matching name: the first usable certificate; without a usable one: the first of all.
    assert_eq!(chosen(None, &[ED25519]), modern);
    assert_eq!(chosen(Some("b.example"), &[ECDSA_NISTP256_SHA256]), other);
    assert_eq!(chosen(oa, &[]), other);
}

#[test]
fn files_written_by_a_windows_editor_are_accepted() {
    let folder = Folder::new();
    let certificate = folder.create_pair("site", &["a.example"]);
    for file in ["site.pem", "site.key"] {
        let text = std::fs::read_to_string(folder.path(file)).unwrap();
        let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        std::fs::write(folder.path(file), text).unwrap();
    }
    let pairs = folder.config(&["site"]).load().unwrap();
    assert_eq!(pairs[0].cert[0], certificate);
}

#[test]
fn a_broken_file_leaves_the_old_certificates_in_force() {
    let folder = Folder::new();
    let old = folder.create_pair("site", &["a.example"]);
    let config = folder.config(&["site"]);
    let tls = Tls::load(&config).unwrap();
    let in_force = || tls.certificates.0.load()[0].cert[0].clone();

    std::fs::write(&config.certificate, "half a cert").unwrap();
    assert!(matches!(
        tls.reload(&config),
        Err(TlsError::NoCertificate { .. })
    ));
    assert_eq!(in_force(), old);

    let new = folder.create_pair("site", &["a.example"]);
    tls.reload(&config).unwrap();
    assert_eq!(in_force(), new);
}

#[test]
fn an_error_names_the_file_and_what_is_expected() {
    let folder = Folder::new();
    folder.create_pair("a", &["a.example"]);
    folder.create_pair("b", &["b.example"]);
    let load_error = |certificate: &str, key: &str| {
        let (certificate, key) = (folder.path(certificate), folder.path(key));
        Tls::load(&TlsConfig {
            certificate,
            key,
            more: Vec::new(),
        })
        .unwrap_err()
    };
    let missing = load_error("nowhere.pem", "a.key");
    assert!(matches!(&missing, TlsError::Read { .. }), "{missing}");
    assert!(missing.to_string().contains("nowhere.pem"), "{missing}");
    let mixed = load_error("a.pem", "b.key");
    assert!(matches!(&mixed, TlsError::KeyMismatch { .. }), "{mixed}");
    assert!(mixed.to_string().contains("b.key"), "{mixed}");
    assert!(matches!(
        load_error("a.key", "a.key"),
        TlsError::NoCertificate { .. }
    ));
    assert!(matches!(
        load_error("a.pem", "a.pem"),
        TlsError::NoKey { .. }
    ));
}
