//! Secret files with white space or a byte order mark, as editors write them.

use super::assert_signed_in_as;
use crate::browser::Browser;
use crate::command::{run_menshen, text};
use crate::provider::{CLIENT_SECRET, Key, Provider};
use crate::setup::Menshen;
use crate::upstream::TempFolder;

#[tokio::test]
async fn white_space_around_a_secret_is_ignored_and_check_warns_of_it() {
    let provider = Provider::new().await;
    let folder = TempFolder::new();
    for (nth, (before, after, warning)) in [
        ("", "", None),
        ("", "\n", None),
        ("\u{feff}", "\r\n", Some("a byte order mark around")),
        (" ", " \t\n", Some("white space around")),
        (
            "\u{feff}\n",
            "\n \n",
            Some("a byte order mark and white space around"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{nth}.secret");
        let path = folder.write_secret(&name, &format!("{before}{CLIENT_SECRET}{after}"));
        let line = format!("client_secret = {{ file = \"{}\" }}", path.display());
        let setup = provider.setup_with_client_lines(&line);
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen);
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        let stdout = check(&menshen, &folder).await;
        let key = "connector.keycloak.oidc.client_secret";
        let line = stdout.lines().find(|line| line.contains(key));
        match warning {
            None => assert_eq!(line, None, "{before:?} {after:?}"),
            Some(warning) => assert!(line.is_some_and(|line| line.contains(warning)), "{stdout}"),
        }
        assert!(!stdout.contains(CLIENT_SECRET));
    }
}

/// The standard output of `menshen check` with the configuration of this instance.
async fn check(menshen: &Menshen, folder: &TempFolder) -> String {
    let config = menshen.setup.text(&menshen.wecom, &menshen.app);
    let path = folder.write("menshen.toml", &config);
    let path = path.display().to_string();
    let checked = tokio::task::spawn_blocking(move || run_menshen(&["check", "-c", &path]));
    let output = checked.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout).to_owned()
}

#[tokio::test]
async fn white_space_around_a_private_key_is_ignored() {
    let provider = Provider::new().await;
    let folder = TempFolder::new();
    let key = Key::generate(jsonwebtoken::Algorithm::ES256);
    let path = folder.write(
        "client.key",
        &format!("\u{feff}\r\n{}\r\n ", key.private_pem),
    );
    provider.set(|settings| {
        settings.client_auth = crate::provider::ClientAuth::PrivateKey(key.public_pem.clone())
    });
    let line = format!("private_key = {{ file = '{}' }}", path.display());
    let menshen = provider.setup_with_client_lines(&line).start().await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}
