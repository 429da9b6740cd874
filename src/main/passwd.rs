//! `menshen passwd`: reads a password and prints its hash.

use std::error::Error;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use menshen::login::connector::credentials::PASSWORD_BYTES_MAX;
use menshen::login::connector::local::PasswordHash;
use menshen::people::new_password::NewPassword;
use menshen::text;
use menshen::wording::Text;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::{Failure, print};

pub(super) fn run() -> Result<(), Failure> {
    print(hash_of_new_password(false)?.as_str())
}

/// The hash of a password that is read twice from a terminal, or once from a pipe. `once`: once from a
/// terminal, too.
pub(super) fn hash_of_new_password(once: bool) -> Result<Zeroizing<String>, Failure> {
    let password = read_password(std::io::stdin().is_terminal(), once, NewPassword::parse)?;
    let hash = PasswordHash::create(password.expose());
    let hash = hash.map_err(|error| Failure::refused(&error))?;
    Ok(Zeroizing::new(hash))
}

/// A password that is read twice from a terminal, or once from a pipe. `from_stdin`: once from standard input,
/// even if that is a terminal. `check` refuses it before it is asked for again.
pub(super) fn read_new_password<E: Error + 'static>(
    from_stdin: bool,
    check: fn(&str) -> Result<NewPassword, E>,
) -> Result<NewPassword, Failure> {
    let is_terminal = !from_stdin && std::io::stdin().is_terminal();
    read_password(is_terminal, false, check)
}

fn read_password<E: Error + 'static>(
    is_terminal: bool,
    once: bool,
    check: fn(&str) -> Result<NewPassword, E>,
) -> Result<NewPassword, Failure> {
    let password = match is_terminal {
        true => ask(&text!("Password: ", "密码: "))?,
        false => read_pipe()?,
    };
    let password = check(&password).map_err(|error| Failure::refused(&error))?;
    let again = text!("The same password again: ", "再输入一次密码: ");
    if is_terminal && !once && **ask(&again)? != *password.expose() {
        return Err(Failure::Refused(text!(
            "these are two different passwords",
            "两次输入的密码不同"
        )));
    }
    Ok(password)
}

/// Asks on the terminal; what is typed is not shown.
fn ask(question: &Text) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: std::io::Error| Failure::refused(&error);
    // The hash alone goes to standard output.
    write!(std::io::stderr(), "{}", question.for_operator()).map_err(failed)?;
    let hidden = HiddenInput::begin().map_err(failed)?;
    let mut line = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().read_line(&mut line);
    drop(hidden);
    // The line break that was typed is not shown either.
    let _ = writeln!(std::io::stderr());
    read.map_err(failed)?;
    Ok(without_line_end(line))
}

/// Reads the password that another program writes, without a line end at its end.
fn read_pipe() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let max = u64::try_from(PASSWORD_BYTES_MAX).unwrap_or(u64::MAX);
    // Enough to notice that it is too long.
    let read = std::io::stdin().take(max + 3).read_to_string(&mut text);
    read.map_err(|error| Failure::refused(&error))?;
    Ok(without_line_end(text))
}

fn without_line_end(mut text: Zeroizing<String>) -> Zeroizing<String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// The terminal does not show what is typed until this is dropped.
struct HiddenInput(Termios);

impl HiddenInput {
    fn begin() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
