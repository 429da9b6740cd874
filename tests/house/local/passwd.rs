//! `menshen passwd`, and what `menshen check` says of a file of people.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::process::{Command, Output, Stdio};

use super::*;
use crate::command::{run_menshen, text};

/// Runs `menshen passwd` with this on its standard input.
fn passwd(input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .arg("passwd")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses the beginning need not read the rest.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn the_hash_of_a_piped_password_lets_its_owner_in() {
    for input in ["right horse 马\n", "right horse 马\r\n", "right horse 马"] {
        let output = passwd(input.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let hash = text(&output.stdout).strip_suffix('\n').unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let folder = PeopleFolder::new(&person("zhangsan", (hash, ""), ""));
        let menshen = folder.setup("").start().await;
        let browser = signed_in(Browser::new(&menshen), "zhangsan", "right horse 马").await;
        let answer = sign_in(&mut browser.clone(), "zhangsan", "right horse 马\n").await;
        assert_eq!(answer.status, 401);
    }
}

#[test]
fn a_password_that_is_too_short_or_too_long_has_no_hash() {
    for (input, why) in [
        (b"seven77\n".to_vec(), "at least 8 characters"),
        (b"\n".to_vec(), "at least 8 characters"),
        (b"".to_vec(), "at least 8 characters"),
        ("七个字的密码啊\n".into(), "at least 8 characters"),
        (vec![b'x'; 1_025], "at most 1024 bytes"),
        (vec![b'x'; 100_000], "at most 1024 bytes"),
        (b"two lines\nof text\n".to_vec(), "one line"),
        (b"with\0a NUL".to_vec(), "one line without NUL"),
        (b"not UTF-8 \xff\xfe".to_vec(), "UTF-8"),
    ] {
        let output = passwd(&input);
        assert_eq!(output.status.code(), Some(1), "{why}: {output:?}");
        assert_eq!(text(&output.stdout), "", "{why}");
        assert!(text(&output.stderr).contains(why), "{why}: {output:?}");
    }
    assert_eq!(
        passwd("八个字的密码就够\n".as_bytes()).status.code(),
        Some(0)
    );
    assert_eq!(passwd(&[b'x'; 1_024]).status.code(), Some(0));
}

/// The terminal of a program.
struct Terminal {
    /// What is written here is typed; what is read is shown.
    keyboard: File,
    end: OwnedFd,
}

impl Terminal {
    fn open() -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        // O_NOCTTY: it must not become the terminal of the test itself.
        let end = File::options()
            .read(true)
            .write(true)
            .custom_flags(0o400)
            .open(name.to_str().unwrap())
            .unwrap();
        Self {
            keyboard: File::from(keyboard),
            end: end.into(),
        }
    }
}

/// Answers the questions of `menshen passwd` on a terminal. Returns its output and what the terminal showed.
fn passwd_on_terminal(answers: &[&str]) -> (Output, String) {
    let mut terminal = Terminal::open();
    let mut child = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .arg("passwd")
        .stdin(Stdio::from(terminal.end.try_clone().unwrap()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut questions = child.stderr.take().unwrap();
    for answer in answers {
        let mut asked = String::new();
        let mut byte = [0];
        while !asked.ends_with(": ") && questions.read(&mut byte).unwrap() == 1 {
            asked.push(char::from(byte[0]));
        }
        // The question comes before the terminal hides what is typed, so the program is given time by
        // waiting until it does.
        wait_until_hidden(&terminal.end);
        terminal
            .keyboard
            .write_all(format!("{answer}\n").as_bytes())
            .unwrap();
    }
    let mut stderr = Vec::new();
    questions.read_to_end(&mut stderr).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stderr = stderr;
    // A mark shows where the output of the terminal ends.
    let mut end = File::from(terminal.end);
    end.write_all(b"END").unwrap();
    let mut shown = String::new();
    let mut byte = [0];
    while !shown.ends_with("END") && terminal.keyboard.read(&mut byte).unwrap() == 1 {
        shown.push(char::from(byte[0]));
    }
    (output, shown)
}

fn wait_until_hidden(end: &OwnedFd) {
    use rustix::termios::{LocalModes, tcgetattr};
    for _ in 0..6_000 {
        let modes = tcgetattr(end).unwrap().local_modes;
        if !modes.contains(LocalModes::ECHO) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the terminal shows what is typed");
}

#[test]
fn a_terminal_asks_twice_and_shows_no_password() {
    let (output, shown) = passwd_on_terminal(&["right horse", "right horse"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).starts_with("$argon2id$"), "{output:?}");
    assert!(!shown.contains("horse"), "{shown}");
    let (output, shown) = passwd_on_terminal(&["right horse", "wrong horse"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("two different passwords"));
    assert_eq!(text(&output.stdout), "");
    assert!(!shown.contains("horse"), "{shown}");
    // A short one is refused at once.
    let (output, _) = passwd_on_terminal(&["short"]);
    assert!(text(&output.stderr).contains("at least 8 characters"));
}

/// What `menshen check` prints about this file of people, and its exit code.
fn check(people: &str, mode: u32) -> (Option<i32>, String) {
    let folder = PeopleFolder::new(people);
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder.path(), permissions).unwrap();
    let config = folder.0.write(
        "menshen.toml",
        &format!(
            "[server]\nexternal_url = 'http://localhost'\n[store]\nurl = 'sqlite::memory:'\n[[route]]\n\
             name = 'all'\nupstream = ['http://127.0.0.1:1']\n[connector.house.local]\npeople = '{}'\n",
            folder.path().display()
        ),
    );
    let output = run_menshen(&["check", "--online", "-c", config.to_str().unwrap()]);
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code(), printed)
}

#[test]
fn check_names_every_weakness_of_a_file_of_people() {
    let hash = passwd(b"right horse").stdout;
    let hash = text(&hash).trim();
    let good = person("zhangsan", (hash, ""), "");
    let (code, printed) = check(&good, 0o640);
    assert_eq!(code, Some(0), "{printed}");
    assert!(!printed.contains("warning"), "{printed}");
    assert!(
        printed.contains("ok people who can sign in: 1; disabled: 0"),
        "{printed}"
    );
    let all: String = (0..7)
        .map(|number| person(&format!("p{number}"), WANGWU, ""))
        .collect();
    let (code, printed) = check(&all, 0o644);
    assert_eq!(code, Some(0), "{printed}");
    assert!(!printed.contains("add people"), "{printed}");
    let (_, of_writable) = check(&good, 0o662);
    assert!(of_writable.contains("every user of this machine can add people"));
    assert!(
        !of_writable.contains("can read the hashes"),
        "{of_writable}"
    );
    for part in [
        "menshen.toml:9:10: connector.house.local.people: every user of this machine",
        "p0 (bcrypt with cost 5), p1",
        "p4 (bcrypt with cost 5) and 2 more",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let (code, printed) = check(&person("zhangsan", (hash, ""), "disabled = true"), 0o640);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("nobody can sign in"), "{printed}");
}

#[test]
fn check_refuses_a_file_of_people_at_every_line_with_a_problem() {
    let text = format!(
        "{}[lisi]\npassword = 'hunter22'\n[LISI]\npassword = '{}'\n",
        person("zhangsan", ZHANGSAN, ""),
        ZHANGSAN.0
    );
    let (code, printed) = check(&text, 0o640);
    assert_eq!(code, Some(1), "{printed}");
    for part in [
        "error: this password cannot be used\n --> ",
        "people.toml:5:12\n",
        "`menshen passwd` prints one",
        "error: the login `LISI` is in line 4 already\n --> ",
        "people.toml:6:2\n",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(!printed.contains("hunter22"), "{printed}");
}
