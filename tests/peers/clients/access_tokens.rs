//! Programs with the access token of a person as their password, in front of applications without accounts.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{CommandOutput, Stage, Version, done, noise, run};
use crate::visitor::{Page, Visitor};
use crate::wecom::WeCom;

const LOGIN: &str = "lisi";
/// The maximum number of pages of a login.
const PAGES_MAX: usize = 6;
/// Larger than git's post buffer, so that it sends chunks.
const PICTURE_BYTES: usize = 3_000_000;

/// A person who is signed in and sees the page of access tokens.
#[derive(Debug)]
struct Person {
    visitor: Visitor,
    page: Page,
}

impl Person {
    async fn signed_in(stage: &Stage) -> Self {
        let mut visitor = Visitor::trusting("localhost");
        let mut page = visitor
            .open(&format!("{}/.menshen/tokens", stage.url))
            .await;
        for _ in 0..PAGES_MAX {
            if page.url.path() == "/.menshen/tokens" {
                return Self { visitor, page };
            }
            let next = match page.url.path().starts_with("/.menshen/") {
                true => page.link("connector="),
                false => WeCom::choose(page.url.as_str(), LOGIN),
            };
            page = visitor.open(&next).await;
        }
        panic!("not signed in: {:?}", visitor.visited);
    }

    /// Makes a token for all routes. It must be the person's only one.
    async fn make_token(&mut self) -> String {
        let fields = [("name", "笔记本"), ("lasts", "2592000"), ("scope", "all")];
        self.page = self.visitor.submit(&self.page, &fields).await;
        let (_, rest) = self.page.body.split_once("<code>mst_").unwrap();
        format!("mst_{}", rest.split('<').next().unwrap())
    }

    /// Ends the only token.
    async fn end_token(&mut self) {
        // The page of a new token has a link to the list only.
        self.page = self.visitor.open(&self.page.link("/tokens")).await;
        let value = |name: &str| {
            let (_, rest) = self
                .page
                .body
                .split_once(&format!("name=\"{name}\" value=\""))
                .unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let (account, id) = (value("account"), value("id"));
        let fields = [("account", &*account), ("action", "end"), ("id", &id)];
        self.page = self.visitor.submit(&self.page, &fields).await;
        assert!(!self.page.body.contains(&id), "{}", self.page.body);
    }
}

/// The credentials of a program.
#[derive(Clone, Copy, Debug)]
enum Credentials<'a> {
    Absent,
    Token(&'a str),
}

impl Stage {
    /// git, which asks the program `askpass` for the password.
    fn git_of_person(&self, version: Version, credentials: Credentials<'_>) -> Command {
        let askpass = self.dir.write("askpass", "#!/bin/sh\necho \"$TOKEN\"\n");
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&askpass, mode).unwrap();
        let mut git = self.git(version, None);
        if let Credentials::Token(token) = credentials {
            git.env("GIT_ASKPASS", askpass).env("TOKEN", token);
        }
        git
    }

    fn wall_of_people(&self, credentials: Credentials<'_>) -> String {
        let url = format!("{}/people/git/wall.git", self.url);
        match credentials {
            Credentials::Absent => url,
            Credentials::Token(_) => url.replace("https://", &format!("https://{LOGIN}@")),
        }
    }

    /// svn with the arguments of a person, not of Apache's account.
    fn svn_of_person(&self, credentials: Credentials<'_>) -> Command {
        let mut svn = self.program("svn");
        let authority = self.path("tls.pem");
        svn.args(["--non-interactive", "--no-auth-cache", "--config-option"]);
        svn.arg(format!("servers:global:ssl-authority-files={authority}"));
        // svn accepts names in certificates, but no IP addresses.
        svn.args(["--trust-server-cert-failures", "cn-mismatch"]);
        if let Credentials::Token(token) = credentials {
            svn.args(["--username", LOGIN, "--password", token]);
        }
        svn
    }

    async fn rclone_of_person(&self, version: Version, credentials: Credentials<'_>) -> Command {
        let mut rclone = self.rclone(version, None);
        rclone.arg("--webdav-url");
        rclone.arg(format!("{}/people/dav", self.url));
        if let Credentials::Token(token) = credentials {
            let mut obscure = self.program("rclone");
            obscure.args(["obscure", token]);
            let password = done(obscure).await;
            rclone.args(["--webdav-user", LOGIN, "--webdav-pass", password.trim()]);
        }
        rclone
    }

    /// Fails if Apache received credentials in a request of a person's program, or no such request at all.
    fn assert_no_credentials_arrived(&self, token: &str) {
        let requests = self.apache.requests();
        let of_people: Vec<_> = requests
            .lines()
            .filter(|it| it.contains(" /people/"))
            .collect();
        assert!(!of_people.is_empty(), "{requests}");
        for request in of_people {
            assert!(request.starts_with("- "), "{request}");
        }
        let basic = STANDARD.encode(format!("{LOGIN}:{token}"));
        assert!(!requests.contains(token) && !requests.contains(&basic));
    }
}

/// A program that was refused said so, and did not run into its time limit.
fn assert_refused(ran: &CommandOutput, messages: &[&str]) {
    assert!(!ran.good, "{}", ran.said);
    let has_message = messages.iter().any(|message| ran.said.contains(message));
    assert!(has_message, "{}", ran.said);
}

async fn git_clones_fetches_and_pushes(version: Version) {
    let stage = Stage::start().await;
    let mut person = Person::signed_in(&stage).await;
    let token = person.make_token().await;
    let with_token = Credentials::Token(&token);
    let wall = stage.wall_of_people(with_token);
    for copy in ["first", "second"] {
        let mut clone = stage.git_of_person(version, with_token);
        clone.args(["clone", &wall, copy]);
        done(clone).await;
    }
    let picture = noise(PICTURE_BYTES);
    std::fs::write(stage.path("first/门.png"), &picture).unwrap();
    for (copy, arguments) in [
        ("first", ["add", "."].as_slice()),
        ("first", &["commit", "--quiet", "-m", "一张图"]),
        ("first", &["push", "origin", "HEAD:main"]),
        ("second", &["fetch", "origin"]),
        ("second", &["checkout", "--quiet", "origin/main"]),
    ] {
        let mut step = stage.git_of_person(version, with_token);
        step.arg("-C").arg(stage.path(copy)).args(arguments);
        done(step).await;
    }
    assert_eq!(std::fs::read(stage.path("second/门.png")).unwrap(), picture);
    stage.assert_no_credentials_arrived(&token);

    person.end_token().await;
    for credentials in [Credentials::Absent, with_token] {
        let wall = stage.wall_of_people(credentials);
        std::fs::write(stage.path("first/further"), "x").unwrap();
        for arguments in [
            ["ls-remote", &wall].as_slice(),
            &["clone", &wall, "never"],
            &["-C", "first", "push", &wall, "HEAD:refs/heads/never"],
        ] {
            let mut refused = stage.git_of_person(version, credentials);
            refused.args(arguments);
            let messages = match credentials {
                Credentials::Absent => ["could not read Username"],
                Credentials::Token(_) => ["Authentication failed"],
            };
            assert_refused(&run(refused).await, &messages);
        }
    }
    assert_eq!(stage.branches().await, "refs/heads/main\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn git_with_an_access_token_clones_fetches_and_pushes_over_http_1() {
    git_clones_fetches_and_pushes(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_with_an_access_token_clones_fetches_and_pushes_over_http_2() {
    git_clones_fetches_and_pushes(Version::Two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn svn_with_an_access_token_checks_out_and_commits() {
    let stage = Stage::start().await;
    let mut person = Person::signed_in(&stage).await;
    let token = person.make_token().await;
    let wall = format!("{}/people/svn", stage.url);
    let svn = async |arguments: &[&str]| {
        let mut svn = stage.svn_of_person(Credentials::Token(&token));
        svn.args(arguments);
        done(svn).await
    };
    svn(&["checkout", &wall, "first"]).await;
    std::fs::write(stage.path("first/门.png"), noise(PICTURE_BYTES)).unwrap();
    svn(&["add", "first/门.png"]).await;
    svn(&["commit", "-m", "一张图", "first"]).await;
    assert_eq!(svn(&["list", &wall]).await, "门.png\n");
    stage.assert_no_credentials_arrived(&token);

    person.end_token().await;
    std::fs::write(stage.path("first/门.png"), "changed").unwrap();
    for credentials in [Credentials::Absent, Credentials::Token(&token)] {
        for arguments in [
            ["list", &wall].as_slice(),
            &["checkout", &wall, "never"],
            &["commit", "-m", "不行", "first"],
        ] {
            let mut refused = stage.svn_of_person(credentials);
            refused.args(arguments);
            let messages = ["Authentication failed", "E170001"];
            assert_refused(&run(refused).await, &messages);
        }
    }
}

async fn rclone_lists_and_puts(version: Version) {
    let stage = Stage::start().await;
    let mut person = Person::signed_in(&stage).await;
    let token = person.make_token().await;
    std::fs::write(stage.path("picture"), noise(PICTURE_BYTES)).unwrap();
    let with_token = Credentials::Token(&token);
    for arguments in [
        ["copyto", "picture", ":webdav:门.png"].as_slice(),
        &["lsf", ":webdav:"],
    ] {
        let mut rclone = stage.rclone_of_person(version, with_token).await;
        rclone.args(arguments);
        let said = done(rclone).await;
        assert!(
            arguments[0] == "copyto" || said.contains("门.png"),
            "{said}"
        );
    }
    assert!(stage.apache.folder().join("门.png").exists());
    stage.assert_no_credentials_arrived(&token);

    person.end_token().await;
    for credentials in [Credentials::Absent, with_token] {
        for arguments in [
            ["lsf", ":webdav:"].as_slice(),
            &["copyto", "picture", ":webdav:never.png"],
        ] {
            let mut refused = stage.rclone_of_person(version, credentials).await;
            refused.args(arguments);
            assert_refused(&run(refused).await, &["401 Unauthorized"]);
        }
    }
    assert!(!stage.apache.folder().join("never.png").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn rclone_with_an_access_token_lists_and_puts_over_http_1() {
    rclone_lists_and_puts(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rclone_with_an_access_token_lists_and_puts_over_http_2() {
    rclone_lists_and_puts(Version::Two).await;
}
