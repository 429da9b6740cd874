//! The demo with other sources than WeCom, and its ports.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use url::Url;

use super::demo::{Demo, assert_signed_in_at};
use super::password_form::{open, submit, submit_again};
use super::processes::{free_ports, target_dir};
use super::webdriver::{Browser, BrowserOptions};

const REPORT: &str = "/dept/report?year=2026&q=%E5%BC%A0";

/// Signs 张三 in after a wrong password, who is refused the pages of 财务部, and then 李四, who is not.
async fn walk(demo: &Demo) -> Browser {
    let (report, ledger) = (
        format!("{}{REPORT}", demo.office),
        format!("{}/finance/ledger", demo.expenses),
    );
    let browser = Browser::start(&BrowserOptions::default()).await;
    open(&browser, &report).await;
    submit(&browser, "zhangsan", "wrong").await;
    browser.reads("用户名或密码不正确").await;
    submit_again(&browser, demo.password_of("zhangsan")).await;
    assert_signed_in_at(&browser, "张三", &report).await;
    browser.open(&ledger).await;
    assert!(browser.has(".card h1").await, "a page of menshen");
    assert!(!browser.has("[data-name]").await, "张三 is refused");
    let other = Browser::start(&BrowserOptions::default()).await;
    open(&other, &ledger).await;
    submit(&other, "lisi", demo.password_of("lisi")).await;
    assert_signed_in_at(&other, "李四", &ledger).await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_signs_people_in_with_an_openid_provider() {
    let demo = Demo::with_source("oidc");
    let report = format!("{}{REPORT}", demo.office);
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&report).await;
    browser.click("main a[href*='connector=']").await;
    let people = async || browser.has("[data-login]").await;
    browser.until("the page of the provider", people).await;
    browser.click("[data-login='zhangsan']").await;
    assert_signed_in_at(&browser, "张三", &report).await;
    browser
        .open(&format!("{}/finance/ledger", demo.expenses))
        .await;
    assert!(!browser.has("[data-name]").await, "张三 is refused");
    browser.click("form.actions button").await;
    let chooser = async || browser.has("main a[href*='connector=']").await;
    browser.until("the connectors", chooser).await;
    browser.click("main a[href*='connector=']").await;
    browser.until("the page of the provider", people).await;
    browser.click("[data-login='lisi']").await;
    assert_signed_in_at(
        &browser,
        "李四",
        &format!("{}/finance/ledger", demo.expenses),
    )
    .await;
}

#[test]
fn the_demo_names_the_variable_of_its_ports_if_one_is_taken() {
    let binary = target_dir().join("release/examples/demo");
    let run = |port: &str| {
        let mut command = Command::new(&binary);
        let output = command.env("MENSHEN_DEMO_PORT", port).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let first = free_ports(3);
    for taken in first..first + 3 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        let said = run(&first.to_string());
        assert!(said.contains("MENSHEN_DEMO_PORT"), "{taken}: {said}");
        assert!(said.contains(&taken.to_string()), "{taken}: {said}");
        drop(listener);
    }
    for no_port in ["", "x", "0", "65535"] {
        assert!(run(no_port).contains("MENSHEN_DEMO_PORT"), "{no_port}");
    }
}

#[test]
fn the_demo_speaks_the_language_of_the_locale_and_its_help_lists_the_sources() {
    let binary = target_dir().join("release/examples/demo");
    let run = |locale: &str, arguments: &[&str], code: i32| {
        let mut command = Command::new(&binary);
        // Port 0 cannot be used, so that nothing is started.
        command.env("LC_ALL", locale).env("MENSHEN_DEMO_PORT", "0");
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let printed = [output.stdout, output.stderr].concat();
        String::from_utf8(printed).unwrap()
    };
    for argument in ["--help", "-h"] {
        let (english, chinese) = (run("C", &[argument], 0), run("zh_CN.UTF-8", &[argument], 0));
        for name in [
            "wecom",
            "dingtalk",
            "lark",
            "yunzhijia",
            "oidc",
            "ldap",
            "local",
            "MENSHEN_DEMO_PORT",
        ] {
            assert!(english.contains(name), "{english}");
            assert!(chinese.contains(name), "{chinese}");
        }
        assert!(english.is_ascii(), "{english}");
        assert!(chinese.contains("认证源"), "{chinese}");
    }
    let (english, chinese) = (run("C", &[], 1), run("zh_CN.UTF-8", &[], 1));
    assert!(english.contains("the first of three ports"), "{english}");
    assert!(chinese.contains("三个端口中的第一个"), "{chinese}");
    for arguments in [&["--source", "nobody"][..], &["--source=nobody"], &["x"]] {
        assert!(
            run("C", arguments, 1).contains("yunzhijia"),
            "{arguments:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_introduces_itself_in_chinese_with_a_chinese_locale() {
    let demo = Demo::in_chinese("local");
    assert!(
        demo.introduction()
            .contains("您还没有登录：用用户名和密码登录"),
        "{}",
        demo.introduction()
    );
    assert_eq!(demo.password_of("zhangsan"), "zhangsan-password");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_names_its_applications_and_a_wecom_beside_them_in_the_language_of_the_browser() {
    let demo = Demo::start();
    let port = |url: &str| Url::parse(url).unwrap().port().unwrap();
    let (office, console) = (port(&demo.office), demo.wecom_console());
    assert_eq!(port(&demo.expenses), office + 1);
    assert_eq!(port(console), office + 2);
    let introduction = demo.introduction();
    for name in ["协同办公 Office", "费用报销 Expenses"] {
        assert!(introduction.contains(name), "{introduction}");
    }
    menshen::keys::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (language, words, others) in [
        ("en-US,en", "Dismiss", "办理离职"),
        ("zh-CN,zh", "办理离职", "Dismiss"),
    ] {
        let request = client.get(console).header("Accept-Language", language);
        let page = request.send().await.unwrap().text().await.unwrap();
        let is_translated = page.contains(words) && !page.contains(others);
        assert!(is_translated, "{language}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_signs_people_in_with_the_passwords_of_a_directory() {
    walk(&Demo::with_source("ldap")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_signs_local_people_in_until_they_are_removed_from_its_file() {
    let demo = Demo::with_source("local");
    let browser = walk(&demo).await;
    let people = std::fs::read_to_string(demo.people_file()).unwrap();
    let rest = &people[people.find("[lisi]").unwrap()..];
    std::fs::write(demo.people_file(), rest).unwrap();
    browser
        .until("the end of the session", async || {
            browser.open(&format!("{}{REPORT}", demo.office)).await;
            browser.has("main a[href*='connector=']").await
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_removes_its_people_file_however_it_is_stopped() {
    for signal in ["-INT", "-TERM"] {
        let mut demo = Demo::with_source("local");
        let file = Path::new(demo.people_file()).to_owned();
        assert!(file.exists(), "{signal}");
        demo.end_with(signal).await;
        assert!(!file.parent().unwrap().exists(), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_signs_people_in_with_yunzhijia_until_they_leave_the_team() {
    let demo = Demo::with_source("yunzhijia");
    let (report, ledger) = (
        format!("{}{REPORT}", demo.office),
        format!("{}/finance/ledger", demo.expenses),
    );
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&report).await;
    browser.click("main a[href*='connector=']").await;
    let people = async || browser.has("[data-openid]").await;
    browser.until("the QR page", people).await;
    browser.click("[data-openid='5de50017e4b0']").await;
    assert_signed_in_at(&browser, "张三", &report).await;
    browser.open(&ledger).await;
    assert!(browser.has(".card h1").await, "a page of menshen");
    assert!(!browser.has("[data-name]").await, "张三 is refused");
    // In the app, 李四 opens the application from the workbench.
    let app = Browser::start(&BrowserOptions::default()).await;
    app.open(demo.yunzhijia_workbench()).await;
    app.click("[data-openid='5de5003fe4b0']").await;
    assert_signed_in_at(&app, "李四", &format!("{}/", demo.office)).await;
    app.open(&ledger).await;
    assert_signed_in_at(&app, "李四", &ledger).await;
    let console = Browser::start(&BrowserOptions::default()).await;
    console.open(demo.yunzhijia_console()).await;
    console.click("[data-dismiss='5de50017e4b0']").await;
    let signed_out = async || {
        browser.open(&report).await;
        browser.has("main a[href*='connector=']").await
    };
    browser.until("the end of the session", signed_out).await;
    app.open(&ledger).await;
    assert_signed_in_at(&app, "李四", &ledger).await;
}
