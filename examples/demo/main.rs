//! An offline demo: a simulated source of people, two legacy applications, and menshen in front of them.
//!
//! `cargo run --release --example demo` prints the address to open. People sign in with a simulated WeCom;
//! `-- --source dingtalk`, `lark` and `yunzhijia` choose a simulated DingTalk, Lark and Yunzhijia, `ldap` a
//! simulated LDAP directory, `local` local accounts. It contacts no other host and writes nothing to disk but the people file of the
//! local accounts, which it removes.

mod dingtalk;
mod lark;
mod ldap_directory;
mod legacy_app;
mod simulated_http;
mod source;
mod wecom;
mod yunzhijia;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use legacy_app::LegacyApp;
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::run::Running;
use menshen::run::watch::FileWatcher;
use menshen::telemetry::Telemetry;
use source::{SOURCE_NAMES, Source};

/// The port of the office application, behind menshen.
const OFFICE_PORT: u16 = 8080;
/// The port of the expenses application, behind menshen.
const EXPENSES_PORT: u16 = 8081;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    menshen::keys::install_crypto();
    let office_port: u16 = match std::env::var("MENSHEN_DEMO_PORT") {
        Ok(port) => port.parse()?,
        Err(_) => OFFICE_PORT,
    };
    let expenses_port = office_port + EXPENSES_PORT - OFFICE_PORT;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let source = Source::start(&source_name()?, office_port).await?;
    let office = LegacyApp::start(any_port, "协同办公").await?;
    let expenses = LegacyApp::start(any_port, "费用报销").await?;
    let (office_url, expenses_url) = (
        format!("http://127.0.0.1:{office_port}"),
        format!("http://127.0.0.1:{expenses_port}"),
    );
    office.link_to("费用报销", &expenses_url);
    expenses.link_to(
        "财务专区（仅财务部）",
        &format!("{expenses_url}/finance/ledger?year=2026"),
    );
    let text = configuration(&source, &office, &expenses, office_port, expenses_port);
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
    office_port: u16,
    expenses_port: u16,
) -> String {
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

        {connector}
        [[route]]
        name = "协同办公"
        host = "127.0.0.1:{office_port}"
        upstream = ["{office}"]
        [route.headers]
        {headers}

        [[route]]
        name = "费用报销"
        host = "127.0.0.1:{expenses_port}"
        upstream = ["{expenses}"]
        [route.headers]
        {headers}

        [[route]]
        name = "财务专区"
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
{people}
  1. You are not signed in: {sign_in}
  2. You return to the page you requested. The application has no login of its own,
     but shows your name.
  3. Open the second application ({expenses}/): you are already signed in.
  4. Its /finance is for 财务部 only: 张三 is refused, 李四 is allowed.
  5. {leaving}
  6. Sign out (注销): you must sign in again.

  Press Ctrl-C to stop the demo.
",
        people = source.people(),
        sign_in = source.sign_in_step(),
        leaving = source.leaving_step(),
    )
}
