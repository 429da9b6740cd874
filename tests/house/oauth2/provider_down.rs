//! An OAuth 2 provider that is down: sessions go on, and no browser is redirected to it.

use std::time::Duration;

use futures_util::future::{join, join_all};
use menshen::face::page::Cause;
use tokio::net::{TcpSocket, TcpStream};

use super::provider::Provider;
use super::{last_error, start, start_menshen, through};
use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::upstream::{Reply, Upstream};
use crate::wire;

const ADMIN: &str = "[admin]\nlisten = '127.0.0.1:0'\n";

/// Begins a login and stops before the redirect to the provider.
async fn begins(menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = led(&mut browser, &start("gh")).await;
    (browser, page)
}

async fn led(browser: &mut Browser, url: &str) -> Page {
    browser
        .follow_until(url, |next| next.contains("/authorize"))
        .await
}

/// There is an error page and no redirect.
#[track_caller]
fn is_error_page(page: &Page) {
    assert_eq!(
        (page.answer.status, page.cause()),
        (502, Some(Cause::ProviderUnreachable)),
        "{}",
        page.url
    );
}

#[track_caller]
fn is_led(page: &Page, what: &str) {
    assert!(page.url.contains("/authorize?"), "{what}: {}", page.url);
}

/// An instance of menshen whose connector has its pages at the provider and its token endpoint at `token`.
async fn asking(provider: &Provider, connector: &str, token: &str) -> Menshen {
    let table = provider
        .table("gh", connector, "")
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
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    let table = provider
        .table("gh", "", "")
        .replace(provider.url(), &nowhere);
    let more = format!("{table}{NO_LOGIN_LIMITS}{ADMIN}");
    let menshen = Setup::default().tables(&more).start().await;
    let public = format!("{SSO_URL}/public/echo");
    assert_eq!(Browser::new(&menshen).visit(&public).await.status, 200);
    for (at, (language, words)) in [("zh-CN", "lang=\"zh"), ("en", "lang=\"en\"")]
        .into_iter()
        .enumerate()
    {
        let mut browser = Browser::new(&menshen);
        let speaks = ("Accept-Language".to_owned(), language.to_owned());
        browser.extra_headers.push(speaks);
        let page = led(&mut browser, &start("gh")).await;
        is_error_page(&page);
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
        let counted = "menshen_logins_total{connector=\"gh\",outcome=\"failed\"}";
        let counted = format!("{counted} {}\n", at + 1);
        assert!(metrics.contains(&counted), "{metrics}");
    }
}

#[tokio::test]
async fn a_successful_probe_is_valid_for_ten_seconds() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    is_led(&begins(&menshen).await.1, "it answers");
    provider.start_outage();
    menshen.advance(Duration::from_secs(9));
    is_led(&begins(&menshen).await.1, "it answered a moment ago");
    for wait_s in [1, 7200] {
        menshen.advance(Duration::from_secs(wait_s));
        let (browser, page) = begins(&menshen).await;
        is_error_page(&page);
        assert_eq!(browser.cookies(), []);
    }
    provider.end_outage();
    is_error_page(&begins(&menshen).await.1);
    menshen.advance(Duration::from_secs(2));
    let (_, page) = through(&menshen, "gh").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"));
}

#[tokio::test]
async fn a_redeemed_code_counts_as_successful_probe() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let (mut browser, _) = begins(&menshen).await;
    menshen.advance(Duration::from_secs(10));
    let probes = || provider.calls("/").len();
    assert_eq!(probes(), 1);
    // A login probes once; a redeemed code counts as successful probe.
    let mut coming = Browser::new(&menshen);
    let back = coming
        .follow_until(&start("gh"), |next| next.contains("/callback/gh"))
        .await;
    assert_eq!(probes(), 2);
    menshen.advance(Duration::from_secs(9));
    assert_eq!(coming.follow(&back.url).await.answer.status, 200);
    menshen.advance(Duration::from_secs(9));
    is_led(&begins(&menshen).await.1, "somebody came in");
    assert_eq!(probes(), 2);
    // A login that gets no response makes the next login probe.
    let back = browser
        .follow_until(&start("gh"), |next| next.contains("/callback/gh"))
        .await;
    provider.start_outage();
    is_error_page(&browser.follow(&back.url).await);
    is_error_page(&begins(&menshen).await.1);
}

#[tokio::test]
async fn sessions_and_logouts_work_while_the_provider_is_down() {
    let provider = Provider::start().await;
    let page = format!("logout_url = '{}/logout'", provider.url());
    let menshen = start_menshen(&provider, &page).await;
    let (mut stays, _) = through(&menshen, "gh").await;
    let (mut leaves, _) = through(&menshen, "gh").await;
    let (mut leads, _) = through(&menshen, "gh").await;
    let out = format!("{OWN_PAGES}/sign_out");
    let answer = leads.visit(&out).await;
    let there = format!("{}/logout", provider.url());
    assert_eq!(answer.header("location"), Some(there.as_str()));
    provider.start_outage();
    menshen.advance(Duration::from_secs(10));
    is_error_page(&begins(&menshen).await.1);
    for _ in 0..3 {
        let page = stays.follow(&format!("{SSO_URL}/echo")).await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
        menshen.advance(Duration::from_secs(1200));
    }
    // The session ends without a redirect to the unreachable provider.
    let mut stolen = leaves.clone();
    let answer = leaves.visit(&out).await;
    assert_eq!(answer.header("location"), None, "{}", answer.text());
    assert!(leaves.cookie("menshen").is_none());
    let info = stolen.visit(&format!("{OWN_PAGES}/userinfo")).await;
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
        provider.instead("/", status, &headers, "{}");
        let menshen = start_menshen(&provider, "").await;
        let (_, page) = through(&menshen, "gh").await;
        assert_eq!(page.answer.status, 200, "{status}");
        let [probe] = &provider.calls("/")[..] else {
            panic!("{status}: it was asked once");
        };
        assert_eq!(probe.start_line, "GET / HTTP/1.1");
        assert!(probe.body.is_empty());
        for (name, value) in &probe.headers {
            let plain = ["accept", "host", "user-agent"];
            let known = plain.contains(&name.to_ascii_lowercase().as_str());
            assert!(known, "{status}: {name}: {value}");
        }
    }
    assert_eq!(elsewhere.connections(), 0, "redirects are not followed");
}

#[tokio::test]
async fn concurrent_logins_share_one_probe() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let crowd = || join_all((0..20).map(async |_| begins(&menshen).await.1));
    for page in crowd().await {
        is_led(&page, "it answers");
    }
    assert_eq!(provider.calls("/").len(), 1);
    provider.start_outage();
    menshen.advance(Duration::from_secs(10));
    crowd().await.iter().for_each(is_error_page);
    let asked = provider.calls("/").len();
    // The HTTP client may repeat a request whose connection was cut before the first byte.
    assert!((2..=3).contains(&asked), "{asked}");
    menshen.advance(Duration::from_secs(1));
    is_error_page(&begins(&menshen).await.1);
    assert_eq!(
        provider.calls("/").len(),
        asked,
        "no probe during the pause"
    );
    menshen.advance(Duration::from_secs(1));
    is_error_page(&begins(&menshen).await.1);
    assert!(provider.calls("/").len() > asked);
}

#[tokio::test]
async fn a_slow_provider_is_reachable_and_a_refused_connection_is_not() {
    let slow = async {
        let provider = Provider::start().await;
        provider.hang("/");
        let menshen = start_menshen(&provider, "").await;
        is_led(&begins(&menshen).await.1, "it took the connection");
        // A timeout counts as a response, so that the next login does not wait.
        is_led(&begins(&menshen).await.1, "it took the connection");
        assert_eq!(provider.calls("/").len(), 1);
    };
    let away = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let full = socket.listen(1).unwrap();
        let address = full.local_addr().unwrap();
        let open = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let provider = Provider::start().await;
        let menshen = asking(&provider, "", &format!("http://{address}/token")).await;
        is_error_page(&begins(&menshen).await.1);
        let error = last_error(&menshen);
        assert!(error.contains("connect for a probe"), "{error}");
        drop(open);
    };
    join(slow, away).await;
}

#[tokio::test]
async fn a_cancelled_login_still_completes_the_probe_for_others() {
    let provider = Provider::start().await;
    provider.hang("/");
    let menshen = start_menshen(&provider, "").await;
    let gone = async {
        tokio::select! {
            _ = begins(&menshen) => panic!("nobody was answered yet"),
            () = crate::upstream::until("somebody asks", || provider.calls("/").len() == 1) => {}
        }
    };
    gone.await;
    is_led(&begins(&menshen).await.1, "slow is there");
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
    let menshen = asking(&provider, &connector, "https://id.corp.example/token").await;
    is_error_page(&begins(&menshen).await.1);
    assert_eq!(
        proxy.last_request().start_line,
        "CONNECT id.corp.example:443 HTTP/1.1"
    );
    // For plain http the response of the proxy counts.
    let menshen = asking(&provider, &connector, "http://id.corp.example/token").await;
    is_led(&begins(&menshen).await.1, "an answer");
    assert_eq!(
        proxy.last_request().start_line,
        "GET http://id.corp.example/ HTTP/1.1"
    );
    // If the proxy itself is down, the provider is unreachable.
    drop(proxy);
    menshen.advance(Duration::from_secs(10));
    is_error_page(&begins(&menshen).await.1);
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
    let table = provider.table("gh", "auto_login = 'never'", "preset = 'keycloak'");
    let more = format!("{table}base_url = '{}'\n{NO_LOGIN_LIMITS}", provider.url());
    let menshen = Setup::default().routes(routes).tables(&more).start().await;
    let (mut browser, page) = through(&menshen, "gh").await;
    assert_eq!(page.answer.status, 200);
    let place = format!("{SSO_URL}/echo?a=1");
    menshen.advance(Duration::from_secs(30));
    let page = led(&mut browser, &place).await;
    is_led(&page, "it is asked");
    assert!(page.url.contains("prompt=none"), "{}", page.url);
    browser.delete_cookies("-flow-");
    menshen.advance(Duration::from_secs(3600));
    provider.start_outage();
    let page = led(&mut browser, &place).await;
    assert_eq!((page.answer.status, page.url), (200, place.clone()));
    provider.end_outage();
    menshen.advance(Duration::from_secs(3600));
    is_led(&led(&mut browser, &place).await, "it is there again");
}

#[tokio::test]
async fn the_login_config_of_a_front_end_reports_an_unreachable_provider() {
    let provider = Provider::start().await;
    provider.start_outage();
    let menshen = start_menshen(&provider, "").await;
    let url = format!("{OWN_PAGES}/login-config/gh");
    let from_here = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "cors"),
    ];
    let mut browser = Browser::new(&menshen);
    let answer = browser.send("GET", &url, &from_here, b"").await;
    assert_eq!(answer.status, 502);
    let problem = answer.json();
    let kind = problem["type"].as_str().unwrap();
    assert!(kind.ends_with("source-unreachable"), "{problem}");
}
