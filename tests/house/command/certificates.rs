//! A running menshen says when its certificates expire.

use std::path::Path;
use std::time::Duration;

use menshen::clock::{Clock, Timestamp};

use super::disk::get_from_admin;
use super::serving::Program;
use crate::tls::{write_certificate, write_certificate_until};
use crate::upstream::TempFolder;

/// The day that is so many days from now: year, month, day, and its beginning.
fn in_days(days: u64) -> ((i32, u8, u8), Timestamp) {
    let at = Clock::system()
        .now()
        .plus(Duration::from_secs(days * 86_400))
        .to_string();
    let part = |range: std::ops::Range<usize>| at[range].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let date = (
        i32::try_from(year).unwrap(),
        u8::try_from(month).unwrap(),
        u8::try_from(day).unwrap(),
    );
    (date, Timestamp::of_utc_date(year, month, day).unwrap())
}

fn write_config(folder: &TempFolder, certificate: &Path) -> std::path::PathBuf {
    let key = certificate.with_extension("key");
    folder.write(
        "menshen.toml",
        &format!(
            "[server]\nexternal_url = 'https://localhost'\nlisten = ['127.0.0.1:0']\n[server.tls]\n\
             certificate = '{}'\nkey = '{}'\n[admin]\nlisten = '127.0.0.1:0'\n[store]\n\
             url = 'sqlite::memory:'\n[[route]]\nname = 'all'\naccess = 'public'\n",
            certificate.display(),
            key.display()
        ),
    )
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_logged_until_it_is_renewed() {
    let folder = TempFolder::new();
    let (date, expiry) = in_days(10);
    write_certificate_until(&folder, "oa", &["localhost"], date);
    let certificate = folder.path("oa.pem");
    let config = write_config(&folder, &certificate);
    let (program, _) = Program::run(&config).await;
    program.wait_for_line("the certificate expires on").await;
    let line = program.line("the certificate expires on").unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(
        line["certificate"],
        certificate.display().to_string(),
        "{line}"
    );
    let admin = program.address("admin");
    let metric = |at: Timestamp| {
        let (path, seconds) = (certificate.display(), at.unix_s());
        format!("menshen_certificate_expiry_seconds{{certificate=\"{path}\"}} {seconds}\n")
    };
    let metrics = get_from_admin(admin, "/metrics").await.text();
    assert!(metrics.contains(&metric(expiry)), "{metrics}");
    let (date, renewed) = in_days(300);
    write_certificate_until(&folder, "oa", &["localhost"], date);
    program
        .wait_for_line("the configuration was reloaded")
        .await;
    let metrics = get_from_admin(admin, "/metrics").await.text();
    assert!(metrics.contains(&metric(renewed)), "{metrics}");
    assert!(!metrics.contains(&metric(expiry)), "{metrics}");
}

#[tokio::test]
async fn a_certificate_that_is_valid_for_long_is_only_a_metric() {
    let folder = TempFolder::new();
    write_certificate(&folder, "oa", &["localhost"]);
    let config = write_config(&folder, &folder.path("oa.pem"));
    let (program, _) = Program::run(&config).await;
    let admin = program.address("admin");
    let metrics = get_from_admin(admin, "/metrics").await.text();
    assert!(
        metrics.contains("menshen_certificate_expiry_seconds{"),
        "{metrics}"
    );
    assert_eq!(program.line("the certificate"), None);
}
