//! svn with Apache and Subversion's own module. svn only uses HTTP/1.1 and sends no token.

use std::process::Command;

use super::apache::{SVN_SECRET, SVN_USER};
use super::{Stage, done, noise, run};

const PICTURE_BYTES: usize = 2_000_000;

impl Stage {
    fn svn(&self) -> Command {
        let mut svn = self.program("svn");
        let authority = self.path("tls.pem");
        svn.args(["--non-interactive", "--no-auth-cache", "--config-option"]);
        svn.arg(format!("servers:global:ssl-authority-files={authority}"));
        // svn accepts names in certificates, but no IP addresses.
        svn.args(["--trust-server-cert-failures", "cn-mismatch"]);
        svn.args(["--username", SVN_USER, "--password", SVN_SECRET]);
        svn
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn svn_checks_out_commits_copies_and_moves() {
    let stage = Stage::start().await;
    let wall = format!("{}/svn", stage.url);
    let svn = async |arguments: &[&str]| {
        let mut svn = stage.svn();
        svn.args(arguments);
        done(svn).await
    };
    svn(&["checkout", &wall, "first"]).await;
    let picture = noise(PICTURE_BYTES);
    std::fs::write(stage.path("first/门 1.png"), &picture).unwrap();
    std::fs::create_dir(stage.path("first/图")).unwrap();
    std::fs::write(stage.path("first/图/说明.txt"), "一张图").unwrap();
    svn(&["add", "first/门 1.png", "first/图"]).await;
    svn(&["commit", "-m", "一张图", "first"]).await;

    svn(&[
        "copy",
        "-m",
        "再来一份",
        &format!("{wall}/图"),
        &format!("{wall}/图 2"),
    ])
    .await;
    let (from, to) = (format!("{wall}/门 1.png"), format!("{wall}/图 2/门.png"));
    svn(&["move", "-m", "换个地方", &from, &to]).await;
    svn(&["update", "first"]).await;
    // A copy and a move in the working copy are one commit with two `Destination` URLs.
    svn(&["copy", "first/图 2", "first/图 3"]).await;
    svn(&["move", "first/图/说明.txt", "first/说明.txt"]).await;
    svn(&["commit", "-m", "整理", "first"]).await;

    svn(&["checkout", &wall, "second"]).await;
    let listed = svn(&["list", "-R", &wall]).await;
    let mut listed: Vec<_> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            "图 2/",
            "图 2/说明.txt",
            "图 2/门.png",
            "图 3/",
            "图 3/说明.txt",
            "图 3/门.png",
            "图/",
            "说明.txt",
        ]
    );
    assert_eq!(
        std::fs::read(stage.path("second/图 3/门.png")).unwrap(),
        picture
    );
    svn(&["lock", "second/说明.txt"]).await;
    svn(&["unlock", "second/说明.txt"]).await;
    svn(&["delete", "-m", "不要了", &format!("{wall}/图 2")]).await;
    assert!(!svn(&["list", &wall]).await.contains("图 2"));
    // Apache's log shows the credentials that arrive, which the tests of access tokens rely on.
    assert!(stage.apache.requests().contains("Basic "));
}

#[tokio::test(flavor = "multi_thread")]
async fn svn_from_another_network_is_refused_and_says_so() {
    let stage = Stage::start().await;
    let mut checkout = stage.svn();
    checkout.args(["checkout", &format!("{}/closed", stage.url), "never"]);
    let ran = run(checkout).await;
    assert!(!ran.good, "{}", ran.said);
    // svn does not support the challenge of the 401.
    let seen = "authentication type(s) are not supported";
    assert!(ran.said.contains(seen), "{}", ran.said);
    // The rule allows the network; without an account Apache still refuses.
    let mut stranger = stage.svn();
    stranger.args(["--password", "wrong", "list", &format!("{}/svn", stage.url)]);
    let ran = run(stranger).await;
    assert!(
        !ran.good && ran.said.contains("Authentication failed"),
        "{}",
        ran.said
    );
}
