//! git with Apache and git's own HTTP backend.

use std::process::Command;

use super::{CommandOutput, Stage, Version, done, noise, run};

/// Larger than git's post buffer, so that it sends chunks.
const PICTURE_BYTES: usize = 3_000_000;
const PIECE_BYTES: &str = "http.postBuffer=65536";

impl Stage {
    /// git with or without a token.
    pub(super) fn git(&self, version: Version, token: Option<&str>) -> Command {
        let mut git = self.program("git");
        git.env("GIT_CONFIG_NOSYSTEM", "1");
        git.env("GIT_TERMINAL_PROMPT", "0");
        git.env("GIT_TRACE_CURL", "1");
        git.env("GIT_TRACE_CURL_NO_DATA", "1");
        let spoken = match version {
            Version::One => "HTTP/1.1",
            Version::Two => "HTTP/2",
        };
        let authority = self.path("tls.pem");
        let mut settings = vec![
            format!("http.version={spoken}"),
            format!("http.sslCAInfo={authority}"),
            PIECE_BYTES.to_owned(),
            "user.name=张三".to_owned(),
            "user.email=zhangsan@corp.example".to_owned(),
        ];
        settings
            .extend(token.map(|token| format!("http.extraHeader=Authorization: Bearer {token}")));
        for setting in settings {
            git.arg("-c").arg(setting);
        }
        git
    }

    fn wall(&self) -> String {
        format!("{}/git/wall.git", self.url)
    }

    /// The branches of the repository.
    pub(super) async fn branches(&self) -> String {
        let mut list = self.program("git");
        list.args(["-c", "safe.directory=*", "-C"]);
        list.arg(self.apache.repository());
        list.args(["for-each-ref", "--format=%(refname)"]);
        done(list).await
    }
}

async fn clones_and_pushes(version: Version) {
    let stage = Stage::start().await;
    let git = || stage.git(version, Some(&stage.token));
    let mut clone = git();
    clone.args(["clone", &stage.wall(), "first"]);
    let said = done(clone).await;
    let answered = match version {
        Version::One => "HTTP/1.1 200",
        Version::Two => "HTTP/2 200",
    };
    assert!(said.contains(answered), "{said}");

    let picture = noise(PICTURE_BYTES);
    let first = stage.dir.path().join("first");
    std::fs::write(first.join("门.png"), &picture).unwrap();
    for arguments in [
        ["add", "."].as_slice(),
        &["commit", "--quiet", "-m", "一张图"],
        &["push", "origin", "HEAD:main", "HEAD:refs/heads/功能/一"],
    ] {
        let mut step = git();
        step.arg("-C").arg(&first).args(arguments);
        done(step).await;
    }
    assert_eq!(
        stage.branches().await,
        "refs/heads/main\nrefs/heads/功能/一\n"
    );

    let mut again = git();
    again.args(["clone", "-b", "功能/一", &stage.wall(), "second"]);
    done(again).await;
    let second = stage.dir.path().join("second/门.png");
    assert_eq!(std::fs::read(second).unwrap(), picture);
}

async fn git_without_a_good_token_is_refused(version: Version) {
    let stage = Stage::start().await;
    let mut start = stage.git(version, None);
    start.args(["init", "--quiet", "-b", "main", "own"]);
    done(start).await;
    let own = stage.dir.path().join("own");
    std::fs::write(own.join("picture"), noise(PICTURE_BYTES)).unwrap();
    for arguments in [["add", "."].as_slice(), &["commit", "--quiet", "-m", "one"]] {
        let mut step = stage.git(version, None);
        step.arg("-C").arg(&own).args(arguments);
        done(step).await;
    }
    for token in [None, Some("made.up.here")] {
        let mut clone = stage.git(version, token);
        clone.args(["clone", &stage.wall(), "never"]);
        refused(run(clone).await, version);
        let mut push = stage.git(version, token);
        push.arg("-C")
            .arg(&own)
            .args(["push", &stage.wall(), "main"]);
        refused(run(push).await, version);
    }
    assert_eq!(stage.branches().await, "");
}

fn refused(ran: CommandOutput, version: Version) {
    let answered = match version {
        Version::One => "HTTP/1.1 401",
        Version::Two => "HTTP/2 401",
    };
    assert!(!ran.good && ran.said.contains(answered), "{}", ran.said);
    // The output without the trace.
    let seen = ["could not read Username", "Authentication failed"];
    assert!(
        seen.iter().any(|seen| ran.said.contains(seen)),
        "{}",
        ran.said
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn git_clones_and_pushes_over_http_1() {
    clones_and_pushes(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_clones_and_pushes_over_http_2() {
    clones_and_pushes(Version::Two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_without_a_good_token_is_refused_over_http_1() {
    git_without_a_good_token_is_refused(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_without_a_good_token_is_refused_over_http_2() {
    git_without_a_good_token_is_refused(Version::Two).await;
}
