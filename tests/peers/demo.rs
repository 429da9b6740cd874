//! Starts the demo as a user does: the release binary, on its own ports.

use std::cell::RefCell;
use std::process::Command;

use super::processes::{Program, TempDir, free_ports, target_dir};
use super::webdriver::Browser;

/// A running demo, stopped when dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    /// The origin of the first application through menshen.
    pub(crate) office: String,
    /// The origin of the second application.
    pub(crate) expenses: String,
    /// What it printed.
    introduction: String,
    program: Program,
    /// Its temporary files.
    _dir: TempDir,
}

impl Demo {
    /// Starts the demo and reads its URLs from its output.
    pub(crate) fn start() -> Self {
        Self::run(&[], "C")
    }

    /// Starts it with another source than WeCom.
    pub(crate) fn with_source(name: &str) -> Self {
        Self::run(&["--source", name], "C")
    }

    /// The same with a Chinese locale.
    pub(crate) fn in_chinese(name: &str) -> Self {
        Self::run(&["--source", name], "zh_CN.UTF-8")
    }

    fn run(arguments: &[&str], locale: &str) -> Self {
        let binary = target_dir().join("release/examples/demo");
        assert!(
            binary.exists(),
            "no {}: tests/run builds it",
            binary.display()
        );
        for _ in 0..10 {
            let (port, dir) = (free_ports(3), TempDir::new());
            let mut command = Command::new(&binary);
            command
                .args(arguments)
                .env("LC_ALL", locale)
                .env("MENSHEN_DEMO_PORT", port.to_string())
                .env("TMPDIR", dir.path());
            let mut program = Program::start("demo", &mut command);
            let introduction = RefCell::new(String::new());
            let printed = program.line(|line| {
                introduction.borrow_mut().push_str(&format!("{line}\n"));
                line.contains("Ctrl-C").then_some(())
            });
            if printed.is_some() {
                let introduction = introduction.into_inner();
                let office = format!("http://127.0.0.1:{port}");
                assert!(introduction.contains(&format!("      {office}/\n")));
                return Self {
                    office,
                    expenses: format!("http://127.0.0.1:{}", port + 1),
                    introduction,
                    program,
                    _dir: dir,
                };
            }
            // Another process took one of the ports.
        }
        panic!("the demo does not start");
    }

    /// Sends a signal, such as `-TERM`, and waits until the demo has ended.
    pub(crate) async fn end_with(&mut self, signal: &str) {
        let id = self.program.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
        self.program.until(async || false).await;
    }

    /// What it printed.
    pub(crate) fn introduction(&self) -> &str {
        &self.introduction
    }

    /// The management console of the simulated WeCom.
    pub(crate) fn wecom_console(&self) -> &str {
        self.between("console of the simulated WeCom (", ")")
    }

    /// The management console of the simulated Yunzhijia.
    pub(crate) fn yunzhijia_console(&self) -> &str {
        self.between("console of the simulated Yunzhijia (", ")")
    }

    /// The workbench of the app of the simulated Yunzhijia.
    pub(crate) fn yunzhijia_workbench(&self) -> &str {
        self.between("from the workbench instead (", ")")
    }

    /// The people file of the local accounts.
    pub(crate) fn people_file(&self) -> &str {
        self.between("people file (", ")")
    }

    /// The password that the demo prints beside a user name.
    pub(crate) fn password_of(&self, login: &str) -> &str {
        let lines = self.introduction.lines();
        let mut words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = words.find(|words| words.first() == Some(&login));
        found.unwrap_or_else(|| panic!("no {login}: {}", self.introduction))[1]
    }

    fn between(&self, before: &str, after: &str) -> &str {
        let rest = self.introduction.split_once(before);
        let found = rest.and_then(|(_, rest)| rest.split_once(after));
        found
            .unwrap_or_else(|| panic!("no {before}: {}", self.introduction))
            .0
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
