//! No login redirects to a page of menshen itself, whatever spelling the return address uses: browsers
//! normalize URLs, and servers parse them again.

use serde_json::json;
use url::Url;

use super::percent_encoded;
use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::logging_in::WECOM_PHONE_APP;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};

/// Spellings of a path that a browser or a server normalizes to the page.
const SPELLINGS: &[&str] = &[
    "{page}",
    "{page}?x=1",
    "{page}#x",
    "/x/..{page}",
    "/x/../y/../..{page}",
    "/.{page}",
    "/./.{page}",
    "/..{page}",
    "/../..{page}",
    "/%2e{page}",
    "/%2E{page}",
    "/x/%2e%2e{page}",
    "/x/%2E%2e{page}",
    "/x/.%2e{page}",
    "/x/%2e.{page}",
    "/x/%252e%252e{page}",
    "/x/..;{page}",
    "/x/..;a=b{page}",
    "/x/..%2f..{page}",
    "/x%2f..{page}",
    "/x\\..{page}",
    "/x/..\\{page}",
    "/\t.{page}",
    "/x/.\n.{page}",
    "/x/.\t./..{page}",
    "/.\t/{page}",
    "{page};x",
    "{page}/..{page}",
    "/x/..{page}/../..{page}",
];

/// Spellings of a page that change its last segment.
fn last_segment_spellings(page: &str) -> Vec<String> {
    let at = page.rfind('/').unwrap() + 1;
    let (folder, name) = page.split_at(at);
    let first = name.as_bytes()[0];
    let escaped = format!("{folder}%{first:02x}{}", &name[1..]);
    let escaped_twice = escaped.replace('%', "%25");
    let (parent, last) = (&folder[..at - 1], name);
    let mut spellings = vec![escaped, escaped_twice];
    if !parent.is_empty() {
        spellings.push(format!("{parent}%2f{last}"));
        spellings.push(format!("{parent}%5c{last}"));
        spellings.push(format!("{parent}//{last}"));
        spellings.push(format!("{parent};x/{last}"));
        spellings.push(format!("{parent}/x/../{last}"));
        spellings.push(format!("{parent}/./{last}"));
    }
    spellings
}

fn all_spellings(page: &str) -> Vec<String> {
    let spellings = SPELLINGS
        .iter()
        .map(|spelling| spelling.replace("{page}", page));
    spellings.chain(last_segment_spellings(page)).collect()
}

/// The path of a URL as a server may parse it.
fn path_at_server(url: &str) -> String {
    let mut path = Url::parse(url).unwrap().path().to_owned();
    for _ in 0..2 {
        let decoded = percent_encoding::percent_decode_str(&path);
        path = decoded.decode_utf8_lossy().replace('\\', "/");
        let without_parameters: Vec<_> = path
            .split('/')
            .map(|segment| segment.split(';').next().unwrap_or_default())
            .collect();
        let normalized = Url::parse(&format!("http://x{}", without_parameters.join("/"))).unwrap();
        path = normalized.path().to_owned();
        while path.contains("//") {
            path = path.replace("//", "/");
        }
    }
    path
}

fn assert_is_no_menshen_page(url: &str, prefix: &str, rd: &str) {
    let path = path_at_server(url);
    let is_own_path = path == prefix || path.starts_with(&format!("{prefix}/"));
    let is_exact_path = ["/ping", "/ready", "/WW_verify_abc.txt"].contains(&path.as_str());
    assert!(!is_own_path && !is_exact_path, "{rd} leads to {url}");
}

/// Every own page with this prefix.
fn pages(prefix: &str) -> Vec<String> {
    let mut pages: Vec<_> = ["sign_out", "start", "ticket"]
        .iter()
        .map(|page| format!("{prefix}/{page}"))
        .collect();
    pages.push("/WW_verify_abc.txt".to_owned());
    if prefix == "/oauth2" {
        pages.extend(["/ping", "/ready"].map(str::to_owned));
    }
    pages
}

async fn start_menshen(prefix: &str) -> Menshen {
    let server = format!(
        "prefix = \"{prefix}\"\nfiles = {{ \"/WW_verify_abc.txt\" = \"abc\" }}\n{TRUST_LOOPBACK}"
    );
    Setup::default()
        .server(&server)
        .tables(NO_LOGIN_LIMITS)
        .start()
        .await
}

#[tokio::test]
async fn no_login_redirects_to_an_own_page_however_it_is_spelled() {
    for prefix in ["/.menshen", "/oauth2"] {
        let menshen = start_menshen(prefix).await;
        for rd in pages(prefix).iter().flat_map(|page| all_spellings(page)) {
            for origin in [
                String::new(),
                SSO_URL.to_owned(),
                "http://oa.test".to_owned(),
            ] {
                let rd = format!("{origin}{rd}");
                let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
                let start = format!("{SSO_URL}{prefix}/start?rd={}", percent_encoded(&rd));
                let page = phone.follow(&start).await;
                assert_is_no_menshen_page(&page.url, prefix, &rd);
                assert!(phone.cookie("menshen").is_some(), "{rd}: the session ends");
            }
        }
    }
}

#[tokio::test]
async fn no_own_path_accepts_an_own_page_as_return_address() {
    let prefix = "/.menshen";
    let menshen = start_menshen(prefix).await;
    let mut signed_in = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    signed_in.follow(&format!("{SSO_URL}/x")).await;
    for rd in pages(prefix).iter().flat_map(|page| all_spellings(page)) {
        let encoded_rd = percent_encoded(&rd);
        // These pages have links with the return address.
        for (page, part) in [("sign_in", "/start?"), ("sign_out", "/sign_in")] {
            let answer = Browser::new(&menshen)
                .visit(&format!("{SSO_URL}{prefix}/{page}?rd={encoded_rd}"))
                .await;
            let link = crate::browser::href(&answer.text(), part).unwrap_or_default();
            assert!(!link.contains("rd="), "{page} {rd}: {link}");
        }
        // A signed-in person is redirected at once.
        let answer = signed_in
            .clone()
            .visit(&format!("{SSO_URL}{prefix}/start?rd={encoded_rd}"))
            .await;
        if let Some(to) = answer.header("location") {
            let to = Url::parse(SSO_URL).unwrap().join(to).unwrap();
            assert_is_no_menshen_page(to.as_str(), prefix, &rd);
        }
        // A proxy can send the return address in a header, which cannot contain a tab or
        // backslash.
        if rd.bytes().all(|byte| byte.is_ascii_graphic()) {
            let mut headers = crate::browser::navigation_headers().to_vec();
            headers.push(("X-Auth-Request-Redirect", &rd));
            let start = format!("{SSO_URL}{prefix}/sign_in");
            let answer = Browser::new(&menshen)
                .send("GET", &start, &headers, b"")
                .await;
            let link = crate::browser::href(&answer.text(), "/start?").unwrap_or_default();
            assert!(!link.contains("rd="), "header {rd}: {link}");
        }
    }
}

#[tokio::test]
async fn a_custom_front_end_gets_no_own_page_as_return_address() {
    let prefix = "/.menshen";
    let menshen = start_menshen(prefix).await;
    for rd in all_spellings("/.menshen/sign_out") {
        let mut browser = Browser::new(&menshen);
        let url = format!(
            "{SSO_URL}{prefix}/login-config/corp?rd={}",
            percent_encoded(&rd)
        );
        let config = browser.send("GET", &url, &[], b"").await.json();
        let code = menshen.wecom.issue_code("lisi", "sso.test");
        let body = json!({ "code": code, "state": config["state"] }).to_string();
        let headers = [("Origin", SSO_URL), ("Content-Type", "application/json")];
        let answer = browser
            .send(
                "POST",
                &format!("{SSO_URL}{prefix}/login/corp"),
                &headers,
                body.as_bytes(),
            )
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let to = answer.json()["return_to"].as_str().unwrap().to_owned();
        let to = Url::parse(SSO_URL).unwrap().join(&to).unwrap();
        assert_is_no_menshen_page(to.as_str(), prefix, &rd);
    }
}

#[tokio::test]
async fn a_path_with_dots_is_reached_as_a_browser_resolves_it() {
    let menshen = start_menshen("/.menshen").await;
    for (rd, expected) in [
        ("/x/../echo?a=/../b", "/echo?a=/../b"),
        ("/x/%2e%2e/echo", "/echo"),
        ("/./echo#/../x", "/echo#/../x"),
        ("/.menshen/../echo", "/echo"),
        ("/.menshenx/../echo", "/echo"),
        ("/echo/...", "/echo/..."),
        ("http://oa.test/x/../echo", "http://oa.test/echo"),
    ] {
        let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
        let start = format!("{SSO_URL}/.menshen/start?rd={}", percent_encoded(rd));
        let page = phone.follow(&start).await;
        let expected = Url::parse(SSO_URL).unwrap().join(expected).unwrap();
        assert_eq!(page.url, expected.as_str(), "{rd}");
    }
}
