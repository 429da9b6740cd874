//! A small W3C WebDriver client for chromedriver, with one headless Chromium for each test.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::processes::{PATIENCE, Program, TempDir, until};

/// The key of an element reference (W3C WebDriver §12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long chromedriver may take to close its browser before both are killed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Keys of [`Browser::press`] (W3C WebDriver §17.4.2).
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";

/// No page has more elements that take the focus.
const TABS_MAX: usize = 80;

/// The number of attempts to start chromedriver, of which about one in ten fails.
const STARTS_MAX: usize = 10;

/// How the browser is configured.
#[derive(Clone, Debug)]
pub(crate) struct BrowserOptions {
    /// The preferred languages for `Accept-Language`.
    pub(crate) language: &'static str,
    /// The user agent; `None` is Chromium's own.
    pub(crate) user_agent: Option<&'static str>,
    /// Whether untrusted certificates are accepted.
    pub(crate) accepts_any_certificate: bool,
    /// Whether frames may use third-party cookies; `None` is Chromium's default.
    pub(crate) third_party_cookies: Option<bool>,
}

impl Default for BrowserOptions {
    fn default() -> Self {
        Self {
            language: "zh-CN",
            user_agent: None,
            accepts_any_certificate: false,
            third_party_cookies: None,
        }
    }
}

/// A browser with an empty profile. Browser and driver end when this is dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    client: reqwest::Client,
    address: SocketAddr,
    session: String,
    driver: Program,
    profile: TempDir,
}

/// An error of the driver.
struct Refused(Value);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Browser {
    /// Starts chromedriver on a port of its choice, and Chromium with a new profile.
    pub(crate) async fn start(person: &BrowserOptions) -> Self {
        menshen::keys::install_crypto();
        let profile = TempDir::new();
        let (driver, port) = start_driver();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(2 * PATIENCE)
            .build()
            .unwrap();
        let mut browser = Self {
            client,
            address,
            session: format!("http://{address}"),
            driver,
            profile,
        };
        let wishes = capabilities(person, &browser.profile);
        let begun = browser.ask("POST", "/session", Some(wishes)).await;
        let begun = begun.unwrap_or_else(|refused| panic!("no browser: {refused}"));
        let id = begun["sessionId"].as_str().unwrap();
        browser.session = format!("http://{address}/session/{id}");
        browser
    }

    /// Opens a URL and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.must("POST", "/url", json!({ "url": url })).await;
    }

    /// The current URL.
    pub(crate) async fn url(&self) -> String {
        self.get("/url").await.as_str().unwrap().to_owned()
    }

    /// The visible text of the page.
    pub(crate) async fn text(&self) -> String {
        let text = self.script(
            "return document.body ? document.body.innerText : ''",
            json!([]),
        );
        text.await.as_str().unwrap_or_default().to_owned()
    }

    /// The text of the first element that matches the selector.
    pub(crate) async fn text_of(&self, css: &str) -> Option<String> {
        let script = "const e = document.querySelector(arguments[0]); return e && e.textContent";
        self.script(script, json!([css]))
            .await
            .as_str()
            .map(|text| text.trim().to_owned())
    }

    /// Whether an element matches the selector.
    pub(crate) async fn has(&self, css: &str) -> bool {
        self.text_of(css).await.is_some()
    }

    /// Waits for the element and clicks it.
    pub(crate) async fn click(&self, css: &str) {
        self.click_by("css selector", css).await;
    }

    /// Waits for the field and types into it.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let wanted = json!({ "using": "css selector", "value": css });
        self.until(css, async || {
            let Ok(found) = self.ask("POST", "/element", Some(wanted.clone())).await else {
                return false;
            };
            let path = format!("/element/{}/value", found[ELEMENT].as_str().unwrap());
            let typed = self.ask("POST", &path, Some(json!({ "text": text }))).await;
            typed.is_ok()
        })
        .await;
    }

    /// Types into whatever has the focus, as the keyboard does; [`TAB`] and [`ENTER`] are keys.
    pub(crate) async fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|stroke| json!({ "type": stroke, "value": key.to_string() }))
        });
        let keyboard =
            json!({ "type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>() });
        self.must("POST", "/actions", json!({ "actions": [keyboard] }))
            .await;
    }

    /// Presses the tab key until the focus is on an element that matches the selector.
    pub(crate) async fn tab_to(&self, css: &str) {
        let focused = "return document.activeElement.matches(arguments[0])";
        for _ in 0..TABS_MAX {
            if self.script(focused, json!([css])).await == true {
                return;
            }
            self.press(TAB).await;
        }
        panic!("the keyboard does not reach {css} at {}", self.url().await);
    }

    /// Waits for a link or button with this text and clicks it.
    pub(crate) async fn click_text(&self, text: &str) {
        let path = format!("//*[self::a or self::button][contains(normalize-space(.), '{text}')]");
        self.click_by("xpath", &path).await;
    }

    /// Waits until the page contains this text.
    pub(crate) async fn reads(&self, text: &str) {
        self.until(text, async || self.text().await.contains(text))
            .await;
    }

    /// Waits for a condition; a failure shows the URL and the page.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let end = Instant::now() + PATIENCE;
        until(what, async || {
            let so = is_so().await;
            if !so && Instant::now() + Duration::from_secs(1) > end {
                panic!(
                    "no {what:?} at {}:\n{}",
                    self.url().await,
                    self.text().await
                );
            }
            so
        })
        .await;
    }

    /// Waits for a condition where there may be no page to show.
    pub(crate) async fn until_quietly(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        until(what, is_so).await;
    }

    /// Runs a function body in the page and awaits a returned promise.
    pub(crate) async fn script(&self, body: &str, arguments: Value) -> Value {
        self.must(
            "POST",
            "/execute/sync",
            json!({ "script": body, "args": arguments }),
        )
        .await
    }

    /// Goes back in the history.
    pub(crate) async fn back(&self) {
        self.must("POST", "/back", json!({})).await;
    }

    /// The current tab.
    pub(crate) async fn tab(&self) -> String {
        self.get("/window").await.as_str().unwrap().to_owned()
    }

    /// Opens a new tab and switches to it.
    pub(crate) async fn new_tab(&self) -> String {
        let opened = self
            .must("POST", "/window/new", json!({ "type": "tab" }))
            .await;
        let tab = opened["handle"].as_str().unwrap().to_owned();
        self.switch(&tab).await;
        tab
    }

    /// All tabs.
    pub(crate) async fn tabs(&self) -> Vec<String> {
        let tabs = self.get("/window/handles").await;
        let tabs = tabs.as_array().unwrap().iter();
        tabs.map(|tab| tab.as_str().unwrap().to_owned()).collect()
    }

    /// Closes the current tab; the caller must switch to another.
    pub(crate) async fn close_tab(&self) {
        let answer = self.ask("DELETE", "/window", None).await;
        answer.unwrap_or_else(|refused| panic!("close a tab: {refused}"));
    }

    /// Waits for the frame and switches into it.
    pub(crate) async fn enter_frame(&self, css: &str) {
        let wanted = json!({ "using": "css selector", "value": css });
        self.until(css, async || {
            let Ok(found) = self.ask("POST", "/element", Some(wanted.clone())).await else {
                return false;
            };
            let frame = json!({ "id": found });
            self.ask("POST", "/frame", Some(frame)).await.is_ok()
        })
        .await;
    }

    /// Switches back to the tab's top page.
    pub(crate) async fn leave_frames(&self) {
        self.must("POST", "/frame", json!({ "id": null })).await;
    }

    /// Switches to another tab.
    pub(crate) async fn switch(&self, tab: &str) {
        self.must("POST", "/window", json!({ "handle": tab })).await;
    }

    /// Names and values of the cookies for the current URL, including `HttpOnly` ones.
    pub(crate) async fn cookies(&self) -> Vec<(String, String)> {
        let cookies = self.get("/cookie").await;
        let text = |cookie: &Value, name: &str| cookie[name].as_str().unwrap().to_owned();
        let cookies = cookies.as_array().unwrap().iter();
        cookies
            .map(|cookie| (text(cookie, "name"), text(cookie, "value")))
            .collect()
    }

    /// New console errors, such as policy violations and script errors. Responses with 4xx or 5xx
    /// are left out.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        let log = self
            .must("POST", "/se/log", json!({ "type": "browser" }))
            .await;
        let entries = log.as_array().unwrap().iter();
        // Below warnings are hints, such as how a form could help password managers.
        let is_loud = |entry: &&Value| entry["level"] == "WARNING" || entry["level"] == "SEVERE";
        let loud = entries.filter(|entry| entry["source"] != "network" && is_loud(entry));
        loud.map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Emulates this device and language from the next page on.
    pub(crate) async fn device(&self, width: u32, height: u32, mobile: bool, language: &str) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let agent = self.script("return navigator.userAgent", json!([])).await;
        let agent = json!({ "userAgent": agent, "acceptLanguage": language });
        self.devtools("Emulation.setUserAgentOverride", agent).await;
    }

    /// Emulates a person who prefers dark pages, or light ones, from the next page on.
    pub(crate) async fn prefer_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        let media = json!({ "features": [feature] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// A screenshot of the whole page as PNG, also of what is below the window.
    pub(crate) async fn whole_picture(&self) -> Vec<u8> {
        let size = "const page = document.documentElement; return [innerWidth, page.scrollHeight]";
        let size = self.script(size, json!([])).await;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let wanted = json!({ "captureBeyondViewport": true, "clip": clip });
        let shot = self.devtools("Page.captureScreenshot", wanted).await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// A screenshot as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        STANDARD
            .decode(self.get("/screenshot").await.as_str().unwrap())
            .unwrap()
    }

    /// The application's manifest, fetched as Chromium does to install it.
    pub(crate) async fn manifest(&self) -> Option<String> {
        let found = self.devtools("Page.getAppManifest", json!({})).await;
        let text = found["data"].as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned)
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.must("POST", "/goog/cdp/execute", body).await
    }

    async fn click_by(&self, using: &str, value: &str) {
        let wanted = json!({ "using": using, "value": value });
        self.until(value, async || {
            let Ok(found) = self.ask("POST", "/element", Some(wanted.clone())).await else {
                return false;
            };
            let path = format!("/element/{}/click", found[ELEMENT].as_str().unwrap());
            // The page may have changed in between, so try again.
            self.ask("POST", &path, Some(json!({}))).await.is_ok()
        })
        .await;
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await;
        answer.unwrap_or_else(|refused| panic!("GET {path}: {refused}"))
    }

    async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask(method, path, Some(body)).await;
        answer.unwrap_or_else(|refused| panic!("{method} {path}: {refused}"))
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Refused> {
        let method = method.parse().unwrap();
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("chromedriver answers");
        let good = answer.status().is_success();
        let mut answer: Value = answer.json().await.expect("chromedriver answers in JSON");
        let value = answer["value"].take();
        if good { Ok(value) } else { Err(Refused(value)) }
    }

    /// Asks the driver to close its browser. It is blocking, because no async code runs during a
    /// panic.
    fn end_session(&self) -> std::io::Result<()> {
        let mut line = TcpStream::connect_timeout(&self.address, SHUTDOWN_TIMEOUT)?;
        line.set_read_timeout(Some(SHUTDOWN_TIMEOUT))?;
        write!(
            line,
            "GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )?;
        line.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let end = Instant::now() + SHUTDOWN_TIMEOUT;
        // If it does not respond, it is killed below.
        let _ = self.end_session();
        while !self.driver.ended() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_processes_of(&self.profile);
    }
}

/// Starts chromedriver on a port of its choice. It picks a free IPv6 port and also needs the same
/// IPv4 port; if that is taken, it ends and is started again.
fn start_driver() -> (Program, u16) {
    for start in 1.. {
        let mut driver =
            Program::start("chromedriver", Command::new("chromedriver").arg("--port=0"));
        let port = driver.line(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        if let Some(port) = port {
            return (driver, port);
        }
        assert!(start < STARTS_MAX, "chromedriver ended {start} times");
    }
    unreachable!("one start succeeds or the last one fails the test");
}

/// Kills the processes of this profile one by one.
fn kill_processes_of(profile: &TempDir) {
    let mark = format!("--user-data-dir={}", profile.path().display());
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        if line
            .split(|byte| *byte == 0)
            .any(|argument| argument == mark.as_bytes())
        {
            let _ = Command::new("kill")
                .arg("-KILL")
                .arg(process.file_name())
                .output();
        }
    }
}

fn capabilities(person: &BrowserOptions, profile: &TempDir) -> Value {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--window-size=1280,800".to_owned(),
        // Resolve only to loopback: the hosts of the recipes in conf/ are on this machine.
        "--host-resolver-rules=MAP *.corp.example 127.0.0.1, MAP *.portal.example 127.0.0.1, \
         MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            .to_owned(),
        format!("--accept-lang={}", person.language),
        format!("--user-data-dir={}", profile.path().display()),
    ];
    arguments.extend(
        person
            .user_agent
            .map(|agent| format!("--user-agent={agent}")),
    );
    let preferences = match person.third_party_cookies {
        None => json!({}),
        Some(kept) => json!({
            "profile.block_third_party_cookies": !kept,
            "profile.cookie_controls_mode": i32::from(!kept),
        }),
    };
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "acceptInsecureCerts": person.accepts_any_certificate,
        "unhandledPromptBehavior": "ignore",
        "timeouts": { "script": PATIENCE.as_millis(), "pageLoad": PATIENCE.as_millis() },
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": arguments, "prefs": preferences },
    } } })
}
