//! `menshen export`, `check EXPORT` and `import`: a site moves to another machine.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::serving::{Program, write_config};
use super::{run_menshen, text};
use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::upstream::TempFolder;
use crate::wecom::{AGENT_ID, CORP_ID, SECRET};

const VARIABLE: &str = "MENSHEN_CORP_WECOM_SECRET";

/// A machine with a configuration that has no connector; its store may be missing.
pub(super) struct Machine {
    pub(super) folder: TempFolder,
    pub(super) config: PathBuf,
}

impl Machine {
    /// `tables` are further tables; `SOCKET` stands for the address of the admin API.
    pub(super) fn new(menshen: &Menshen, tables: &str) -> Self {
        let folder = TempFolder::new();
        let socket = format!("unix:{}", folder.path("admin.sock").display());
        let setup = Setup::default().without_connector();
        let setup = setup.tables(&tables.replace("SOCKET", &socket));
        let config = write_config(&folder, menshen, &setup);
        Self { folder, config }
    }

    /// A machine with the admin API.
    fn with_admin(menshen: &Menshen) -> Self {
        Self::new(
            menshen,
            "[admin]\nlisten = \"SOCKET\"\ntoken = \"the-token\"\n",
        )
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.config.to_str().unwrap();
        run_menshen(&[&["-c", config], arguments].concat())
    }

    /// The output of a command that must succeed.
    pub(super) fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        text(&output.stdout).to_owned()
    }

    /// The error of a command that ends with this code.
    pub(super) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {output:?}"
        );
        text(&output.stderr).to_owned()
    }

    /// Runs a command with this standard input and variable.
    fn piped(&self, arguments: &[&str], input: &str, variable: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
        command
            .env_remove("MENSHEN_CONFIG")
            .env_remove("MENSHEN_LOG");
        if let Some(value) = variable {
            command.env(VARIABLE, value);
        }
        command.arg("-c").arg(&self.config).args(arguments);
        command.stdin(Stdio::piped());
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path(name).display().to_string()
    }

    fn has_store(&self) -> bool {
        self.folder.path("menshen.db").exists()
    }
}

/// The table `[connector.corp]` for the simulated WeCom.
fn corp(menshen: &Menshen) -> String {
    let wecom = &menshen.wecom;
    format!(
        "display_name = \"企业微信\"\n[wecom]\ncorp_id = \"{CORP_ID}\"\nagent_id = {AGENT_ID}\n\
         secret = \"{SECRET}\"\napi_base = \"{}\"\nauthorize_url = \"{}\"\nlogin_url = \"{}\"\n",
        wecom.base_url(),
        wecom.authorize_url(),
        wecom.login_url(),
    )
}

/// The first machine, with the managed connector `corp`, which is the default; it runs.
async fn first(menshen: &Menshen) -> (Machine, Program) {
    let machine = Machine::with_admin(menshen);
    let (program, _) = Program::run(&machine.config).await;
    machine.folder.write("corp.toml", &corp(menshen));
    machine.must(&["connector", "set", "corp", &machine.path("corp.toml")]);
    machine.must(&["connector", "default", "corp"]);
    (machine, program)
}

fn mode(path: impl AsRef<Path>) -> u32 {
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    mode & 0o7777
}

async fn signs_in(config: &Path) -> bool {
    let (program, address) = Program::run(config).await;
    let mut browser = Browser::at(address);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let is_in = page.answer.status == 200 && page.answer.text().contains("zhangsan");
    assert_eq!(program.end().await.0, Some(0));
    is_in
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_needs_no_server_and_shows_no_secret() {
    let menshen = Menshen::new().await;
    let (machine, program) = first(&menshen).await;
    let beside = machine.must(&["export"]);
    assert!(beside.contains("[connector.corp]"), "{beside}");
    assert!(
        beside.contains(VARIABLE) && !beside.contains(SECRET),
        "{beside}"
    );
    let older = machine.must(&["export", "--version", "1"]);
    assert!(!older.contains("default = "), "{older}");
    assert!(
        machine
            .fails(1, &["export", "--version", "7"])
            .contains('7')
    );
    program.end().await;
    assert_eq!(machine.must(&["export"]), beside);
    // What was never started has nothing to export, and gets no store by it.
    let fresh = Machine::with_admin(&menshen);
    assert_eq!(fresh.must(&["export"]).trim(), "");
    fresh.fails(1, &["export", "--version", "1"]);
    assert!(!fresh.has_store());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_written_into_files_of_this_user_alone_and_audited() {
    let menshen = Menshen::new().await;
    let (machine, program) = first(&menshen).await;
    let folder = machine.path("secrets");
    let output = machine.run(&["export", "--secrets", &folder]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = [text(&output.stdout), text(&output.stderr)].concat();
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(shown.contains(&format!("file = \"{folder}/")), "{shown}");
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
    assert_eq!(files.len(), 1);
    let file = files[0].as_ref().unwrap().path();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), SECRET);
    let audit = machine.must(&["audit", "--event", "config", "--json"]);
    let lines = || audit.lines().filter(|line| line.contains(&folder));
    assert_eq!(lines().count(), 1, "{audit}");
    assert!(lines().all(|line| line.contains("connector.corp.wecom.secret")));
    assert!(!audit.contains(SECRET), "{audit}");
    program.end().await;
    // Without a server as well.
    machine.must(&["export", "--secrets", &machine.path("again")]);
    assert_eq!(std::fs::read_dir(machine.path("again")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_others_read_or_that_is_not_empty_takes_no_secret() {
    let menshen = Menshen::new().await;
    let (machine, _program) = first(&menshen).await;
    let open = machine.path("open");
    std::fs::create_dir(&open).unwrap();
    let readable = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(&open, readable).unwrap();
    let full = machine.path("full");
    std::fs::create_dir(&full).unwrap();
    let own = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&full, own.clone()).unwrap();
    machine.folder.write("full/other", "");
    machine.folder.write("a-file", "");
    std::os::unix::fs::symlink(&full, machine.folder.path("link")).unwrap();
    for (name, words) in [
        ("open", "chmod 700"),
        ("full", "not empty"),
        ("a-file", "not a folder"),
        ("link", "not a folder"),
        ("no/parent", "No such file"),
    ] {
        let folder = machine.path(name);
        let error = machine.fails(1, &["export", "--secrets", &folder]);
        assert!(error.contains(words) && error.contains(&folder), "{error}");
    }
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(&full).unwrap().count(), 1);
    std::fs::set_permissions(&open, own).unwrap();
    machine.must(&["export", "--secrets", &open]);
    let audit = machine.must(&["audit", "--event", "config", "--json"]);
    assert!(!audit.contains(&full), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_moves_to_another_machine_with_its_secrets() {
    let menshen = Menshen::new().await;
    let (old, program) = first(&menshen).await;
    let export = old.must(&["export", "--secrets", &old.path("secrets")]);
    program.end().await;
    let file = old
        .folder
        .write("export.toml", &export)
        .display()
        .to_string();

    // Nothing runs there yet, and a look writes nothing.
    let new = Machine::with_admin(&menshen);
    assert!(new.must(&["check", &file]).ends_with(": fine\n"));
    let piped = new.piped(&["check", "-"], &export, None);
    assert_eq!(piped.status.code(), Some(0), "{piped:?}");
    let planned = new.must(&["import", &file, "--dry-run"]);
    for field in ["connector.corp.wecom.secret", "login.default"] {
        assert!(planned.contains(field), "{planned}");
    }
    assert!(!planned.contains(SECRET) && !new.has_store(), "{planned}");
    let absent = "there is no connector";
    assert!(new.must(&["check"]).contains(absent));
    assert!(new.must(&["import", &file]).contains("version 1"));
    assert!(!new.must(&["check"]).contains(absent));
    assert!(signs_in(&new.config).await);
    let audit_text = new.must(&["export"]);
    assert!(audit_text.contains("default = \"corp\""), "{audit_text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_without_secrets_is_checked_and_imported_with_variables() {
    let menshen = Menshen::new().await;
    let (old, _program) = first(&menshen).await;
    let export = old.must(&["export"]);
    let new = Machine::with_admin(&menshen);
    for arguments in [
        &["check", "-"][..],
        &["import", "-"],
        &["import", "-", "--dry-run"],
    ] {
        let output = new.piped(arguments, &export, None);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(text(&output.stderr).contains(VARIABLE), "{output:?}");
    }
    assert!(!new.has_store());
    let output = new.piped(&["check", "-"], &export, Some(SECRET));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = new.piped(&["import", "-"], &export, Some(SECRET));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(signs_in(&new.config).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_beside_a_running_server_is_checked_there_and_is_one_version() {
    let menshen = Menshen::new().await;
    let (machine, _program) = first(&menshen).await;
    let two = "[connector.one.cas]\nurl = \"https://cas.corp.example/cas\"\n\
               [connector.two.cas]\nurl = \"https://cas.corp.example/cas\"\n";
    let good = machine.folder.write("two.toml", two).display().to_string();
    let planned = machine.must(&["import", &good, "--dry-run"]);
    assert!(planned.contains("connector.one.cas.url"), "{planned}");
    assert!(planned.contains("connector.two.cas.url"), "{planned}");
    assert!(!machine.must(&["connector", "list"]).contains("one"));
    assert!(machine.must(&["import", &good]).contains("version 3"));
    assert_eq!(machine.must(&["config", "versions"]).lines().count(), 3);
    let again = machine.must(&["import", &good, "--dry-run"]);
    assert!(again.contains("no setting would change"), "{again}");
    // One that is bad keeps the good ones out, with a look and without.
    let bad =
        two.replacen("https://cas.corp.example/cas", "no address", 1) + "[connector.three.cas]\n";
    let bad = machine.folder.write("bad.toml", &bad).display().to_string();
    for arguments in [&["import", &bad][..], &["import", &bad, "--dry-run"]] {
        let error = machine.fails(1, arguments);
        assert!(error.contains("cas.url"), "{error}");
    }
    let broken = machine
        .folder
        .write("broken.toml", "\n\nsecret = = \"hunter2\"\n");
    let error = machine.fails(1, &["import", &broken.display().to_string()]);
    assert!(
        error.contains("broken.toml:3") && !error.contains("hunter2"),
        "{error}"
    );
    assert_eq!(machine.must(&["config", "versions"]).lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_reads_files_and_variables_for_secrets_only() {
    let menshen = Menshen::new().await;
    let machine = Machine::new(&menshen, "");
    let hidden = machine.folder.write("hidden", "content-of-the-machine");
    let hidden = hidden.display();
    let wecom = corp(&menshen).replace("[wecom]", "[connector.corp.wecom]");
    let wecom = wecom.replace("display_name = \"企业微信\"\n", "");
    for (what, lines) in [
        (
            "display_name",
            format!("display_name = {{ file = '{hidden}' }}\n{wecom}"),
        ),
        (
            "display_name",
            format!("display_name = {{ env = 'PATH' }}\n{wecom}"),
        ),
        (
            "login_prefix",
            format!("login_prefix = {{ file = '{hidden}' }}\n{wecom}"),
        ),
        (
            "wecom.corp_id",
            wecom.replacen(
                "corp_id = ",
                &format!("corp_id = {{ file = '{hidden}' }}\nx = "),
                1,
            ),
        ),
        (
            "mapping.badge",
            format!("mapping.badge = {{ file = '{hidden}' }}\n{wecom}"),
        ),
        (
            "link_by[0]",
            format!("link_by = [{{ file = '{hidden}' }}]\n{wecom}"),
        ),
    ] {
        let file = machine
            .folder
            .write("bad.toml", &format!("[connector.corp]\n{lines}"));
        let file = file.display().to_string();
        for arguments in [&["import", &file][..], &["import", &file, "--dry-run"]] {
            let error = machine.fails(1, arguments);
            assert!(error.contains(what), "{what}: {error}");
            assert!(
                error.contains("only secrets are read from a file"),
                "{what}: {error}"
            );
            assert!(!error.contains("content-of-the-machine"), "{error}");
        }
    }
    // A name that an administrator chose is no source.
    let custom = "[connector.p.custom]\nentry = 'ticket'\nsubject = 'steps.ask.id'\nprofile = 'steps.ask'\n\
                  [connector.p.custom.secrets]\nfile = 'of-the-portal'\n\
                  [[connector.p.custom.step]]\nname = 'ask'\nurl = 'https://portal.corp.example/ask'\n\
                  query = { env = 'code' }\nheaders = { x-file = 'secrets.file' }\n\
                  success = 'answer.code == 0'\n";
    let file = machine
        .folder
        .write("custom.toml", custom)
        .display()
        .to_string();
    let planned = machine.must(&["import", &file, "--dry-run"]);
    assert!(
        planned.contains("connector.p.custom.secrets.file"),
        "{planned}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_admin_api_an_import_goes_to_the_store_and_the_server_follows() {
    let menshen = Menshen::new().await;
    let machine = Machine::new(&menshen, "");
    let (program, address) = Program::run(&machine.config).await;
    let table = corp(&menshen).replace("[wecom]", "[connector.corp.wecom]");
    let export = machine
        .folder
        .write("export.toml", &format!("[connector.corp]\n{table}"));
    let export = export.display().to_string();
    assert!(machine.must(&["import", &export]).contains("version 1"));
    let start = format!("{SSO_URL}/.menshen/start?connector=corp");
    crate::sessions::eventually("the server follows", async || {
        Browser::at(address).visit(&start).await.status != 404
    })
    .await;
    program.end().await;
    assert!(signs_in(&machine.config).await);
}

#[test]
fn a_file_that_is_no_export_is_not_checked_as_one() {
    let folder = super::ConfigFolder::new("no-export");
    let config = folder.config("");
    let path = config.to_str().unwrap();
    let output = run_menshen(&["check", "-c", path, path]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("--config"), "{output:?}");
}
