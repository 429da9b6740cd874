//! No response, key or relay state is logged, shown or stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encryption::Encryption;
use super::idp::{BOTH, Idp};
use super::keys;
use super::logout_message::LogoutMessage;
use super::signer::{Signer, bent, honest, named_text};
use super::{Attempt, LOGOUT, new_browser, setup};
use crate::records::Records;
use crate::stores::TempDir;

/// The base64 text of a private key without its frame.
fn inside(pem: &str) -> String {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    lines.take(2).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn no_response_or_key_is_logged_shown_or_stored() {
    let log = Records::process_log();
    let idp = Idp::start().await;
    let dir = TempDir::new();
    let setup = setup(&idp, "").store(&dir.url()).access_log();
    let menshen = setup.start().await;
    let mut pages = Vec::new();
    let mut hidden = vec![inside(&keys::own().private_pem)];
    idp.state().signed = BOTH;
    for encryption in [None, Some(Encryption::default())] {
        idp.state().encryption = encryption;
        let changes: [fn(&str) -> String; 5] = [
            |it| it.to_owned(),
            |it| bent(it, "urn:oasis:names:tc:SAML:2.0:status:Success", "urn:x"),
            |it| format!("<!DOCTYPE x>{it}"),
            |it| bent(it, " Destination=", " X=\"1\" Destination="),
            |it| format!("{it}{it}"),
        ];
        for change in changes {
            let mut attempt = Attempt::begin(&menshen, &idp).await;
            let document = idp.write(&idp.response_to(&attempt.request));
            let signature = named_text(&document, "ds:SignatureValue");
            hidden.push(signature[20..80].to_owned());
            let sent = change(&document);
            hidden.push(STANDARD.encode(&sent)[400..500].to_owned());
            pages.push(attempt.answer(&sent).await.answer.text());
            if let Some(session) = attempt.browser.cookie("__Host-menshen") {
                hidden.push(session.value.clone());
            }
        }
    }
    let (name, index) = (
        "p-zhangsan",
        idp.state().sessions.last().map(|it| it.0.clone()),
    );
    let message = LogoutMessage::request(name, index.as_deref(), idp.clock.now());
    for signer in [Signer::with(keys::stranger()), honest()] {
        let query = message.signed_query(&signer, Some("state"));
        hidden.push(query[query.len() - 100..].to_owned());
        let answer = new_browser(&menshen)
            .visit(&format!("{LOGOUT}?{query}"))
            .await;
        pages.push(answer.text());
    }
    menshen.audit();
    let stored: Vec<u8> = std::fs::read_dir(dir.file().parent().unwrap())
        .unwrap()
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    let stored = String::from_utf8_lossy(&stored).into_owned();
    assert!(stored.contains("zhangsan"), "the store was written");
    let site_debug = format!("{:?}", menshen.running.live().site());
    for (name, text) in [
        ("records", menshen.records.text()),
        ("log", log.text()),
        ("pages", pages.concat()),
        ("debug", site_debug),
        ("store", stored),
    ] {
        for secret in &hidden {
            assert!(!text.contains(secret.as_str()), "{secret} in {name}");
        }
    }
}
