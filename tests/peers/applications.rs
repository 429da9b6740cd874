//! The recipes of `docs/applications`: the programs of the pages, as they stand there, know the person whom
//! menshen sends and nobody else, name menshen in their addresses, and end with its session.
//! `tests/peers/applications/install` installs Flask, Django, JupyterLab, Express, Node-RED and Spring Boot;
//! nginx and PHP are Debian's.

mod django;
mod node;
mod php;
mod python;
mod recipe;
mod service_worker;
mod single_page;
mod spring;
mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::counterparts;

/// gunicorn believes nobody's `X-Forwarded-Proto`, so that the application has to read it.
const NOT_BY_GUNICORN: &str = " --forwarded-allow-ips 192.0.2.1";

/// A program that `tests/peers/applications/install` installed.
fn installed(path: &str) -> PathBuf {
    counterparts().join("applications").join(path)
}

/// The command of a line in a shell block: its program in the virtual environment, and its arguments.
fn in_the_environment(line: &str, dir: &Path) -> Command {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap();
    let mut command = Command::new(installed("python/bin").join(program));
    command.args(words).current_dir(dir).env("HOME", dir);
    command
}
