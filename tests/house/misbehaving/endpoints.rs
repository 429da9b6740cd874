//! Endpoints with invalid, endless, late or redirected responses.

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use menshen::face::page::Cause;

use super::{Row, assert_all_refused, assert_refused_then_accepted, row};
use crate::provider::{EndpointFault, Misbehavior, Provider};

/// The endpoints that a login calls, in this order.
const ENDPOINTS: [(&str, &str); 4] = [
    ("discovery", "the issuer's metadata"),
    ("token", "token"),
    ("keys", "the issuer's keys"),
    ("userinfo", "userinfo"),
];

/// The same fault at each endpoint.
fn rows_for_all_endpoints(
    what: &'static str,
    fault: &EndpointFault,
    logged_error: &'static str,
) -> Vec<Row> {
    let one = |(endpoint, _): (&'static str, &str)| {
        row(
            what,
            Misbehavior::Fault(endpoint, fault.clone()),
            Cause::ProviderUnreachable,
            logged_error,
        )
    };
    ENDPOINTS.into_iter().map(one).collect()
}

#[tokio::test]
async fn an_html_page_instead_of_json_is_refused() {
    assert_all_refused(
        Algorithm::ES256,
        rows_for_all_endpoints(
            "an HTML page",
            &EndpointFault::Html,
            "something else than JSON",
        ),
    )
    .await;
    let bad_gateway = rows_for_all_endpoints(
        "a gateway's page",
        &EndpointFault::HtmlStatus(502),
        "HTTP status 502",
    );
    assert_all_refused(Algorithm::ES256, bad_gateway).await;
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let rows = rows_for_all_endpoints(
            "a redirect",
            &EndpointFault::Redirect(status),
            "HTTP status 30",
        );
        assert_all_refused(Algorithm::ES256, rows).await;
    }
}

#[tokio::test]
async fn invalid_json_is_refused() {
    let deep = "[".repeat(100_000);
    for text in ["", "{", "{}{}", "\u{feff}{}", "\u{1f}", deep.as_str()] {
        let fault = EndpointFault::Json(200, text.to_owned());
        let rows = rows_for_all_endpoints("no JSON", &fault, "something else than JSON");
        assert_all_refused(Algorithm::ES256, rows).await;
    }
}

#[tokio::test]
async fn json_of_another_shape_is_refused() {
    for text in ["[]", "7", "null", "\"{}\"", "{}"] {
        let fault = || EndpointFault::Json(200, text.to_owned());
        let at = |endpoint, cause, logged_error| {
            row(
                endpoint,
                Misbehavior::Fault(endpoint, fault()),
                cause,
                logged_error,
            )
        };
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
        assert_all_refused(Algorithm::ES256, rows).await;
    }
}

#[tokio::test]
async fn an_endless_response_is_read_up_to_a_limit() {
    for (endpoint, call) in ENDPOINTS {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, Algorithm::ES256).await;
        let menshen = provider.setup("").start().await;
        let misbehavior = Misbehavior::Fault(endpoint, EndpointFault::Endless);
        let row = row(
            "an endless response",
            misbehavior,
            Cause::ProviderUnreachable,
            "answered with more than",
        );
        assert_refused_then_accepted(&provider, &menshen, &row, "en").await;
        let error = menshen.audit()[0]["error"].as_str().unwrap().to_owned();
        assert!(error.contains(call), "{endpoint}: {error}");
        // Counts the bytes that were read and those in the buffers of the connection.
        let streamed = provider.streamed();
        assert!(
            streamed < 16 << 20,
            "{endpoint}: {streamed} bytes were read"
        );
    }
}

#[tokio::test]
async fn a_missing_response_times_out() {
    let mut attempts = Vec::new();
    for (endpoint, _) in ENDPOINTS {
        for fault in [EndpointFault::NoResponse, EndpointFault::UnfinishedBody] {
            attempts.push(async move {
                let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
                let provider = Provider::start(&clock, Algorithm::ES256).await;
                let menshen = provider.setup("").start().await;
                let misbehavior = Misbehavior::Fault(endpoint, fault);
                let row = row(
                    "no response",
                    misbehavior,
                    Cause::ProviderUnreachable,
                    "not answered in time",
                );
                assert_refused_then_accepted(&provider, &menshen, &row, "zh-CN").await;
            });
        }
    }
    futures_util::future::join_all(attempts).await;
}

#[tokio::test]
async fn an_incomplete_response_is_refused() {
    assert_all_refused(
        Algorithm::ES256,
        rows_for_all_endpoints(
            "a closed connection",
            &EndpointFault::Disconnect,
            "exchange",
        ),
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
            "an unknown client",
            error(401, "invalid_client"),
            Cause::ProviderMisconfigured,
            "invalid_client",
        ),
        row(
            "an unauthorized client",
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
            "temporarily unavailable",
            error(503, "temporarily_unavailable"),
            Cause::ProviderUnreachable,
            "HTTP status 503",
        ),
        row(
            "too many requests",
            error(429, "slow_down"),
            Cause::ProviderBusy,
            "429",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}
