//! The scripts of `docs/single-page-applications.md` in Chromium: they notice that the session has ended,
//! sign in, and return to the address that they left.

use serde_json::{Value, json};

use super::super::demo::sign_in_as;
use super::super::legacy_app::LegacyApp;
use super::super::setup::{Menshen, Setup};
use super::super::webdriver::{Browser, BrowserOptions};
use super::super::wecom::{Options, WeCom};
use super::recipe::Recipe;

/// Ends the session as another tab does.
const SIGN_OUT: &str =
    "return fetch('/.menshen/sign_out', { method: 'POST' }).then((answer) => answer.status)";

struct Stage {
    menshen: Menshen,
    browser: Browser,
    _app: LegacyApp,
    _wecom: WeCom,
}

impl Stage {
    /// Signs a person in and loads the scripts of the page into this address of the application.
    async fn start(path: &str) -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "应用");
        let app = app.await.unwrap();
        let upstream = app.base_url();
        let rest = format!(
            "[[route]]\nname = 'app'\nupstream = ['{upstream}']\n\
             [[route]]\nname = 'finance'\npath = '/finance'\nupstream = ['{upstream}']\n\
             allow = \"user.login == 'nobody'\"\n\
             [[route]]\nname = 'ws'\npath = '/ws'\nupstream = ['{upstream}']\n\
             [route.limits]\nidle = '1s'\n"
        );
        let setup = Setup {
            rest: &rest,
            ..Setup::default()
        };
        let menshen = Menshen::start(&wecom, setup).await;
        let browser = Browser::start(&BrowserOptions::default()).await;
        let address = format!("{}{path}", menshen.url);
        browser.open(&address).await;
        sign_in_as(&browser, "zhangsan").await;
        browser.reads("张三").await;
        // The login has lost the fragment.
        browser.open(&address).await;
        let stage = Self {
            menshen,
            browser,
            _app: app,
            _wecom: wecom,
        };
        stage.load_scripts().await;
        stage
    }

    async fn load_scripts(&self) {
        let [requests, sockets] = ["Requests", "WebSockets"]
            .map(|heading| Recipe::of_single_page(heading).block("javascript"));
        let scripts =
            format!("{requests}\n{sockets}\nObject.assign(window, {{ request, connect }});");
        self.browser.script(&scripts, json!([])).await;
    }

    async fn run(&self, script: &str) -> Value {
        self.browser.script(script, json!([])).await
    }

    fn websocket(&self) -> String {
        format!("{}/ws", self.menshen.url.replace("http", "ws"))
    }

    /// Waits for the sign-in page.
    async fn is_asked_to_sign_in(&self) {
        self.browser
            .until("the sign-in page", async || {
                self.browser.url().await.contains("/.menshen/sign_in")
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_after_the_session_ended_leads_through_the_login_and_back() {
    let path = "/orders?year=2026#/open/7";
    let stage = Stage::start(path).await;
    let status =
        |address: &str| format!("return request('{address}').then((answer) => answer.status)");
    assert_eq!(stage.run(&status("/echo")).await, 200);
    // Refused for another reason than the session: the page stays.
    assert_eq!(stage.run(&status("/finance")).await, 403);
    assert_eq!(stage.run(SIGN_OUT).await, 200);
    stage.run("request('/echo'); return null").await;
    stage.is_asked_to_sign_in().await;
    sign_in_as(&stage.browser, "lisi").await;
    stage.browser.reads("李四").await;
    let address = format!("{}{path}", stage.menshen.url);
    assert_eq!(stage.browser.url().await, address);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_another_server_leads_nowhere() {
    let stage = Stage::start("/orders").await;
    let script = "
        const answer = new Response(JSON.stringify({
            type: 'urn:menshen:problem:login-needed', login_url: 'javascript:void 0//',
        }), { status: 401, headers: { 'Content-Type': 'application/problem+json' } });
        Object.defineProperty(answer, 'url', { value: 'https://api.example/' });
        window.fetch = async () => answer;
        return request('https://api.example/').then((answer) => answer.status)";
    assert_eq!(stage.run(script).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_closed_with_1008_when_the_session_ends() {
    let stage = Stage::start("/board").await;
    let open = format!(
        "return new Promise((done) => connect('{}', (socket) => {{
             socket.onopen = () => setInterval(() => socket.send('门神'), 100);
             socket.onmessage = (event) => done(event.data);
             socket.onclose = (event) => (sessionStorage.code = event.code);
         }}))",
        stage.websocket()
    );
    assert_eq!(stage.run(&open).await, "门神");
    assert_eq!(stage.run(SIGN_OUT).await, 200);
    stage.is_asked_to_sign_in().await;
    assert_eq!(stage.run("return sessionStorage.code").await, "1008");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_refused_closes_with_1006_and_leads_to_the_login() {
    let stage = Stage::start("/board").await;
    assert_eq!(stage.run(SIGN_OUT).await, 200);
    let refused = format!(
        "connect('{}', (socket) => (socket.onclose = (event) => (sessionStorage.code = event.code)));
         return null",
        stage.websocket()
    );
    stage.run(&refused).await;
    stage.is_asked_to_sign_in().await;
    assert_eq!(stage.run("return sessionStorage.code").await, "1006");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_websocket_is_opened_again_while_the_session_lasts() {
    let stage = Stage::start("/board").await;
    let script = format!(
        "window.opened = 0;
         connect('{}', (socket) => (socket.onopen = () => window.opened++), 1);
         return null",
        stage.websocket()
    );
    stage.run(&script).await;
    stage
        .browser
        .until("the third connection", async || {
            stage.run("return opened >= 3").await == true
        })
        .await;
    assert!(stage.browser.url().await.ends_with("/board"));
}
