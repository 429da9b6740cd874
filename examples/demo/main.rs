//! An offline demo: a simulated source of people, two legacy applications, and menshen in front of them.
//!
//! `cargo run --release --example demo` prints the address to open. People sign in with a simulated WeCom;
//! `-- --source dingtalk`, `lark` and `yunzhijia` choose a simulated DingTalk, Lark and Yunzhijia, `oidc` a simulated
//! OpenID provider, `ldap` a simulated LDAP directory, `local` local accounts. It contacts no other host and writes
//! nothing to disk but the people file of the local accounts, which it removes.
//!
//! It listens at three ports of this machine, from 8080 on or from `MENSHEN_DEMO_PORT` on.

mod dingtalk;
mod lark;
mod ldap_directory;
mod legacy_app;
mod oidc;
mod simulated_http;
mod source;
mod wecom;
mod yunzhijia;

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use legacy_app::LegacyApp;
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::run::Running;
use menshen::run::watch::FileWatcher;
use menshen::telemetry::Telemetry;
use source::{SOURCE_NAMES, Source};

/// The environment variable with the first port.
const PORT_VARIABLE: &str = "MENSHEN_DEMO_PORT";
/// The first port by default.
const FIRST_PORT: u16 = 8080;

const OFFICE: &str = "协同办公 Office";
const EXPENSES: &str = "费用报销 Expenses";
const FINANCE: &str = "财务专区 Finance";

/// The ports of the demo, one after the other.
#[derive(Clone, Copy)]
struct Ports {
    /// Of the office application, behind menshen.
    office: u16,
    /// Of the expenses application, behind menshen.
    expenses: u16,
    /// Of the source.
    source: u16,
}

impl Ports {
    fn from_environment() -> Result<Self, String> {
        let first = match std::env::var(PORT_VARIABLE) {
            Ok(text) => text.parse().ok(),
            Err(_) => Some(FIRST_PORT),
        };
        let ports = first.filter(|first| *first > 0).and_then(|office| {
            let expenses = office.checked_add(1)?;
            let source = expenses.checked_add(1)?;
            Some(Self {
                office,
                expenses,
                source,
            })
        });
        ports.ok_or_else(|| format!("{PORT_VARIABLE} is the first of three ports, such as 18080"))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let ports = match Ports::from_environment() {
        Ok(ports) => ports,
        Err(error) => return failed(&error),
    };
    match run(ports).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_port_taken(&*error) => failed(&format!(
            "another program listens at port {}, {} or {} of this machine.\nSet {PORT_VARIABLE} to the first of \
             three free ports, such as {PORT_VARIABLE}=18080.",
            ports.office, ports.expenses, ports.source
        )),
        Err(error) => failed(&menshen::telemetry::error_chain(&*error).to_string()),
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("demo: {message}");
    ExitCode::FAILURE
}

fn is_port_taken(error: &(dyn Error + 'static)) -> bool {
    let io_error = error.downcast_ref::<io::Error>();
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
        || error.source().is_some_and(is_port_taken)
}

async fn run(ports: Ports) -> Result<(), Box<dyn Error>> {
    menshen::keys::install_crypto();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let source_address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.source));
    let source = Source::start(&source_name()?, source_address, ports.office).await?;
    let office = LegacyApp::start(any_port, OFFICE).await?;
    let expenses = LegacyApp::start(any_port, EXPENSES).await?;
    let (office_url, expenses_url) = (
        format!("http://127.0.0.1:{}", ports.office),
        format!("http://127.0.0.1:{}", ports.expenses),
    );
    office.link_to(EXPENSES, &expenses_url);
    expenses.link_to(FINANCE, &format!("{expenses_url}/finance/ledger?year=2026"));
    let text = configuration(&source, &office, &expenses, ports);
    let config = Config::parse(&text, "demo.toml")?;
    // Audit records would mix with the introduction on standard output.
    let telemetry = Telemetry::writing_to(&config.log, Box::new(std::io::sink()));
    let running = menshen::run::start_with_telemetry(config, Clock::system(), telemetry).await?;
    source.send_events_to(&office_url)?;
    println!("{}", introduction(&source, &office_url, &expenses_url));
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        error = reload_after_changes(&running, &source, &text) => return Err(error),
    }
    running.stop().await;
    Ok(())
}

/// The source that the arguments choose.
fn source_name() -> Result<String, String> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => Ok("wecom".to_owned()),
        [option, name] if option == "--source" => Ok(name.clone()),
        _ => Err(format!("usage: demo [--source {}]", SOURCE_NAMES.join("|"))),
    }
}

/// Loads the files of the source again whenever they change, as `menshen serve` does. It returns only an error of the
/// configuration, which does not change; a file with a mistake leaves the old one in force.
async fn reload_after_changes(running: &Running, source: &Source, text: &str) -> Box<dyn Error> {
    let mut watcher = FileWatcher::new(source.files()).await;
    loop {
        watcher.changed().await;
        let config = match Config::parse(text, "demo.toml") {
            Ok(config) => config,
            Err(error) => return error.into(),
        };
        if let Err(error) = running.reload(config).await {
            eprintln!("{}", menshen::telemetry::error_chain(&error));
        }
    }
}

/// The configuration that an operator would write to `menshen.toml`.
fn configuration(
    source: &Source,
    office: &LegacyApp,
    expenses: &LegacyApp,
    ports: Ports,
) -> String {
    let Ports {
        office: office_port,
        expenses: expenses_port,
        source: _,
    } = ports;
    let headers = r#"X-Forwarded-Departments = "user.departments"
        X-Forwarded-Badge = "user.attributes.badge""#;
    format!(
        r#"
        [server]
        listen = ["127.0.0.1:{office_port}", "127.0.0.1:{expenses_port}"]
        external_url = "http://127.0.0.1:{office_port}"

        [store]
        url = "sqlite::memory:"

        [log]
        access = false

        [pages]
        name = {{ zh = "示例公司", en = "Example Ltd" }}
        help = {{ zh = "IT 服务台，内线 8000", en = "IT service desk, extension 8000" }}

        {connector}
        [[route]]
        name = "{OFFICE}"
        host = "127.0.0.1:{office_port}"
        upstream = ["{office}"]
        [route.headers]
        {headers}

        [[route]]
        name = "{EXPENSES}"
        host = "127.0.0.1:{expenses_port}"
        upstream = ["{expenses}"]
        [route.headers]
        {headers}

        [[route]]
        name = "{FINANCE}"
        host = "127.0.0.1:{expenses_port}"
        path = "/finance"
        upstream = ["{expenses}"]
        allow = "'财务部' in user.departments"
        [route.headers]
        {headers}
        "#,
        connector = source.connector(),
        office = office.base_url(),
        expenses = expenses.base_url(),
    )
}

fn introduction(source: &Source, office: &str, expenses: &str) -> String {
    format!(
        "
  门神 menshen — demo, everything on this machine

    open      {office}/
    then      {expenses}/
    {OFFICE} and {EXPENSES}: two applications behind menshen
{people}
  1. You are not signed in: {sign_in}
  2. You return to the page you requested. The application has no login of its own,
     but shows your name.
  3. Open {EXPENSES} ({expenses}/): you are already signed in.
  4. Its {FINANCE} is for 财务部 only: 张三 is refused, 李四 is allowed.
  5. {leaving}
  6. Sign out (注销): you must sign in again.

  Press Ctrl-C to stop the demo.
",
        people = source.people(),
        sign_in = source.sign_in_step(),
        leaving = source.leaving_step(),
    )
}
