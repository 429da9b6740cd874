//! An OpenID provider that is down: sessions go on, and logins get an error page.

use std::time::Duration;

use futures_util::future::{join, join_all};
use menshen::face::page::Cause;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{assert_signed_in_as, last_error, sign_in};
use crate::browser::{Browser, Page};
use crate::provider::{EndpointFault, Misbehavior, Provider, start_url};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::{upstream, wire};

const ADMIN: &str = "[admin]\nlisten = '127.0.0.1:0'\n";

#[tokio::test]
async fn menshen_starts_and_serves_while_the_provider_is_down() {
    let provider = Provider::new().await;
    provider.start_outage();
    let menshen = provider.setup(ADMIN).start().await;
    assert_eq!(
        Browser::new(&menshen)
            .visit(&format!("{SSO_URL}/public/echo"))
            .await
            .status,
        200
    );
    let mut browser = Browser::new(&menshen);
    let page = browser.follow(&start_url("keycloak")).await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (502, Some(Cause::ProviderUnreachable))
    );
    assert_eq!(browser.cookies(), []);
    assert!(
        last_error(&menshen).contains(provider.issuer()),
        "{}",
        last_error(&menshen)
    );
    let metrics = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let admin = menshen.running.admin_address().unwrap();
    let metrics = wire::send(admin, metrics).await.text();
    let series = "menshen_logins_total{connector=\"keycloak\",outcome=\"failed\"} 1\n";
    assert!(metrics.contains(series), "{metrics}");
    // After a failed request there is a pause of two seconds.
    provider.end_outage();
    menshen.advance(Duration::from_secs(2));
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn sessions_and_logouts_work_while_the_provider_is_down() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (mut browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    provider.start_outage();
    for _ in 0..3 {
        let page = browser.follow(&format!("{SSO_URL}/echo")).await;
        assert_signed_in_as(&page, "zhangsan");
        menshen.advance(Duration::from_secs(1200));
    }
    // The local session ends although the provider cannot be reached.
    let answer = browser.visit(&format!("{SSO_URL}/.menshen/sign_out")).await;
    assert!(answer.status < 400, "{}", answer.text());
    assert!(browser.cookie("menshen").is_none());
    let page = browser.follow(&format!("{SSO_URL}/echo")).await;
    assert!(page.url.contains("/.menshen/sign_in"), "{}", page.url);
}

#[tokio::test]
async fn no_browser_is_redirected_to_a_provider_that_does_not_respond() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let back = provider
        .callback_url(&mut browser, "keycloak", "zhangsan")
        .await;
    provider.start_outage();
    // A login that is already at the provider ends with an error page.
    let page = browser.follow(&back).await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (502, Some(Cause::ProviderUnreachable))
    );
    assert!(browser.cookie("menshen").is_none());
    // A new login gets an error page of menshen and not one of the browser, also much later.
    for wait_s in [10, 7200] {
        menshen.advance(Duration::from_secs(wait_s));
        let mut browser = Browser::new(&menshen);
        let page = browser.follow(&start_url("keycloak")).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (502, Some(Cause::ProviderUnreachable))
        );
        assert_eq!(browser.cookies(), []);
    }
    provider.end_outage();
    menshen.advance(Duration::from_secs(2));
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn cached_metadata_stays_in_use_while_the_provider_sends_none() {
    for fault in [
        EndpointFault::HtmlStatus(503),
        EndpointFault::Html,
        EndpointFault::Json(200, "{}".to_owned()),
    ] {
        let provider = Provider::new().await;
        let menshen = provider.setup("").start().await;
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        provider.misbehave(Misbehavior::Fault("discovery", fault));
        for wait_s in [10, 7200] {
            menshen.advance(Duration::from_secs(wait_s));
            let (_, page) = sign_in(&provider, &menshen, "lisi").await;
            assert_signed_in_as(&page, "lisi");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_down_gets_one_request_in_two_seconds() {
    let provider = Provider::new().await;
    provider.misbehave(Misbehavior::Fault("discovery", EndpointFault::Disconnect));
    let menshen = provider.setup("").start().await;
    let logins = (0..20).map(async |_| {
        let page = Browser::new(&menshen).follow(&start_url("keycloak")).await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    });
    join_all(logins).await;
    let requests = provider.calls("discovery");
    // The HTTP client may repeat a request whose connection was cut before the first byte.
    assert!(requests <= 2, "{requests}");
    menshen.advance(Duration::from_secs(2));
    Browser::new(&menshen).follow(&start_url("keycloak")).await;
    assert!(provider.calls("discovery") > requests);
}

/// A provider that serves only metadata, when the test calls
/// [`MetadataProvider::answer_metadata_request`].
struct MetadataProvider {
    listener: TcpListener,
    url: String,
}

impl MetadataProvider {
    /// Opens a listener whose backlog holds only a few connections.
    fn open() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// An instance of menshen with this provider as the connector `keycloak`.
    async fn start_menshen(&self) -> Menshen {
        let url = &self.url;
        let tables = format!(
            "[connector.keycloak]\nauto_login = 'never'\n[connector.keycloak.oidc]\nissuer = '{url}'\n\
             client_id = 'menshen'\n{NO_LOGIN_LIMITS}"
        );
        Setup::default().tables(&tables).start().await
    }

    /// Answers the next request, which must be for the metadata; the connection stays open without further responses.
    async fn answer_metadata_request(&self) -> RawConnection<TcpStream> {
        let mut connection = upstream::accept(&self.listener).await;
        let request = connection.read_request().await.unwrap();
        assert!(request.target().ends_with("/openid-configuration"));
        let url = |path: &str| format!("{}/{path}", self.url);
        let metadata = json!({
            "issuer": self.url,
            "jwks_uri": url("keys"),
            "authorization_endpoint": url("authorize"),
            "token_endpoint": url("token"),
        });
        connection
            .send(upstream::ok_with_headers(
                "Content-Type: application/json\r\n",
                metadata.to_string(),
            ))
            .await;
        connection
    }

    /// Fills the backlog, so that no further connection is accepted, as behind a firewall that drops
    /// packets.
    async fn stop_accepting(&self) -> [TcpStream; 2] {
        let address = self.listener.local_addr().unwrap();
        let fill = async || TcpStream::connect(address).await.unwrap();
        [fill().await, fill().await]
    }
}

/// Starts a login and follows it up to the redirect to the provider. Checks the error page, if there is
/// one.
async fn start_login(menshen: &Menshen) -> Page {
    let at_provider = |next: &str| next.contains("/authorize");
    let mut browser = Browser::new(menshen);
    let page = browser
        .follow_until(&start_url("keycloak"), at_provider)
        .await;
    if page.answer.status == 502 {
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
        assert_eq!(browser.cookies(), []);
    }
    page
}

#[track_caller]
fn assert_redirected_to_provider(page: &Page) {
    assert!(page.url.contains("/authorize?"), "{}", page.url);
}

#[tokio::test]
async fn no_browser_is_redirected_to_a_provider_whose_packets_are_dropped() {
    let socket = MetadataProvider::open();
    let menshen = socket.start_menshen().await;
    let (page, metadata_connection) =
        join(start_login(&menshen), socket.answer_metadata_request()).await;
    assert_redirected_to_provider(&page);
    // An old open connection does not count as a response.
    let backlog = socket.stop_accepting().await;
    menshen.advance(Duration::from_secs(10));
    let pages = join_all((0..3).map(|_| start_login(&menshen))).await;
    for page in pages {
        assert_eq!(page.answer.status, 502, "{}", page.url);
    }
    let error = last_error(&menshen);
    assert!(
        error.contains("connect for the issuer's metadata"),
        "{error}"
    );
    drop((backlog, metadata_connection));
}

#[tokio::test]
async fn a_cancelled_probe_still_answers_other_waiting_logins() {
    let socket = MetadataProvider::open();
    let menshen = socket.start_menshen().await;
    let (page, metadata_connection) =
        join(start_login(&menshen), socket.answer_metadata_request()).await;
    assert_redirected_to_provider(&page);
    let backlog = socket.stop_accepting().await;
    menshen.advance(Duration::from_secs(10));
    // The first login is cancelled before the probe ends; the second one gets its result.
    let (cancelled, page) = join(
        tokio::time::timeout(Duration::from_millis(1500), start_login(&menshen)),
        start_login(&menshen),
    )
    .await;
    assert!(cancelled.is_err(), "the probe is still running");
    assert_eq!(page.answer.status, 502, "{}", page.url);
    drop((backlog, metadata_connection));
}

#[tokio::test]
async fn a_slow_provider_that_accepts_connections_counts_as_reachable() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    provider.misbehave(Misbehavior::Fault("discovery", EndpointFault::NoResponse));
    menshen.advance(Duration::from_secs(10));
    // Longer than the time limit of the first request.
    for _ in 0..4 {
        assert_redirected_to_provider(&start_login(&menshen).await);
    }
}
