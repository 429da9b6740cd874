//! `menshen admin`: adds, changes, lists and removes the local administrators of the console, straight in the
//! store. Only `[store]` of the configuration is read, so it works while everything else is broken.

use std::path::Path;
use std::sync::Arc;

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::people::administrators::{AdministratorPassword, Administrators};
use menshen::store::{self, AdministratorName, Store, StoreError};
use menshen::telemetry::{AuditEvent, AuditRecord};
use menshen::text;
use menshen::wording::Text;

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
                Ok(true) => opened.report(name, &text!("added", "已添加")).await,
                Ok(false) => Err(Failure::Refused(text!(
                    "there is an administrator {name} already: `menshen admin password {name}` changes \
                     the password",
                    "管理员 {name} 已经存在：修改密码请用 `menshen admin password {name}`"
                ))),
                Err(error) => Err(Failure::unavailable(&error)),
            }
        }
        AdminCommand::Password(arguments) => {
            let name = &arguments.name;
            let password = arguments.read_password()?;
            let changed = administrators.change_password(name, &password).await;
            let text = text!(
                "the password is changed, and the sessions of the console have ended",
                "密码已修改，控制台的会话已结束"
            );
            opened.answer(name, changed, &text).await
        }
        AdminCommand::Remove { name } => {
            let removed = administrators.remove(&name).await;
            let text = text!(
                "removed, and the sessions of the console have ended",
                "已移除，控制台的会话已结束"
            );
            opened.answer(&name, removed, &text).await
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
    let store = store.map_err(|error| Failure::unavailable(&error))?;
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
        text: &Text,
    ) -> Result<(), Failure> {
        match done {
            Ok(true) => self.report(name, text).await,
            Ok(false) => Err(Failure::Refused(text!(
                "there is no administrator {name}",
                "没有管理员 {name}"
            ))),
            Err(error) => Err(Failure::unavailable(&error)),
        }
    }

    /// Prints what was done, and adds it to the audit trail in the store.
    async fn report(&self, name: &AdministratorName, text: &Text) -> Result<(), Failure> {
        let reason = text!(
            "local administrator {name}: {text}",
            "本地管理员 {name}：{text:#}"
        );
        let record = AuditRecord {
            by: Some("menshen admin"),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Console, Clock::system().now())
        };
        if !command_audit::store_line(&self.store, &record).await {
            print(command_audit::not_stored().for_operator())?;
        }
        print(text!("{name}: {text}", "{name}：{text:#}").for_operator())
    }
}

async fn list(administrators: &Administrators, json: bool) -> Result<(), Failure> {
    let listed = administrators.list().await;
    let listed = listed.map_err(|error| Failure::unavailable(&error))?;
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
