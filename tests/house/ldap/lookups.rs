//! People who are signed in are looked up again, and `check --online`.

use std::process::Command;
use std::time::Duration;

use super::{LINES, PASSWORD, attempt, start_at};
use crate::browser::Browser;
use crate::ldap_directory::{Fault, LdapServer, On, Person, Received};
use crate::sessions::eventually;
use crate::setup::{Menshen, SSO_URL};
use crate::upstream::TempFolder;

const ZHANG: &str = "uid=zhangsan,ou=people,dc=corp";

async fn start(lines: &str, person: Person) -> (Menshen, LdapServer, Browser) {
    let server = LdapServer::start().await.unwrap();
    server.add(person);
    server.add(Person::new("lisi", PASSWORD));
    let menshen = start_at(&server, &format!("{LINES}revalidate = '2s'\n{lines}")).await;
    let (answer, browser) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    // Only sessions in memory are confirmed again.
    assert_eq!(status(&browser, "/echo").await, 200);
    (menshen, server, browser)
}

async fn status(browser: &Browser, path: &str) -> u16 {
    browser
        .clone()
        .visit(&format!("{SSO_URL}{path}"))
        .await
        .status
}

fn has_event(menshen: &Menshen, event: &str) -> bool {
    menshen.audit().iter().any(|line| line["event"] == event)
}

fn searches(server: &LdapServer) -> usize {
    let received = server.received().into_iter();
    received
        .filter(|one| matches!(one, Received::Search { .. }))
        .count()
}

#[tokio::test]
async fn a_person_who_is_gone_is_signed_out() {
    let guid: Vec<u8> = (0..16).collect();
    let of_active_directory = Person::new("zhangsan", PASSWORD)
        .with("entryUUID", &[])
        .with_bytes("objectGUID", &[&guid]);
    for (lines, person, is_closed) in [
        ("", Person::new("zhangsan", PASSWORD), false),
        ("", of_active_directory, false),
        // A name may be given to somebody else.
        ("subject = 'uid'\n", Person::new("zhangsan", PASSWORD), true),
        ("subject = 'dn'\n", Person::new("zhangsan", PASSWORD), true),
    ] {
        let returning = person.clone();
        let (menshen, server, browser) = start(lines, person).await;
        // Still there: the session stays.
        let before = searches(&server);
        menshen.advance(Duration::from_secs(3));
        eventually("asked", async || searches(&server) > before).await;
        assert_eq!(status(&browser, "/echo").await, 200, "{lines}");
        server.replace(ZHANG, None);
        menshen.advance(Duration::from_secs(3));
        eventually("out", async || status(&browser, "/echo").await != 200).await;
        if is_closed {
            eventually("closed", async || has_event(&menshen, "closed")).await;
            continue;
        }
        // A server of the directory that had not copied the entry yet costs nobody the account.
        assert!(!has_event(&menshen, "closed"));
        server.replace(ZHANG, Some(returning));
        menshen.advance(Duration::from_secs(3));
        super::assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    }
}

#[tokio::test]
async fn a_person_whom_the_directory_disables_is_signed_out() {
    for (name, on, off) in [
        ("nsAccountLock", "false", "TRUE"),
        ("userAccountControl", "512", "514"),
        ("pwdAccountLockedTime", "20200101000000Z", "000001010000Z"),
    ] {
        let person = |value: &str| Person::new("zhangsan", PASSWORD).with(name, &[value]);
        let (menshen, server, browser) = start("", person(on)).await;
        let before = searches(&server);
        menshen.advance(Duration::from_secs(3));
        eventually("asked", async || searches(&server) > before).await;
        assert_eq!(status(&browser, "/echo").await, 200, "{name}");
        server.replace(ZHANG, Some(person(off)));
        menshen.advance(Duration::from_secs(3));
        eventually("out", async || status(&browser, "/echo").await != 200).await;
    }
}

#[tokio::test]
async fn nobody_stays_signed_in_by_filling_their_own_entry() {
    let person = |kind: &str| Person::new("zhangsan", PASSWORD).with("employeeType", &[kind]);
    for left in ["staff", "left"] {
        let (menshen, server, browser) =
            start("filter = '(!(employeeType=left))'\n", person("staff")).await;
        let filled = person(left).with("mobile", &[&"1".repeat(1 << 20)]);
        server.replace(ZHANG, Some(filled));
        menshen.advance(Duration::from_secs(3));
        eventually("out", async || status(&browser, "/echo").await != 200).await;
    }
}

#[tokio::test]
async fn a_person_who_no_longer_matches_the_filter_is_signed_out_and_may_return() {
    let person = |kind: &str| Person::new("zhangsan", PASSWORD).with("employeeType", &[kind]);
    let (menshen, server, browser) =
        start("filter = '(!(employeeType=left))'\n", person("staff")).await;
    server.replace(ZHANG, Some(person("left")));
    menshen.advance(Duration::from_secs(3));
    eventually("out", async || status(&browser, "/echo").await != 200).await;
    assert!(!has_event(&menshen, "closed"));
    server.replace(ZHANG, Some(person("staff")));
    menshen.advance(Duration::from_secs(3));
    super::assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn groups_and_departments_follow() {
    let (menshen, server, browser) = start("", Person::new("zhangsan", PASSWORD)).await;
    assert_eq!(status(&browser, "/finance").await, 403);
    let moved = Person::new("zhangsan", PASSWORD).with("ou", &["财务部"]);
    server.replace(ZHANG, Some(moved));
    menshen.advance(Duration::from_secs(3));
    eventually("in 财务部", async || {
        status(&browser, "/finance").await == 200
    })
    .await;
}

#[tokio::test]
async fn a_person_whose_profile_cannot_be_mapped_keeps_no_old_groups() {
    let person = |level: &str| Person::new("zhangsan", PASSWORD).with("employeeNumber", &[level]);
    let mapping = "[connector.staff.mapping]\n\
                   groups = 'int(profile.employeeNumber[0]) > 5 ? [\"senior\"] : []'\n";
    let (menshen, server, browser) = start(mapping, person("7")).await;
    let before = searches(&server);
    menshen.advance(Duration::from_secs(3));
    eventually("asked", async || searches(&server) > before).await;
    assert_eq!(status(&browser, "/echo").await, 200);
    server.replace(ZHANG, Some(person("seven")));
    menshen.advance(Duration::from_secs(3));
    eventually("out", async || status(&browser, "/echo").await != 200).await;
    eventually("revoked", async || has_event(&menshen, "revoked")).await;
    let audit = menshen.audit();
    let revoked = audit
        .iter()
        .find(|line| line["event"] == "revoked")
        .unwrap();
    let reason = revoked["reason"].as_str().unwrap();
    assert!(reason.contains("cannot be mapped"), "{reason}");
    // As at a login; and the account stays.
    let (answer, _) = attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_ne!(answer.status, 303, "{}", answer.text());
    server.replace(ZHANG, Some(person("3")));
    menshen.advance(Duration::from_secs(3));
    super::assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert!(!has_event(&menshen, "closed"));
}

#[tokio::test]
async fn a_person_with_too_many_groups_keeps_no_old_ones_and_delays_nobody() {
    let groups: Vec<_> = (0..1001)
        .map(|n| format!("cn=g{n},ou=groups,dc=corp"))
        .collect();
    let groups: Vec<_> = groups.iter().map(String::as_str).collect();
    let person = Person::new("zhangsan", PASSWORD);
    let (menshen, server, browser) = start("", person.clone()).await;
    let (_, mut other) = attempt(&menshen, "lisi", PASSWORD).await;
    assert_eq!(other.visit(&format!("{SSO_URL}/finance")).await.status, 403);
    server.replace(ZHANG, Some(person.clone().with("memberOf", &groups)));
    let moved = Person::new("lisi", PASSWORD).with("ou", &["财务部"]);
    server.replace("uid=lisi,ou=people,dc=corp", Some(moved));
    menshen.advance(Duration::from_secs(3));
    eventually("out", async || status(&browser, "/echo").await != 200).await;
    eventually("in 财务部", async || {
        status(&other, "/finance").await == 200
    })
    .await;
    assert!(!has_event(&menshen, "closed"));
    server.replace(ZHANG, Some(person));
    menshen.advance(Duration::from_secs(3));
    super::assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn a_directory_that_fails_or_hides_everybody_signs_out_nobody() {
    let (menshen, server, browser) = start("", Person::new("zhangsan", PASSWORD)).await;
    for round in 0..3 {
        let before = searches(&server);
        match round {
            0 => server.instead(On::Search, |id, _| super::encoding::search_done(id, 52, "")),
            1 => server.instead(On::Search, |id, _| super::encoding::search_done(id, 32, "")),
            // An account that lost its rights finds nothing.
            _ => server.instead(On::Search, |id, _| super::encoding::search_done(id, 0, "")),
        }
        menshen.advance(Duration::from_secs(3));
        eventually("asked", async || {
            searches(&server) > before + usize::from(round > 0)
        })
        .await;
        assert_eq!(status(&browser, "/echo").await, 200, "{round}");
        server.without_faults();
    }
    assert!(!has_event(&menshen, "closed") && !has_event(&menshen, "revoked"));
}

async fn check_online(server: &LdapServer, ldap: &str) -> (Option<i32>, String) {
    let text = format!(
        "[server]\nexternal_url = 'http://sso.test'\n[connector.staff.ldap]\nurl = '{}'\n\
         start_tls = false\n{ldap}\n[[route]]\nname = 'a'\nupstream = ['http://127.0.0.1:1']\n",
        server.url()
    );
    let folder = TempFolder::new();
    let path = folder.write("menshen.toml", &text);
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
        command.env_remove("MENSHEN_LOG");
        command.args(["check", "--online", "-c"]).arg(path).output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !stdout.contains("hunter2") && !stderr.contains("hunter2"),
        "{stdout}{stderr}"
    );
    (output.status.code(), stdout)
}

#[tokio::test]
async fn check_online_binds_and_finds_one_person() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    let (code, stdout) = check_online(&server, LINES).await;
    assert_eq!(code, Some(0), "{stdout}");
    for part in [
        "ok ldap://127.0.0.1",
        "accepts bind_dn \"cn=gate,dc=corp\"",
        "with the login zhangsan and the identifier id-of-zhangsan",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    for (lines, part) in [
        (
            LINES.replace("hunter2", "hunter3"),
            "refuses bind_dn \"cn=gate,dc=corp\" with result 49",
        ),
        (LINES.replace("ou=people", "ou=nobody"), "finds nobody"),
        (
            format!("{LINES}login_attributes = ['sAMAccountName']\n"),
            "none of login_attributes",
        ),
        (
            format!("{LINES}subject = 'employeeNumber'\n"),
            "no usable identifier",
        ),
    ] {
        let (code, stdout) = check_online(&server, &lines).await;
        assert_eq!(code, Some(1), "{stdout}");
        assert!(stdout.contains(part), "{part}: {stdout}");
        assert_one_url_a_line(&stdout);
    }
    server.fault(On::Search, Fault::Drop);
    let (code, stdout) = check_online(&server, LINES).await;
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains("closed the connection"), "{stdout}");
    assert_one_url_a_line(&stdout);
    server.without_faults();
    let bind_as = "base = 'ou=people,dc=corp'\nbind_as = 'uid={login},ou=people,dc=corp'\n";
    let (code, stdout) = check_online(&server, bind_as).await;
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("can be reached"), "{stdout}");
}

fn assert_one_url_a_line(stdout: &str) {
    let findings = stdout.lines().filter(|line| line.starts_with("  "));
    for line in findings {
        assert_eq!(line.matches("ldap://").count(), 1, "{line}");
    }
}
