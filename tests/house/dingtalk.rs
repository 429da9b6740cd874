//! Logins with DingTalk: `[connector.ID.dingtalk]`.

mod administrators;
mod directory;
mod events;
mod in_app;
mod linking;
mod misbehaving;
mod nodes;
mod refused;
mod settings;
mod tokens;

use menshen::face::page::Cause;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::dingtalk_source::{CORP_ID, DingTalk};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};

/// The connector's ID.
const ID: &str = "ding";

/// The User-Agent of the client on a phone.
const DINGTALK_PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                              (KHTML, like Gecko) Mobile/22A3354 AliApp(DingTalk/7.6.60) \
                              com.laiwang.DingTalk/45715949 Channel/201200 language/zh-Hans-CN UT4Aplus/0.0.6 WK";

const TOKEN: &str = "/v1.0/oauth2/accessToken";
const USER_TOKEN: &str = "/v1.0/oauth2/userAccessToken";
const ME: &str = "/v1.0/contact/users/me";
const BY_UNION_ID: &str = "/topapi/user/getbyunionid";
const MEMBER: &str = "/topapi/v2/user/get";
const IN_APP: &str = "/topapi/v2/user/getuserinfo";
const DEPARTMENT: &str = "/topapi/v2/department/get";

/// The setup of an instance of menshen with a connector for this simulation; `lines` follow in its table.
fn setup(dingtalk: &DingTalk, lines: &str) -> Setup {
    dingtalk.set_redirect_urls(&[&format!("{OWN_PAGES}/callback/{ID}")]);
    Setup::default().tables(&format!(
        "[connector.{ID}]\ndisplay_name = \"钉钉\"\n[connector.{ID}.dingtalk]\n{}{lines}\n\
         {NO_LOGIN_LIMITS}",
        dingtalk.settings()
    ))
}

async fn start(lines: &str) -> (Menshen, DingTalk) {
    let dingtalk = DingTalk::start().await.unwrap();
    (setup(&dingtalk, lines).start().await, dingtalk)
}

fn start_url() -> String {
    format!("{OWN_PAGES}/start?connector={ID}&rd=/echo")
}

/// Opens DingTalk's login page.
async fn open_login_page(browser: &mut Browser) -> String {
    let is_login_page = |next: &str| next.contains("/oauth2/auth");
    let page = browser.follow_until(&start_url(), is_login_page).await;
    assert!(is_login_page(&page.url), "{}", page.answer.text());
    page.url
}

/// Opens a link on DingTalk's login page; returns the URL to which it redirects.
async fn redirected_from(browser: &mut Browser, link: &str) -> String {
    let answer = browser.visit(link).await;
    let to = answer.header("location");
    to.unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

/// A login in an ordinary browser.
async fn sign_in_with(browser: &mut Browser, userid: &str) -> Page {
    let page = open_login_page(browser).await;
    let back = redirected_from(browser, &DingTalk::choose(&page, userid)).await;
    browser.follow(&back).await
}

async fn sign_in(menshen: &Menshen, userid: &str) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = sign_in_with(&mut browser, userid).await;
    (browser, page)
}

/// The session cookie of a person who signs in.
async fn session_cookie_of(menshen: &Menshen, userid: &str) -> String {
    let (browser, page) = sign_in(menshen, userid).await;
    let cookie = browser.cookie("menshen");
    let cookie = cookie.unwrap_or_else(|| panic!("{}", page.answer.text()));
    cookie.value.clone()
}

fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("a reason").to_owned()
}

/// Asserts that a login is refused on the page of this cause, without a session; returns the reason in the log.
async fn assert_refused(menshen: &Menshen, userid: &str, cause: Cause) -> String {
    let (browser, page) = sign_in(menshen, userid).await;
    assert_eq!(
        page.cause(),
        Some(cause),
        "{userid}: {}",
        page.answer.text()
    );
    assert!(browser.cookie("menshen").is_none(), "{userid}");
    last_error(menshen)
}

#[tokio::test]
async fn a_person_signs_in_and_the_application_receives_the_identity() {
    let (menshen, dingtalk) = start("").await;
    let (mut browser, page) = sign_in(&menshen, "zhangsan").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo"));
    for (header, value) in [
        // The nickname is 小明 for everybody.
        ("x-forwarded-user", "zhangsan"),
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "zhangsan@corp.example"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["mobile"], "13800000001");
    assert_eq!(info["departments"], json!(["平台部"]));
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "login");
    assert_eq!(record["subject"], format!("{CORP_ID}:zhangsan"));
    let (query, body) = dingtalk.last_request("/oauth2/auth");
    assert!(query.contains("scope=openid&"), "{query}");
    assert!(query.contains("prompt=consent"), "{query}{body}");
    // Secrets are in no URL.
    for path in [TOKEN, USER_TOKEN, ME] {
        assert_eq!(dingtalk.last_request(path).0, "", "{path}");
    }
}

#[tokio::test]
async fn a_person_without_mobile_and_e_mail_signs_in() {
    let (menshen, _dingtalk) = start("").await;
    let (mut browser, page) = sign_in(&menshen, "wangfang").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["wangfang"]);
    assert_eq!(page.answer.echoed("x-forwarded-email"), [""; 0]);
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(
        (&info["mobile"], &info["email"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(info["departments"], json!(["研发中心", "销售部"]));
}

#[tokio::test]
async fn the_e_mail_address_of_the_organisation_comes_before_that_of_the_person() {
    let (menshen, _dingtalk) = start("").await;
    let (_, page) = sign_in(&menshen, "lisi").await;
    assert_eq!(
        page.answer.echoed("x-forwarded-email"),
        ["lisi@home.example"]
    );
    let (_, page) = sign_in(&menshen, "zhangsan").await;
    assert_eq!(
        page.answer.echoed("x-forwarded-email"),
        ["zhangsan@corp.example"]
    );
}

#[tokio::test]
async fn rules_see_the_departments() {
    let (menshen, dingtalk) = start("").await;
    for (userid, status) in [("lisi", 200), ("zhangsan", 403)] {
        let (mut browser, _) = sign_in(&menshen, userid).await;
        let answer = browser.visit(&format!("{SSO_URL}/finance")).await;
        assert_eq!(answer.status, status, "{userid}");
    }
    // Each department is asked about once.
    let calls = dingtalk.calls(DEPARTMENT);
    sign_in(&menshen, "zhangsan").await;
    assert_eq!(dingtalk.calls(DEPARTMENT), calls);
}

#[tokio::test]
async fn the_code_is_accepted_under_both_names() {
    let (menshen, dingtalk) = start("").await;
    for parameters in [&["authCode"][..], &["code"], &["code", "authCode"]] {
        dingtalk.set_code_parameters(parameters);
        let (_, page) = sign_in(&menshen, "lisi").await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    }
}

#[tokio::test]
async fn a_front_end_learns_what_it_needs_and_brings_a_code_of_either_kind() {
    use crate::dingtalk_source::CodeKind;
    let (menshen, dingtalk) = start("").await;
    for (code_kind, kind) in [
        (CodeKind::InApp, None),
        (CodeKind::InApp, Some("code")),
        (CodeKind::InApp, Some("in-app")),
        (CodeKind::Web(None), Some("web")),
    ] {
        let mut browser = Browser::new(&menshen);
        let url = format!("{OWN_PAGES}/login-config/{ID}?rd=/echo");
        let config = browser.send("GET", &url, &[], b"").await.json();
        assert_eq!(config["corp_id"], CORP_ID);
        assert_eq!(config["kind"], "dingtalk");
        assert!(
            config["web_url"]
                .as_str()
                .unwrap()
                .contains("/oauth2/auth?")
        );
        let mut body = json!({
            "code": dingtalk.issue_code(code_kind, "lisi"),
            "state": config["state"],
            "flow": config["flow"],
        });
        if let Some(kind) = kind {
            body["kind"] = json!(kind);
        }
        let url = format!("{OWN_PAGES}/login/{ID}");
        let json = [("Content-Type", "application/json")];
        let body = body.to_string();
        let answer = browser.send("POST", &url, &json, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{kind:?}: {}", answer.text());
        assert_eq!(answer.json()["user"]["login"], "lisi");
    }
}
