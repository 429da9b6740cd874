//! A disk that fails for some time while menshen runs: every write to a file is an I/O error.

use std::net::SocketAddr;
use std::process::Command;

use menshen::face::page::Cause;

use super::serving::{Program, write_config};
use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::upstream::TempFolder;
use crate::wire;

/// Makes every write beyond this file size fail. It sets the soft limit, which can be raised again.
pub(super) fn limit_file_size(program: u32, bytes: &str) {
    let pid = program.to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")])
        .status();
    assert!(limited.unwrap().success());
}

pub(super) async fn get_from_admin(address: SocketAddr, path: &str) -> wire::Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    wire::send(address, request.as_bytes()).await
}

#[tokio::test]
async fn an_io_error_is_counted_and_readiness_returns_after_it() {
    let menshen = Menshen::new().await;
    let folder = TempFolder::new();
    let setup = Setup::default().tables("[admin]\nlisten = \"127.0.0.1:0\"\n");
    let config = write_config(&folder, &menshen, &setup);
    let (program, address) = Program::run_ignoring(&config, "XFSZ").await;
    let admin_address = program.address("admin");
    let mut li = Browser::at(address);
    let page = li.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());

    for _ in 0..2 {
        limit_file_size(program.id(), "1");
        let mut zhang = Browser::at(address);
        let page = zhang.sign_in(&format!("{SSO_URL}/echo"), "zhangsan").await;
        assert_eq!(page.answer.status, 503, "{}", page.answer.text());
        assert_eq!(page.cause(), Some(Cause::StoreUnavailable));
        assert_eq!(zhang.cookie("menshen"), None);
        let ready = get_from_admin(admin_address, "/readyz").await;
        assert_eq!(ready.status, 503, "{}", ready.text());
        let reason = "the store cannot be written to: the disk fails (I/O error)";
        assert_eq!(ready.json()["reasons"][0], reason);
        let metrics = get_from_admin(admin_address, "/metrics").await.text();
        assert!(
            !metrics.contains("menshen_store_errors_total 0\n"),
            "{metrics}"
        );
        assert_eq!(li.visit(&format!("{SSO_URL}/echo")).await.status, 200);

        limit_file_size(program.id(), "unlimited");
        until_ready(admin_address).await;
        let page = zhang.sign_in(&format!("{SSO_URL}/echo"), "zhangsan").await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    }
    let (code, ..) = program.end().await;
    assert_eq!(code, Some(0));
}

async fn until_ready(address: SocketAddr) {
    for _ in 0..300 {
        if get_from_admin(address, "/readyz").await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("menshen does not become ready again");
}
