//! Starts the demo as a user does: the release binary, on its own ports.

use std::process::Command;

use super::processes::{Program, free_ports, target_dir};
use super::webdriver::Browser;

/// A running demo, stopped when dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    /// The origin of the first application through menshen.
    pub(crate) office: String,
    /// The origin of the second application.
    pub(crate) expenses: String,
    /// The management console of the simulated WeCom.
    pub(crate) wecom_console: String,
    _program: Program,
}

impl Demo {
    /// Starts the demo and reads its URLs from its output.
    pub(crate) fn start() -> Self {
        let binary = target_dir().join("release/examples/demo");
        assert!(
            binary.exists(),
            "no {}: tests/run builds it",
            binary.display()
        );
        for _ in 0..10 {
            let port = free_ports(2);
            let mut command = Command::new(&binary);
            let mut program =
                Program::start("demo", command.env("MENSHEN_DEMO_PORT", port.to_string()));
            let address = program.line(|line| {
                let address = line.trim().strip_prefix("open ")?.trim();
                Some(address.trim_end_matches('/').to_owned())
            });
            if let Some(office) = address {
                assert_eq!(office, format!("http://127.0.0.1:{port}"));
                let expenses = format!("http://127.0.0.1:{}", port + 1);
                let wecom_console = program.line(|line| {
                    let (_, url) = line.split_once("console of the simulated WeCom (")?;
                    Some(url.split(')').next()?.to_owned())
                });
                return Self {
                    office,
                    expenses,
                    wecom_console: wecom_console.expect("the demo prints its console"),
                    _program: program,
                };
            }
            // Another process took one of the ports.
        }
        panic!("the demo does not start");
    }
}

/// Goes from menshen's sign-in page to the page of the simulated WeCom.
pub(crate) async fn go_to_wecom(browser: &Browser) {
    browser.click("main a[href*='connector=']").await;
    browser
        .until("WeCom", async || browser.has("[data-userid]").await)
        .await;
}

/// Signs this person in, from menshen's sign-in page to the requested page.
pub(crate) async fn sign_in_as(browser: &Browser, userid: &str) {
    go_to_wecom(browser).await;
    browser.click(&format!("[data-userid='{userid}']")).await;
}

/// Waits until the application shows this person at exactly this URL.
pub(crate) async fn assert_signed_in_at(browser: &Browser, name: &str, address: &str) {
    let shown = async || browser.text_of("[data-name]").await.as_deref() == Some(name);
    browser.until(name, shown).await;
    assert_eq!(browser.url().await, address);
}
