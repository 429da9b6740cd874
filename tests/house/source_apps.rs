//! The right login by itself: with several sources, a login begins without a click only in the app of one of
//! them, and once.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::browser::{Browser, Page};
use crate::dingtalk_source::DingTalk;
use crate::lark::Lark;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::yunzhijia_source::Yunzhijia;

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
                      Gecko) Mobile/15E148";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 14; V2241A) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Version/4.0 Chrome/116.0.0.0 Mobile Safari/537.36";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/109.0.5414.128 Safari/537.36";
const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
                   Chrome/109.0.5414.128 Safari/537.36";

/// Where somebody is led who opens an application without being signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Led {
    /// To the silent login page of WeCom.
    WeCom,
    /// To the page that asks the DingTalk client.
    DingTalk,
    /// To the login page of Lark, which asks nobody in its client.
    Lark,
    /// To the sign-in page with all four sources.
    Choice,
}

/// The beginning of a User-Agent, what a client adds to it, and where its user is led.
const CLIENTS: &[(&str, &str, Led)] = &[
    (
        IPHONE,
        "wxwork/4.1.30 MicroMessenger/7.0.1 Language/zh ColorScheme/Light",
        Led::WeCom,
    ),
    (
        ANDROID,
        "wxwork/4.1.30 MicroMessenger/7.0.1 NetType/WIFI Language/zh Lang/zh",
        Led::WeCom,
    ),
    (
        WINDOWS,
        "MicroMessenger/7.0.1 WindowsWechat WXWork/4.1.28 wxwork/4.1.28",
        Led::WeCom,
    ),
    (
        MAC,
        "MicroMessenger/6.8.0(0x16080000) MacWechat wxwork/4.0.19 Language/zh",
        Led::WeCom,
    ),
    (
        IPHONE,
        "AliApp(DingTalk/7.6.60) com.laiwang.DingTalk/45715949 Channel/201200 language/zh-Hans-CN UT4Aplus/0.0.6 \
         WK",
        Led::DingTalk,
    ),
    (
        ANDROID,
        "AliApp(DingTalk/7.0.0.11) com.alibaba.android.rimet/27811579 Channel/263200 language/zh-CN",
        Led::DingTalk,
    ),
    (
        WINDOWS,
        "dingtalk-win/1.0.0 nw(0.14.7) DingTalk(7.0.40-Release.6019103) Mojo/1.0.0 Native AppType(release)",
        Led::DingTalk,
    ),
    (
        IPHONE,
        "Safari/604.1 Lark/7.15.32 LarkLocale/zh_CN ChannelName/Feishu LKBrowserIdentifier/1",
        Led::Lark,
    ),
    (
        ANDROID,
        "Lark/6.9.9 LarkLocale/zh_CN ChannelName/Feishu TTWebView/0881130046427",
        Led::Lark,
    ),
    (
        MAC,
        "Lark/6.9.4 LarkLocale/zh_CN Electron/Native WebApp/workplace",
        Led::Lark,
    ),
    (
        WINDOWS,
        "Lark/7.5.9 LarkLocale/en_US Electron/Native WebApp/workplace",
        Led::Lark,
    ),
    // In the app of Yunzhijia people come with a ticket, and nobody can scan a code there.
    (
        IPHONE,
        "Qing/0.9.0; iPhone OS 18.0; Apple; iPhone16,2",
        Led::Choice,
    ),
    (ANDROID, "Qing/0.9.0; Android14; vivo; V2241A", Led::Choice),
    (
        WINDOWS,
        "Qing/0.0.4; App/cloudhub 38886/1.1.6; deviceId:1",
        Led::Choice,
    ),
    // The personal WeChat, and ordinary browsers.
    (IPHONE, "MicroMessenger/8.0.50 Language/zh_CN", Led::Choice),
    (IPHONE, "Safari/604.1", Led::Choice),
    (WINDOWS, "", Led::Choice),
    (MAC, "Edg/109.0.1518.78", Led::Choice),
];

/// The simulated sources beside WeCom.
struct Sources {
    dingtalk: DingTalk,
    lark: Lark,
    yunzhijia: Yunzhijia,
}

async fn start(auto_login: &str) -> (Menshen, Sources) {
    // The clock of the tests, because Yunzhijia refuses a time that is more than three minutes off.
    let clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let sources = Sources {
        dingtalk: DingTalk::start().await.unwrap(),
        lark: Lark::start().await.unwrap(),
        yunzhijia: Yunzhijia::start(clock).await.unwrap(),
    };
    let dingtalk = format!(
        "[connector.ding]\n{auto_login}\n[connector.ding.dingtalk]\n{}\n",
        sources.dingtalk.settings()
    );
    let named = |toml: String, id: &str| {
        let table = format!("[connector.{id}]\n");
        toml.replacen(&table, &format!("{table}{auto_login}\n"), 1)
    };
    let lark = named(sources.lark.connector_toml("feishu", ""), "feishu");
    let yunzhijia = named(sources.yunzhijia.connector_toml("yzj", ""), "yzj");
    let menshen = Setup::default()
        .connector(auto_login)
        .tables(&format!("{dingtalk}{lark}{yunzhijia}{NO_LOGIN_LIMITS}"))
        .start()
        .await;
    (menshen, sources)
}

/// Opens an application without being signed in.
async fn open(browser: &mut Browser) -> (Led, Page) {
    let leaves = |next: &str| !next.starts_with(SSO_URL);
    let page = browser
        .follow_until(&format!("{SSO_URL}/echo?a=b"), leaves)
        .await;
    let led = if page.url.contains("/connect/oauth2/authorize") {
        Led::WeCom
    } else if page.url.contains("/open-apis/authen/v1/authorize") {
        Led::Lark
    } else if page.answer.text().contains("id=\"app-login\"") {
        Led::DingTalk
    } else {
        assert!(
            page.url.starts_with(&format!("{OWN_PAGES}/sign_in?")),
            "{}: {}",
            page.url,
            page.answer.text()
        );
        Led::Choice
    };
    (led, page)
}

/// Asserts that the sign-in page offers every source.
fn assert_offers_all(page: &Page, client: &str) {
    let html = page.answer.text();
    for id in ["corp", "ding", "feishu", "yzj"] {
        let link = format!("connector={id}");
        assert!(html.contains(&link), "{client}: no {id} in {html}");
    }
}

#[tokio::test]
async fn each_client_is_led_to_its_own_source_and_a_browser_to_the_choice() {
    let (menshen, _sources) = start("").await;
    for (system, client, expected) in CLIENTS {
        let user_agent = format!("{system} {client}");
        let mut browser = Browser::new(&menshen).with_user_agent(&user_agent);
        let (led, page) = open(&mut browser).await;
        assert_eq!(led, *expected, "{user_agent}");
        if led == Led::Choice {
            assert_offers_all(&page, client);
        }
    }
}

#[tokio::test]
async fn a_login_that_did_not_end_begins_by_itself_only_once_in_each_client() {
    let (menshen, _sources) = start("").await;
    for (system, client, expected) in CLIENTS {
        let user_agent = format!("{system} {client}");
        let mut browser = Browser::new(&menshen).with_user_agent(&user_agent);
        assert_eq!(open(&mut browser).await.0, *expected, "{user_agent}");
        for _ in 0..2 {
            let (led, page) = open(&mut browser).await;
            assert_eq!(led, Led::Choice, "{user_agent}");
            assert_offers_all(&page, client);
        }
    }
    // A minute later the person may have come back on purpose.
    let (system, client, expected) = CLIENTS[0];
    let mut browser = Browser::new(&menshen).with_user_agent(&format!("{system} {client}"));
    open(&mut browser).await;
    menshen.advance(Duration::from_secs(60));
    assert_eq!(open(&mut browser).await.0, expected);
}

#[tokio::test]
async fn no_login_begins_by_itself_anywhere_if_the_configuration_says_never() {
    let (menshen, _sources) = start("auto_login = \"never\"").await;
    for (system, client, _) in CLIENTS {
        let user_agent = format!("{system} {client}");
        let mut browser = Browser::new(&menshen).with_user_agent(&user_agent);
        let (led, page) = open(&mut browser).await;
        assert_eq!(led, Led::Choice, "{user_agent}");
        assert_offers_all(&page, client);
    }
}

#[tokio::test]
async fn one_browser_signs_in_with_one_source_after_the_other() {
    let (menshen, sources) = start("").await;
    sources
        .dingtalk
        .set_redirect_urls(&[&format!("{OWN_PAGES}/callback/ding")]);
    sources
        .lark
        .register_redirect(&format!("{OWN_PAGES}/callback/feishu"));
    // The same login name at two sources would be two people, of whom the second is refused.
    let li = "5de5003fe4b0";
    sources
        .yunzhijia
        .person(li, |person| person.job_no = "li-of-yunzhijia".to_owned());
    let mut browser = Browser::new(&menshen).with_user_agent(WINDOWS);
    let mut cookies = Vec::new();
    for (id, person) in [("ding", "zhangsan"), ("feishu", "lisi"), ("yzj", li)] {
        let start = format!("{OWN_PAGES}/start?connector={id}&rd=/echo");
        let leaves = |next: &str| !next.starts_with(SSO_URL);
        let login = browser.follow_until(&start, leaves).await.url;
        let chosen = match id {
            "ding" => DingTalk::choose(&login, person),
            "feishu" => Lark::choose(&login, person),
            _ => Yunzhijia::choose(&login, person),
        };
        browser.follow(&chosen).await;
        let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await;
        assert_eq!(info.status, 200, "{id}: {}", info.text());
        let cookie = browser.cookie("menshen").unwrap().value.clone();
        assert!(!cookies.contains(&cookie), "{id}: a new session");
        cookies.push(cookie);
    }
}
