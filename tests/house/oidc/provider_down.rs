//! An OpenID provider that is down: sessions go on, and logins get an error page.

use std::time::Duration;

use futures_util::future::{join, join_all};
use menshen::face::page::Cause;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{is_here, last_error, sign_in};
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
    let counted = "menshen_logins_total{connector=\"keycloak\",outcome=\"failed\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    // After a failed request there is a pause of two seconds.
    provider.end_outage();
    menshen.advance(Duration::from_secs(2));
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
}

#[tokio::test]
async fn sessions_and_logouts_work_while_the_provider_is_down() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (mut browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
    provider.start_outage();
    for _ in 0..3 {
        let page = browser.follow(&format!("{SSO_URL}/echo")).await;
        is_here(&page, "zhangsan");
        menshen.advance(Duration::from_secs(1200));
    }
    // The local session ends although the provider cannot be reached.
    let left = browser.visit(&format!("{SSO_URL}/.menshen/sign_out")).await;
    assert!(left.status < 400, "{}", left.text());
    assert!(browser.cookie("menshen").is_none());
    let after = browser.follow(&format!("{SSO_URL}/echo")).await;
    assert!(after.url.contains("/.menshen/sign_in"), "{}", after.url);
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
        let mut stranger = Browser::new(&menshen);
        let page = stranger.follow(&start_url("keycloak")).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (502, Some(Cause::ProviderUnreachable))
        );
        assert_eq!(stranger.cookies(), []);
    }
    provider.end_outage();
    menshen.advance(Duration::from_secs(2));
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
}

#[tokio::test]
async fn cached_metadata_stays_in_use_while_the_provider_sends_none() {
    for odd in [
        EndpointFault::HtmlStatus(503),
        EndpointFault::Html,
        EndpointFault::Json(200, "{}".to_owned()),
    ] {
        let provider = Provider::new().await;
        let menshen = provider.setup("").start().await;
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        is_here(&page, "zhangsan");
        provider.misbehave(Misbehavior::Fault("discovery", odd));
        for wait_s in [10, 7200] {
            menshen.advance(Duration::from_secs(wait_s));
            let (_, page) = sign_in(&provider, &menshen, "lisi").await;
            is_here(&page, "lisi");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_down_gets_one_request_in_two_seconds() {
    let provider = Provider::new().await;
    provider.misbehave(Misbehavior::Fault("discovery", EndpointFault::Disconnect));
    let menshen = provider.setup("").start().await;
    let strangers = (0..20).map(async |_| {
        let page = Browser::new(&menshen).follow(&start_url("keycloak")).await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    });
    join_all(strangers).await;
    let asked = provider.calls("discovery");
    // The HTTP client may repeat a request whose connection was cut before the first byte.
    assert!(asked <= 2, "{asked}");
    menshen.advance(Duration::from_secs(2));
    Browser::new(&menshen).follow(&start_url("keycloak")).await;
    assert!(provider.calls("discovery") > asked);
}

/// A provider that only serves metadata, when the test calls [`Socket::answer`].
struct Socket {
    listener: TcpListener,
    url: String,
}

impl Socket {
    /// Its backlog takes hardly any connection that is not accepted.
    fn open() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// An instance of menshen that has it as the connector `keycloak`.
    async fn start_menshen(&self) -> Menshen {
        let (url, never) = (&self.url, "auto_login = 'never'");
        let more = format!(
            "[connector.keycloak]\n{never}\n[connector.keycloak.oidc]\nissuer = '{url}'\n\
             client_id = 'menshen'\n{NO_LOGIN_LIMITS}"
        );
        Setup::default().tables(&more).start().await
    }

    /// Answers the next request, which must be for the metadata; the connection stays open without further responses.
    async fn answer_metadata_request(&self) -> RawConnection<TcpStream> {
        let mut line = upstream::accept(&self.listener).await;
        let asked = line.read_request().await.unwrap();
        assert!(asked.target().ends_with("/openid-configuration"));
        let place = |path: &str| format!("{}/{path}", self.url);
        let said = json!({
            "issuer": self.url,
            "jwks_uri": place("keys"),
            "authorization_endpoint": place("authorize"),
            "token_endpoint": place("token"),
        });
        line.send(upstream::with(
            "Content-Type: application/json\r\n",
            said.to_string(),
        ))
        .await;
        line
    }

    /// Fills the backlog, so that no further connection is accepted, as behind a firewall that drops
    /// packets.
    async fn vanish(&self) -> [TcpStream; 2] {
        let address = self.listener.local_addr().unwrap();
        let fill = async || TcpStream::connect(address).await.unwrap();
        [fill().await, fill().await]
    }
}

/// Begins a login and stops before the redirect to the provider.
async fn begins(menshen: &Menshen) -> Page {
    let away = |next: &str| next.contains("/authorize");
    let mut browser = Browser::new(menshen);
    let page = browser.follow_until(&start_url("keycloak"), away).await;
    if page.answer.status == 502 {
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
        assert_eq!(browser.cookies(), []);
    }
    page
}

#[track_caller]
fn is_led(page: &Page) {
    assert!(page.url.contains("/authorize?"), "{}", page.url);
}

#[tokio::test]
async fn no_browser_is_redirected_to_a_provider_whose_packets_are_dropped() {
    let socket = Socket::open();
    let menshen = socket.start_menshen().await;
    let (page, kept) = join(begins(&menshen), socket.answer_metadata_request()).await;
    is_led(&page);
    // An old open connection does not count as a response.
    let open = socket.vanish().await;
    menshen.advance(Duration::from_secs(10));
    let crowd = join_all((0..3).map(|_| begins(&menshen))).await;
    for page in crowd {
        assert_eq!(page.answer.status, 502, "{}", page.url);
    }
    let error = last_error(&menshen);
    assert!(
        error.contains("connect for the issuer's metadata"),
        "{error}"
    );
    drop((open, kept));
}

#[tokio::test]
async fn a_cancelled_probe_still_answers_other_waiting_logins() {
    let socket = Socket::open();
    let menshen = socket.start_menshen().await;
    let (page, kept) = join(begins(&menshen), socket.answer_metadata_request()).await;
    is_led(&page);
    let open = socket.vanish().await;
    menshen.advance(Duration::from_secs(10));
    // The first login is cancelled before the probe ends; the second one gets its result.
    let (gone, page) = join(
        tokio::time::timeout(Duration::from_millis(1500), begins(&menshen)),
        begins(&menshen),
    )
    .await;
    assert!(gone.is_err(), "the probe is still running");
    assert_eq!(page.answer.status, 502, "{}", page.url);
    drop((open, kept));
}

#[tokio::test]
async fn a_slow_provider_that_accepts_connections_counts_as_reachable() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
    provider.misbehave(Misbehavior::Fault("discovery", EndpointFault::NoResponse));
    menshen.advance(Duration::from_secs(10));
    // Longer than the time limit of the first request.
    for _ in 0..4 {
        is_led(&begins(&menshen).await);
    }
}
