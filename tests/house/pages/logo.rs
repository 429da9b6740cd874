//! The file of the logo: served to everybody, without a script, and read again with the configuration.

use super::SVG;
use crate::browser::{Browser, href};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;
use crate::upstream::TempFolder;
use crate::wire::Answer;

/// The head of a PNG file of 2 × 2 pixels.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x02\x08\x06\0\0\0";

fn setup(folder: &TempFolder, name: &str, content: &[u8]) -> Setup {
    std::fs::write(folder.path(name), content).unwrap();
    let logo = folder.path(name);
    Setup::default().tables(&format!("[pages]\nlogo = \"{}\"\n", logo.display()))
}

async fn logo(menshen: &Menshen) -> Answer {
    TestRequest::get("/.menshen/logo").send(menshen).await
}

#[tokio::test]
async fn everybody_gets_the_logo_and_no_browser_runs_anything_in_it() {
    let folder = TempFolder::new();
    for (name, content, content_type) in [
        ("logo.svg", SVG.as_bytes(), "image/svg+xml"),
        ("logo.png", PNG, "image/png"),
        // The content decides, not the name.
        ("other.png", SVG.as_bytes(), "image/svg+xml"),
    ] {
        let menshen = setup(&folder, name, content).start().await;
        let answer = logo(&menshen).await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, content),
            "{name}"
        );
        assert_eq!(answer.header("content-type"), Some(content_type), "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("set-cookie"), None);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("sandbox; default-src 'none';"),
            "{policy}"
        );
        assert!(!policy.contains("script"), "{policy}");
        let head = TestRequest::get("/.menshen/logo").method("HEAD");
        let head = head.send(&menshen).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{name}");
        let post = TestRequest::get("/.menshen/logo").method("POST");
        assert_eq!(post.send(&menshen).await.status, 405, "{name}");
    }
}

#[tokio::test]
async fn without_a_logo_its_path_is_empty() {
    let menshen = Menshen::new().await;
    assert_eq!(logo(&menshen).await.status, 404);
}

#[tokio::test]
async fn a_reload_reads_a_new_logo_and_its_address_changes() {
    let folder = TempFolder::new();
    let setup = setup(&folder, "logo.svg", SVG.as_bytes());
    let menshen = setup.clone().start().await;
    let address = async || {
        let url = format!("{OWN_PAGES}/sign_in");
        let page = Browser::new(&menshen).visit(&url).await;
        href(&page.text(), "/.menshen/logo").unwrap()
    };
    let before = address().await;
    std::fs::write(folder.path("logo.svg"), PNG).unwrap();
    menshen.reload(&setup).await.unwrap();
    assert_ne!(address().await, before);
    assert_eq!(logo(&menshen).await.body, PNG);
    // A file that is no logo leaves the old one in force.
    std::fs::write(folder.path("logo.svg"), "no logo").unwrap();
    let refused = menshen.reload(&setup).await.unwrap_err();
    assert!(refused.contains("logo"), "{refused}");
    assert_eq!(logo(&menshen).await.body, PNG);
}
