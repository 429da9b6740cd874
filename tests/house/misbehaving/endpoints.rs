//! Endpoints with invalid, endless, late or redirected responses.

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use menshen::face::page::Cause;

use super::{Row, all_refused, refused, row};
use crate::provider::{EndpointFault, Misbehavior, Provider};

/// The endpoints that a login calls, in this order.
const ENDPOINTS: [(&str, &str); 4] = [
    ("discovery", "the issuer's metadata"),
    ("token", "token"),
    ("keys", "the issuer's keys"),
    ("userinfo", "userinfo"),
];

/// A row for every endpoint; `says` follows the name of the call in the audit line.
fn everywhere(what: &'static str, odd: &EndpointFault, says: &'static str) -> Vec<Row> {
    let one = |(endpoint, _): (&'static str, &str)| {
        row(
            what,
            Misbehavior::Fault(endpoint, odd.clone()),
            Cause::ProviderUnreachable,
            says,
        )
    };
    ENDPOINTS.into_iter().map(one).collect()
}

#[tokio::test]
async fn an_html_page_instead_of_json_is_refused() {
    all_refused(
        Algorithm::ES256,
        everywhere("a page", &EndpointFault::Html, "something else than JSON"),
    )
    .await;
    let bad_gateway = everywhere(
        "a gateway's page",
        &EndpointFault::HtmlStatus(502),
        "HTTP status 502",
    );
    all_refused(Algorithm::ES256, bad_gateway).await;
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let rows = everywhere(
            "a redirect",
            &EndpointFault::Redirect(status),
            "HTTP status 30",
        );
        all_refused(Algorithm::ES256, rows).await;
    }
}

#[tokio::test]
async fn invalid_json_is_refused() {
    let deep = "[".repeat(100_000);
    for text in ["", "{", "{}{}", "\u{feff}{}", "\u{1f}", deep.as_str()] {
        let odd = EndpointFault::Json(200, text.to_owned());
        let rows = everywhere("no JSON", &odd, "something else than JSON");
        all_refused(Algorithm::ES256, rows).await;
    }
}

#[tokio::test]
async fn json_of_another_shape_is_refused() {
    for text in ["[]", "7", "null", "\"{}\"", "{}"] {
        let odd = || EndpointFault::Json(200, text.to_owned());
        let at =
            |endpoint, cause, says| row(endpoint, Misbehavior::Fault(endpoint, odd()), cause, says);
        let rows = vec![
            at("discovery", Cause::ProviderMisconfigured, "lacks `issuer`"),
            at(
                "token",
                Cause::ProviderUnreachable,
                "token answered with JSON that lacks",
            ),
            at(
                "keys",
                Cause::ProviderUnreachable,
                "the issuer's keys answered with JSON that lacks",
            ),
            at("userinfo", Cause::InvalidProviderResponse, "userinfo"),
        ];
        all_refused(Algorithm::ES256, rows).await;
    }
}

#[tokio::test]
async fn an_endless_response_is_read_up_to_a_limit() {
    for (endpoint, call) in ENDPOINTS {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, Algorithm::ES256).await;
        let menshen = provider.setup("").start().await;
        let how = Misbehavior::Fault(endpoint, EndpointFault::Endless);
        let row = row(
            "no end",
            how,
            Cause::ProviderUnreachable,
            "answered with more than",
        );
        refused(&provider, &menshen, &row, "en").await;
        let error = menshen.audit()[0]["error"].as_str().unwrap().to_owned();
        assert!(error.contains(call), "{endpoint}: {error}");
        // The bytes read, and those in the buffers on the way.
        let streamed = provider.streamed();
        assert!(
            streamed < 16 << 20,
            "{endpoint}: {streamed} bytes were read"
        );
    }
}

#[tokio::test]
async fn a_missing_response_times_out() {
    let mut waiting = Vec::new();
    for (endpoint, _) in ENDPOINTS {
        for odd in [EndpointFault::NoResponse, EndpointFault::UnfinishedBody] {
            waiting.push(async move {
                let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
                let provider = Provider::start(&clock, Algorithm::ES256).await;
                let menshen = provider.setup("").start().await;
                let how = Misbehavior::Fault(endpoint, odd);
                let row = row(
                    "silence",
                    how,
                    Cause::ProviderUnreachable,
                    "not answered in time",
                );
                refused(&provider, &menshen, &row, "zh-CN").await;
            });
        }
    }
    futures_util::future::join_all(waiting).await;
}

#[tokio::test]
async fn an_incomplete_response_is_refused() {
    all_refused(
        Algorithm::ES256,
        everywhere("a cut", &EndpointFault::Disconnect, "exchange"),
    )
    .await;
}

#[tokio::test]
async fn different_errors_of_the_provider_are_distinguished() {
    let error = |status, error: &str| {
        let body = format!(r#"{{"error":"{error}","error_description":"simulated {error}"}}"#);
        Misbehavior::Fault("token", EndpointFault::Json(status, body))
    };
    let rows = vec![
        row(
            "a client it does not know",
            error(401, "invalid_client"),
            Cause::ProviderMisconfigured,
            "invalid_client",
        ),
        row(
            "a client that may not",
            error(400, "unauthorized_client"),
            Cause::ProviderMisconfigured,
            "unauthorized_client",
        ),
        row(
            "an error with status 200",
            error(200, "invalid_client"),
            Cause::ProviderMisconfigured,
            "invalid_client",
        ),
        row(
            "busy",
            error(503, "temporarily_unavailable"),
            Cause::ProviderUnreachable,
            "HTTP status 503",
        ),
        row(
            "too many",
            error(429, "slow_down"),
            Cause::ProviderBusy,
            "429",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}
