//! curl, whose older versions lose a response when the stream is reset.

use super::{Stage, Version, noise, run};

/// Repetitions, because a response is only lost in some attempts.
const TRIES: usize = 20;

/// Request bodies: a form, a page, and more than one HTTP/2 window.
const BODIES: [usize; 4] = [3, 70_000, 1_100_000, 6_000_000];

async fn a_refusal_is_received(version: Version) {
    let stage = Stage::start().await;
    for bytes in BODIES {
        std::fs::write(stage.path("body"), noise(bytes)).unwrap();
        for chunked in [false, true] {
            for _ in 0..TRIES {
                let mut curl = stage.program("curl");
                curl.args(["-k", "-s", "-S", "-w", "%{http_version} %{http_code}"]);
                curl.args(["-o", "answer", "-H", "Expect:", "--data-binary", "@body"]);
                let http = match version {
                    Version::One => ["--http1.1", "1.1 401"],
                    Version::Two => ["--http2", "2 401"],
                };
                curl.arg(http[0]);
                if chunked {
                    curl.args(["-H", "Transfer-Encoding: chunked"]);
                }
                curl.arg(format!("{}/x", stage.url));
                let ran = run(curl).await;
                assert!(
                    ran.good && ran.said == http[1],
                    "{bytes} {chunked}: {}",
                    ran.said
                );
                let answer = std::fs::read_to_string(stage.path("answer")).unwrap();
                assert!(answer.contains("login_url"), "{answer}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_body_is_sent_is_received_over_http_1() {
    a_refusal_is_received(Version::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_body_is_sent_is_received_over_http_2() {
    a_refusal_is_received(Version::Two).await;
}
