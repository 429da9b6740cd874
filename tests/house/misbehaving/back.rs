//! Invalid authorization responses: parameters of the callback.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;

use super::{all_refused, row, row_with};
use crate::provider::Misbehavior;

/// Repeats the parameter with this value.
fn twice(name: &'static str, value: &'static str) -> Misbehavior {
    Misbehavior::redirect_parameters(move |pairs| pairs.push((name.to_owned(), value.to_owned())))
}

/// Replaces the value of the parameter; `None` removes it.
fn other(name: &'static str, value: Option<&'static str>) -> Misbehavior {
    Misbehavior::redirect_parameters(move |pairs| {
        pairs.retain(|(key, _)| key != name);
        pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    })
}

/// Sends an error instead of a code.
fn error(name: &'static str) -> Misbehavior {
    Misbehavior::redirect_parameters(move |pairs| {
        pairs.retain(|(key, _)| key != "code");
        pairs.push(("error".to_owned(), name.to_owned()));
        let words = format!("simulated {name} <script>alert(1)</script>");
        pairs.push(("error_description".to_owned(), words));
    })
}

#[tokio::test]
async fn a_response_with_a_repeated_or_missing_parameter_is_refused() {
    const TWICE: &str = "a parameter is repeated";
    const STATE: &str = "the state is not one of this site's flow IDs";
    const DAMAGED: &str = "its code is empty, too long or malformed";
    let long: &'static str = Box::leak("c".repeat(5000).into_boxed_str());
    let bad = |what, change, says| row(what, change, Cause::InvalidProviderResponse, says);
    let rows = vec![
        bad("two codes", twice("code", "another"), TWICE),
        bad("two issuers", twice("iss", "https://evil.test"), TWICE),
        bad("two states", twice("state", "another"), STATE),
        bad("no state", other("state", None), STATE),
        bad(
            "a state that is none",
            other("state", Some("../../x")),
            STATE,
        ),
        bad("no code", other("code", None), "it has no code"),
        bad("an empty code", other("code", Some("")), DAMAGED),
        bad(
            "a code with a line end",
            other("code", Some("a\r\nb")),
            DAMAGED,
        ),
        bad(
            "a code beyond all bounds",
            other("code", Some(long)),
            DAMAGED,
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn a_response_of_another_issuer_is_refused_without_redeeming_the_code() {
    const OTHER: &str = "it comes from another issuer";
    let evil = || other("iss", Some("https://evil.test"));
    let bad = |what, change, says| row(what, change, Cause::InvalidProviderResponse, says);
    let rows = vec![
        bad("another issuer", evil(), OTHER),
        bad("an empty issuer", other("iss", Some("")), OTHER),
        bad(
            "no issuer although it was announced",
            other("iss", None),
            "it has no iss",
        ),
        row_with(
            "another issuer that was not announced",
            move |provider| {
                provider.set(|settings| settings.sends_iss = false);
                provider.misbehave(evil());
            },
            Cause::InvalidProviderResponse,
            OTHER,
        ),
        row_with(
            "another issuer's refusal",
            move |provider| {
                provider.misbehave(error("access_denied"));
                provider.misbehave(evil());
            },
            Cause::InvalidProviderResponse,
            OTHER,
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_error_has_a_page_for_the_person_and_its_code_in_the_log() {
    let rows = vec![
        row(
            "no",
            error("access_denied"),
            Cause::LoginDeclined,
            "access_denied",
        ),
        row(
            "nobody there",
            error("login_required"),
            Cause::LoginDeclined,
            "login_required",
        ),
        row(
            "not without asking",
            error("interaction_required"),
            Cause::LoginDeclined,
            "interaction_required",
        ),
        row(
            "broken",
            error("server_error"),
            Cause::ProviderBusy,
            "server_error",
        ),
        row(
            "away",
            error("temporarily_unavailable"),
            Cause::ProviderBusy,
            "temporarily_unavailable",
        ),
        row(
            "a scope it does not know",
            error("invalid_scope"),
            Cause::ProviderMisconfigured,
            "invalid_scope",
        ),
        row(
            "a client it does not know",
            error("unauthorized_client"),
            Cause::ProviderMisconfigured,
            "unauthorized_client",
        ),
        row(
            "an error nobody knows",
            error("out_of_cheese"),
            Cause::ProviderMisconfigured,
            "out_of_cheese",
        ),
        row(
            "an error that is none",
            error("\r\nX-Evil: 1"),
            Cause::InvalidProviderResponse,
            "error",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}
