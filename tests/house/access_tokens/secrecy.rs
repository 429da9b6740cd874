//! The value of a token is on the page that made it, and nowhere else.

use super::*;
use crate::records::Records;
use crate::stores::TempDir;

#[tokio::test]
async fn a_token_is_in_no_log_no_store_and_on_no_second_page() {
    let log = Records::process_log();
    let dir = TempDir::new();
    let setup = Setup::default().store(&dir.url()).access_log();
    let (menshen, _mirror) = start_with(setup).await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let second_page = browser.visit(&tokens_page()).await;
    assert!(!second_page.text().contains(&token[4..]));
    assert_eq!(second_page.text().matches("mst_").count(), 0);
    for (path, authorization) in [
        ("/git/x", basic("lisi", &token)),
        ("/git/x", format!("Bearer {token}")),
        ("/git/x", basic("zhangsan", &token)),
        ("/git/x", basic(&token, "")),
        ("/git/x", format!("Token {token}")),
        ("/recent/x", basic("", &token)),
        ("/app", basic("", &token)),
    ] {
        let answer = send(&menshen, path, &authorization).await;
        assert!(!answer.text().contains(&token[4..]), "{path}");
    }
    let services = menshen.running.live().services();
    services.telemetry.flush();
    let shown = format!("{:?} {:?}", menshen.running.live().site(), services);
    let encoded = STANDARD.encode(format!("lisi:{token}"));
    for secret in [&token[4..], &encoded] {
        for text in [menshen.records.text(), log.text(), shown.clone()] {
            assert!(!text.contains(secret));
        }
    }
    drop(menshen);
    let mut files = 0;
    for entry in std::fs::read_dir(dir.file().parent().unwrap()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let secret = &token.as_bytes()[4..];
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        files += 1;
    }
    assert!(files > 0);
}

#[tokio::test]
async fn no_spelling_of_a_token_reaches_an_application_or_an_expression() {
    let mirror = Mirror::start().await;
    let copies = "[[route]]\nname = 'copies'\nhost = 'sso.test'\npath = '/copies'\n\
                  upstream = ['{mirror}']\n[route.headers]\n\
                  X-Copy = 'request.headers[\"authorization\"]'\n";
    let routes = format!("{ROUTES}{copies}").replace("{mirror}", &mirror.base_url());
    let setup = setup_with(Setup::default(), &mirror).routes(&routes);
    let menshen = setup.start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let cookie = session_cookie_of_page(&browser);
    let plain = basic("lisi", &token);
    let url_safe = basic("\u{43f}\u{43f}>?", &token)
        .replace('+', "-")
        .replace('/', "_");
    for authorization in [
        plain.clone(),
        format!("Bearer {token}"),
        basic(&"l".repeat(600), &token),
        url_safe,
        basic("a:b", &token),
        format!("{} {}", &plain[..13], &plain[13..]),
        format!("{},Bearer {token}", basic("proxy", "secret")),
        format!("{}, {plain}", basic("proxy", "secret")),
        format!("Custom key=\"{token}\""),
    ] {
        for path in ["/app", "/public/x", "/copies/x"] {
            let request = program(path, &authorization).session(&cookie);
            let answer = request.send(&menshen).await;
            assert_eq!(answer.status, 200, "{path} {authorization}");
            for name in ["authorization", "x-copy"] {
                let received = received_values(&answer, name);
                assert!(received.is_empty(), "{path} {authorization}: {received:?}");
            }
        }
        let plain_or_bearer = authorization == plain || authorization == format!("Bearer {token}");
        let expected = if plain_or_bearer { 200 } else { 401 };
        let answer = send(&menshen, "/git/x", &authorization).await;
        assert_eq!(answer.status, expected, "{authorization}");
    }
    // Other credentials are copied and sent on.
    let own = basic("lisi", "mst_secret of the application");
    let request = program("/copies/x", &own).session(&cookie);
    let answer = request.send(&menshen).await;
    for name in ["authorization", "x-copy"] {
        assert_eq!(received_values(&answer, name), std::slice::from_ref(&own));
    }
}
