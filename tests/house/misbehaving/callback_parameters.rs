//! Invalid authorization responses: parameters of the callback.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;

use super::{assert_all_refused, row, row_with};
use crate::provider::Misbehavior;

/// Repeats the parameter with this value.
fn repeated(name: &'static str, value: &'static str) -> Misbehavior {
    Misbehavior::redirect_parameters(move |pairs| pairs.push((name.to_owned(), value.to_owned())))
}

/// Replaces the value of the parameter; `None` removes it.
fn replaced(name: &'static str, value: Option<&'static str>) -> Misbehavior {
    Misbehavior::redirect_parameters(move |pairs| {
        pairs.retain(|(key, _)| key != name);
        pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    })
}

/// Sends an error instead of a code.
fn error_instead_of_code(name: &'static str) -> Misbehavior {
    Misbehavior::redirect_parameters(move |pairs| {
        pairs.retain(|(key, _)| key != "code");
        pairs.push(("error".to_owned(), name.to_owned()));
        let description = format!("simulated {name} <script>alert(1)</script>");
        pairs.push(("error_description".to_owned(), description));
    })
}

#[tokio::test]
async fn a_response_with_a_repeated_or_missing_parameter_is_refused() {
    const REPEATED: &str = "a parameter is repeated";
    const INVALID_STATE: &str = "the state is not one of this site's flow IDs";
    const INVALID_CODE: &str = "its code is empty, too long or malformed";
    let long: &'static str = Box::leak("c".repeat(5000).into_boxed_str());
    let bad_answer = |what, change, logged_error| {
        row(what, change, Cause::InvalidProviderResponse, logged_error)
    };
    let rows = vec![
        bad_answer("two codes", repeated("code", "another"), REPEATED),
        bad_answer(
            "two issuers",
            repeated("iss", "https://evil.test"),
            REPEATED,
        ),
        bad_answer("two states", repeated("state", "another"), INVALID_STATE),
        bad_answer("no state", replaced("state", None), INVALID_STATE),
        bad_answer(
            "a malformed state",
            replaced("state", Some("../../x")),
            INVALID_STATE,
        ),
        bad_answer("no code", replaced("code", None), "it has no code"),
        bad_answer("an empty code", replaced("code", Some("")), INVALID_CODE),
        bad_answer(
            "a code with a line end",
            replaced("code", Some("a\r\nb")),
            INVALID_CODE,
        ),
        bad_answer(
            "a code that is too long",
            replaced("code", Some(long)),
            INVALID_CODE,
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn a_response_of_another_issuer_is_refused_without_redeeming_the_code() {
    const OTHER_ISSUER: &str = "it comes from another issuer";
    let evil = || replaced("iss", Some("https://evil.test"));
    let bad_answer = |what, change, logged_error| {
        row(what, change, Cause::InvalidProviderResponse, logged_error)
    };
    let rows = vec![
        bad_answer("another issuer", evil(), OTHER_ISSUER),
        bad_answer("an empty issuer", replaced("iss", Some("")), OTHER_ISSUER),
        bad_answer(
            "no issuer although the metadata announces it",
            replaced("iss", None),
            "it has no iss",
        ),
        row_with(
            "another issuer although the metadata announces none",
            move |provider| {
                provider.set(|settings| settings.sends_iss = false);
                provider.misbehave(evil());
            },
            Cause::InvalidProviderResponse,
            OTHER_ISSUER,
        ),
        row_with(
            "another issuer's refusal",
            move |provider| {
                provider.misbehave(error_instead_of_code("access_denied"));
                provider.misbehave(evil());
            },
            Cause::InvalidProviderResponse,
            OTHER_ISSUER,
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_error_has_a_page_for_the_person_and_its_code_in_the_log() {
    let rows = vec![
        row(
            "declined by the person",
            error_instead_of_code("access_denied"),
            Cause::LoginDeclined,
            "access_denied",
        ),
        row(
            "nobody is signed in at the provider",
            error_instead_of_code("login_required"),
            Cause::LoginDeclined,
            "login_required",
        ),
        row(
            "interaction is required",
            error_instead_of_code("interaction_required"),
            Cause::LoginDeclined,
            "interaction_required",
        ),
        row(
            "a server error",
            error_instead_of_code("server_error"),
            Cause::ProviderBusy,
            "server_error",
        ),
        row(
            "temporarily unavailable",
            error_instead_of_code("temporarily_unavailable"),
            Cause::ProviderBusy,
            "temporarily_unavailable",
        ),
        row(
            "an unknown scope",
            error_instead_of_code("invalid_scope"),
            Cause::ProviderMisconfigured,
            "invalid_scope",
        ),
        row(
            "an unauthorized client",
            error_instead_of_code("unauthorized_client"),
            Cause::ProviderMisconfigured,
            "unauthorized_client",
        ),
        row(
            "an unknown error code",
            error_instead_of_code("out_of_cheese"),
            Cause::ProviderMisconfigured,
            "out_of_cheese",
        ),
        row(
            "an error code with a line end",
            error_instead_of_code("\r\nX-Evil: 1"),
            Cause::InvalidProviderResponse,
            "error",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}
