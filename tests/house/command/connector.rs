//! `menshen connector`, `config`, `export` and `import` beside a running server, and what `check` says.

use std::path::Path;
use std::process::Output;

use super::serving::{Program, write_config};
use super::{run_menshen, text};
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

/// A running server with a store that `check` can read.
struct Site {
    folder: TempFolder,
    config: std::path::PathBuf,
    _program: Program,
    _menshen: Menshen,
}

impl Site {
    async fn start() -> Self {
        let (menshen, folder) = (Menshen::new().await, TempFolder::new());
        let socket = folder.path("admin.sock").display().to_string();
        let store = format!("sqlite://{}", folder.path("menshen.db").display());
        let tables = format!("[admin]\nlisten = \"unix:{socket}\"\ntoken = \"the-token\"\n");
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

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.config.to_str().unwrap();
        run_menshen(&[&["-c", config], arguments].concat())
    }

    /// The output of a command that must succeed.
    fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        text(&output.stdout).to_owned()
    }

    /// The error of a command that is refused.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        text(&output.stderr).to_owned()
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

fn oidc(secret: &Path) -> String {
    format!(
        "display_name = \"统一登录\"\n[oidc]\nissuer = \"https://id.corp.example\"\nclient_id = \"a\"\n\
         client_secret = {{ file = \"{}\" }}\n",
        secret.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_are_made_switched_and_removed() {
    let site = Site::start().await;
    let secret = site.write("secret", "secret-of-the-client\n");
    let table = site.write("sso.toml", &oidc(Path::new(&secret)));
    assert!(
        site.must(&["connector", "set", "sso", &table])
            .contains("sso")
    );
    let list = site.must(&["connector", "list"]);
    assert!(
        list.contains("sso\toidc\tmanaged\tenabled\t统一登录"),
        "{list}"
    );
    assert!(list.contains("corp\twecom\tfile:"), "{list}");
    let shown = site.must(&["connector", "show", "sso"]);
    assert!(shown.contains("********") && !shown.contains("secret-of-the-client"));
    site.must(&["connector", "default", "sso"]);
    let order = site.must(&["connector", "order", "corp", "sso"]);
    assert!(
        order.contains("default: sso") && order.contains("order: corp sso"),
        "{order}"
    );

    site.must(&["connector", "disable", "sso"]);
    let check = site.must(&["check"]);
    assert!(
        check.contains("managed connector sso is disabled"),
        "{check}"
    );
    site.must(&["connector", "enable", "sso"]);
    assert!(!site.must(&["check"]).contains("managed connector sso"));

    let error = site.refused(&["connector", "remove", "corp"]);
    assert!(error.contains("menshen.toml:"), "{error}");
    let bad = site.write("bad.toml", "[oidc]\nissuer = \"https://id.corp.example\"\n");
    let error = site.refused(&["connector", "set", "sso", &bad]);
    assert!(error.contains("oidc.client_id: it is missing"), "{error}");
    site.must(&["connector", "remove", "sso"]);
    assert!(!site.must(&["connector", "list"]).contains("sso"));
}

#[tokio::test(flavor = "multi_thread")]
async fn none_removes_the_default_unless_a_connector_has_this_id() {
    let site = Site::start().await;
    let secret = site.write("secret", "secret-of-the-client\n");
    let table = site.write("sso.toml", &oidc(Path::new(&secret)));
    site.must(&["connector", "set", "sso", &table]);
    site.must(&["connector", "default", "sso"]);
    let nobody = site.must(&["connector", "default", "none"]);
    assert!(!nobody.contains("default: sso"), "{nobody}");
    assert!(!nobody.contains("default: none"), "{nobody}");
    site.must(&["connector", "set", "none", &table]);
    let named = site.must(&["connector", "default", "none"]);
    assert!(named.contains("default: none"), "{named}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_compared_rolled_back_exported_and_imported() {
    let site = Site::start().await;
    let secret = site.write("secret", "secret-of-the-client\n");
    let table = site.write("sso.toml", &oidc(Path::new(&secret)));
    site.must(&["connector", "set", "sso", &table]);
    let renamed = oidc(Path::new(&secret)).replace("统一登录", "总部");
    let table = site.write("renamed.toml", &renamed);
    site.must(&["connector", "set", "sso", &table]);
    let versions = site.must(&["config", "versions"]);
    assert_eq!(versions.lines().count(), 2, "{versions}");
    assert!(
        versions.contains("\tcommand\ttoken:admin\tconnector.sso.display_name"),
        "{versions}"
    );
    let diff = site.must(&["config", "diff", "1", "2"]);
    assert_eq!(
        diff.lines().collect::<Vec<_>>(),
        [
            "- connectors.sso.display_name = \"统一登录\"",
            "+ connectors.sso.display_name = \"总部\""
        ]
    );
    site.must(&["config", "rollback", "1"]);
    assert!(site.must(&["connector", "list"]).contains("统一登录"));
    assert!(site.refused(&["config", "rollback", "77"]).contains("77"));

    let export = site.must(&["export"]);
    assert!(
        export.contains("MENSHEN_SSO_OIDC_CLIENT_SECRET"),
        "{export}"
    );
    assert!(!export.contains("secret-of-the-client"), "{export}");
    site.must(&["connector", "remove", "sso"]);
    let with_file = export.replace(
        "env = \"MENSHEN_SSO_OIDC_CLIENT_SECRET\"",
        &format!("file = \"{secret}\""),
    );
    let file = site.write("export.toml", &with_file);
    site.must(&["import", "--dry-run", &file]);
    assert!(!site.must(&["connector", "list"]).contains("sso"));
    site.must(&["import", &file]);
    assert!(site.must(&["connector", "list"]).contains("统一登录"));
}
