//! `count_by_address`, for intranets that put many people into one IPv6 /64 or /48: each address has
//! its own limits, as with IPv4.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::conf::parse;
use crate::listening::{echo_setup, start_second_instance};
use crate::logging_in::OWN_PAGES;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::upstream::get_request;

const BEGIN_LIMIT: &str = "[login]\nbegins_per_client_per_minute = 3\n";

/// Begins 20 logins as a client that a trusted proxy names, and returns how many are accepted.
async fn begun_logins(menshen: &Menshen, client: &str) -> usize {
    let mut begun = 0;
    for _ in 0..20 {
        let mut browser = Browser::new(menshen);
        let header = ("X-Forwarded-For".to_owned(), client.to_owned());
        browser.extra_headers.push(header);
        let start = format!("{OWN_PAGES}/start?connector=corp&rd=/x");
        let answer = browser.visit(&start).await;
        assert!([302, 429].contains(&answer.status), "{}", answer.status);
        begun += usize::from(answer.status == 302);
    }
    begun
}

#[tokio::test]
async fn each_address_of_the_network_has_its_own_login_rate() {
    let [same_64, same_48] = ["fd00:1:2:3", "fd00:1:2"];
    let clients: Vec<String> = (1..=5)
        .map(|last| format!("{same_64}::{last:x}"))
        .chain((10..=15).map(|subnet| format!("{same_48}:{subnet:x}::1")))
        .collect();
    let setup = |key: &str| {
        let setup = Setup::default().tables(BEGIN_LIMIT);
        setup.server(&format!("{TRUST_LOOPBACK}\n{key}"))
    };
    let menshen = setup("").start().await;
    let mut all = 0;
    for client in &clients {
        all += begun_logins(&menshen, client).await;
    }
    // A /48 may begin nine logins a minute, and some more because time passes. Each client on its own
    // could begin three.
    assert!((9..30).contains(&all), "{all}");

    // A reload applies `count_by_address`.
    let key = "limits.count_by_address = ['fd00::/8']\n";
    menshen.reload(&setup(key)).await.unwrap();
    for client in &clients {
        let begun = begun_logins(&menshen, client).await;
        assert!((3..20).contains(&begun), "{client}: {begun}");
    }
    // Other networks are counted as before.
    let mut all = 0;
    for last in 1..=9 {
        all += begun_logins(&menshen, &format!("2001:db8:1:2::{last:x}")).await;
    }
    assert!((3..20).contains(&all), "{all}");
}

/// A listener behind a load balancer that names the client.
const PROXY_PROTOCOL: &str = "{ address = \"127.0.0.1:0\", proxy_protocol = true }";

/// Sends a request as a client that the load balancer names. Returns whether it is served, and the open
/// connection.
async fn request_as(address: SocketAddr, client: &str) -> (bool, RawConnection<TcpStream>) {
    let mut connection = RawConnection::open(address).await;
    let head = format!("PROXY TCP6 {client} fd00:1:2::1 5 443\r\n");
    let request = format!("{head}{}", get_request("/echo", ""));
    // menshen may close the connection before it has read the request.
    let _ = connection.try_send(request).await;
    let answer = connection.try_read_answer().await;
    let is_served = answer.is_some_and(|answer| answer.status == 200);
    (is_served, connection)
}

#[tokio::test]
async fn each_address_of_the_network_has_its_own_connections() {
    let menshen = Menshen::new().await;
    for (key, both) in [
        ("", false),
        ("limits.count_by_address = ['fd00:1:2::/48']\n", true),
        ("limits.count_by_address = ['fd00:1:3::/48']\n", false),
    ] {
        let server = format!("{TRUST_LOOPBACK}\nlimits.connections_per_client_max = 1\n{key}");
        let running =
            start_second_instance(&menshen, &echo_setup().server(&server), PROXY_PROTOCOL).await;
        let address = running.addresses()[0];
        let (first, _open) = request_as(address, "fd00:1:2:3::1").await;
        let (second, _open) = request_as(address, "fd00:1:2:3::2").await;
        assert_eq!((first, second), (true, both), "{key}");
        // The same address is one client in any case.
        let (third, _open) = request_as(address, "fd00:1:2:3::1").await;
        assert!(!third, "{key}");
    }
}

#[tokio::test]
async fn an_attacker_cannot_choose_an_address_that_shares_the_connection_limit_of_another() {
    let menshen = Menshen::new().await;
    let server = format!(
        "{TRUST_LOOPBACK}\nlimits.connections_per_client_max = 1\nlimits.count_by_address = ['fd00::/8']\n"
    );
    let running =
        start_second_instance(&menshen, &echo_setup().server(&server), PROXY_PROTOCOL).await;
    let address = running.addresses()[0];
    // Both addresses have the same value under a common hash without a key: the upper half xor the
    // lower half times 0x9e3779b97f4a7c15.
    let (victim, _open) = request_as(address, "fd00:1:2:3::1").await;
    let (attacker, _open) = request_as(address, "fd00:1:2:4:2a64:745b:3459:a64a").await;
    assert!(victim && attacker);
}

#[test]
fn networks_of_the_public_internet_are_warned_about() {
    let warned = |networks: &str| {
        let text = format!(
            "[server]\nexternal_url = 'https://sso.test'\ntrusted_proxies = ['10.0.0.1']\n\
             limits.count_by_address = [{networks}]\n"
        );
        let warnings = parse(&text).warnings().into_iter();
        let keys = warnings.map(|warning| warning.key);
        let about_it = keys.filter(|key| key.contains("count_by_address"));
        about_it.collect::<Vec<_>>()
    };
    let narrow = "'fd00::/8', 'fc00::/7', '2001:db8:1::/48', '2001:db8::/32', '10.0.0.0/8', '::1'";
    assert_eq!(warned(narrow), [""; 0]);
    let wide = "'fd00::/8', '::/0', '2000::/3', '2001::/16', 'f000::/4'";
    let places = [1, 2, 3, 4].map(|at| format!("server.limits.count_by_address[{at}]"));
    assert_eq!(warned(wide), places);
}
