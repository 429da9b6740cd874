//! TLS, several servers, and the connections of the service account.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{
    LINES, PASSWORD, SERVICE_DN, assert_last_reason, assert_signed_in, assert_unchecked,
    assert_wrong, start, tables,
};
use crate::ldap_directory::encoding::{message, result};
use crate::ldap_directory::{Fault, LdapServer, On, Person, Received, Tls};
use crate::setup::Menshen;
use crate::tls::write_certificate;
use crate::upstream::{TempFolder, refusing_socket};

/// A directory with TLS, and a menshen that trusts its certificate, which is valid for `localhost`.
struct Secure {
    server: LdapServer,
    folder: TempFolder,
}

impl Secure {
    async fn start(tls: Tls) -> Self {
        let folder = TempFolder::new();
        write_certificate(&folder, "ldap", &["localhost"]);
        let certificate = CertificateDer::from_pem_file(folder.path("ldap.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.path("ldap.key")).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let server = LdapServer::start_tls(config, tls).await.unwrap();
        server.add(Person::new("zhangsan", PASSWORD));
        Self { server, folder }
    }

    fn port(&self) -> u16 {
        self.server.address.port()
    }

    async fn menshen(&self, url: &str, ca: &str, lines: &str) -> Menshen {
        let ca = self.folder.path(ca);
        let ca = format!("ca = '{}'", ca.display());
        let ldap = format!("url = '{url}'\n{lines}{LINES}");
        super::setup(&tables(&ca, &ldap)).start().await
    }
}

fn assert_no_password(server: &LdapServer) {
    let received = server.received();
    assert!(
        !received
            .iter()
            .any(|one| matches!(one, Received::Bind { .. })),
        "{received:?}"
    );
}

#[tokio::test]
async fn passwords_travel_encrypted() {
    for (tls, scheme) in [(Tls::AtOnce, "ldaps"), (Tls::OnRequest, "ldap")] {
        let secure = Secure::start(tls).await;
        // `localhost` also has the address ::1, at which nobody listens.
        let url = format!("{scheme}://localhost:{}", secure.port());
        let menshen = secure.menshen(&url, "ldap.pem", "").await;
        assert_wrong(&menshen, "zhangsan", "x", "the password is wrong").await;
        assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
        let received = secure.server.received();
        let is_in_clear = |one: &Received| {
            matches!(
                one,
                Received::Bind {
                    is_secure: false,
                    ..
                }
            )
        };
        assert!(!received.iter().any(is_in_clear), "{received:?}");
        assert_eq!(received[0] == Received::StartTls, tls == Tls::OnRequest);
    }
}

#[tokio::test]
async fn a_certificate_of_another_host_or_authority_ends_the_connection() {
    for (tls, scheme) in [(Tls::AtOnce, "ldaps"), (Tls::OnRequest, "ldap")] {
        let secure = Secure::start(tls).await;
        write_certificate(&secure.folder, "other", &["localhost"]);
        let port = secure.port();
        for (url, ca) in [
            (format!("{scheme}://127.0.0.1:{port}"), "ldap.pem"),
            (format!("{scheme}://localhost:{port}"), "other.pem"),
        ] {
            let menshen = secure.menshen(&url, ca, "").await;
            assert_unchecked(&menshen, "establish TLS").await;
        }
        assert_no_password(&secure.server);
    }
}

#[tokio::test]
async fn without_start_tls_nothing_is_sent() {
    let secure = Secure::start(Tls::OnRequest).await;
    let url = format!("ldap://localhost:{}", secure.port());
    let menshen = secure.menshen(&url, "ldap.pem", "timeout = '3s'\n").await;
    let server = &secure.server;
    // Refused, and every other way in which an attacker in the network strips it.
    for code in [1, 2, 52, 53] {
        server.instead(On::StartTls, move |id, _| {
            message(id, &result(0x78, code, "no"), &[])
        });
        assert_unchecked(&menshen, &format!("refuses StartTLS with result {code}")).await;
    }
    server.instead(On::StartTls, |id, _| {
        message(id + 1, &result(0x78, 0, ""), &[])
    });
    assert_unchecked(&menshen, "message ID of another request").await;
    server.instead(On::StartTls, |id, _| message(id, &result(0x61, 0, ""), &[]));
    assert_unchecked(&menshen, "malformed").await;
    server.fault(On::StartTls, Fault::Drop);
    assert_unchecked(&menshen, "closed the connection").await;
    server.fault(On::StartTls, Fault::Hang);
    assert_unchecked(&menshen, "in time").await;
    // Bytes that come with the answer could be taken for encrypted ones: the answer to the bind, for example.
    server.instead(On::StartTls, |_, honest| {
        let injected = message(2, &result(0x61, 0, ""), &[]);
        [honest, injected].concat()
    });
    assert_unchecked(
        &menshen,
        "between its answer to StartTLS and the TLS handshake",
    )
    .await;
    server.instead(On::StartTls, |_, honest| [honest, vec![0x16]].concat());
    assert_unchecked(
        &menshen,
        "between its answer to StartTLS and the TLS handshake",
    )
    .await;
    assert_no_password(server);
    server.without_faults();
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
}

#[tokio::test]
async fn a_directory_without_start_tls_gets_no_password() {
    let server = LdapServer::start().await.unwrap();
    let ldap = format!("url = '{}'\n{LINES}", server.url());
    let menshen = super::setup(&tables("", &ldap)).start().await;
    assert_unchecked(&menshen, "refuses StartTLS with result 2").await;
    assert_no_password(&server);
}

#[tokio::test]
async fn a_plain_directory_behind_ldaps_gets_nothing() {
    let server = LdapServer::start().await.unwrap();
    let ldap = format!(
        "url = 'ldaps://127.0.0.1:{}'\ntimeout = '500ms'\n{LINES}",
        server.address.port()
    );
    let menshen = super::setup(&tables("", &ldap)).start().await;
    assert_unchecked(&menshen, "TLS").await;
    assert_no_password(&server);
}

async fn start_with_urls(urls: &[String]) -> Menshen {
    let urls: Vec<_> = urls.iter().map(|url| format!("'{url}'")).collect();
    let ldap = format!(
        "url = [{}]\nstart_tls = false\ntimeout = '3s'\n{LINES}",
        urls.join(", ")
    );
    super::setup(&tables("", &ldap)).start().await
}

#[tokio::test]
async fn of_two_servers_the_first_that_can_be_reached_is_asked() {
    let (first, second) = (
        LdapServer::start().await.unwrap(),
        LdapServer::start().await.unwrap(),
    );
    for server in [&first, &second] {
        server.add(Person::new("zhangsan", PASSWORD));
    }
    let menshen = start_with_urls(&[first.url(), second.url()]).await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(second.connections(), 0);
    // A wrong password at the first is not tried at the second.
    assert_wrong(&menshen, "zhangsan", "x", "the password is wrong").await;
    assert_eq!(second.connections(), 0);
    let gone = refusing_socket();
    let down = format!("ldap://{}", gone.local_addr().unwrap());
    let menshen = start_with_urls(&[down.clone(), second.url()]).await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert_wrong(&menshen, "zhangsan", "x", "the password is wrong").await;
    assert!(second.connections() > 0);
    // A server that answers badly is not skipped.
    let menshen = start_with_urls(&[first.url(), second.url()]).await;
    first.fault(On::ServiceBind, Fault::Drop);
    let before = second.connections();
    assert_unchecked(&menshen, "closed the connection").await;
    assert_eq!(second.connections(), before);
    // Nobody can be reached.
    let menshen = start_with_urls(&[down.clone(), down]).await;
    assert_unchecked(&menshen, "connect to ldap://127.0.0.1").await;
}

#[tokio::test]
async fn a_first_server_whose_tls_fails_does_not_keep_people_out() {
    let (broken, good) = (
        Secure::start(Tls::OnRequest).await,
        Secure::start(Tls::OnRequest).await,
    );
    let [first, second] = [&broken, &good].map(|one| format!("ldap://localhost:{}", one.port()));
    let ca = good.folder.path("ldap.pem");
    let ldap = format!("url = ['{first}', '{second}']\ntimeout = '3s'\n{LINES}");
    let ca = format!("ca = '{}'", ca.display());
    let menshen = super::setup(&tables(&ca, &ldap)).start().await;
    broken.server.fault(On::StartTls, Fault::Drop);
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert_no_password(&broken.server);
}

#[tokio::test]
async fn a_directory_that_cannot_be_resolved_is_nobodys_wrong_password() {
    let ldap = format!("url = 'ldap://no-such-host.invalid'\n{LINES}");
    let menshen = super::setup(&tables("", &ldap)).start().await;
    assert_unchecked(&menshen, "no-such-host.invalid").await;
}

fn service_binds(server: &LdapServer) -> usize {
    let names = server.bound_names();
    names.iter().filter(|name| *name == SERVICE_DN).count()
}

#[tokio::test]
async fn the_service_account_binds_once_and_its_connection_is_used_again() {
    let (menshen, server) = start().await;
    for _ in 0..5 {
        assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    }
    assert_eq!(service_binds(&server), 1);
    assert_eq!(server.connections(), 6, "one for each person's password");
    // The directory closes what is idle; the next login does not notice.
    server.close_connections().await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(service_binds(&server), 2);
}

#[tokio::test]
async fn many_logins_at_once_share_at_most_eight_searching_connections() {
    let (menshen, server) = start().await;
    let logins = (0..40).map(|_| assert_signed_in(&menshen, "zhangsan", PASSWORD));
    futures_util::future::join_all(logins).await;
    let binds = service_binds(&server);
    assert!((1..=8).contains(&binds), "{binds}");
}

#[tokio::test]
async fn a_bind_is_sent_only_once_even_if_the_connection_breaks() {
    let (menshen, server) = start().await;
    assert_signed_in(&menshen, "zhangsan", PASSWORD).await;
    server.clear();
    server.fault(On::PersonBind, Fault::Drop);
    assert_unchecked(&menshen, "closed the connection during the bind").await;
    assert_eq!(server.bound_names(), ["uid=zhangsan,ou=people,dc=corp"]);
    assert_last_reason(&menshen, "ldap://127.0.0.1");
}
