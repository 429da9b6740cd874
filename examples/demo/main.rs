//! An offline demo: a simulated WeCom, two legacy applications, and menshen in front of them.
//!
//! `cargo run --release --example demo` prints the address to open. It contacts no other host and
//! writes nothing to disk.

mod legacy_app;
mod wecom;

use std::net::{Ipv4Addr, SocketAddr};

use legacy_app::LegacyApp;
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::telemetry::Telemetry;
use url::Url;
use wecom::{AGENT_ID, CORP_ID, EVENT_AES_KEY, EVENT_TOKEN, Options, SECRET, WeCom};

/// The port of the office application, behind menshen.
const OFFICE_PORT: u16 = 8080;
/// The port of the expenses application, behind menshen.
const EXPENSES_PORT: u16 = 8081;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    menshen::keys::install_crypto();
    let office_port: u16 = match std::env::var("MENSHEN_DEMO_PORT") {
        Ok(port) => port.parse()?,
        Err(_) => OFFICE_PORT,
    };
    let expenses_port = office_port + EXPENSES_PORT - OFFICE_PORT;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let source = WeCom::start(Options::default()).await?;
    source.set_agent_domains(AGENT_ID, &[&format!("127.0.0.1:{office_port}")]);
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
    source.send_events_to(Url::parse(&format!("{office_url}/.menshen/events/corp"))?);
    println!(
        "{}",
        introduction(&office_url, &expenses_url, &source.console_url())
    );
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}

/// The configuration that an operator would write to `menshen.toml`.
fn configuration(
    source: &WeCom,
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

        [connector.corp]
        display_name = "企业微信（模拟）"
        mapping.badge = "profile.extattr.attrs[2].value"
        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"
        [connector.corp.wecom.events]
        token = "{EVENT_TOKEN}"
        encoding_aes_key = "{EVENT_AES_KEY}"

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
        api = source.base_url(),
        authorize = source.authorize_url(),
        login = source.login_url(),
        office = office.base_url(),
        expenses = expenses.base_url(),
    )
}

fn introduction(office: &str, expenses: &str, console: &str) -> String {
    format!(
        "
  门神 menshen — demo, everything on this machine

    open      {office}/

  1. You are not signed in: sign in with the (simulated) WeCom. Choose an employee, such as 张三.
  2. You return to the page you requested. The application has no login of its own,
     but shows your name.
  3. Open the second application ({expenses}/): you are already signed in.
  4. Its /finance is for 财务部 only: 张三 is refused, 李四 is allowed.
  5. Dismiss yourself (办理离职) in the console of the simulated WeCom ({console}):
     WeCom sends an encrypted event, and the open applications lose your session at once.
  6. Sign out (注销): you must sign in again.

  Press Ctrl-C to stop the demo.
"
    )
}
