//! A provider that is away keeps nobody away who is here, and nobody is led to it.

use std::time::Duration;

use futures_util::future::{join, join_all};
use menshen::face::page::Cause;
use tokio::net::{TcpSocket, TcpStream};

use super::provider::Provider;
use super::{last_error, start, start_menshen, through};
use crate::browser::{Browser, Page};
use crate::logging_in::OWN;
use crate::setup::{HOME, Menshen, Setup, UNLIMITED};
use crate::upstream::{Reply, Upstream};
use crate::wire;

const ADMIN: &str = "[admin]\nlisten = '127.0.0.1:0'\n";

/// A browser that begins a login and stops before it is led away.
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

/// Nobody is led anywhere, and they read why.
#[track_caller]
fn is_told(page: &Page) {
    assert_eq!(
        (page.answer.status, page.cause()),
        (502, Some(Cause::SourceUnreachable)),
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
        .more(&format!("{table}{UNLIMITED}"))
        .start()
        .await
}

#[tokio::test]
async fn the_house_starts_and_serves_while_the_provider_is_away() {
    let provider = Provider::start().await;
    // A port that is taken, and where nobody listens.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    let table = provider
        .table("gh", "", "")
        .replace(provider.url(), &nowhere);
    let more = format!("{table}{UNLIMITED}{ADMIN}");
    let menshen = Setup::default().more(&more).start().await;
    let public = format!("{HOME}/public/echo");
    assert_eq!(Browser::new(&menshen).visit(&public).await.status, 200);
    for (at, (language, words)) in [("zh-CN", "lang=\"zh"), ("en", "lang=\"en\"")]
        .into_iter()
        .enumerate()
    {
        let mut browser = Browser::new(&menshen);
        let speaks = ("Accept-Language".to_owned(), language.to_owned());
        browser.extra.push(speaks);
        let page = led(&mut browser, &start("gh")).await;
        is_told(&page);
        let html = page.answer.text();
        assert!(html.contains(words) && html.contains("/.menshen/sign_in"));
        assert_eq!(browser.cookies(), []);
        let error = last_error(&menshen);
        assert!(error.contains("the source cannot be reached"), "{error}");
        let admin = menshen.running.admin_address().unwrap();
        let metrics = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        let metrics = wire::raw(admin, metrics).await.text();
        let counted = "menshen_logins_total{connector=\"gh\",outcome=\"failed\"}";
        let counted = format!("{counted} {}\n", at + 1);
        assert!(metrics.contains(&counted), "{metrics}");
    }
}

#[tokio::test]
async fn an_answer_counts_for_ten_seconds_and_then_somebody_makes_sure() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    is_led(&begins(&menshen).await.1, "it answers");
    provider.down();
    menshen.advance(Duration::from_secs(9));
    is_led(&begins(&menshen).await.1, "it answered a moment ago");
    for wait_s in [1, 7200] {
        menshen.advance(Duration::from_secs(wait_s));
        let (browser, page) = begins(&menshen).await;
        is_told(&page);
        assert_eq!(browser.cookies(), []);
    }
    provider.up();
    is_told(&begins(&menshen).await.1);
    menshen.advance(Duration::from_secs(2));
    let (_, page) = through(&menshen, "gh").await;
    assert_eq!(page.url, format!("{HOME}/echo?a=b"));
}

#[tokio::test]
async fn a_login_that_was_answered_counts_and_one_that_was_not_does_not() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let (mut browser, _) = begins(&menshen).await;
    menshen.advance(Duration::from_secs(10));
    let probes = || provider.calls("/").len();
    assert_eq!(probes(), 1);
    // The whole login of one person probes once; what they redeem counts from then on.
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
    // Whoever finds it silent on their way makes the next one ask.
    let back = browser
        .follow_until(&start("gh"), |next| next.contains("/callback/gh"))
        .await;
    provider.down();
    is_told(&browser.follow(&back.url).await);
    is_told(&begins(&menshen).await.1);
}

#[tokio::test]
async fn whoever_is_here_stays_and_leaves_while_the_provider_is_away() {
    let provider = Provider::start().await;
    let page = format!("logout_url = '{}/logout'", provider.url());
    let menshen = start_menshen(&provider, &page).await;
    let (mut stays, _) = through(&menshen, "gh").await;
    let (mut leaves, _) = through(&menshen, "gh").await;
    let (mut leads, _) = through(&menshen, "gh").await;
    let out = format!("{OWN}/sign_out");
    let answer = leads.visit(&out).await;
    let there = format!("{}/logout", provider.url());
    assert_eq!(answer.header("location"), Some(there.as_str()));
    provider.down();
    menshen.advance(Duration::from_secs(10));
    is_told(&begins(&menshen).await.1);
    for _ in 0..3 {
        let page = stays.follow(&format!("{HOME}/echo")).await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
        menshen.advance(Duration::from_secs(1200));
    }
    // They leave here, and are not led to a page that never comes.
    let mut stolen = leaves.clone();
    let answer = leaves.visit(&out).await;
    assert_eq!(answer.header("location"), None, "{}", answer.text());
    assert!(leaves.cookie("menshen").is_none());
    let info = stolen.visit(&format!("{OWN}/userinfo")).await;
    assert_eq!(info.status, 401);
}

#[tokio::test]
async fn any_answer_is_one_and_nothing_of_the_login_is_told_for_it() {
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
        assert_eq!(probe.first, "GET / HTTP/1.1");
        assert!(probe.body.is_empty());
        for (name, value) in &probe.headers {
            let plain = ["accept", "host", "user-agent"];
            let known = plain.contains(&name.to_ascii_lowercase().as_str());
            assert!(known, "{status}: {name}: {value}");
        }
    }
    assert_eq!(elsewhere.connections(), 0, "nobody follows it");
}

#[tokio::test]
async fn a_crowd_asks_once_whatever_the_answer() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    let crowd = || join_all((0..20).map(async |_| begins(&menshen).await.1));
    for page in crowd().await {
        is_led(&page, "it answers");
    }
    assert_eq!(provider.calls("/").len(), 1);
    provider.down();
    menshen.advance(Duration::from_secs(10));
    crowd().await.iter().for_each(is_told);
    let asked = provider.calls("/").len();
    // A client may repeat what was cut before its first byte.
    assert!((2..=3).contains(&asked), "{asked}");
    menshen.advance(Duration::from_secs(1));
    is_told(&begins(&menshen).await.1);
    assert_eq!(provider.calls("/").len(), asked, "left alone for a moment");
    menshen.advance(Duration::from_secs(1));
    is_told(&begins(&menshen).await.1);
    assert!(provider.calls("/").len() > asked);
}

#[tokio::test]
async fn who_is_slow_is_there_and_who_takes_no_connection_is_away() {
    let slow = async {
        let provider = Provider::start().await;
        provider.hang("/");
        let menshen = start_menshen(&provider, "").await;
        is_led(&begins(&menshen).await.1, "it took the connection");
        // That is an answer, too: nobody else waits.
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
        is_told(&begins(&menshen).await.1);
        let error = last_error(&menshen);
        assert!(error.contains("connect for a probe"), "{error}");
        drop(open);
    };
    join(slow, away).await;
}

#[tokio::test]
async fn somebody_who_goes_away_meanwhile_has_asked_for_the_others() {
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
async fn through_a_proxy_it_is_away_when_there_is_no_tunnel_to_it() {
    let proxy = Upstream::start(|_| {
        let answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        Reply::Close(answer.as_bytes().to_vec())
    })
    .await;
    let connector = format!("proxy = '{}'", proxy.url());
    let provider = Provider::start().await;
    let menshen = asking(&provider, &connector, "https://id.corp.example/token").await;
    is_told(&begins(&menshen).await.1);
    assert_eq!(proxy.last().first, "CONNECT id.corp.example:443 HTTP/1.1");
    // What stands in the way of plain http answers for whom it stands before.
    let menshen = asking(&provider, &connector, "http://id.corp.example/token").await;
    is_led(&begins(&menshen).await.1, "an answer");
    assert_eq!(proxy.last().first, "GET http://id.corp.example/ HTTP/1.1");
    // And a proxy that is away itself keeps every login from its end.
    drop(proxy);
    menshen.advance(Duration::from_secs(10));
    is_told(&begins(&menshen).await.1);
    assert_eq!(provider.calls("/").len(), 0, "nobody goes around it");
}

#[tokio::test]
async fn a_reload_that_would_ask_a_provider_that_is_away_locks_nobody_out() {
    let provider = Provider::start().await;
    let routes = "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
                  reload_user = 'always'\n";
    let table = provider.table("gh", "auto_login = 'never'", "preset = 'keycloak'");
    let more = format!("{table}base_url = '{}'\n{UNLIMITED}", provider.url());
    let menshen = Setup::default().routes(routes).more(&more).start().await;
    let (mut browser, page) = through(&menshen, "gh").await;
    assert_eq!(page.answer.status, 200);
    let place = format!("{HOME}/echo?a=1");
    menshen.advance(Duration::from_secs(30));
    let page = led(&mut browser, &place).await;
    is_led(&page, "it is asked");
    assert!(page.url.contains("prompt=none"), "{}", page.url);
    browser.forget("-flow-");
    menshen.advance(Duration::from_secs(3600));
    provider.down();
    let page = led(&mut browser, &place).await;
    assert_eq!((page.answer.status, page.url), (200, place.clone()));
    provider.up();
    menshen.advance(Duration::from_secs(3600));
    is_led(&led(&mut browser, &place).await, "it is there again");
}

#[tokio::test]
async fn a_front_end_is_told_as_well() {
    let provider = Provider::start().await;
    provider.down();
    let menshen = start_menshen(&provider, "").await;
    let url = format!("{OWN}/login-config/gh");
    let from_here = [
        ("Origin", HOME),
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
