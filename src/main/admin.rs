//! `menshen admin`: adds, changes, lists and removes the local administrators of the console, straight in the
//! store. Only `[store]` of the configuration is read, so it works while everything else is broken.

use std::path::Path;

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::people::administrators::{AdministratorPassword, Administrators};
use menshen::store::{self, AdministratorName, StoreError};
use menshen::telemetry;

use super::passwd::read_new_password;
use super::{Failure, print, read_text};

/// The commands about local administrators.
#[derive(Debug, clap::Subcommand)]
pub(super) enum AdminCommand {
    /// Add a local administrator. The password is asked for twice on a terminal, and read once from a pipe;
    /// it has at least 12 characters.
    Add(NameAndPassword),
    /// Give a local administrator another password: ends the sessions of the console.
    Password(NameAndPassword),
    /// Remove a local administrator: ends the sessions of the console.
    Remove {
        /// Letters, digits, '.', '-', '_' and '@'.
        name: AdministratorName,
    },
    /// List the local administrators.
    List {
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
}

/// A name, and how the password is read.
#[derive(Debug, clap::Args)]
pub(super) struct NameAndPassword {
    /// Letters, digits, '.', '-', '_' and '@'.
    name: AdministratorName,
    /// Read the password from standard input, even if it is a terminal.
    #[arg(long)]
    password_stdin: bool,
}

impl NameAndPassword {
    fn read_password(&self) -> Result<AdministratorPassword, Failure> {
        let text = read_new_password(self.password_stdin)?;
        AdministratorPassword::new(&text).map_err(|error| Failure::refused(&error))
    }
}

pub(super) async fn run(path: &Path, command: AdminCommand) -> Result<(), Failure> {
    match command {
        AdminCommand::Add(arguments) => {
            let (name, administrators) = (&arguments.name, open(path).await?);
            let password = arguments.read_password()?;
            match administrators.add(name, &password).await {
                Ok(true) => print(format_args!("{name}: added")),
                Ok(false) => Err(Failure::Refused(format!(
                    "there is an administrator {name} already: `menshen admin password {name}` changes \
                     the password"
                ))),
                Err(error) => Err(unavailable(&error)),
            }
        }
        AdminCommand::Password(arguments) => {
            let (name, administrators) = (&arguments.name, open(path).await?);
            let password = arguments.read_password()?;
            let changed = administrators.change_password(name, &password).await;
            let text = "the password is changed, and the sessions of the console have ended";
            answer(name, changed, text)
        }
        AdminCommand::Remove { name } => {
            let removed = open(path).await?.remove(&name).await;
            let text = "removed, and the sessions of the console have ended";
            answer(&name, removed, text)
        }
        AdminCommand::List { json } => list(&open(path).await?, json).await,
    }
}

async fn open(path: &Path) -> Result<Administrators, Failure> {
    let text = read_text(path).await?;
    let parsed = Config::parse_store(&text, &path.display().to_string());
    let config = parsed.map_err(|error| Failure::Refused(error.to_string()))?;
    let options = config.options().map_err(|error| Failure::refused(&error))?;
    let store = store::open(&config.url, &options).await;
    let store = store.map_err(|error| unavailable(&error))?;
    Ok(Administrators::new(store, Clock::system()))
}

/// Prints what was done, or that there is no such administrator.
fn answer(
    name: &AdministratorName,
    done: Result<bool, StoreError>,
    text: &str,
) -> Result<(), Failure> {
    match done {
        Ok(true) => print(format_args!("{name}: {text}")),
        Ok(false) => Err(Failure::Refused(format!(
            "there is no administrator {name}"
        ))),
        Err(error) => Err(unavailable(&error)),
    }
}

async fn list(administrators: &Administrators, json: bool) -> Result<(), Failure> {
    let listed = administrators.list().await;
    let listed = listed.map_err(|error| unavailable(&error))?;
    if json {
        let administrators = listed.iter().map(|administrator| {
            serde_json::json!({
                "name": administrator.name,
                "created_at": administrator.created_at.unix_s(),
                "password_changed_at": administrator.password_changed_at.unix_s(),
            })
        });
        let administrators: Vec<_> = administrators.collect();
        return print(serde_json::json!({ "administrators": administrators }));
    }
    for administrator in &listed {
        let (created, changed) = (administrator.created_at, administrator.password_changed_at);
        print(format_args!("{}\t{created}\t{changed}", administrator.name))?;
    }
    Ok(())
}

fn unavailable(error: &StoreError) -> Failure {
    Failure::Unavailable(telemetry::error_chain(error).to_string())
}
