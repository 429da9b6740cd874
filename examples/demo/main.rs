//! Starts the simulated WeCom and two legacy applications on loopback.
mod legacy_app;
mod wecom;

use std::net::{Ipv4Addr, SocketAddr};

use legacy_app::LegacyApp;
use wecom::{AGENT_ID, Options, WeCom};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let wecom = WeCom::start(Options {
        address: at(9460),
        ..Options::default()
    })
    .await?;
    let office = LegacyApp::start(at(9461), "协同办公").await?;
    let travel = LegacyApp::start(at(9462), "差旅报销").await?;
    office.link_to("差旅报销", &travel.base_url());
    travel.link_to("协同办公", &office.base_url());
    wecom.domains_of_agent(AGENT_ID, &["127.0.0.1:9461"]);
    println!("{wecom:?}\n{office:?}\n{travel:?}");
    tokio::signal::ctrl_c().await
}
