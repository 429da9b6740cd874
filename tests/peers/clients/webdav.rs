//! rclone with Apache's WebDAV.

use std::process::Command;

use super::{Stage, Version, done, noise, run};

const PICTURE_BYTES: usize = 2_000_000;

impl Stage {
    /// rclone, with a trace of request and response headers.
    pub(super) fn rclone(&self, version: Version, token: Option<&str>) -> Command {
        let mut rclone = self.program("rclone");
        rclone.args(["--config", "", "--retries", "1", "--low-level-retries", "1"]);
        rclone.args(["-vv", "--dump", "headers", "--webdav-vendor", "other"]);
        rclone.arg("--ca-cert").arg(self.path("tls.pem"));
        rclone.arg("--webdav-url").arg(format!("{}/dav", self.url));
        if version == Version::One {
            rclone.arg("--disable-http2");
        }
        if let Some(token) = token {
            rclone.arg("--webdav-bearer-token").arg(token);
        }
        rclone
    }
}

async fn puts_copies_moves_and_deletes(version: Version) {
    let stage = Stage::start().await;
    let rclone = async |arguments: &[&str]| {
        let mut rclone = stage.rclone(version, Some(&stage.token));
        rclone.args(arguments);
        done(rclone).await
    };
    let there = stage.apache.folder();
    let read = |name: &str| std::fs::read(there.join(name)).unwrap();
    let picture = noise(PICTURE_BYTES);
    std::fs::write(stage.path("picture"), &picture).unwrap();

    let said = rclone(&["copyto", "picture", ":webdav:图/门 1.png"]).await;
    let answered = match version {
        Version::One => "HTTP/1.1 201",
        Version::Two => "HTTP/2.0 201",
    };
    assert!(said.contains(answered), "{said}");
    assert_eq!(read("图/门 1.png"), picture);

    let said = rclone(&["copyto", ":webdav:图/门 1.png", ":webdav:图/门#2.png"]).await;
    assert!(said.contains("COPY /dav/"), "{said}");
    assert_eq!(read("图/门#2.png"), picture);
    let said = rclone(&["moveto", ":webdav:图/门 1.png", ":webdav:外/门.png"]).await;
    assert!(said.contains("MOVE /dav/"), "{said}");
    assert!(!there.join("图/门 1.png").exists());
    assert_eq!(read("外/门.png"), picture);

    rclone(&["copyto", ":webdav:外/门.png", "back"]).await;
    assert_eq!(std::fs::read(stage.path("back")).unwrap(), picture);
    rclone(&["deletefile", ":webdav:图/门#2.png"]).await;
    assert!(!there.join("图/门#2.png").exists());
}

async fn rclone_without_a_good_token_is_refused(version: Version) {
    let stage = Stage::start().await;
    std::fs::write(stage.path("picture"), noise(PICTURE_BYTES)).unwrap();
    for token in [None, Some("made.up.here")] {
        for arguments in [
            ["copyto", "picture", ":webdav:门.png"].as_slice(),
            &["lsf", ":webdav:"],
        ] {
            let mut rclone = stage.rclone(version, token);
            rclone.args(arguments);
            let ran = run(rclone).await;
            assert!(
                !ran.good && ran.said.contains("401 Unauthorized"),
                "{}",
                ran.said
            );
        }
    }
    let there = std::fs::read_dir(stage.apache.folder()).unwrap();
    assert_eq!(there.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_puts_copies_moves_and_deletes_over_http_1() {
    puts_copies_moves_and_deletes(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_puts_copies_moves_and_deletes_over_http_2() {
    puts_copies_moves_and_deletes(Version::Two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_without_a_good_token_is_refused_over_http_1() {
    rclone_without_a_good_token_is_refused(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webdav_without_a_good_token_is_refused_over_http_2() {
    rclone_without_a_good_token_is_refused(Version::Two).await;
}
