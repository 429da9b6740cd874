//! What the commands print with a Chinese locale: no message is English. JSON is the same in both languages.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::serving::{Program, write_config};
use super::{ConfigFolder, text};
use crate::chinese::english_in;
use crate::sessions::eventually;
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

/// Runs a command in a language with a text as standard input.
fn run_in(lang: &str, config: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
    for name in ["LC_ALL", "LC_MESSAGES", "LANG", "MENSHEN_LOG"] {
        command.env_remove(name);
    }
    let mut child = command
        .args(["--lang", lang, "-c", config.to_str().unwrap()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Checks the exit code and that everything is Chinese; returns what was printed.
fn chinese(config: &Path, arguments: &[&str], input: &str, code: i32) -> String {
    let output = run_in("zh", config, arguments, input);
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {printed}");
    assert_eq!(
        printed.lines().find_map(english_in),
        None,
        "{arguments:?}: {printed}"
    );
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    assert!(printed.contains(is_chinese), "{arguments:?}: {printed}");
    printed
}

#[test]
fn errors_of_commands_that_need_no_server_are_chinese() {
    let folder = ConfigFolder::new("chinese-offline");
    let admin = |line: &str| format!("[admin]\nlisten = '127.0.0.1:1'\n{line}");
    let config = folder.config(&admin("token = 'the-token-of-this-test'"));
    let file = folder.0.join("a.toml");
    std::fs::write(&file, "[route]\nname = 1\n").unwrap();
    let toml = file.to_str().unwrap();
    let secrets = folder.0.join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("a"), "a").unwrap();
    let secrets = secrets.to_str().unwrap();
    for (arguments, code, words) in [
        (&["people", "list"][..], 4, "menshen 是否在运行"),
        (&["session", "list"], 4, "menshen 是否在运行"),
        (&["audit"], 4, "menshen 是否在运行"),
        (&["connector", "list"], 4, "menshen 是否在运行"),
        (&["config", "versions"], 4, "menshen 是否在运行"),
        (
            &["people", "list", "--token-name", "x"],
            1,
            "没有名为 x 的令牌",
        ),
        (&["people", "import", "/no/such/file"], 1, "无法读取"),
        (
            &["connector", "set", "corp", "/no/such/file"],
            2,
            "无法读取",
        ),
        (&["check", toml], 2, "[route]"),
        (&["export", "--version", "99"], 1, "没有版本 99"),
        (&["export", "--secrets", secrets], 1, "可以被别人读取"),
        (&["explain", "/x"], 2, "请写完整的地址"),
        (
            &["explain", "http://localhost/", "--via", "corp"],
            2,
            "登录名",
        ),
        (
            &["explain", "http://localhost/", "--from", "x"],
            2,
            "IP 地址",
        ),
        (
            &[
                "store",
                "migrate",
                "--from",
                "postgres://a@b/c",
                "--to",
                "postgres://a@b/c",
            ],
            2,
            "--from",
        ),
        (&["admin", "remove", "root"], 1, "没有管理员 root"),
    ] {
        let printed = chinese(&config, arguments, "", code);
        assert!(printed.contains(words), "{arguments:?} {words}: {printed}");
    }
    let config = folder.config(&admin(""));
    assert!(chinese(&config, &["people", "list"], "", 1).contains("令牌"));
    let config = folder.config("");
    assert!(chinese(&config, &["people", "list"], "", 1).contains("没有 [admin]"));
}

#[test]
fn messages_about_passwords_and_local_administrators_are_chinese() {
    let folder = ConfigFolder::new("chinese-passwords");
    let config = folder.config("");
    let password = "correct horse battery";
    for (arguments, input, code, words) in [
        (&["passwd"][..], "x\n", 1, "密码至少"),
        (&["admin", "add", "root"], "short\n", 1, "密码至少"),
        (&["admin", "add", "root"], password, 0, "root：已添加"),
        (&["admin", "add", "root"], password, 1, "已经存在"),
        (&["admin", "password", "root"], password, 0, "密码已修改"),
        (&["admin", "remove", "root"], "", 0, "已移除"),
    ] {
        let printed = chinese(&config, arguments, input, code);
        assert!(printed.contains(words), "{arguments:?} {words}: {printed}");
    }
}

/// A running server with a store that commands can read.
struct Site {
    folder: TempFolder,
    config: PathBuf,
    _program: Program,
    _menshen: Menshen,
}

impl Site {
    async fn start() -> Self {
        let (menshen, folder) = (Menshen::new().await, TempFolder::new());
        let socket = folder.path("admin.sock").display().to_string();
        let store = format!("sqlite://{}", folder.path("menshen.db").display());
        let tables = format!(
            "[admin]\nlisten = \"unix:{socket}\"\ntoken = \"the-token\"\n\
             [[admin.tokens]]\nname = \"viewer\"\ntoken = \"the-token-of-the-viewer\"\nview = true\n"
        );
        let setup = Setup::default().store(&store).tables(&tables);
        let config = write_config(&folder, &menshen, &setup);
        let (program, _) = Program::run(&config).await;
        Self {
            folder,
            config,
            _program: program,
            _menshen: menshen,
        }
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// Runs each command and checks its exit code and a part of what it prints.
    fn check(&self, cases: &[(&[&str], i32, &str)]) {
        for (arguments, code, words) in cases {
            let printed = chinese(&self.config, arguments, "correct horse", *code);
            assert!(printed.contains(words), "{arguments:?} {words}: {printed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_server_answers_about_people_is_chinese() {
    let site = Site::start().await;
    let good = site.write("good.csv", "login,name\nzhangsan,张三\n");
    let bad = site.write("bad.csv", "login,connector\n,\nx,nowhere\n\"open,\n");
    let close = ["people", "close", "zhangsan", "--token-name", "viewer"];
    let remove = ["people", "remove-identity", "zhangsan", "corp", "x"];
    let revoke = ["people", "tokens", "zhangsan", "--revoke", "x"];
    site.check(&[
        (&["people", "import", &good], 0, "新建 1 人"),
        (&["people", "import", &bad], 1, "第 2 行"),
        (&["people", "list"], 0, "正常"),
        (&["people", "close", "zhangsan"], 0, "已关闭"),
        (&["people", "reopen", "zhangsan"], 0, "已重新打开"),
        (&["people", "access", "zhangsan"], 0, "无法判断"),
        (&["people", "show", "nobody"], 1, "没有人使用登录名 nobody"),
        (&["people", "close", "nobody"], 1, "没有人使用登录名 nobody"),
        (&close, 1, "只能读取"),
        (&remove, 1, "没有 corp 的身份 x"),
        (&revoke, 1, "没有访问令牌 x"),
        (
            &["people", "add", "lisi"],
            1,
            "没有把人员保存在数据库里的认证源",
        ),
        (&["people", "sync", "nowhere"], 1, "没有认证源 nowhere"),
        (&["session", "revoke", "x"], 1, "没有会话 x"),
        (
            &["session", "revoke", "--login", "nobody"],
            1,
            "没有人使用登录名 nobody",
        ),
        (&["session", "revoke", "--all"], 0, "已结束"),
    ]);
    // A line is in the store some moments after the change.
    let audit = ["audit", "--event", "closed"];
    eventually("the audit line is stored", async || {
        let output = run_in("zh", &site.config, &audit, "");
        text(&output.stdout).contains("closed")
    })
    .await;
    site.check(&[(&audit, 0, "通过管理 API")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_server_answers_about_connectors_is_chinese() {
    let site = Site::start().await;
    let local = site.write("local.toml", "[local]\n");
    let unknown = site.write("unknown.toml", "[wecom]\ncorp = 1\n");
    let explain = ["explain", "http://sso.test/x", "--as", "nobody"];
    site.check(&[
        (&["connector", "set", "staff", &local], 0, "staff 已生效"),
        (
            &["connector", "set", "other", &unknown],
            1,
            "有的设置不正确",
        ),
        (&["connector", "list"], 0, "已启用"),
        (&["connector", "disable", "staff"], 0, "staff 已停用"),
        (&["connector", "enable", "staff"], 0, "staff 已启用"),
        (&["connector", "show", "nowhere"], 1, "没有认证源 nowhere"),
        (&["config", "rollback", "1"], 0, "已生效"),
        (&["connector", "remove", "staff"], 0, "已移除"),
        (&explain, 1, "没有登录名为 nobody 的账号"),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_the_same_in_both_languages() {
    let site = Site::start().await;
    let file = site.write("good.csv", "login,name\nzhangsan,张三\n");
    site.check(&[(&["people", "import", &file], 0, "新建 1 人")]);
    for arguments in [
        &["people", "list", "--json"][..],
        &["people", "access", "zhangsan", "--json"],
        &["connector", "list", "--json"],
        &["config", "versions", "--json"],
        &["explain", "http://sso.test/x", "--json"],
    ] {
        let [zh, en] = ["zh", "en"].map(|lang| run_in(lang, &site.config, arguments, "").stdout);
        assert_eq!(text(&zh), text(&en), "{arguments:?}");
    }
}
