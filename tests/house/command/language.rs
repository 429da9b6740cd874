//! Messages in Chinese: with a Chinese locale, or `--lang zh`.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::serving::{Program, write_config};
use super::{ConfigFolder, text};
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

/// What `menshen` prints with these variables of the locale: standard output and standard error.
fn run_in(locale: &[(&str, &str)], arguments: &[&str], config: &Path) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
    for name in ["LC_ALL", "LC_MESSAGES", "LANG", "MENSHEN_LOG"] {
        command.env_remove(name);
    }
    let output = command
        .envs(locale.iter().copied())
        .args(arguments)
        .args(["-c", config.to_str().unwrap()])
        .output()
        .unwrap();
    (
        text(&output.stdout).to_owned(),
        text(&output.stderr).to_owned(),
    )
}

const CHINESE: &[(&str, &str)] = &[("LANG", "zh_CN.UTF-8")];
const ENGLISH: &[(&str, &str)] = &[("LANG", "en_US.UTF-8")];

#[test]
fn problems_are_in_the_language_of_the_locale_or_of_the_argument() {
    let folder = ConfigFolder::new("language");
    let config = folder.config("lisen = 7\nprefix = '/a/'");
    let (chinese, english) = (
        [
            "错误: 没有名为 `lisen` 的键",
            "办法: 是不是想写 `listen`？",
            "prefix 应为普通路径",
        ],
        [
            "error: unknown key `lisen`",
            "help: did you mean `listen`?",
            "a prefix is a plain path",
        ],
    );
    let posix = [("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")];
    for (locale, more, expected) in [
        (CHINESE, &[][..], chinese),
        (&[("LC_MESSAGES", "zh_CN"), ("LANG", "en_US")], &[], chinese),
        (&[("LC_ALL", "C")], &["--lang", "zh"], chinese),
        (ENGLISH, &[], english),
        (&[], &[], english),
        (&posix, &[], english),
        (CHINESE, &["--lang", "en"], english),
    ] {
        for command in ["check", "run"] {
            let arguments = [&[command], more].concat();
            let (_, printed) = run_in(locale, &arguments, &config);
            for words in expected {
                assert!(
                    printed.contains(words),
                    "{locale:?} {more:?} {words}: {printed}"
                );
            }
            assert!(printed.contains("menshen.toml:8:1"), "{printed}");
        }
    }
}

#[test]
fn warnings_and_the_verdict_are_in_the_language_too() {
    let folder = ConfigFolder::new("language-fine");
    let config = folder.config("trusted_proxies = ['0.0.0.0/0']");
    let (printed, _) = run_in(CHINESE, &["check"], &config);
    assert!(printed.contains("警告: "), "{printed}");
    assert!(
        printed.contains("server.trusted_proxies[0]: 任何客户端都能伪造"),
        "{printed}"
    );
    assert!(printed.ends_with("menshen.toml：没有问题\n"), "{printed}");
    let (printed, _) = run_in(ENGLISH, &["check"], &config);
    assert!(printed.contains("warning: "), "{printed}");
    assert!(printed.ends_with("menshen.toml: fine\n"), "{printed}");
    assert!(printed.is_ascii(), "{printed}");
}

#[test]
fn a_configuration_file_that_is_missing_names_what_to_write_instead() {
    let folder = ConfigFolder::new("language-missing");
    let missing = folder.0.join("missing.toml");
    for (locale, words) in [
        (
            ENGLISH,
            "; name one with -c FILE or MENSHEN_CONFIG; conf/minimal.toml is the smallest",
        ),
        (
            CHINESE,
            "；用 -c 文件 或 MENSHEN_CONFIG 指定；最小的例子是 conf/minimal.toml",
        ),
    ] {
        for command in ["check", "run"] {
            let (_, printed) = run_in(locale, &[command], &missing);
            assert!(printed.contains(words), "{printed}");
            let (_, printed) = run_in(locale, &[command], &folder.0);
            assert!(!printed.contains("minimal.toml"), "{printed}");
        }
    }
}

#[test]
fn why_run_does_not_start_is_in_the_language() {
    let folder = ConfigFolder::new("language-run");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = folder.config(&format!("listen = ['{address}']"));
    let (_, printed) = run_in(CHINESE, &["run"], &config);
    let expected = format!("错误: 无法打开监听地址：无法监听 {address}：已有别的程序在监听");
    assert!(printed.contains(&expected), "{printed}");
    let (_, printed) = run_in(ENGLISH, &["run"], &config);
    let expected =
        format!("error: open the listeners: listen on {address}: another program listens");
    assert!(printed.contains(&expected), "{printed}");
}

#[test]
fn why_the_file_of_the_store_is_not_created_is_said_once_with_the_remedy() {
    let folder = ConfigFolder::new("language-store");
    let config = folder.config("");
    let document = std::fs::read_to_string(&config).unwrap();
    let document = document.replace("menshen.db", "missing/menshen.db");
    std::fs::write(&config, document).unwrap();
    let path = folder.0.join("missing/menshen.db").display().to_string();
    for (locale, start, remedy) in [
        (
            CHINESE,
            format!("错误: 无法打开数据库：无法创建 {path}："),
            "运行 menshen 的用户必须可写",
        ),
        (
            ENGLISH,
            format!("error: open the store: cannot create {path}: "),
            "the folder must exist and be writable",
        ),
    ] {
        let (_, printed) = run_in(locale, &["run"], &config);
        let error = printed.lines().find(|line| line.contains(&path)).unwrap();
        assert!(error.starts_with(&start), "{printed}");
        assert!(error.contains(remedy), "{printed}");
        assert_eq!(printed.matches(&path).count(), 1, "{printed}");
    }
}

#[test]
fn an_unknown_language_is_exit_code_2() {
    let output = super::run_menshen(&["check", "--lang", "fr"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("a language is en or zh"),
        "{output:?}"
    );
}

#[tokio::test]
async fn what_the_log_advises_is_in_the_language_and_its_fields_are_not() {
    let menshen = Menshen::new().await;
    let folder = TempFolder::new();
    let config = write_config(&folder, &menshen, &Setup::default());
    let document = std::fs::read_to_string(&config).unwrap();
    assert!(document.contains("secret = "), "{document}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
    command.env("LC_ALL", "zh_CN.UTF-8");
    let (program, _) = Program::run_by(command, &config).await;
    program.wait_for_line("密钥直接写在配置里").await;
    let line = program.line("密钥直接写在配置里").unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(
        line["key"].as_str().is_some_and(|key| key.contains('.')),
        "{line}"
    );
    assert!(line["line"].is_u64(), "{line}");
}
