//! `[pages]`: the pages for people are the company's, in both languages.

use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::upstream::TempFolder;

mod documented;
mod logo;
mod names;
mod refused;
mod request_id;
mod signed_in;

/// A small logo.
const SVG: &str =
    r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z"/></svg>"#;

/// Lines of `[pages]` with everything.
fn everything(folder: &TempFolder) -> String {
    let logo = folder.write("logo.svg", SVG);
    format!(
        r##"
        [pages]
        name = {{ zh = "示例公司", en = "Example <Ltd>" }}
        logo = "{}"
        color = "#0b57d0"
        background = "plain"
        help = {{ zh = "IT 服务台，内线 8000", en = "https://it.corp.example/help" }}
        footer = {{ zh = "示例公司 © 版权所有", en = "© Example Ltd" }}
        "##,
        logo.display()
    )
}

/// The page at a URL for a browser in this language.
async fn page(menshen: &Menshen, language: &str, url: &str) -> String {
    let mut browser = Browser::new(menshen);
    let language = ("Accept-Language".to_owned(), language.to_owned());
    browser.extra_headers.push(language);
    browser.visit(url).await.text()
}

#[tokio::test]
async fn every_page_shows_the_company_in_the_language_of_the_browser() {
    let folder = TempFolder::new();
    let menshen = Setup::default().tables(&everything(&folder)).start().await;
    for path in ["/sign_in", "/sign_out", "/nothing-here"] {
        let url = format!("{OWN_PAGES}{path}");
        let chinese = page(&menshen, "zh-CN", &url).await;
        for part in [
            " · 示例公司</title>",
            "<strong>示例公司</strong>",
            "需要帮助？<bdi>IT 服务台，内线 8000</bdi>",
            "示例公司 © 版权所有",
            r#"<body class="plain">"#,
            r#"<img class="logo" src="/.menshen/logo?v="#,
            "--accent:#0b57d0;",
        ] {
            assert!(chinese.contains(part), "{path} {part}: {chinese}");
        }
        let english = page(&menshen, "en", &url).await;
        for part in [
            "Example &#60;Ltd&#62;</strong>",
            r#"<a href="https://it.corp.example/help">it.corp.example/help</a>"#,
            "© Example Ltd",
        ] {
            assert!(english.contains(part), "{path} {part}: {english}");
        }
        assert!(!english.contains("示例"), "{english}");
    }
}

#[tokio::test]
async fn a_page_without_settings_shows_the_doors_of_menshen_and_the_host() {
    let menshen = Menshen::new().await;
    let html = page(&menshen, "zh-CN", &format!("{OWN_PAGES}/sign_in")).await;
    assert!(html.contains("class=\"mark\"") && html.contains("<body>"));
    assert!(html.contains("sso.test</title>"), "{html}");
    for absent in ["<img", "<strong>", "需要帮助", "class=\"plain\""] {
        assert!(!html.contains(absent), "{absent}: {html}");
    }
}

#[tokio::test]
async fn a_page_with_a_color_allows_both_style_sheets_and_no_other() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let folder = TempFolder::new();
    let menshen = Setup::default().tables(&everything(&folder)).start().await;
    let url = format!("{OWN_PAGES}/sign_in");
    let answer = Browser::new(&menshen).visit(&url).await;
    let html = answer.text();
    let sheets: Vec<_> = html.split("<style>").skip(1).collect();
    assert_eq!(sheets.len(), 2);
    let policy = answer.header("content-security-policy").unwrap();
    for sheet in sheets {
        let css = sheet.split("</style>").next().unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, css.as_bytes());
        let hash = format!("'sha256-{}'", STANDARD.encode(digest));
        assert!(policy.contains(&hash), "{policy}");
    }
    assert_eq!(policy.matches("sha256-").count(), 2, "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[tokio::test]
async fn an_error_page_of_an_application_shows_the_company_too() {
    let routes = r#"
        [[route]]
        name = "down"
        host = "sso.test"
        access = "public"
        upstream = ["http://127.0.0.1:1"]
    "#;
    let tables = "[pages]\nname = \"示例公司\"\nhelp = \"mailto:it@corp.example\"\n";
    let menshen = Setup::default().tables(tables).routes(routes).start().await;
    let html = page(&menshen, "zh-CN", &format!("{SSO_URL}/x")).await;
    assert!(html.contains("应用暂时无法访问"), "{html}");
    assert!(html.contains("<strong>示例公司</strong>"), "{html}");
    let mail = r#"<a href="mailto:it@corp.example">it@corp.example</a>"#;
    assert!(html.contains(mail), "{html}");
}

#[tokio::test]
async fn a_reload_changes_the_company() {
    let menshen = Menshen::new().await;
    let url = format!("{OWN_PAGES}/sign_in");
    assert!(!page(&menshen, "en", &url).await.contains("Example Ltd"));
    let setup = Setup::default().tables("[pages]\nname = \"Example Ltd\"\n");
    menshen.reload(&setup).await.unwrap();
    assert!(page(&menshen, "en", &url).await.contains("Example Ltd"));
}
