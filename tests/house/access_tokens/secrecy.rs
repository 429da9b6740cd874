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
