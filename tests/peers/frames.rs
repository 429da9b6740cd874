//! An application in a frame of another site, in a real Chromium with and without third-party
//! cookies.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use menshen::clock::Clock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::demo::sign_in_as;
use super::processes::TempDir;
use super::setup::Menshen;
use super::webdriver::{Browser, BrowserOptions};
use super::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};

/// The button of the sign-in page inside the frame.
const SIGN_IN: &str = "main a.primary";
/// The consent button in the tab.
const AGREE: &str = "form.actions button";

/// menshen with its own TLS, an application, and a portal on another site.
struct Stage {
    menshen: Menshen,
    port: u16,
    _wecom: WeCom,
    _accepting: JoinSet<()>,
}

impl Stage {
    async fn start() -> Self {
        Self::with("").await
    }

    /// Starts with further lines of `[session]`; `{port}` is menshen's port.
    async fn with(session: &str) -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let application = listener.local_addr().unwrap();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener));
        let menshen = Menshen::built(Clock::system(), |url, dir| {
            let port = url.rsplit(':').next().unwrap();
            wecom.set_agent_domains(AGENT_ID, &[&format!("sso.corp.example:{port}")]);
            let session = session.replace("{port}", port);
            configuration(&wecom, dir, port, application).replace("{session}", &session)
        })
        .await;
        let port = menshen.url.rsplit(':').next().unwrap().parse().unwrap();
        Self {
            menshen,
            port,
            _wecom: wecom,
            _accepting: accepting,
        }
    }

    fn at(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }

    /// The URL of a portal page with the application in a frame.
    fn portal(&self, framed: &str) -> String {
        let framed = framed.replace('#', "%23");
        self.at("www.portal.example", &format!("/portal?{framed}"))
    }
}

fn configuration(wecom: &WeCom, dir: &TempDir, port: &str, application: SocketAddr) -> String {
    let names = ["*.corp.example", "*.portal.example"];
    let made = rcgen::generate_simple_self_signed(names.map(str::to_owned)).unwrap();
    let certificate = dir.write("tls.pem", &made.cert.pem());
    let key = dir.write("tls.key", &made.signing_key.serialize_pem());
    let (api, authorize, login) = (wecom.base_url(), wecom.authorize_url(), wecom.login_url());
    format!(
        r#"
        [server]
        listen = ["127.0.0.1:{port}"]
        external_url = "https://sso.corp.example:{port}"
        [server.tls]
        certificate = "{certificate}"
        key = "{key}"
        [session]
        cookie_same_site = "none"
        {{session}}
        [log]
        access = false
        [store]
        url = "sqlite://{dir}/menshen.db"
        [connector.corp]
        display_name = "企业微信（模拟）"
        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"
        [[route]]
        name = "staff"
        host = "hr.corp.example"
        upstream = ["http://{application}"]
        public_paths = ["/public.webmanifest"]
        [[route]]
        name = "office"
        host = "oa.corp.example"
        upstream = ["http://{application}"]
        [[route]]
        name = "portal"
        host = "*.portal.example"
        access = "public"
        upstream = ["http://{application}"]
        "#,
        certificate = certificate.display(),
        key = key.display(),
        dir = dir.path().display(),
    )
}

async fn accept(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(async move {
            // A connection error does not concern the application.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(serve))
                .await;
        });
    }
}

/// `/portal?URL` frames that URL and keeps every message it receives. Other paths show the user,
/// and whether an ordinary cookie came back.
async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = |name: &str| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let user = text("x-forwarded-user").unwrap_or_else(|| "nobody".to_owned());
    let path = request.uri().path();
    let (kind, body) = match path {
        "/portal" => (
            "text/html",
            format!(
                "<!doctype html><title>portal</title>
                <script>window.heard = []; onmessage = (m) => heard.push(m.data)</script>
                <iframe src=\"{}\" width=\"900\" height=\"600\"></iframe>",
                request
                    .uri()
                    .query()
                    .unwrap_or_default()
                    .replace("%23", "#")
            ),
        ),
        _ if path.ends_with(".webmanifest") => (
            "application/manifest+json",
            json!({ "name": user }).to_string(),
        ),
        _ => {
            let cookies = text(COOKIE.as_str()).unwrap_or_default();
            let manifest = request.uri().query().unwrap_or_default();
            (
                "text/html",
                format!(
                    "<!doctype html><title>application</title>{}
                    <p data-user>{user}</p><p data-plain>{}</p>",
                    manifest_link(manifest),
                    cookies.contains("plain=1")
                ),
            )
        }
    };
    let answer = Response::builder()
        .header(CONTENT_TYPE, kind)
        .header(SET_COOKIE, "plain=1; Path=/; Secure; SameSite=None")
        .body(Full::new(body.into()));
    Ok(answer.unwrap())
}

/// `m=URL` links a manifest, `c=URL` one that is fetched with cookies.
fn manifest_link(query: &str) -> String {
    match query.split_once('=') {
        Some(("m", at)) => format!("<link rel=\"manifest\" href=\"{at}\">"),
        Some(("c", at)) => {
            format!("<link rel=\"manifest\" href=\"{at}\" crossorigin=\"use-credentials\">")
        }
        _ => String::new(),
    }
}

async fn browser(third_party_cookies: bool) -> Browser {
    let person = BrowserOptions {
        accepts_any_certificate: true,
        third_party_cookies: Some(third_party_cookies),
        ..BrowserOptions::default()
    };
    Browser::start(&person).await
}

/// Presses the button in the frame and switches to the tab that opens.
async fn to_the_tab(browser: &Browser, portal: &str) {
    browser.enter_frame("iframe").await;
    browser.click(SIGN_IN).await;
    browser
        .until("a new tab", async || browser.tabs().await.len() == 2)
        .await;
    let tabs = browser.tabs().await;
    let tab = tabs.iter().find(|tab| *tab != portal).unwrap();
    browser.switch(tab).await;
}

/// Waits until the tab has closed itself and the frame shows this person.
async fn is_in_the_frame(browser: &Browser, portal: &str, user: &str) {
    browser
        .until_quietly("the tab closes", async || browser.tabs().await == [portal])
        .await;
    browser.switch(portal).await;
    browser.enter_frame("iframe").await;
    let shown = async || browser.text_of("[data-user]").await.as_deref() == Some(user);
    browser.until(user, shown).await;
}

async fn signs_the_frame_in(third_party_cookies: bool) {
    let (stage, browser) = (Stage::start().await, browser(third_party_cookies).await);
    let portal = browser.tab().await;
    for (host, known) in [("oa.corp.example", false), ("hr.corp.example", true)] {
        let framed = stage.at(host, "/report?year=2026#part");
        browser.open(&stage.portal(&framed)).await;
        to_the_tab(&browser, &portal).await;
        if !known {
            sign_in_as(&browser, "zhangsan").await;
        }
        browser.click(AGREE).await;
        is_in_the_frame(&browser, &portal, "zhangsan").await;
        let at = browser.script("return location.href", json!([])).await;
        assert_eq!(at, framed.as_str(), "the fragment, too");
        // A reload shows the same person.
        browser.open(&stage.portal(&framed)).await;
        browser.enter_frame("iframe").await;
        assert_eq!(
            browser.text_of("[data-user]").await.as_deref(),
            Some("zhangsan")
        );
        let kept = browser.text_of("[data-plain]").await;
        let kept_at_all = third_party_cookies.to_string();
        assert_eq!(kept, Some(kept_at_all), "the browser is set as meant");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_in_a_tab_signs_the_frame_in() {
    signs_the_frame_in(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_in_a_tab_signs_the_frame_in_without_third_party_cookies() {
    signs_the_frame_in(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pressing_the_button_again_recovers_a_lost_opener() {
    let (stage, browser) = (Stage::start().await, browser(false).await);
    let portal = browser.tab().await;
    let framed = stage.at("oa.corp.example", "/report");
    browser.open(&stage.portal(&framed)).await;
    to_the_tab(&browser, &portal).await;
    sign_in_as(&browser, "zhangsan").await;
    browser
        .until("the question", async || browser.has(AGREE).await)
        .await;
    // A login page with `Cross-Origin-Opener-Policy: same-origin` has this effect.
    browser.script("window.opener = null", json!([])).await;
    browser.click(AGREE).await;
    browser.reads("请返回刚才的页面").await;
    assert!(browser.has(&format!("main a[href='{framed}']")).await);
    browser.close_tab().await;
    browser.switch(&portal).await;
    to_the_tab(&browser, &portal).await;
    // No further login is needed.
    browser.click(AGREE).await;
    is_in_the_frame(&browser, &portal, "zhangsan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cross_site_opener_receives_no_message() {
    let (stage, browser) = (Stage::start().await, browser(true).await);
    let evil = browser.tab().await;
    let framed = stage.at("oa.corp.example", "/report");
    browser.open(&stage.portal(&framed)).await;
    browser.enter_frame("iframe").await;
    let link = "return document.querySelector('main a.primary').href";
    let link = browser.script(link, json!([])).await;
    browser.leave_frames().await;
    let open = "window.open(arguments[0])";
    browser.script(open, json!([link])).await;
    browser
        .until("a new tab", async || browser.tabs().await.len() == 2)
        .await;
    let tabs = browser.tabs().await;
    let tab = tabs.iter().find(|tab| **tab != evil).unwrap();
    browser.switch(tab).await;
    sign_in_as(&browser, "zhangsan").await;
    browser.click(AGREE).await;
    browser.reads("请返回刚才的页面").await;
    // Messages arrive in order, so a message of the page would have arrived before this one.
    let after = "window.opener.postMessage('after', '*')";
    browser.script(after, json!([])).await;
    browser.switch(&evil).await;
    let heard = async || browser.script("return window.heard", json!([])).await;
    browser
        .until("the later message", async || heard().await != json!([]))
        .await;
    assert_eq!(heard().await, json!(["after"]));
    browser.enter_frame("iframe").await;
    assert!(browser.has(SIGN_IN).await, "and nobody is in the frame");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_configured_ancestor_may_frame_the_sign_in_page() {
    let named = "frame_ancestors = [\"https://www.portal.example:{port}\"]";
    let (stage, browser) = (Stage::with(named).await, browser(false).await);
    let framed = stage.at("oa.corp.example", "/report");
    browser
        .open(&stage.portal(&framed).replace("www.", "evil."))
        .await;
    browser.enter_frame("iframe").await;
    let at = browser.script("return location.protocol", json!([])).await;
    assert_eq!(at, "chrome-error:");
    browser.open(&stage.portal(&framed)).await;
    let portal = browser.tab().await;
    to_the_tab(&browser, &portal).await;
    sign_in_as(&browser, "zhangsan").await;
    browser.click(AGREE).await;
    is_in_the_frame(&browser, &portal, "zhangsan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_fetched_without_cookies_and_with_them() {
    let (stage, browser) = (Stage::start().await, browser(true).await);
    let home = |query: &str| stage.at("hr.corp.example", &format!("/?{query}"));
    browser.open(&home("")).await;
    sign_in_as(&browser, "zhangsan").await;
    browser
        .until("the application", async || {
            browser.text_of("[data-user]").await.as_deref() == Some("zhangsan")
        })
        .await;
    for (link, name) in [
        ("m=/public.webmanifest", Some("nobody")),
        ("c=/public.webmanifest", Some("zhangsan")),
        ("c=/private.webmanifest", Some("zhangsan")),
        ("m=/private.webmanifest", None),
    ] {
        browser.open(&home(link)).await;
        let manifest = browser.manifest().await;
        let said = name.map(|name| json!({ "name": name }).to_string());
        assert_eq!(manifest, said, "{link}");
    }
    drop(stage.menshen);
}
