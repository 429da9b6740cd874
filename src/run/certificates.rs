//! Reports when the certificates of the TLS listeners expire: as a metric, and in the log before it happens.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::door::Tls;
use crate::telemetry::Telemetry;

/// How often certificates are reported that nobody has renewed.
const REPORT_EVERY: Duration = Duration::from_secs(12 * 3600);

/// Reports the certificates again and again.
pub(super) async fn watch_certificates(tls: Arc<Tls>, telemetry: Telemetry, clock: Clock) {
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        report_certificates(&tls, &telemetry, &clock);
    }
}

/// Sets the metric, and warns of each certificate that is expired or should be renewed.
pub(super) fn report_certificates(tls: &Tls, telemetry: &Telemetry, clock: &Clock) {
    let certificates = tls.certificates();
    let expiries = certificates.iter().filter_map(|certificate| {
        let expiry = certificate.expiry()?.unix_s();
        Some((certificate.path().display().to_string(), expiry))
    });
    telemetry.set_certificates(&expiries.collect::<Vec<_>>());
    let now = clock.now();
    for certificate in certificates.iter() {
        if let Some(problem) = certificate.problem(now) {
            let path = certificate.path().display();
            let text = problem.for_operator();
            tracing::warn!(certificate = %path, "{text}");
        }
    }
}
