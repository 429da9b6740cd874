//! User journeys through the demo with a real Chromium.

use serde_json::{Value, json};

use super::demo::{Demo, assert_signed_in_at, go_to_wecom, sign_in_as};
use super::webdriver::{Browser, BrowserOptions};

/// A path with a query that is not ASCII.
const REPORT: &str = "/dept/report?year=2026&q=%E5%BC%A0";
/// The user agent of the WeCom client.
const WECOM_AGENT: &str = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/130.0.0.0 Mobile Safari/537.36 wxwork/4.1.30 MicroMessenger/7.0.1 Language/zh";

async fn stranger() -> (Demo, Browser) {
    (
        Demo::start(),
        Browser::start(&BrowserOptions::default()).await,
    )
}

/// 张三, signed in at the first application.
async fn zhang_san() -> (Demo, Browser) {
    let (demo, browser) = stranger().await;
    browser.open(&format!("{}{REPORT}", demo.office)).await;
    sign_in_as(&browser, "zhangsan").await;
    assert_signed_in_at(&browser, "张三", &format!("{}{REPORT}", demo.office)).await;
    (demo, browser)
}

/// Whether the browser has a cookie of a login in progress.
async fn has_a_flow(browser: &Browser) -> bool {
    browser
        .cookies()
        .await
        .iter()
        .any(|(name, _)| name.contains("menshen-flow"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_returns_to_the_requested_page() {
    let (demo, browser) = stranger().await;
    browser.open(&format!("{}{REPORT}", demo.office)).await;
    assert!(
        !browser.has("[data-user]").await,
        "nobody sees the application without signing in"
    );
    go_to_wecom(&browser).await;
    assert!(
        !browser.url().await.starts_with(&demo.office),
        "WeCom is elsewhere"
    );
    browser.click("[data-userid=zhangsan]").await;
    assert_signed_in_at(&browser, "张三", &format!("{}{REPORT}", demo.office)).await;
    assert_eq!(
        browser.text_of(".address code").await.as_deref(),
        Some(REPORT)
    );
    assert!(
        !has_a_flow(&browser).await,
        "a login that is over leaves nothing behind"
    );
    assert_eq!(browser.console_errors().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_application_needs_no_login() {
    let (demo, browser) = zhang_san().await;
    browser
        .click(&format!("a[href^='{}']", demo.expenses))
        .await;
    browser.reads("费用报销").await;
    assert_signed_in_at(&browser, "张三", &format!("{}/", demo.expenses)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_person_can_switch_accounts() {
    let (demo, browser) = zhang_san().await;
    let ledger = format!("{}/finance/ledger?year=2026", demo.expenses);
    browser.open(&format!("{}/", demo.expenses)).await;
    browser.click(&format!("a[href='{ledger}']")).await;
    browser
        .until("the page that says no", async || {
            browser.has("form.actions button").await
        })
        .await;
    assert_eq!(browser.url().await, ledger);
    let says = browser.text().await;
    assert!(
        says.contains("张三") && says.contains("zhangsan"),
        "it names who it turns away: {says}"
    );
    assert!(
        !browser.has("[data-user]").await,
        "and shows nothing of the application"
    );

    browser.click("form.actions button").await;
    browser.reads("已退出").await;
    sign_in_as(&browser, "lisi").await;
    assert_signed_in_at(&browser, "李四", &ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_cookie_is_refused_after_sign_out() {
    let (demo, browser) = zhang_san().await;
    let cookies = browser.cookies().await;
    let cookie = cookies
        .iter()
        .find(|(name, _)| name.ends_with("menshen"))
        .unwrap();
    let cookie = format!("{}={}", cookie.0, cookie.1);
    let (status, body) = replay(&demo.office, &cookie).await;
    assert!(
        status == 200 && body.contains("data-user=\"zhangsan\""),
        "it is good: {status} {body}"
    );

    browser.click_text("注销").await;
    browser.reads("已退出").await;
    assert!(
        browser
            .cookies()
            .await
            .iter()
            .all(|(name, _)| !name.ends_with("menshen"))
    );
    for application in [&demo.office, &demo.expenses] {
        let (status, body) = replay(application, &cookie).await;
        assert!(
            !body.contains("data-user"),
            "{application} knew the old cookie: {status} {body}"
        );
    }
    browser.open(&format!("{}/contacts", demo.office)).await;
    assert!(
        !browser.has("[data-user]").await,
        "the application asks again"
    );
    sign_in_as(&browser, "lisi").await;
    assert_signed_in_at(&browser, "李四", &format!("{}/contacts", demo.office)).await;
}

/// Requests a page without a browser, with a copied cookie.
async fn replay(application: &str, cookie: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .get(format!("{application}/"))
        .header("cookie", cookie);
    let answer = request.header("accept", "text/html").send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_can_log_in_at_the_same_time() {
    let (demo, browser) = stranger().await;
    let (todo, notices) = (
        format!("{}/todo?filter=mine&page=1", demo.office),
        format!("{}/notices", demo.office),
    );
    let first = browser.tab().await;
    browser.open(&todo).await;
    go_to_wecom(&browser).await;
    let second = browser.new_tab().await;
    browser.open(&notices).await;
    go_to_wecom(&browser).await;

    browser.click("[data-userid=zhangsan]").await;
    assert_signed_in_at(&browser, "张三", &notices).await;
    browser.switch(&first).await;
    browser.click("[data-userid=zhangsan]").await;
    assert_signed_in_at(&browser, "张三", &todo).await;
    assert_ne!(first, second);
    assert!(!has_a_flow(&browser).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_after_a_login_shows_no_error() {
    let (demo, browser) = zhang_san().await;
    browser.back().await;
    browser
        .until("WeCom again", async || browser.has("[data-userid]").await)
        .await;
    // Choosing a connector again continues with the existing session.
    browser.click("[data-userid=zhangsan]").await;
    let here = async || browser.text_of("[data-name]").await.as_deref() == Some("张三");
    browser.until("the application", here).await;
    browser.back().await;
    browser.back().await;
    // The reloaded sign-in page shows the session.
    browser.click("main a.primary").await;
    assert_signed_in_at(&browser, "张三", &format!("{}{REPORT}", demo.office)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_wecom_the_login_needs_no_click() {
    let demo = Demo::start();
    let person = BrowserOptions {
        user_agent: Some(WECOM_AGENT),
        ..BrowserOptions::default()
    };
    let browser = Browser::start(&person).await;
    browser.open(&format!("{}{REPORT}", demo.office)).await;
    // WeCom's own fragment was kept up to the callback only; an empty one is left.
    assert_signed_in_at(&browser, "张三", &format!("{}{REPORT}#", demo.office)).await;
    assert_eq!(browser.script("return location.hash", json!([])).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_declined_at_wecom_can_be_repeated() {
    let (demo, browser) = stranger().await;
    browser.open(&format!("{}{REPORT}", demo.office)).await;
    go_to_wecom(&browser).await;
    browser.click("[data-refuse]").await;
    browser.reads("已取消").await;
    assert!(
        browser.has(".page-footer code").await,
        "it shows the request ID"
    );
    browser.click("main a.primary").await;
    sign_in_as(&browser, "zhangsan").await;
    assert_signed_in_at(&browser, "张三", &format!("{}{REPORT}", demo.office)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_gets_401_without_a_redirect_after_sign_out() {
    let (demo, browser) = zhang_san().await;
    let fetched = "return fetch('/contacts', { redirect: 'manual' }).then(async (answer) => ({
        status: answer.status, type: answer.type,
        kind: answer.headers.get('content-type'), body: await answer.text() }))";
    let before = browser.script(fetched, json!([])).await;
    assert_eq!(before["status"], 200);
    sign_out_elsewhere(&demo, &browser).await;
    let after = browser.script(fetched, json!([])).await;
    assert_eq!(after["status"], 401, "{after}");
    assert_eq!(after["type"], "basic", "no redirect");
    assert!(after["kind"].as_str().unwrap().contains("json"), "{after}");
    let problem: Value = serde_json::from_str(after["body"].as_str().unwrap()).unwrap();
    let login = problem.to_string();
    assert!(
        login.contains("/.menshen/sign_in"),
        "it says where to log in: {login}"
    );
    assert!(!has_a_flow(&browser).await, "a script starts no login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_gets_a_page_with_a_link_instead_of_a_login() {
    let (demo, browser) = zhang_san().await;
    let framed = "return new Promise((done) => {
        const frame = document.createElement('iframe');
        frame.onload = () => done({
            at: frame.contentWindow.location.pathname,
            application: !!frame.contentDocument.querySelector('[data-user]'),
            tab: (frame.contentDocument.querySelector('main a.primary') || {}).target || null });
        frame.src = '/notices';
        document.body.append(frame); })";
    let before = browser.script(framed, json!([])).await;
    assert_eq!(
        before,
        json!({ "at": "/notices", "application": true, "tab": null })
    );
    sign_out_elsewhere(&demo, &browser).await;
    let after = browser.script(framed, json!([])).await;
    assert_eq!(
        after,
        json!({ "at": "/notices", "application": false, "tab": "_blank" })
    );
    assert!(!has_a_flow(&browser).await, "a frame starts no login");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_closes_open_websockets() {
    let (demo, browser) = zhang_san().await;
    open_socket(&browser).await;
    sign_out_elsewhere(&demo, &browser).await;
    wait_until_socket_is_closed(&browser).await;
    let refused = browser.script(&echo("0"), json!(["ws"])).await;
    assert_eq!(refused, "no socket", "and no other is opened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dismissed_employee_loses_the_session_and_open_websockets() {
    let (demo, browser) = zhang_san().await;
    open_socket(&browser).await;
    let here = browser.tab().await;
    browser.new_tab().await;
    browser.open(demo.wecom_console()).await;
    browser.click("[data-dismiss='zhangsan']").await;
    let dismissed = async || !browser.has("[data-dismiss='zhangsan']").await;
    browser.until("a list without 张三", dismissed).await;
    browser.switch(&here).await;
    wait_until_socket_is_closed(&browser).await;
    browser.open(&format!("{}{REPORT}", demo.office)).await;
    assert!(!browser.has("[data-user]").await, "the session has ended");
}

/// Opens a WebSocket that the page keeps open.
async fn open_socket(browser: &Browser) {
    let echoed = browser
        .script(&echo("window.kept = socket"), json!(["ws"]))
        .await;
    assert_eq!(echoed, "门神");
    let note = "window.kept.onclose = () => { window.socketIsClosed = true }";
    browser.script(note, json!([])).await;
}

async fn wait_until_socket_is_closed(browser: &Browser) {
    let is_closed = "return !!window.socketIsClosed";
    let closed = async || browser.script(is_closed, json!([])).await == true;
    browser.until("a closed socket", closed).await;
}

/// A script that returns what a WebSocket of the page's host echoes; its argument is the scheme.
pub(crate) fn echo(then: &str) -> String {
    format!(
        "return new Promise((done) => {{
            const socket = new WebSocket(arguments[0] + '://' + location.host + '/ws');
            socket.onopen = () => socket.send('门神');
            socket.onmessage = (message) => {{ {then}; done(message.data); }};
            socket.onerror = () => done('no socket'); }})"
    )
}

/// Signs out in another tab and returns to this one.
async fn sign_out_elsewhere(demo: &Demo, browser: &Browser) {
    let here = browser.tab().await;
    browser.new_tab().await;
    browser
        .open(&format!("{}/.menshen/sign_out", demo.office))
        .await;
    browser.reads("已退出").await;
    browser.switch(&here).await;
}
