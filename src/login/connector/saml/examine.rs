//! `check --online`: checks the metadata of the identity provider and the dates of certificates, and prints
//! what an administrator enters there.

use std::time::Duration;

use super::super::Finding;
use super::Saml;
use super::certificates::Certificate;
use super::metadata::{Endpoint, Endpoints, IdpMetadata};
use crate::clock::Timestamp;
use crate::keys::certificate::Validity;
use crate::setting::sends_in_clear_text;
use crate::telemetry::error_chain;

/// A certificate that expires earlier than this is reported.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// Checks everything that needs no login. Each finding is one line of output.
pub(super) async fn examine(saml: &Saml) -> Vec<Finding> {
    let mut findings = registration(saml);
    findings.extend(own_certificate(saml));
    let idp = match saml.metadata.current().await {
        Ok(idp) => idp,
        Err(error) => {
            findings.push(Finding::bad(format!("metadata: {}", error_chain(&error))));
            return findings;
        }
    };
    findings.push(Finding::good(format!(
        "the metadata describes {}",
        idp.entity_id
    )));
    let now = saml.clock.now();
    findings.extend(validity_of_metadata(&idp, now));
    findings.extend(certificates(&idp.certificates, now));
    findings.extend(services(saml, &idp));
    findings
}

/// What an administrator enters at the identity provider.
fn registration(saml: &Saml) -> Vec<Finding> {
    let provider = &saml.provider;
    let mut lines = vec![
        format!(
            "register menshen at the identity provider by its metadata, {}",
            provider.metadata
        ),
        format!("or by hand: entity ID {}", provider.entity_id),
        format!(
            "or by hand: assertion consumer service {} (HTTP-POST)",
            provider.consumer
        ),
    ];
    lines.push(match provider.key {
        Some(_) => format!(
            "or by hand: single logout service {} (HTTP-Redirect and HTTP-POST), and the certificate of \
             `certificate`",
            provider.logout
        ),
        None => "without private_key requests are not signed, and there is no single logout".to_owned(),
    });
    lines.into_iter().map(Finding::good).collect()
}

fn own_certificate(saml: &Saml) -> Option<Finding> {
    let key = saml.provider.key.as_ref()?;
    let validity = Certificate::of_der(&key.certificate).validity?;
    dates("certificate", validity, saml.clock.now())
}

fn validity_of_metadata(idp: &IdpMetadata, now: Timestamp) -> Option<Finding> {
    let end = idp.valid_until?;
    let text = format!("the metadata is valid until {end}");
    Some(match end.since(now) < Duration::from_secs(86_400) {
        true => Finding::bad(format!(
            "{text}: logins fail then unless newer metadata is served"
        )),
        false => Finding::good(text),
    })
}

/// A line for each certificate that cannot be used, has expired or expires soon.
fn certificates(certificates: &[Certificate], now: Timestamp) -> Vec<Finding> {
    let usable = certificates.iter().filter(|it| it.key.is_ok()).count();
    let mut findings = vec![Finding::good(format!(
        "certificates whose keys verify signatures: {usable}"
    ))];
    for (number, certificate) in certificates.iter().enumerate() {
        let name = format!("signing certificate {} of the metadata", number + 1);
        if let Err(error) = &certificate.key {
            findings.push(Finding::bad(format!("{name} is not used: {error}")));
        }
        let validity = certificate.validity;
        findings.extend(validity.and_then(|validity| dates(&name, validity, now)));
    }
    findings
}

fn dates(name: &str, validity: Validity, now: Timestamp) -> Option<Finding> {
    let Validity {
        not_before,
        not_after,
    } = validity;
    let text = if now < not_before {
        format!("{name}: it is not valid before {not_before}")
    } else if now > not_after {
        format!("{name}: it expired at {not_after}; menshen still accepts it, but replace it")
    } else if not_after.since(now) < SOON {
        format!("{name}: it expires soon, at {not_after}")
    } else {
        return None;
    };
    Some(Finding::bad(text))
}

fn services(saml: &Saml, idp: &IdpMetadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, service) in [("login", &idp.sign_on), ("logout", &idp.logout)] {
        for endpoint in endpoints(service) {
            if sends_in_clear_text(&endpoint.location) {
                let text = format!("its {name} service is plain http: {}", endpoint.location);
                findings.push(Finding::bad(text));
            }
        }
    }
    if idp.wants_signed_requests && saml.provider.key.is_none() {
        findings.push(Finding::bad(
            "it wants signed requests: add private_key and certificate",
        ));
    }
    if idp.logout == Endpoints::default() {
        findings.push(Finding::good(
            "it has no single logout service: signing out of menshen does not sign people out there",
        ));
    }
    findings
}

fn endpoints(service: &Endpoints) -> impl Iterator<Item = &Endpoint> {
    service.redirect.iter().chain(&service.post)
}
