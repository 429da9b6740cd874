//! UnboundID's directory in memory, with failures on request.

use std::process::Command;

use menshen::face::page::Cause;

use super::super::processes::{Program, TempDir, counterparts, free_ports};
use super::super::visitor::echoed;
use super::Site;

const SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/peers/ldap/Directory.java"
);

/// A running directory; it ends when dropped.
struct UnboundId {
    port: u16,
    dir: TempDir,
    _program: Program,
}

impl UnboundId {
    fn start() -> Self {
        let dir = TempDir::new();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = dir.write("ldap.pem", &made.cert.pem());
        let key = dir.write("ldap.key", &made.signing_key.serialize_pem());
        for _ in 0..10 {
            let port = free_ports(2);
            let mut command = Command::new("java");
            command
                .args([
                    "-Xmx128m",
                    "-XX:TieredStopAtLevel=1",
                    "-Dfile.encoding=UTF-8",
                    "-cp",
                ])
                .arg(counterparts().join("unboundid-ldapsdk.jar"))
                .arg(SOURCE)
                .arg(port.to_string())
                .args([&certificate, &key]);
            let mut program = Program::start_stopped_by_stdin("UnboundID", &mut command);
            if program
                .line(|line| (line == "ready").then_some(()))
                .is_some()
            {
                return Self {
                    port,
                    dir,
                    _program: program,
                };
            }
        }
        panic!("UnboundID finds no port");
    }

    async fn site(&self, url: &str, base: &str, more: &str) -> Site {
        let ca = self.dir.path().join("ldap.pem").display().to_string();
        let ldap = format!(
            "url = '{url}'\nbind_dn = 'uid=gate,ou=people,dc=corp,dc=example'\n\
             bind_password = 'gate-password'\nbase = '{base}'\nsubject = 'uid'\n{more}"
        );
        Site::start(&ca, &ldap).await
    }
}

const PEOPLE: &str = "ou=people,dc=corp,dc=example";

#[tokio::test(flavor = "multi_thread")]
async fn people_of_unboundid_sign_in() {
    let directory = UnboundId::start();
    let groups =
        "[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp,dc=example'\nnested = true\n";
    for url in [
        format!("ldap://localhost:{}", directory.port),
        format!("ldaps://localhost:{}", directory.port + 1),
    ] {
        let site = directory.site(&url, PEOPLE, groups).await;
        let echo = site.assert_signed_in("alice", "alice-password").await;
        assert_eq!(
            echoed(&echo.body, "x-forwarded-groups").join(","),
            "inner,outer"
        );
        site.assert_signed_in("a,b", "comma-password").await;
        assert_eq!(site.sign_in("张三", "密码-password").await.status, 200);
        for (login, password) in [
            ("alice", "x"),
            ("alice", ""),
            ("nobody", "x"),
            ("ali*", "alice-password"),
        ] {
            assert_eq!(site.sign_in(login, password).await.status, 401, "{login}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_of_unboundid_are_not_followed() {
    let directory = UnboundId::start();
    let url = format!("ldap://localhost:{}", directory.port);
    // A search from the root gets a reference to another server beside the entry.
    let site = directory.site(&url, "dc=corp,dc=example", "").await;
    site.assert_signed_in("alice", "alice-password").await;
    assert_eq!(site.sign_in("nobody", "x").await.status, 401);
    // Here the whole search is referred.
    let site = directory.site(&url, "ou=far,dc=corp,dc=example", "").await;
    let page = site.sign_in("alice", "alice-password").await;
    assert_eq!(
        (page.status, page.cause()),
        (503, Some(Cause::PasswordUnchecked))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_unboundid_are_nobodys_wrong_password() {
    let directory = UnboundId::start();
    let url = format!("ldap://localhost:{}", directory.port);
    let site = directory.site(&url, PEOPLE, "timeout = '2s'\n").await;
    for login in ["slow", "drop", "dropsearch", "busy", "unavailable"] {
        let page = site.sign_in(login, "x").await;
        assert_eq!(
            (page.status, page.cause()),
            (503, Some(Cause::PasswordUnchecked)),
            "{login}"
        );
        assert!(page.headers.contains_key("retry-after"), "{login}");
        // The next login opens another connection.
        site.assert_signed_in("alice", "alice-password").await;
    }
    for (login, status, cause) in [
        ("locked", 401, None),
        ("expired", 403, Some(Cause::PasswordExpired)),
        ("mustchange", 403, Some(Cause::PasswordExpired)),
        ("disabled", 403, Some(Cause::InactiveMember)),
    ] {
        let page = site.sign_in(login, "x").await;
        assert_eq!(page.status, status, "{login}");
        assert!(cause.is_none() || page.cause() == cause, "{login}");
    }
}
