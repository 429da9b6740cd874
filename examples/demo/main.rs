//! An offline demo: a simulated source of people, two legacy applications, and menshen in front of them.
//!
//! `cargo run --release --example demo` prints the address to open. People sign in with a simulated WeCom;
//! `-- --source dingtalk`, `lark` and `yunzhijia` choose a simulated DingTalk, Lark and Yunzhijia, `oidc` a simulated
//! OpenID provider, `ldap` a simulated LDAP directory, `local` local accounts. It contacts no other host and writes
//! nothing to disk but the people file of the local accounts, which it removes.
//!
//! It listens at three ports of this machine, from 8080 on or from `MENSHEN_DEMO_PORT` on. `-- --help` lists the
//! sources.

mod command_line;
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

use command_line::{Ports, Request};
use legacy_app::LegacyApp;
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::run::Running;
use menshen::run::watch::FileWatcher;
use menshen::telemetry::Telemetry;
use menshen::text;
use menshen::wording::{self, Language, Text};
use source::Source;
use tokio::signal::unix::{SignalKind, signal};

const OFFICE: &str = "协同办公 Office";
const EXPENSES: &str = "费用报销 Expenses";
const FINANCE: &str = "财务专区 Finance";

#[tokio::main]
async fn main() -> ExitCode {
    wording::set_operator_language(Language::of_locale(|name| std::env::var(name).ok()));
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let source_name = match Request::parse(&arguments) {
        Ok(Request::Run(name)) => name,
        Ok(Request::Help) => {
            println!("{}", command_line::help().for_operator());
            return ExitCode::SUCCESS;
        }
        Err(error) => return failed(&error),
    };
    let ports = match Ports::from_environment() {
        Ok(ports) => ports,
        Err(error) => return failed(&error),
    };
    match run(source_name, ports).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_port_taken(&*error) => failed(&ports.taken()),
        Err(error) => failed(&Text::of(&menshen::telemetry::error_chain(&*error))),
    }
}

fn failed(message: &Text) -> ExitCode {
    eprintln!("demo: {}", message.for_operator());
    ExitCode::FAILURE
}

fn is_port_taken(error: &(dyn Error + 'static)) -> bool {
    let io_error = error.downcast_ref::<io::Error>();
    io_error.is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
        || error.source().is_some_and(is_port_taken)
}

async fn run(source_name: &str, ports: Ports) -> Result<(), Box<dyn Error>> {
    menshen::keys::install_crypto();
    // Caught from the start: the people file is removed whenever the demo is stopped.
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let source_address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.source));
    let source = Source::start(source_name, source_address, ports.office).await?;
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
    let introduction = introduction(&source, &office_url, &expenses_url);
    println!("{}", introduction.for_operator());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        error = reload_after_changes(&running, &source, &text) => return Err(error),
    }
    running.stop().await;
    Ok(())
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

fn introduction(source: &Source, office: &str, expenses: &str) -> Text {
    let (people, sign_in, leaving) = (
        source.people(),
        source.sign_in_step(),
        source.leaving_step(),
    );
    text!(
        "
  menshen demo, everything on this machine

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
        "
  menshen 演示，全部在本机运行

    打开      {office}/
    然后      {expenses}/
    {OFFICE}、{EXPENSES}：menshen 后面的两个应用
{people:#}
  1. 您还没有登录：{sign_in:#}
  2. 登录后回到刚才要看的页面。应用自己没有登录功能，却显示了您的姓名。
  3. 打开 {EXPENSES}（{expenses}/）：您已经登录了。
  4. 它的 {FINANCE} 只给财务部看：张三被拒绝，李四可以进。
  5. {leaving:#}
  6. 注销：要重新登录。

  按 Ctrl-C 结束演示。
"
    )
}
