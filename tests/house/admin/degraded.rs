//! Probes learn that something is degraded, and only administrators learn why in the words of the system.

use super::tokens::{OPERATOR, VIEWER, setup_with_tokens, with_token};
use super::{TOKEN, send_request};
use crate::setup::{Menshen, Setup};

const READY: (&str, &str, &str) = ("GET", "/readyz", "");
const REFUSED: &str = "the last reload was refused";

/// A site whose last reload named a file that is not there.
async fn refused_reload(setup: Setup) -> Menshen {
    let menshen = setup.clone().start().await;
    let keys = "keys = [{ file = \"/nonexistent/session.key\" }]";
    let error = menshen.reload(&setup.session(keys)).await;
    assert!(error.unwrap_err().contains("session.key"));
    menshen
}

#[tokio::test]
async fn a_probe_without_a_token_learns_no_path_of_a_refused_reload() {
    let menshen = refused_reload(setup_with_tokens()).await;
    for headers in ["", "Authorization: Bearer a-guess\r\n"] {
        let ready = send_request(&menshen, "GET", "/readyz", headers, "").await;
        assert_eq!(ready.status, 200, "{headers}");
        let text = ready.text();
        assert!(text.contains(REFUSED), "{text}");
        assert!(
            !text.contains("session.key") && !text.contains("nonexistent"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_admin_token_learns_why_a_reload_was_refused() {
    let menshen = refused_reload(setup_with_tokens()).await;
    for token in [OPERATOR, VIEWER] {
        let ready = with_token(&menshen, token, READY).await;
        let text = ready.text();
        assert!(
            text.contains(REFUSED) && text.contains("session.key"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn probes_guess_no_token_without_the_limit() {
    let setup = Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         wrong_tokens_per_client_per_minute = 3\n"
    ));
    let menshen = refused_reload(setup).await;
    for number in 0..20 {
        let guess = format!("Authorization: Bearer guess-{number}\r\n");
        let ready = send_request(&menshen, "GET", "/readyz", &guess, "").await;
        assert_eq!(ready.status, 200);
    }
    let text = with_token(&menshen, TOKEN, READY).await.text();
    assert!(!text.contains("session.key"), "{text}");
    // A probe without a token is still answered.
    let ready = send_request(&menshen, "GET", "/readyz", "", "").await;
    assert_eq!(ready.status, 200);
}
