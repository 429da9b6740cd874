//! A portal on another site whose page posts a signed token by form, in Chromium.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use menshen::clock::Clock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::legacy_app::LegacyApp;
use super::page_layout::{PageOwner, SCREENS, check};
use super::setup::{Menshen, common_tables};
use super::webdriver::{Browser, BrowserOptions, ENTER};

const SECRET: &str = "a-shared-secret-of-the-portal-with-enough-bytes";

/// The button of the portal.
const GO: &str = "button";

/// menshen, an application, and the portal.
struct Stage {
    echo: String,
    portal: SocketAddr,
    _menshen: Menshen,
    _app: LegacyApp,
    _accepting: JoinSet<()>,
}

impl Stage {
    async fn start() -> Self {
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "应用");
        let app = app.await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let portal = listener.local_addr().unwrap();
        let menshen = Menshen::built(Clock::system(), |url, dir| {
            format!(
                "{}[connector.portal.jwt]\nalgorithm = 'HS256'\nkey = '{SECRET}'\nissuer = 'portal'\naudience = 'menshen'\n\
                 origins = ['http://www.portal.example:{}']\n\
                 [[route]]\nname = 'app'\nupstream = ['{}']\n",
                common_tables(url, dir),
                portal.port(),
                app.base_url(),
            )
        })
        .await;
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, menshen.url.clone()));
        Self {
            echo: format!("{}/echo", menshen.url),
            portal,
            _menshen: menshen,
            _app: app,
            _accepting: accepting,
        }
    }

    /// The page of the portal for a person.
    fn page_of(&self, login: &str) -> String {
        format!("http://www.portal.example:{}/{login}", self.portal.port())
    }

    /// Goes from the portal to the application.
    async fn arrive(&self, browser: &Browser, login: &str) {
        browser.open(&self.page_of(login)).await;
        browser.click(GO).await;
        self.assert_arrived(browser, login).await;
    }

    async fn assert_arrived(&self, browser: &Browser, login: &str) {
        let arrived = async || browser.url().await == self.echo;
        browser.until("the application", arrived).await;
        browser.reads(login).await;
    }
}

async fn accept(listener: TcpListener, menshen: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let menshen = menshen.clone();
        connections.spawn(async move {
            let serve = service_fn(|request| serve(&menshen, request));
            // A connection error does not concern the portal.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), serve)
                .await;
        });
    }
}

/// `/LOGIN` is a page with a button for this person; the token of `/forged` has a wrong signature.
async fn serve(
    menshen: &str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let login = request.uri().path().trim_start_matches('/');
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>门户</title>\
         <meta name=viewport content='width=device-width'>\
         <form method=post action='{menshen}/.menshen/enter/portal'>\
         <input type=hidden name=token value='{}'><input type=hidden name=rd value='/echo'>\
         <button autofocus>办公</button></form>",
        token(login)
    );
    let mut response = Response::new(Full::new(Bytes::from(page)));
    let kind = http::HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

fn token(login: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let secret = match login {
        "forged" => "another-secret-that-menshen-does-not-know",
        _ => SECRET,
    };
    let claims = json!({
        "iss": "portal", "aud": "menshen", "sub": login, "iat": now, "exp": now + 60,
        "jti": format!("{:x?}", menshen::keys::random::<16>()),
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_arrives_with_a_token_after_a_forged_one_and_another_person_is_asked_first() {
    let stage = Stage::start().await;
    for screen in SCREENS {
        let browser = screen.browser().await;
        let at = async |page: &str| check(&browser, screen, page, PageOwner::Ours).await;
        // Whoever opens the application without being signed in is sent to the portal in words only.
        browser.open(&stage.echo).await;
        at("jwt-1-come-from-the-portal").await;
        browser.open(&stage.page_of("forged")).await;
        browser.click(GO).await;
        browser
            .until("a refusal", async || browser.has(".card h1").await)
            .await;
        at("jwt-2-refused").await;
        stage.arrive(&browser, "lisi").await;
        // The same page of the portal, with the token that is used now.
        browser.back().await;
        stage.arrive(&browser, "lisi").await;
        browser.open(&stage.page_of("wangwu")).await;
        browser.click(GO).await;
        browser
            .until("the question", async || {
                browser.has("form.actions button").await
            })
            .await;
        at("jwt-3-switch").await;
        let question = browser.text().await;
        assert!(
            question.contains("lisi") && question.contains("wangwu"),
            "{question}"
        );
        browser.click("form.actions a.primary").await;
        browser.open(&stage.echo).await;
        stage.assert_arrived(&browser, "lisi").await;
        browser.open(&stage.page_of("wangwu")).await;
        browser.click(GO).await;
        browser.click("form.actions button").await;
        stage.assert_arrived(&browser, "wangwu").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_arrives_with_the_keyboard_alone() {
    let stage = Stage::start().await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    stage.arrive(&browser, "lisi").await;
    browser.open(&stage.page_of("wangwu")).await;
    browser.tab_to(GO).await;
    browser.press(ENTER).await;
    browser
        .until("the question", async || {
            browser.has("form.actions button").await
        })
        .await;
    browser.tab_to("form.actions button").await;
    browser.press(ENTER).await;
    stage.assert_arrived(&browser, "wangwu").await;
}
