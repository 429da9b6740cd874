//! `menshen run` and `menshen check` with a limit on open files.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use tokio::net::{TcpSocket, TcpStream};

use super::disk::get_from_admin;
use super::serving::{Program, write_config};
use super::{ConfigFolder, text};
use crate::browser::Browser;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::upstream::TempFolder;

/// A command that runs menshen with these soft and hard limits of open files.
fn limited(limits: &str) -> Command {
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={limits}"))
        .arg(env!("CARGO_BIN_EXE_menshen"));
    command
}

/// Connects from a loopback address.
async fn connect(from: &str, to: SocketAddr) -> RawConnection<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    RawConnection::over(socket.connect(to).await.unwrap())
}

async fn echo_status(connection: &mut RawConnection<TcpStream>) -> u16 {
    connection
        .send("GET /echo HTTP/1.1\r\nHost: sso.test\r\n\r\n")
        .await;
    connection.read_answer().await.status
}

#[tokio::test]
async fn the_usual_soft_limit_is_raised() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = write_config(&folder, &menshen, &Setup::default());
    let (program, address) = Program::run_by(limited("64:2048"), &config).await;
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut connection = connect("127.0.0.1:0", address).await;
        assert_eq!(echo_status(&mut connection).await, 401);
        open.push(connection);
    }
    drop(open);
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test]
async fn one_client_with_all_its_connections_does_not_block_others() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let setup = Setup::default().tables("[admin]\nlisten = \"127.0.0.1:0\"\n");
    let config = write_config(&folder, &menshen, &setup);
    let (program, address) = Program::run_by(limited("200:200"), &config).await;
    let admin_address = program.address("admin");
    let mut open_connections = Vec::new();
    for _ in 0..300 {
        open_connections.push(connect("127.0.0.2:0", address).await);
    }
    let mut browser = Browser::at(address);
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let metrics = get_from_admin(admin_address, "/metrics").await.text();
    let refused = "menshen_limits_reached_total{key=\"connections_per_client_max\"}";
    assert!(metrics.contains(refused), "{metrics}");
    drop(open_connections);
    let (code, _, log) = program.end().await;
    assert_eq!(code, Some(0));
    let is_lowered = log
        .iter()
        .any(|connection| connection.contains("connections_max is lowered"));
    assert!(is_lowered, "{log:?}");
}

#[tokio::test]
async fn clients_beyond_the_limit_of_files_wait_and_the_others_are_served() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let setup = Setup::default().tables("[admin]\nlisten = \"127.0.0.1:0\"\n");
    let config = write_config(&folder, &menshen, &setup);
    let (program, address) = Program::run_by(limited("200:200"), &config).await;
    let admin_address = program.address("admin");
    let mut browser = Browser::at(address);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let mut loopback_connection = connect("127.0.0.1:0", address).await;
    assert_eq!(echo_status(&mut loopback_connection).await, 401);
    let mut open_connections = Vec::new();
    for client in 2..20 {
        for _ in 0..30 {
            open_connections.push(connect(&format!("127.0.0.{client}:0"), address).await);
        }
    }
    for _ in 0..10 {
        assert_eq!(echo_status(&mut loopback_connection).await, 401);
        // Some files are reserved for the store.
        assert_eq!(get_from_admin(admin_address, "/readyz").await.status, 200);
    }
    drop(open_connections);
    let answer = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(answer.echoed("x-forwarded-user"), ["lisi"]);
    let (code, _, log) = program.end().await;
    assert_eq!(code, Some(0));
    assert!(
        !log.iter()
            .any(|connection| connection.contains("Too many open files")),
        "{log:?}"
    );
}

fn check(limits: &str, config: &Path) -> Output {
    let mut command = limited(limits);
    command.env_remove("MENSHEN_LOG").arg("check").arg("-c");
    command.arg(config).output().unwrap()
}

#[test]
fn check_warns_about_more_connections_than_files() {
    let folder = ConfigFolder::new("open-files");
    let warned = |limits: &str, connection: &str| {
        let output = check(limits, &folder.config(connection));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).contains("server.limits.connections_max: ")
    };
    assert!(warned("200:200", "limits.connections_max = 5000"));
    assert!(warned("64:200", "limits.connections_max = 57"));
    assert!(!warned("64:200", "limits.connections_max = 56"));
    assert!(
        !warned("200:200", ""),
        "the default is lowered without a warning"
    );
}
