//! An OAuth 2 provider that is down: sessions go on, and no browser is redirected to it.

use std::time::Duration;

use futures_util::future::{join, join_all};
use menshen::face::page::Cause;
use tokio::net::{TcpSocket, TcpStream};

use super::provider::Provider;
use super::{last_error, log_in_with, start_menshen, start_url};
use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::upstream::{Reply, Upstream};
use crate::wire;

const ADMIN: &str = "[admin]\nlisten = '127.0.0.1:0'\n";

/// Starts a login and follows it up to the redirect to the provider.
async fn start_login(menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = follow_to_provider(&mut browser, &start_url("gh")).await;
    (browser, page)
}

async fn follow_to_provider(browser: &mut Browser, url: &str) -> Page {
    browser
        .follow_until(url, |next| next.contains("/authorize"))
        .await
}

/// The page says that the provider is unreachable; there is no redirect.
#[track_caller]
fn assert_unreachable_page(page: &Page) {
    assert_eq!(
        (page.answer.status, page.cause()),
        (502, Some(Cause::ProviderUnreachable)),
        "{}",
        page.url
    );
}

#[track_caller]
fn assert_redirected_to_provider(page: &Page, what: &str) {
    assert!(page.url.contains("/authorize?"), "{what}: {}", page.url);
}

/// An instance of menshen whose connector has its pages at the provider and its token endpoint at `token`.
async fn start_menshen_with_token_url(
    provider: &Provider,
    connector: &str,
    token: &str,
) -> Menshen {
    let table = provider
        .connector_toml("gh", connector, "")
        .replace(&format!("{}/token", provider.url()), token);
    Setup::default()
        .tables(&format!("{table}{NO_LOGIN_LIMITS}"))
        .start()
        .await
}

#[tokio::test]
async fn menshen_starts_and_serves_while_the_provider_is_down() {
    let provider = Provider::start().await;
    // A bound port without a listener.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed_url = format!("http://{}", closed.local_addr().unwrap());
    let table = provider
        .connector_toml("gh", "", "")
        .replace(provider.url(), &closed_url);
    let tables = format!("{table}{NO_LOGIN_LIMITS}{ADMIN}");
    let menshen = Setup::default().tables(&tables).start().await;
    let public = format!("{SSO_URL}/public/echo");
    assert_eq!(Browser::new(&menshen).visit(&public).await.status, 200);
    for (failures_before, (language, words)) in [("zh-CN", "lang=\"zh"), ("en", "lang=\"en\"")]
        .into_iter()
        .enumerate()
    {
        let mut browser = Browser::new(&menshen);
        let accept_language = ("Accept-Language".to_owned(), language.to_owned());
        browser.extra_headers.push(accept_language);
        let page = follow_to_provider(&mut browser, &start_url("gh")).await;
        assert_unreachable_page(&page);
        let html = page.answer.text();
        assert!(html.contains(words) && html.contains("/.menshen/sign_in"));
        assert_eq!(browser.cookies(), []);
        let error = last_error(&menshen);
        assert!(
            error.contains("the source sent no usable response"),
            "{error}"
        );
        let admin = menshen.running.admin_address().unwrap();
        let metrics = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        let metrics = wire::send(admin, metrics).await.text();
        let series = "menshen_logins_total{connector=\"gh\",outcome=\"failed\"}";
        let series = format!("{series} {}\n", failures_before + 1);
        assert!(metrics.contains(&series), "{metrics}");
    }
}

#[tokio::test]
async fn a_successful_probe_is_valid_for_ten_seconds() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    assert_redirected_to_provider(&start_login(&menshen).await.1, "the provider answers");
    provider.start_outage();
    menshen.advance(Duration::from_secs(9));
    assert_redirected_to_provider(&start_login(&menshen).await.1, "the probe is recent");
    for wait_s in [1, 7200] {
        menshen.advance(Duration::from_secs(wait_s));
        let (browser, page) = start_login(&menshen).await;
        assert_unreachable_page(&page);
        assert_eq!(browser.cookies(), []);
    }
    provider.end_outage();
    assert_unreachable_page(&start_login(&menshen).await.1);
    menshen.advance(Duration::from_secs(2));
    let (_, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"));
}

#[tokio::test]
async fn a_redeemed_code_counts_as_successful_probe() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let (mut browser, _) = start_login(&menshen).await;
    menshen.advance(Duration::from_secs(10));
    let probes = || provider.calls("/").len();
    assert_eq!(probes(), 1);
    // A login probes once; a redeemed code counts as successful probe.
    let mut other = Browser::new(&menshen);
    let back = other
        .follow_until(&start_url("gh"), |next| next.contains("/callback/gh"))
        .await;
    assert_eq!(probes(), 2);
    menshen.advance(Duration::from_secs(9));
    assert_eq!(other.follow(&back.url).await.answer.status, 200);
    menshen.advance(Duration::from_secs(9));
    assert_redirected_to_provider(&start_login(&menshen).await.1, "a code was redeemed");
    assert_eq!(probes(), 2);
    // A login that gets no response makes the next login probe.
    let back = browser
        .follow_until(&start_url("gh"), |next| next.contains("/callback/gh"))
        .await;
    provider.start_outage();
    assert_unreachable_page(&browser.follow(&back.url).await);
    assert_unreachable_page(&start_login(&menshen).await.1);
}

#[tokio::test]
async fn sessions_and_logouts_work_while_the_provider_is_down() {
    let provider = Provider::start().await;
    let page = format!("logout_url = '{}/logout'", provider.url());
    let menshen = start_menshen(&provider, &page).await;
    let (mut signed_in, _) = log_in_with(&menshen, "gh").await;
    let (mut signs_out_later, _) = log_in_with(&menshen, "gh").await;
    let (mut signs_out_before, _) = log_in_with(&menshen, "gh").await;
    let sign_out = format!("{OWN_PAGES}/sign_out");
    let answer = signs_out_before.visit(&sign_out).await;
    let logout_url = format!("{}/logout", provider.url());
    assert_eq!(answer.header("location"), Some(logout_url.as_str()));
    provider.start_outage();
    menshen.advance(Duration::from_secs(10));
    assert_unreachable_page(&start_login(&menshen).await.1);
    for _ in 0..3 {
        let page = signed_in.follow(&format!("{SSO_URL}/echo")).await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
        menshen.advance(Duration::from_secs(1200));
    }
    // The session ends without a redirect to the unreachable provider.
    let mut copy = signs_out_later.clone();
    let answer = signs_out_later.visit(&sign_out).await;
    assert_eq!(answer.header("location"), None, "{}", answer.text());
    assert!(signs_out_later.cookie("menshen").is_none());
    let info = copy.visit(&format!("{OWN_PAGES}/userinfo")).await;
    assert_eq!(info.status, 401);
}

#[tokio::test]
async fn any_status_is_a_successful_probe_and_a_probe_has_no_login_data() {
    let elsewhere = Upstream::start(|_| Reply::Close(Vec::new())).await;
    for (status, headers) in [
        (200, String::new()),
        (302, format!("Location: {}/\r\n", elsewhere.url())),
        (401, "WWW-Authenticate: Basic realm=x\r\n".to_owned()),
        (404, String::new()),
        (500, String::new()),
        (503, "Retry-After: 9\r\n".to_owned()),
    ] {
        let provider = Provider::start().await;
        provider.respond_with("/", status, &headers, "{}");
        let menshen = start_menshen(&provider, "").await;
        let (_, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(page.answer.status, 200, "{status}");
        let [probe] = &provider.calls("/")[..] else {
            panic!("{status}: there is one probe");
        };
        assert_eq!(probe.start_line, "GET / HTTP/1.1");
        assert!(probe.body.is_empty());
        for (name, value) in &probe.headers {
            let allowed = ["accept", "host", "user-agent"];
            let is_allowed = allowed.contains(&name.to_ascii_lowercase().as_str());
            assert!(is_allowed, "{status}: {name}: {value}");
        }
    }
    assert_eq!(elsewhere.connections(), 0, "redirects are not followed");
}

#[tokio::test]
async fn concurrent_logins_share_one_probe() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let concurrent_logins = || join_all((0..20).map(async |_| start_login(&menshen).await.1));
    for page in concurrent_logins().await {
        assert_redirected_to_provider(&page, "the provider answers");
    }
    assert_eq!(provider.calls("/").len(), 1);
    provider.start_outage();
    menshen.advance(Duration::from_secs(10));
    concurrent_logins()
        .await
        .iter()
        .for_each(assert_unreachable_page);
    let probes = provider.calls("/").len();
    // The HTTP client may repeat a request whose connection was cut before the first byte.
    assert!((2..=3).contains(&probes), "{probes}");
    menshen.advance(Duration::from_secs(1));
    assert_unreachable_page(&start_login(&menshen).await.1);
    assert_eq!(
        provider.calls("/").len(),
        probes,
        "no probe during the pause"
    );
    menshen.advance(Duration::from_secs(1));
    assert_unreachable_page(&start_login(&menshen).await.1);
    assert!(provider.calls("/").len() > probes);
}

#[tokio::test]
async fn a_slow_provider_is_reachable_and_a_refused_connection_is_not() {
    let slow = async {
        let provider = Provider::start().await;
        provider.hang("/");
        let menshen = start_menshen(&provider, "").await;
        assert_redirected_to_provider(
            &start_login(&menshen).await.1,
            "the provider accepted the connection",
        );
        // A timeout counts as a response, so that the next login does not wait.
        assert_redirected_to_provider(
            &start_login(&menshen).await.1,
            "the provider accepted the connection",
        );
        assert_eq!(provider.calls("/").len(), 1);
    };
    let refused = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let full_listener = socket.listen(1).unwrap();
        let address = full_listener.local_addr().unwrap();
        let backlog = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let provider = Provider::start().await;
        let menshen =
            start_menshen_with_token_url(&provider, "", &format!("http://{address}/token")).await;
        assert_unreachable_page(&start_login(&menshen).await.1);
        let error = last_error(&menshen);
        assert!(error.contains("connect for a probe"), "{error}");
        drop(backlog);
    };
    join(slow, refused).await;
}

#[tokio::test]
async fn a_cancelled_login_still_completes_the_probe_for_others() {
    let provider = Provider::start().await;
    provider.hang("/");
    let menshen = start_menshen(&provider, "").await;
    let cancelled = async {
        tokio::select! {
            _ = start_login(&menshen) => panic!("the probe has no response yet"),
            () = crate::upstream::wait_until("the provider receives a probe", || provider.calls("/").len() == 1) => {}
        }
    };
    cancelled.await;
    assert_redirected_to_provider(
        &start_login(&menshen).await.1,
        "a slow provider is reachable",
    );
    assert_eq!(provider.calls("/").len(), 1);
}

#[tokio::test]
async fn behind_a_proxy_a_failed_tunnel_counts_as_unreachable() {
    let proxy = Upstream::start(|_| {
        let answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        Reply::Close(answer.as_bytes().to_vec())
    })
    .await;
    let connector = format!("proxy = '{}'", proxy.url());
    let provider = Provider::start().await;
    let menshen =
        start_menshen_with_token_url(&provider, &connector, "https://id.corp.example/token").await;
    assert_unreachable_page(&start_login(&menshen).await.1);
    assert_eq!(
        proxy.last_request().start_line,
        "CONNECT id.corp.example:443 HTTP/1.1"
    );
    // For plain http the response of the proxy counts.
    let menshen =
        start_menshen_with_token_url(&provider, &connector, "http://id.corp.example/token").await;
    assert_redirected_to_provider(&start_login(&menshen).await.1, "the proxy answered");
    assert_eq!(
        proxy.last_request().start_line,
        "GET http://id.corp.example/ HTTP/1.1"
    );
    // If the proxy itself is down, the provider is unreachable.
    drop(proxy);
    menshen.advance(Duration::from_secs(10));
    assert_unreachable_page(&start_login(&menshen).await.1);
    assert_eq!(
        provider.calls("/").len(),
        0,
        "no request bypasses the proxy"
    );
}

#[tokio::test]
async fn reload_user_is_skipped_while_the_provider_is_down() {
    let provider = Provider::start().await;
    let routes = "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
                  reload_user = 'always'\n";
    let table = provider.connector_toml("gh", "auto_login = 'never'", "preset = 'keycloak'");
    let tables = format!("{table}base_url = '{}'\n{NO_LOGIN_LIMITS}", provider.url());
    let menshen = Setup::default()
        .routes(routes)
        .tables(&tables)
        .start()
        .await;
    let (mut browser, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.answer.status, 200);
    let url = format!("{SSO_URL}/echo?a=1");
    menshen.advance(Duration::from_secs(30));
    let page = follow_to_provider(&mut browser, &url).await;
    assert_redirected_to_provider(&page, "the session is checked at the provider");
    assert!(page.url.contains("prompt=none"), "{}", page.url);
    browser.delete_cookies("-flow-");
    menshen.advance(Duration::from_secs(3600));
    provider.start_outage();
    let page = follow_to_provider(&mut browser, &url).await;
    assert_eq!((page.answer.status, page.url), (200, url.clone()));
    provider.end_outage();
    menshen.advance(Duration::from_secs(3600));
    assert_redirected_to_provider(
        &follow_to_provider(&mut browser, &url).await,
        "the provider is up again",
    );
}

#[tokio::test]
async fn the_login_config_of_a_front_end_reports_an_unreachable_provider() {
    let provider = Provider::start().await;
    provider.start_outage();
    let menshen = start_menshen(&provider, "").await;
    let url = format!("{OWN_PAGES}/login-config/gh");
    let same_origin = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "cors"),
    ];
    let mut browser = Browser::new(&menshen);
    let answer = browser.send("GET", &url, &same_origin, b"").await;
    assert_eq!(answer.status, 502);
    let problem = answer.json();
    let kind = problem["type"].as_str().unwrap();
    assert!(kind.ends_with("source-unreachable"), "{problem}");
}
