//! The program: command line, signals and exit codes.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use menshen::clock::Clock;
use menshen::config::{Config, ConfigError, Warning};
use menshen::door::BindError;
use menshen::face::explanation;
use menshen::keys::TokenKey;
use menshen::open_files::OpenFiles;
use menshen::request::explain::{ExplainArguments, ExplainQuery};
use menshen::run::watch::FileWatcher;
use menshen::run::{self, Running, StartError};
use menshen::secret::SecretSource;
use menshen::store::{self, StoreOptions, StoreUrl};
use menshen::telemetry::escape;
use menshen::wording::{self, Language, Text};
use menshen::{keys, telemetry, text};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
#[path = "main/connector.rs"]
mod connector;
#[path = "main/export.rs"]
mod export;
#[path = "main/exported.rs"]
mod exported;
#[path = "main/import.rs"]
mod import;
#[path = "main/managed_config.rs"]
mod managed_config;
#[path = "main/passwd.rs"]
mod passwd;
#[path = "main/people.rs"]
mod people;
#[path = "main/session.rs"]
mod session;

use admin_client::TokenChoice;

/// Faster than the allocators of glibc and musl for small allocations on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The longest configuration file that is accepted, in bytes.
const CONFIG_BYTES_MAX: u64 = 4 << 20;

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
        request: ExplainOptions,
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
    Store(StoreCommand),
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

#[derive(Debug, Subcommand)]
enum StoreCommand {
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

/// The request to explain.
#[derive(Debug, clap::Args)]
struct ExplainOptions {
    /// The URL, as a browser shows it.
    url: String,
    /// The login of a person who is assumed to have just signed in; absent: a request without a session.
    #[arg(long = "as", value_name = "LOGIN")]
    login: Option<String>,
    /// The connector the person signs in with; absent: the one of their last login.
    #[arg(long, value_name = "CONNECTOR")]
    via: Option<String>,
    /// The HTTP method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The IP address of the peer.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: String,
    /// A header of the request; may be given more than once.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
}

/// Why the program failed; each variant has its exit code.
#[derive(Debug)]
enum Failure {
    /// 1: the configuration or something that it names is invalid.
    Refused(String),
    /// 2: an argument is invalid.
    Usage(String),
    /// 3: a socket could not be bound.
    NotBound(String),
    /// 4: the running server did not answer, or could not store a change.
    Unavailable(String),
}

fn main() -> ExitCode {
    keys::install_crypto();
    let arguments = Arguments::parse();
    let locale = || Language::of_locale(|name| std::env::var(name).ok());
    wording::set_operator_language(arguments.lang.unwrap_or_else(locale));
    let config = arguments.config.as_path();
    let outcome = match arguments.command.unwrap_or_default() {
        Command::Run => in_runtime(serve(config)),
        Command::Check { online, export } => {
            in_runtime(check::run(config, export.as_deref(), online))
        }
        Command::Explain { request, json } => in_runtime(explain(config, request, json)),
        Command::Admin(command) => in_runtime(admin::run(config, command)),
        Command::Store(StoreCommand::Migrate {
            from,
            to,
            password_file,
        }) => in_runtime(migrate(from, to, password_file)),
        Command::People { choice, command } => in_runtime(people(config, choice, command)),
        Command::Session { choice, command } => in_runtime(session(config, choice, command)),
        Command::Audit(arguments) => in_runtime(audit::run(config, arguments)),
        Command::Connector { choice, command } => in_runtime(async {
            let config = load(config).await?;
            connector::run(&config, choice, command).await
        }),
        Command::Config { choice, command } => in_runtime(async {
            let config = load(config).await?;
            managed_config::run(&config, choice, command).await
        }),
        Command::Export(arguments) => in_runtime(async {
            let config = load(config).await?;
            export::run(&config, arguments).await
        }),
        Command::Import(arguments) => in_runtime(async {
            let config = load(config).await?;
            import::run(&config, arguments).await
        }),
        Command::Passwd => passwd::run(),
        Command::Keygen { algorithm: None } => print(keys::generate().expose()),
        Command::Keygen {
            algorithm: Some(algorithm),
        } => match TokenKey::generate(&algorithm) {
            Some(key) => print(key.expose()),
            None => Err(Failure::Usage(format!("there are no keys for {algorithm}"))),
        },
        Command::Schema => print(format_args!(
            "{:#}",
            schemars::schema_for!(Config).to_value()
        )),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "menshen",
                &mut std::io::stdout(),
            );
            Ok(())
        }
    };
    // The log comes before the error message. If nobody reads standard output, writing the message
    // could block forever, so the exit code alone reports the error.
    let is_read = telemetry::flush_log();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if !is_read => ExitCode::from(failure.code()),
        Err(failure) => report(&failure),
    }
}

/// Serves until a signal stops it.
async fn serve(path: &Path) -> Result<(), Failure> {
    // The watcher starts before the file is read, so that no change in between is lost.
    let mut watch = FileWatcher::new(vec![path.to_owned()]).await;
    let config = load(path).await?;
    telemetry::init(&config.log).map_err(|error| Failure::refused(&error))?;
    for warning in warnings(&config) {
        log_warning(&warning);
    }
    let mut signals = Signals::new()?;
    watch.set_files(watched_files(path, &config)).await;
    let running = run::start(config, Clock::system()).await?;
    for warning in running.absent_caller_warnings() {
        log_warning(&warning);
    }
    notify_systemd(&[NotifyState::Ready]);
    let admin = running.admin_address().map(tracing::field::display);
    let console = running.console_address().map(tracing::field::display);
    tracing::info!(addresses = ?running.addresses(), admin, console, "serving");
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => reload(path, &running, &mut watch).await,
            () = watch.changed() => reload(path, &running, &mut watch).await,
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    notify_systemd(&[NotifyState::Stopping]);
    tracing::info!("draining; another signal stops at once");
    tokio::select! {
        () = running.stop() => {}
        _ = signals.terminate.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
    Ok(())
}

/// Applies the current configuration file, or logs why it is refused.
async fn reload(path: &Path, running: &Running, watch: &mut FileWatcher) {
    let config = match load(path).await {
        Ok(config) => config,
        Err(failure) => {
            running.note_unparsable_config();
            let error = without_label(failure.why());
            tracing::error!(error, "the configuration was not reloaded");
            return;
        }
    };
    // Even if the configuration is refused below: a file that it names may need the fix.
    watch.set_files(watched_files(path, &config)).await;
    match running.reload(config).await {
        Ok(needed) if needed.is_empty() => tracing::info!("the configuration was reloaded"),
        Ok(needed) => tracing::warn!(
            ?needed,
            "the configuration was reloaded; these changes need a restart"
        ),
        Err(error) => {
            let error = Text::of(&telemetry::error_chain(&error));
            let error = error.for_operator();
            tracing::error!(error, "the configuration was not reloaded");
        }
    }
}

/// The warnings about a configuration, the files it names and the limits of the system.
fn warnings(config: &Config) -> impl Iterator<Item = Warning> {
    let of_files = config.file_warnings();
    let of_system = config.system_warnings(OpenFiles::of_process());
    let all = config.warnings().into_iter().chain(of_files);
    all.chain(of_system)
}

fn log_warning(warning: &Warning) {
    let text = warning.text.for_operator();
    tracing::warn!(key = warning.key, line = warning.line, "{text}");
}

/// `menshen explain`.
async fn explain(path: &Path, request: ExplainOptions, json: bool) -> Result<(), Failure> {
    let query = ExplainQuery::parse(ExplainArguments {
        url: request.url,
        login: request.login,
        via: request.via,
        method: Some(request.method),
        from: Some(request.from),
        headers: request.header,
    });
    let query = query.map_err(|error| Failure::Usage(error.to_string()))?;
    let config = load(path).await?;
    let explained = run::explain(&config, &query).await;
    let explanation = explained.map_err(|error| Failure::refused(&error))?;
    match json {
        true => {
            let json = format!("{:#}", explanation::json(&explanation));
            print(escape::json_for_terminal(&json))
        }
        false => print(explanation::text(&explanation).trim_end()),
    }
}

/// `menshen store migrate`.
async fn migrate(
    from: StoreUrl,
    to: StoreUrl,
    password_file: Option<PathBuf>,
) -> Result<(), Failure> {
    let (StoreUrl::Sqlite(source), StoreUrl::Postgres(target)) = (&from, &to) else {
        let why = "--from must be a sqlite: URL, and --to a postgres: URL";
        return Err(Failure::Usage(why.to_owned()));
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
    print(format_args!(
        "{rows} rows were copied from {from}; write url = \"{to}\" in [store]"
    ))
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
            let _ = write!(std::io::stderr(), "\r{table}: {rows} rows ");
        }
    }

    fn end_table(&mut self) -> Result<(), Failure> {
        let Some((table, rows)) = self.0.take() else {
            return Ok(());
        };
        if std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        print(format_args!("{table}: {rows} rows"))
    }
}

/// `menshen people`.
async fn people(
    path: &Path,
    choice: TokenChoice,
    command: people::PeopleCommand,
) -> Result<(), Failure> {
    people::run(&load(path).await?, choice, command).await
}

/// `menshen session`.
async fn session(
    path: &Path,
    choice: TokenChoice,
    command: session::SessionCommand,
) -> Result<(), Failure> {
    session::run(&load(path).await?, choice, command).await
}

/// Reads and parses the configuration.
async fn load(path: &Path) -> Result<Config, Failure> {
    let content = read_content(path).await?;
    let parsed = Config::parse_bytes(&content, &path.display().to_string());
    parsed.map_err(|error| Failure::invalid(&error))
}

/// Reads the configuration file.
async fn read_content(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let unreadable = |error: std::io::Error| {
        let is_refused = error.kind() == std::io::ErrorKind::PermissionDenied;
        Failure::because(&match is_refused {
            true => text!(
                "read {name}: {error}; the user that menshen runs as must be able to read it (chgrp menshen, \
                 chmod 640)",
                "无法读取 {name}：{error}；运行 menshen 的用户必须有权读取（chgrp menshen，chmod 640）"
            ),
            false => text!("read {name}: {error}", "无法读取 {name}：{error}"),
        })
    };
    let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if size > CONFIG_BYTES_MAX {
        return Err(Failure::because(&text!(
            "{name} is longer than {CONFIG_BYTES_MAX} bytes",
            "{name} 超过 {CONFIG_BYTES_MAX} 字节"
        )));
    }
    tokio::fs::read(path).await.map_err(unreadable)
}

/// The configuration file and every file that it names.
fn watched_files(path: &Path, config: &Config) -> Vec<PathBuf> {
    let mut files = config.files();
    files.push(path.to_owned());
    files
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|error| Failure::refused(&error));
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }
}

impl Failure {
    fn refused(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::because(&Text::of(&telemetry::error_chain(error)))
    }

    fn because(why: &Text) -> Self {
        Self::Refused(why.for_operator().to_owned())
    }

    fn invalid(error: &ConfigError) -> Self {
        Self::Refused(error.in_language(wording::operator_language()))
    }

    fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::NotBound(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Refused(why)
            | Self::Usage(why)
            | Self::NotBound(why)
            | Self::Unavailable(why) => why,
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let why = Text::of(&telemetry::error_chain(&error));
        let why = why.for_operator().to_owned();
        match error {
            // An invalid certificate is a fault of the configuration: no socket was bound yet.
            StartError::Bind(BindError::Tls(_)) => Self::Refused(why),
            StartError::Bind(_) => Self::NotBound(why),
            StartError::Store(_)
            | StartError::Build(_)
            | StartError::Address { .. }
            | StartError::AdminToken(_)
            | StartError::StorePassword(_) => Self::Refused(why),
        }
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

/// Notifies systemd; does nothing if menshen was not started by it.
fn notify_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not notified");
    }
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

fn report(failure: &Failure) -> ExitCode {
    let why = without_label(failure.why());
    let label = text!("error", "错误");
    let label = label.for_operator();
    // If stderr is closed, the exit code still reports the failure.
    let _ = writeln!(std::io::stderr(), "{label}: {}", escape::for_terminal(why));
    ExitCode::from(failure.code())
}

/// Errors of the configuration begin with a label already.
fn without_label(why: &str) -> &str {
    let rest = why.strip_prefix("error: ");
    rest.or_else(|| why.strip_prefix("错误: ")).unwrap_or(why)
}
