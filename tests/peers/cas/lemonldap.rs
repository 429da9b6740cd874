//! LemonLDAP::NG, which quotes and words its answers differently, and ignores `renew`.

use std::process::Command;

use menshen::face::page::Cause;

use super::super::processes::{Program, TempDir, free_ports};
use super::super::visitor::{Page, Visitor, echoed};
use super::Stage;

/// The running server.
#[derive(Debug)]
struct Lemonldap {
    /// Its base URL.
    url: String,
    _program: Program,
    _dir: TempDir,
}

impl Lemonldap {
    async fn start() -> Self {
        for _ in 0..10 {
            let (dir, port) = (TempDir::new(), free_ports(1));
            let mut command = Command::new("perl");
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/cas/lemonldap.pl");
            command.arg(script).arg(dir.path()).arg(port.to_string());
            let mut program = Program::start_stopped_by_stdin("LemonLDAP::NG", &mut command);
            if program.listens(port).await {
                return Self {
                    url: format!("http://127.0.0.1:{port}/cas"),
                    _program: program,
                    _dir: dir,
                };
            }
            // Another process took the port, or the packages are missing.
            program.show();
        }
        panic!("LemonLDAP::NG does not start; tests/run installs it");
    }
}

async fn enter_password(visitor: &mut Visitor, page: &Page) -> Page {
    visitor
        .submit(page, &[("user", "dwho"), ("password", "dwho")])
        .await
}

async fn sign_in(stage: &Stage, visitor: &mut Visitor, path: &str) -> Page {
    let page = stage.open_login_page(visitor, path).await;
    enter_password(visitor, &page).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_signs_in() {
    let server = Lemonldap::start().await;
    for (version, name) in [("1.0", None), ("2.0", None), ("3.0", Some("Doctor Who"))] {
        let stage = Stage::start(&server.url, &format!("version = '{version}'")).await;
        let mut visitor = Visitor::new();
        let page = sign_in(&stage, &mut visitor, "/echo").await;
        assert_eq!(
            (page.status, page.url.path()),
            (200, "/echo"),
            "{version}: {}",
            page.body
        );
        assert_eq!(
            echoed(&page.body, "x-forwarded-user"),
            ["dwho"],
            "{version}"
        );
        if let Some(name) = name {
            assert_eq!(echoed(&page.body, "x-forwarded-name"), [name], "{version}");
            let mail = echoed(&page.body, "x-forwarded-email");
            assert_eq!(mail, ["dwho@badwolf.org"], "{version}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_foreign_tickets_are_refused() {
    let server = Lemonldap::start().await;
    for version in ["1.0", "3.0"] {
        let stage = Stage::start(&server.url, &format!("version = '{version}'")).await;
        let mut visitor = Visitor::new();
        sign_in(&stage, &mut visitor, "/echo").await;
        let start = stage.at("/.menshen/start?connector=portal&rd=/echo");
        // The ticket that the server gives this browser for another service.
        let other = format!("{}/login?service=http://127.0.0.1:9/x", server.url);
        let foreign = visitor.visit(&other).await.leads_to().unwrap();
        let foreign = foreign.query().unwrap().to_owned();
        for query in [foreign.as_str(), "ticket=ST-0123456789abcdef"] {
            let mut stranger = Visitor::new();
            let to_server = stranger.visit(&start).await.leads_to().unwrap();
            let service = to_server.query_pairs().find(|(name, _)| name == "service");
            let service = service.unwrap().1.into_owned();
            let page = stranger.visit(&format!("{service}&{query}")).await;
            let is_restarted = page.leads_to().is_some();
            assert!(
                is_restarted || page.cause() == Some(Cause::InvalidProviderResponse),
                "{version} {query}: {} {}",
                page.status,
                page.body
            );
            assert!(!stage.is_signed_in(&stranger).await, "{version} {query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_here_signs_out_at_the_server() {
    let server = Lemonldap::start().await;
    let stage = Stage::start(&server.url, "").await;
    let mut visitor = Visitor::new();
    sign_in(&stage, &mut visitor, "/echo").await;
    let page = visitor.open(&stage.at("/.menshen/sign_out")).await;
    assert!(
        page.url
            .as_str()
            .starts_with(&stage.at("/.menshen/sign_out")),
        "{}",
        page.url
    );
    let page = stage.open_login_page(&mut visitor, "/echo").await;
    assert!(page.url.as_str().starts_with(&server.url), "{}", page.url);
}

/// The guide warns of this: neither the login page nor the validation honours `renew`.
#[tokio::test(flavor = "multi_thread")]
async fn this_server_ignores_renew() {
    let server = Lemonldap::start().await;
    let stage = Stage::start(&server.url, "renew = true").await;
    let mut visitor = Visitor::new();
    sign_in(&stage, &mut visitor, "/echo").await;
    let page = stage.open_login_page(&mut visitor, "/echo").await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/echo"),
        "{}",
        page.body
    );
}
