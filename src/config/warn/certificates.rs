//! Certificates that are expired, that expire soon, or that are for other hosts than the routes'. Reads their
//! files.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::Warnings;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::door::{Address, ListedCertificate};
use crate::keys::certificate::validity;
use crate::request::route::HostPattern;
use crate::setting::KeyPath;
use crate::text;

pub(super) fn warn(warnings: &mut Warnings<'_>, now: Timestamp) {
    let config = warnings.config;
    for (index, route) in config.route.iter().enumerate() {
        let path = route
            .upstream_tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_ref());
        let der = path.and_then(|path| CertificateDer::from_pem_file(path).ok());
        let problem = der.and_then(|der| validity(&der)?.problem(now));
        if let Some(problem) = problem {
            let table = KeyPath::of(["route"]).item(index).key("upstream_tls");
            warnings.add(&table.key("certificate"), problem);
        }
    }
    // Files that cannot be used are reported as errors.
    let certificates = config.server.tls.as_ref().map(|tls| tls.certificates());
    let Some(Ok(certificates)) = certificates else {
        return;
    };
    for (index, certificate) in certificates.iter().enumerate() {
        if let Some(problem) = certificate.problem(now) {
            let table = KeyPath::of(["server", "tls"]);
            let table = match index.checked_sub(1) {
                None => table,
                Some(more) => table.key("more").item(more),
            };
            warnings.add(&table.key("certificate"), problem);
        }
    }
    if listens_with_tls(config) {
        warn_about_hosts(warnings, &certificates);
    }
}

/// Whether a listener uses the certificates, if there are any.
pub(super) fn listens_with_tls(config: &Config) -> bool {
    let mut listeners = config.server.listen.iter();
    listeners.any(|listen| {
        let is_default = !listen.redirect_https && !matches!(listen.address, Address::Unix(_));
        listen.tls.unwrap_or(is_default)
    })
}

/// Warns of hosts for which no certificate is.
fn warn_about_hosts(warnings: &mut Warnings<'_>, certificates: &[ListedCertificate]) {
    let config = warnings.config;
    let is_covered = |host: &str| {
        certificates
            .iter()
            .any(|certificate| certificate.covers(host))
    };
    let text = |host: &str| {
        text!(
            "no certificate of [server.tls] is for {host}: browsers refuse it; get one for this host and add it \
             to [[server.tls.more]]",
            "[server.tls] 中没有 {host} 的证书：浏览器会拒绝；请申请这个主机的证书，并加到 [[server.tls.more]]"
        )
    };
    let external = &config.server.external_url;
    if external.is_https() && !is_covered(external.host()) {
        let key_path = KeyPath::of(["server", "external_url"]);
        warnings.add(&key_path, text(external.host()));
    }
    for (index, route) in config.route.iter().enumerate() {
        let host = match &route.host {
            HostPattern::Any { .. } => continue,
            HostPattern::Exact { name, .. } => name.clone(),
            HostPattern::Wildcard { suffix, .. } => format!("any{suffix}"),
        };
        if host != external.host() && !is_covered(&host) {
            let shown = match &route.host {
                HostPattern::Wildcard { suffix, .. } => format!("*{suffix}"),
                HostPattern::Any { .. } | HostPattern::Exact { .. } => host,
            };
            warnings.add(
                &KeyPath::of(["route"]).item(index).key("host"),
                text(&shown),
            );
        }
    }
}
