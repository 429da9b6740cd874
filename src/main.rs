//! The program: command line, signals and exit codes.

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use menshen::config::Config;
use menshen::keys::{self, TokenKey};
use menshen::telemetry::{self, escape};
use menshen::text;
use menshen::wording::{self, Language};

#[path = "main/admin.rs"]
mod admin;
#[path = "main/admin_client.rs"]
mod admin_client;
#[path = "main/answer_text.rs"]
mod answer_text;
#[path = "main/audit.rs"]
mod audit;
#[path = "main/check.rs"]
mod check;
#[path = "main/command_audit.rs"]
mod command_audit;
#[path = "main/config_file.rs"]
mod config_file;
#[path = "main/connector.rs"]
mod connector;
#[path = "main/explain.rs"]
mod explain;
#[path = "main/export.rs"]
mod export;
#[path = "main/exported.rs"]
mod exported;
#[path = "main/failure.rs"]
mod failure;
#[path = "main/import.rs"]
mod import;
#[path = "main/managed_config.rs"]
mod managed_config;
#[path = "main/passwd.rs"]
mod passwd;
#[path = "main/people.rs"]
mod people;
#[path = "main/serve.rs"]
mod serve;
#[path = "main/session.rs"]
mod session;
#[path = "main/store.rs"]
mod store;

use admin_client::TokenChoice;
use config_file::{load, read_content, warnings};
use failure::{Failure, report};

/// Faster than the allocators of glibc and musl for small allocations on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the process waits at its end for blocking system calls.
const BLOCKING_WAIT: Duration = Duration::from_secs(3);

/// menshen 门神: an authenticating reverse proxy.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// The configuration file.
    #[arg(
        short,
        long,
        global = true,
        env = "MENSHEN_CONFIG",
        default_value = "/etc/menshen/menshen.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// The language of messages: en or zh. Absent: that of the locale (LC_ALL, LC_MESSAGES, LANG).
    #[arg(long, global = true, value_name = "LANGUAGE")]
    lang: Option<Language>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Default, Subcommand)]
enum Command {
    /// Serve (the default). SIGHUP or a changed file reloads the configuration, SIGTERM drains and stops.
    #[default]
    Run,
    /// Check the configuration and the files it names, without serving. Prints all problems and warnings with
    /// their lines and what to do.
    Check {
        /// Also contact every source and the database server, and print what must be registered there.
        #[arg(long)]
        online: bool,
        /// A file of `menshen export` that is checked as a part of the configuration; `-` is standard input.
        #[arg(value_name = "EXPORT")]
        export: Option<PathBuf>,
    },
    /// Explain whether a request would be allowed, and why. Contacts no source and writes nothing; a
    /// server may be running.
    Explain {
        #[command(flatten)]
        request: explain::ExplainOptions,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Add, change, list and remove local administrators of the web console, straight in the store; a server
    /// may be running.
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Move the store of a site.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// List, show, close, reopen and import people, add and change those whose passwords the store keeps, and
    /// list and end access tokens, through the admin API of the running server.
    People {
        #[command(flatten)]
        choice: TokenChoice,
        #[command(subcommand)]
        command: people::PeopleCommand,
    },
    /// List and end sessions, through the admin API of the running server.
    Session {
        #[command(flatten)]
        choice: TokenChoice,
        #[command(subcommand)]
        command: session::SessionCommand,
    },
    /// List lines of the audit trail, the newest first, through the admin API of the running server.
    Audit(audit::AuditArguments),
    /// List, show, test, change, enable and disable connectors, through the admin API of the running server.
    Connector {
        #[command(flatten)]
        choice: TokenChoice,
        #[command(subcommand)]
        command: connector::ConnectorCommand,
    },
    /// List, show and compare versions of the managed settings, and roll back to one, through the admin API of
    /// the running server.
    Config {
        #[command(flatten)]
        choice: TokenChoice,
        #[command(subcommand)]
        command: managed_config::VersionsCommand,
    },
    /// Print the managed connectors as TOML that `check` takes. Reads the store; a server may be running.
    Export(export::ExportArguments),
    /// Make or replace managed connectors from a TOML file, in one version: through the admin API of the
    /// running server, or straight in the store if none runs. Secrets may be `{ file = "..." }` or
    /// `{ env = "..." }`: this command reads them.
    Import(import::ImportArguments),
    /// Print the hash of a password, for the people file of a connector of the kind `local`. The password is
    /// read from the terminal, or from a pipe.
    Passwd,
    /// Print a new session key, or a key for the tokens of a portal.
    Keygen {
        /// An algorithm of `[connector.ID.jwt]`, or a `method` for the key of `dir`. Prints a shared secret in
        /// Base64, or a private key in PEM and after it the public key.
        #[arg(
            long = "for",
            value_name = "ALGORITHM",
            value_parser = PossibleValuesParser::new(keys::token_algorithms())
        )]
        algorithm: Option<String>,
    },
    /// Print the JSON schema of the configuration.
    Schema,
    /// Print completions for a shell.
    Completions { shell: Shell },
}

fn main() -> ExitCode {
    keys::install_crypto();
    let arguments = Arguments::parse();
    let locale = || Language::of_locale(|name| std::env::var(name).ok());
    wording::set_operator_language(arguments.lang.unwrap_or_else(locale));
    let outcome = run(&arguments.config, arguments.command.unwrap_or_default());
    // The log comes before the error message. If nobody reads standard output, writing the message
    // could block forever, so the exit code alone reports the error.
    let is_read = telemetry::flush_log();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if !is_read => ExitCode::from(failure.code()),
        Err(failure) => report(&failure),
    }
}

fn run(config: &Path, command: Command) -> Result<(), Failure> {
    match command {
        Command::Run => in_runtime(serve::run(config)),
        Command::Check { online, export } => {
            in_runtime(check::run(config, export.as_deref(), online))
        }
        Command::Explain { request, json } => in_runtime(explain::run(config, request, json)),
        Command::Admin(command) => in_runtime(admin::run(config, command)),
        Command::Store(command) => in_runtime(store::run(command)),
        Command::People { choice, command } => {
            in_runtime(async { people::run(&load(config).await?, choice, command).await })
        }
        Command::Session { choice, command } => {
            in_runtime(async { session::run(&load(config).await?, choice, command).await })
        }
        Command::Audit(arguments) => in_runtime(audit::run(config, arguments)),
        Command::Connector { choice, command } => {
            in_runtime(async { connector::run(&load(config).await?, choice, command).await })
        }
        Command::Config { choice, command } => {
            in_runtime(async { managed_config::run(&load(config).await?, choice, command).await })
        }
        Command::Export(arguments) => {
            in_runtime(async { export::run(&load(config).await?, arguments).await })
        }
        Command::Import(arguments) => {
            in_runtime(async { import::run(&load(config).await?, arguments).await })
        }
        Command::Passwd => passwd::run(),
        Command::Keygen { algorithm } => generate_key(algorithm.as_deref()),
        Command::Schema => print(format_args!(
            "{:#}",
            schemars::schema_for!(Config).to_value()
        )),
        Command::Completions { shell } => {
            let (mut arguments, mut output) = (Arguments::command(), std::io::stdout());
            clap_complete::generate(shell, &mut arguments, "menshen", &mut output);
            Ok(())
        }
    }
}

/// Prints a session key, or a key of an algorithm.
fn generate_key(algorithm: Option<&str>) -> Result<(), Failure> {
    let Some(algorithm) = algorithm else {
        return print(keys::generate().expose());
    };
    match TokenKey::generate(algorithm) {
        Some(key) => print(key.expose()),
        None => Err(Failure::Usage(text!(
            "there are no keys for {algorithm}",
            "{algorithm} 没有可用的密钥"
        ))),
    }
}

fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::refused(&error))?;
    let outcome = runtime.block_on(work);
    // A system call that hangs, for example on an unreachable file system, must not keep the process.
    runtime.shutdown_timeout(BLOCKING_WAIT);
    outcome
}

fn print(line: impl Display) -> Result<(), Failure> {
    // Names and addresses may contain control characters that a terminal would execute.
    match writeln!(
        std::io::stdout(),
        "{}",
        escape::for_terminal(&line.to_string())
    ) {
        // The reader has closed the pipe, as in `menshen schema | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::refused(&error)),
    }
}
