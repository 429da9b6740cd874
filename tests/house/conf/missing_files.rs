//! `menshen check` reports files that cannot be read at the line that names them.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use menshen::login::connector::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, Features, Kind, SettingProblem,
};
use menshen::secret::SecretSource;
use menshen::setting::KeyPath;
use menshen::wording::Text;
use url::Url;

use super::parse;
use super::problems::assert_problem;
use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

#[test]
fn check_reports_every_missing_file_at_its_line() {
    let folder = TempFolder::new();
    let secret = folder.write("wecom.secret", "hunter2");
    let missing = folder.path("missing");
    let document = |ca: &Path, secret: &Path| {
        format!(
            "[server]\nexternal_url = 'http://127.0.0.1:8080'\n[store]\nurl = 'sqlite::memory:'\n\
             [connector.corp]\nca = '{}'\n[connector.corp.wecom]\ncorp_id = 'ww1'\nagent_id = 7\n\
             secret = {{ file = '{}' }}\n",
            ca.display(),
            secret.display()
        )
    };
    let path = folder.write("menshen.toml", &document(&missing, &missing));
    let output = run_menshen(&["check", "-c", path.to_str().unwrap()]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for words in [
        "menshen.toml:6:6".to_owned(),
        format!("read the file {}", missing.display()),
        "menshen.toml:10:10".to_owned(),
        format!("read the secret file {}", missing.display()),
    ] {
        assert!(printed.contains(&words), "{words}: {printed}");
    }
    let path = folder.write("menshen.toml", &document(&missing, &secret));
    let output = run_menshen(&["check", "-c", path.to_str().unwrap()]);
    let printed = text(&output.stderr);
    assert!(!printed.contains("secret file"), "{printed}");
}

#[test]
fn check_reports_an_empty_secret_at_its_line_wherever_it_is_kept() {
    let folder = TempFolder::new();
    let file = folder.write("bind.secret", "\n");
    let file = format!("{{ file = '{}' }}", file.display());
    for (secret, words) in [
        (file.as_str(), "the secret from the file"),
        (
            "{ env = 'MENSHEN_TEST_EMPTY' }",
            "the secret from the environment variable",
        ),
        ("''", "the secret from the configuration"),
    ] {
        let document = format!(
            "[server]\nexternal_url = 'http://127.0.0.1:8080'\n[store]\nurl = 'sqlite::memory:'\n\
             [connector.staff.ldap]\nurl = 'ldaps://ldap.corp.example'\nbase = 'dc=corp'\n\
             bind_dn = 'cn=gate,dc=corp'\nbind_password = {secret}\n"
        );
        let path = folder.write("menshen.toml", &document);
        let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
            .args(["check", "-c", path.to_str().unwrap()])
            .env("MENSHEN_TEST_EMPTY", "")
            .env_remove("MENSHEN_LOG")
            .output()
            .unwrap();
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        for words in ["menshen.toml:9:17", words, "is empty"] {
            assert!(printed.contains(words), "{words}: {printed}");
        }
    }
}

/// A kind of connector that reads a file which is not a secret.
#[derive(Debug)]
struct WithMetadata(std::path::PathBuf);

impl Kind for WithMetadata {
    fn name(&self) -> &'static str {
        "saml"
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        Vec::new()
    }

    fn files(&self) -> Vec<(KeyPath<'_>, &Path)> {
        vec![(KeyPath::of(["saml", "metadata"]), &self.0)]
    }

    fn problems(&self, _: &ConnectorConfig, _: &Url) -> Vec<SettingProblem<'_>> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        Vec::new()
    }

    fn features(&self) -> Features {
        Features::default()
    }

    fn build(&self, _: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        let never = Text::fixed("it is never built", "从不建立");
        Err(ConnectorBuildError::Setting(never))
    }
}

#[test]
fn a_kind_can_name_a_file_that_is_not_a_secret() {
    let folder = TempFolder::new();
    let mut config = parse(
        "[server]\nexternal_url = 'https://sso.corp.example'\n\
         [connector.corp.wecom]\ncorp_id = 'ww1'\nagent_id = 7\nsecret = { env = 'X' }\n",
    );
    let id = "corp".parse().unwrap();
    let path = folder.path("metadata.xml");
    let connector = config.connector.remove(&id).unwrap();
    let kind = Arc::new(WithMetadata(path.clone()));
    config.connector.insert(id, connector.with_kind(kind));
    assert_eq!(config.files(), std::slice::from_ref(&path));
    let error = config.check_files().unwrap_err();
    assert_problem(&error, 3, 12, &["read the file", "metadata.xml"]);
    folder.write("metadata.xml", "<EntityDescriptor/>");
    assert!(config.check_files().is_ok());
}
