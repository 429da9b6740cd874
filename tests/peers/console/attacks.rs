//! What people and sources say is text, another origin changes nothing, and the rules of the console hold.

use serde_json::json;

use super::super::demo::sign_in_as;
use super::super::webdriver::{Browser, BrowserOptions};
use super::{Site, enter};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'><script>window.owned=1</script>";

/// The login, name and department of everybody who signs in.
const HOSTILE_MAPPING: &str = r#"
[connector.corp.mapping]
login = '''"<b onclick=alert(1)>zhangsan</b>\"'>"'''
name = '''"<img src=x onerror=alert(1)>\"'><script>window.owned=1</script>"'''
departments = '''["<img src=x onerror=alert(1)>\"'><script>window.owned=1</script>"]'''
"#;

/// How many elements a page has that hostile text would add, and whether one of its scripts ran.
const INJECTED: &str = "
    const added = document.querySelectorAll('main img, main b, script, [onerror], [onclick]');
    return added.length + (window.owned ? 1000 : 0);";

#[tokio::test(flavor = "multi_thread")]
async fn what_people_sources_and_administrators_say_is_shown_as_text() {
    let site = Site::start(HOSTILE_MAPPING).await;
    site.manage_a_connector(HOSTILE).await;
    let hostile_browser = BrowserOptions {
        user_agent: Some(HOSTILE),
        ..BrowserOptions::default()
    };
    site.sign_in_elsewhere(&hostile_browser).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    enter(&browser, &site).await;
    browser.click("td a").await;
    browser
        .until("the person", async || {
            browser.has("input[name=reason]").await
        })
        .await;
    let person = browser.url().await;
    browser.fill("input[name=reason]", HOSTILE).await;
    browser.click("button[value=close]").await;
    browser
        .until("closed", async || browser.has("button[value=open]").await)
        .await;
    browser.click("button[value=open]").await;
    browser
        .until("open", async || browser.has("button[value=close]").await)
        .await;
    site.sign_in_elsewhere(&hostile_browser).await;
    let console = site.menshen.console_url();
    for (page, is_shown) in [
        ("", true),
        ("people", true),
        ("sessions", true),
        ("audit", true),
        ("connectors", true),
        ("connectors/portal/mapping", true),
        ("connectors/corp/mapping", true),
        ("config?from=1&to=2", true),
        ("routes", false),
        ("sync", false),
    ] {
        browser.open(&format!("{console}/{page}")).await;
        assert_eq!(browser.script(INJECTED, json!([])).await, 0, "{page}");
        let text = browser.text().await;
        let shown = text.contains("<img src=x onerror=alert(1)>");
        assert!(shown || !is_shown, "{page}: {text}");
        assert_eq!(browser.console_errors().await, [""; 0], "{page}");
    }
    browser.open(&person).await;
    assert_eq!(browser.script(INJECTED, json!([])).await, 0);
    let text = browser.text().await;
    // The name, the department and the reason.
    let shown = text.matches("<img src=x onerror=alert(1)>").count();
    assert!(shown >= 3, "{text}");
    assert!(text.contains("<b onclick=alert(1)>zhangsan</b>"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_origin_changes_nothing() {
    let site = Site::start("").await;
    site.sign_in_elsewhere(&BrowserOptions::default()).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    enter(&browser, &site).await;
    // Even with a token that somebody has read.
    let token = "return document.querySelector('input[name=csrf]').value";
    let token = browser.script(token, json!([])).await;
    browser.open(&format!("{}/", site.menshen.url)).await;
    sign_in_as(&browser, "zhangsan").await;
    browser
        .until("the application", async || browser.has("[data-name]").await)
        .await;
    assert_eq!(site.menshen.session_count().await, 2);
    let post = "
        const form = document.createElement('form');
        form.method = 'post';
        form.action = arguments[0];
        const fields = { csrf: arguments[1], action: 'end-all', everyone: 'yes', confirm: 'yes' };
        for (const [name, value] of Object.entries(fields)) {
            const input = document.createElement('input');
            input.name = name;
            input.value = value;
            form.append(input);
        }
        document.body.append(form);
        form.submit();";
    let sessions = format!("{}/sessions", site.menshen.console_url());
    browser.script(post, json!([sessions, token])).await;
    browser
        .until("the refusal", async || browser.url().await == sessions)
        .await;
    browser
        .until("the reason", async || {
            browser.has(".card [role=alert]").await
        })
        .await;
    assert_eq!(status(&browser).await, 403);
    assert_eq!(site.menshen.session_count().await, 2);
}

/// The status of the page.
async fn status(browser: &Browser) -> u64 {
    let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
    let status = browser.script(status, json!([])).await;
    status.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_outside_the_rule_is_refused_and_can_sign_out() {
    let site = Site::start("").await;
    let console = site.menshen.console_url();
    let origin = console.trim_end_matches("/console").to_owned();
    let rule =
        format!("[console]\nexternal_url = \"{origin}\"\nallow = \"user.login == 'lisi'\"\n");
    let reloaded = site
        .menshen
        .reload(|text| text.replace("[console]\n", &rule));
    reloaded.await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&format!("{console}/people")).await;
    browser.click("a[href^='/console/start']").await;
    sign_in_as(&browser, "zhangsan").await;
    browser
        .until("the refusal", async || {
            browser.has("form[action='/console/sign_out']").await
        })
        .await;
    assert_eq!(status(&browser).await, 403);
    assert!(!browser.has(".side").await, "no page of the console");
    browser
        .click("form[action='/console/sign_out'] button")
        .await;
    browser
        .until("the form", async || {
            browser.has("input[name=password]").await
        })
        .await;
}
