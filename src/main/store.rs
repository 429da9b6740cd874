//! `menshen store`: copies the store of a site to another database.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use menshen::secret::SecretSource;
use menshen::store::{self, StoreOptions, StoreUrl};
use menshen::text;
use menshen::wording::Text;

use super::{Failure, print};

/// The commands about the store.
#[derive(Debug, clap::Subcommand)]
pub(super) enum StoreCommand {
    /// Copy everything from SQLite to an empty PostgreSQL database, or nothing. Stop menshen before.
    Migrate {
        /// The store to copy, such as sqlite:///var/lib/menshen/menshen.db.
        #[arg(long, value_name = "URL")]
        from: StoreUrl,
        /// The new store, such as postgres://menshen@db.corp.example/menshen.
        #[arg(long, value_name = "URL")]
        to: StoreUrl,
        /// A file with the password of the user in `--to`.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

pub(super) async fn run(command: StoreCommand) -> Result<(), Failure> {
    let StoreCommand::Migrate {
        from,
        to,
        password_file,
    } = command;
    migrate(from, to, password_file).await
}

/// `menshen store migrate`.
async fn migrate(
    from: StoreUrl,
    to: StoreUrl,
    password_file: Option<PathBuf>,
) -> Result<(), Failure> {
    let (StoreUrl::Sqlite(source), StoreUrl::Postgres(target)) = (&from, &to) else {
        return Err(Failure::Usage(text!(
            "--from must be a sqlite: URL, and --to a postgres: URL",
            "--from 应为 sqlite: 地址，--to 应为 postgres: 地址"
        )));
    };
    let password = password_file.map(SecretSource::File);
    let password = password.as_ref().map(SecretSource::read).transpose();
    let options = StoreOptions {
        password: password.map_err(|error| Failure::refused(&error))?,
        ..StoreOptions::default()
    };
    let mut progress = MigrateProgress::default();
    let copied = store::migrate(source, target, &options, |table, rows| {
        progress.show(table, rows);
    });
    let rows = copied.await.map_err(|error| Failure::refused(&error))?;
    progress.end_table()?;
    let done = text!(
        "{rows} rows were copied from {from}; write url = \"{to}\" in [store]",
        "已从 {from} 复制 {rows} 行；请在 [store] 中写 url = \"{to}\""
    );
    print(done.for_operator())
}

/// Prints each table with its number of rows; on a terminal, the number grows.
#[derive(Debug, Default)]
struct MigrateProgress(Option<(&'static str, u64)>);

impl MigrateProgress {
    fn show(&mut self, table: &'static str, rows: u64) {
        if self.0.is_some_and(|(last, _)| last != table) {
            // A closed standard output does not stop the copy.
            let _ = self.end_table();
        }
        self.0 = Some((table, rows));
        if std::io::stderr().is_terminal() {
            let line = rows_of(table, rows);
            let _ = write!(std::io::stderr(), "\r{} ", line.for_operator());
        }
    }

    fn end_table(&mut self) -> Result<(), Failure> {
        let Some((table, rows)) = self.0.take() else {
            return Ok(());
        };
        if std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        print(rows_of(table, rows).for_operator())
    }
}

fn rows_of(table: &str, rows: u64) -> Text {
    text!("{table}: {rows} rows", "{table}：{rows} 行")
}
