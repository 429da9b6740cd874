//! `menshen admin`: adds, changes, lists and removes the local administrators of the console, straight in the
//! store. Only `[store]` of the configuration is read, so it works while everything else is broken.

use std::path::Path;
use std::sync::Arc;

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::people::administrators::{AdministratorPassword, Administrators};
use menshen::store::{self, AdministratorName, Store, StoreError};
use menshen::telemetry::{self, AuditEvent, AuditRecord};

use super::passwd::read_new_password;
use super::{Failure, command_audit, print, read_content};

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
        let password = read_new_password(self.password_stdin, AdministratorPassword::check)?;
        let password = AdministratorPassword::new(password.expose());
        password.map_err(|error| Failure::refused(&error))
    }
}

/// The store, opened beside a server that may be running.
struct Opened {
    store: Arc<dyn Store>,
    administrators: Administrators,
}

pub(super) async fn run(path: &Path, command: AdminCommand) -> Result<(), Failure> {
    let opened = open(path).await?;
    let administrators = &opened.administrators;
    match command {
        AdminCommand::Add(arguments) => {
            let name = &arguments.name;
            let password = arguments.read_password()?;
            match administrators.add(name, &password).await {
                Ok(true) => opened.report(name, "added").await,
                Ok(false) => Err(Failure::Refused(format!(
                    "there is an administrator {name} already: `menshen admin password {name}` changes \
                     the password"
                ))),
                Err(error) => Err(unavailable(&error)),
            }
        }
        AdminCommand::Password(arguments) => {
            let name = &arguments.name;
            let password = arguments.read_password()?;
            let changed = administrators.change_password(name, &password).await;
            let text = "the password is changed, and the sessions of the console have ended";
            opened.answer(name, changed, text).await
        }
        AdminCommand::Remove { name } => {
            let removed = administrators.remove(&name).await;
            let text = "removed, and the sessions of the console have ended";
            opened.answer(&name, removed, text).await
        }
        AdminCommand::List { json } => list(administrators, json).await,
    }
}

async fn open(path: &Path) -> Result<Opened, Failure> {
    let content = read_content(path).await?;
    let parsed = Config::parse_store(&content, &path.display().to_string());
    let config = parsed.map_err(|error| Failure::invalid(&error))?;
    let options = config.options().map_err(|error| Failure::refused(&error))?;
    let store = store::open(&config.url, &options).await;
    let store = store.map_err(|error| unavailable(&error))?;
    Ok(Opened {
        administrators: Administrators::new(Arc::clone(&store), Clock::system()),
        store,
    })
}

impl Opened {
    /// Reports what was done, or that there is no such administrator.
    async fn answer(
        &self,
        name: &AdministratorName,
        done: Result<bool, StoreError>,
        text: &str,
    ) -> Result<(), Failure> {
        match done {
            Ok(true) => self.report(name, text).await,
            Ok(false) => Err(Failure::Refused(format!(
                "there is no administrator {name}"
            ))),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Prints what was done, and adds it to the audit trail in the store.
    async fn report(&self, name: &AdministratorName, text: &str) -> Result<(), Failure> {
        let reason = format!("local administrator {name}: {text}");
        let record = AuditRecord {
            by: Some("menshen admin"),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Console, Clock::system().now())
        };
        if !command_audit::store_line(&self.store, &record).await {
            print(format_args!("warning: the audit trail has no line of this"))?;
        }
        print(format_args!("{name}: {text}"))
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
