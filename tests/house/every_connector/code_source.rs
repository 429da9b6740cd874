//! `CodeSource`: a simulated source whose login ends with a code, of any kind, and the same things done to each.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::lies;
use crate::browser::{Browser, Page};
use crate::custom::portal::{Portal, SECRET};
use crate::dingtalk_source::{self, DingTalk, EVENT_AES_KEY, EVENT_TOKEN};
use crate::lark::{self, Lark, OUTSIDER};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::upstream::Reply;
use crate::yunzhijia_source::{self, OTHER_EID, Yunzhijia};

/// The ID of every connector.
pub(super) const ID: &str = "it";
/// The login name of [`Who::Employee`].
pub(super) const LOGIN: &str = "zhangsan";
/// 张三 at Yunzhijia.
const OPENID: &str = "5de50017e4b0";

/// A source that answers as the vendor's.
pub(super) enum CodeSource {
    Lark(Lark),
    DingTalk(DingTalk),
    Yunzhijia(Yunzhijia),
    Custom(Portal),
}

/// Who confirms a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Employee,
    /// Somebody of another organisation.
    Stranger,
    /// Somebody who may not work there now.
    Disabled,
}

impl CodeSource {
    /// One of each kind.
    pub(super) async fn all() -> [Self; 4] {
        let callback = format!("{OWN_PAGES}/callback/{ID}");
        let lark = Lark::start().await.unwrap();
        lark.register_redirect(&callback);
        let dingtalk = DingTalk::start().await.unwrap();
        dingtalk.set_redirect_urls(&[&callback]);
        let clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let yunzhijia = Yunzhijia::start(clock).await.unwrap();
        yunzhijia.person("stranger", |one| OTHER_EID.clone_into(&mut one.eid));
        [
            Self::Lark(lark),
            Self::DingTalk(dingtalk),
            Self::Yunzhijia(yunzhijia),
            Self::Custom(Portal::start().await),
        ]
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Lark(_) => "lark",
            Self::DingTalk(_) => "dingtalk",
            Self::Yunzhijia(_) => "yunzhijia",
            Self::Custom(_) => "custom",
        }
    }

    pub(super) fn setup(&self) -> Setup {
        let tables = match self {
            Self::Lark(lark) => lark.connector_toml(ID, "contacts = true") + &Lark::events_toml(ID),
            Self::DingTalk(dingtalk) => format!(
                "[connector.{ID}.dingtalk]\n{}\n[connector.{ID}.dingtalk.events]\n\
                 token = '{EVENT_TOKEN}'\nencoding_aes_key = '{EVENT_AES_KEY}'\n",
                dingtalk.settings()
            ),
            Self::Yunzhijia(yunzhijia) => yunzhijia.connector_toml(ID, ""),
            // What the other kinds know of their source, a portal's settings must say.
            Self::Custom(portal) => portal
                .code_toml("")
                .replace("[connector.ctr.", &format!("[connector.{ID}."))
                .replace("[[connector.ctr.", &format!("[[connector.{ID}."))
                .replace(
                    "json = \"{'code': code, 'callback': callback}\"\nsuccess = \"answer.return_code == 0\"",
                    "json = \"{'code': code}\"\nsuccess = \"answer.return_code == 0 && \
                     answer.return_data.tenant == 't1' && answer.return_data.enabled == true\"",
                ),
        };
        Setup::default().tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
    }

    pub(super) async fn start(&self) -> Menshen {
        self.setup().start().await
    }

    /// Begins a login, which this person confirms; the URL to which the source sends the browser.
    pub(super) async fn callback(&self, browser: &mut Browser, who: Who) -> String {
        let start = format!("{OWN_PAGES}/start?connector={ID}&rd=/echo");
        let is_elsewhere = |url: &str| !url.starts_with(SSO_URL);
        let page = browser.follow_until(&start, is_elsewhere).await;
        let what = self.name();
        assert!(is_elsewhere(&page.url), "{what}: {}", page.answer.text());
        let of = |employee, stranger, disabled| match who {
            Who::Employee => employee,
            Who::Stranger => stranger,
            Who::Disabled => disabled,
        };
        let confirmed = match self {
            Self::Lark(_) => Lark::choose(&page.url, of(LOGIN, OUTSIDER, "zhaomin")),
            Self::DingTalk(_) => {
                let userid = of(LOGIN, dingtalk_source::STRANGER, "zhaomin");
                DingTalk::choose(&page.url, userid)
            }
            Self::Yunzhijia(_) => Yunzhijia::choose(&page.url, of(OPENID, "stranger", "left")),
            Self::Custom(portal) => {
                let (tenant, enabled) = (of("t1", "t2", "t1"), who != Who::Disabled);
                portal.state().person =
                    json!({ "id": 7, "account": LOGIN, "tenant": tenant, "enabled": enabled });
                page.url
            }
        };
        let answer = browser.visit(&confirmed).await;
        let callback = answer.header("location");
        let callback = callback.unwrap_or_else(|| panic!("{what}: {}", answer.text()));
        callback.to_owned()
    }

    /// A whole login in a new browser.
    pub(super) async fn sign_in(&self, menshen: &Menshen, who: Who) -> (Browser, Page) {
        let mut browser = Browser::new(menshen);
        let callback = self.callback(&mut browser, who).await;
        let page = browser.follow(&callback).await;
        (browser, page)
    }

    /// Asserts that the employee can sign in, so that a refusal before had the cause that the test names.
    pub(super) async fn assert_signs_in(&self, menshen: &Menshen) -> Browser {
        let (browser, page) = self.sign_in(menshen, Who::Employee).await;
        let what = self.name();
        assert_eq!(page.answer.status, 200, "{what}: {}", page.answer.text());
        assert_eq!(page.answer.echoed("x-forwarded-user"), [LOGIN], "{what}");
        assert!(has_session(&browser), "{what}");
        browser
    }

    /// The calls of a login, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        let paths: &[&str] = match self {
            Self::Lark(_) => &[
                "/open-apis/authen/v2/oauth/token",
                "/open-apis/authen/v1/user_info",
                "/open-apis/contact/v3/users/on_zhangsan",
            ],
            Self::DingTalk(_) => &[
                "/v1.0/oauth2/userAccessToken",
                "/v1.0/contact/users/me",
                "/topapi/user/getbyunionid",
                "/topapi/v2/user/get",
            ],
            Self::Yunzhijia(_) => &[
                "/gateway/oauth2/token/getAccessToken",
                "/gateway/ticket/user/acquirecontext",
            ],
            Self::Custom(_) => &["/token", "/user"],
        };
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    /// How often a code was sent to the source.
    pub(super) fn redemptions(&self) -> usize {
        match self {
            Self::Lark(lark) => lark.calls("/open-apis/authen/v2/oauth/token"),
            Self::DingTalk(dingtalk) => dingtalk.calls("/v1.0/oauth2/userAccessToken"),
            Self::Yunzhijia(yunzhijia) => yunzhijia.calls("/gateway/ticket/user/acquirecontext"),
            Self::Custom(portal) => portal.calls("/user").len(),
        }
    }

    /// Answers all requests for a path with this status and body.
    pub(super) fn answer(&self, path: &str, status: u16, body: &str) {
        match self {
            Self::Lark(lark) => lark.answer_with(path, status, body.to_owned(), usize::MAX),
            Self::DingTalk(dingtalk) => dingtalk.answer(path, status, body.to_owned()),
            Self::Yunzhijia(yunzhijia) => yunzhijia.answer_with(path, status, body, usize::MAX),
            Self::Custom(portal) => portal.respond_with(path, status, "", body),
        }
    }

    /// Never answers requests for a path.
    pub(super) fn hang(&self, path: &str) {
        match self {
            Self::Lark(lark) => lark.hang(path),
            Self::DingTalk(dingtalk) => dingtalk.hang(path),
            Self::Yunzhijia(yunzhijia) => yunzhijia.hang(path),
            Self::Custom(portal) => {
                let silence = Reply::HoldOpen(Vec::new());
                portal.state().replaced.insert(path.to_owned(), silence);
            }
        }
    }

    /// Answers requests for a path again as before.
    pub(super) fn restore(&self, path: &str) {
        match self {
            Self::Lark(lark) => lark.clear_faults(path),
            Self::DingTalk(dingtalk) => dingtalk.clear_faults(path),
            Self::Yunzhijia(yunzhijia) => yunzhijia.clear_faults(),
            Self::Custom(portal) => portal.state().replaced.clear(),
        }
    }

    /// Answers that look like a success and are none, each with its path.
    pub(super) fn lies(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Lark(_) => lies::of_lark(),
            Self::DingTalk(_) => lies::of_dingtalk(),
            Self::Yunzhijia(_) => lies::of_yunzhijia(),
            Self::Custom(_) => lies::of_custom(),
        }
    }

    /// A refusal at the path of the code, with this message.
    pub(super) fn refuse_with(&self, message: &str) -> String {
        let (path, status, body) = match self {
            Self::Lark(_) => (0, 400, json!({ "code": 4711, "msg": message })),
            Self::DingTalk(_) => (0, 400, json!({ "code": "wrong", "message": message })),
            Self::Yunzhijia(_) => {
                let body = json!({ "success": false, "error": message, "errorCode": 9 });
                (1, 200, body)
            }
            Self::Custom(_) => (1, 200, json!({ "return_code": 1, "return_msg": message })),
        };
        let path = self.paths().swap_remove(path);
        self.answer(&path, status, &body.to_string());
        path
    }

    /// The secrets of the settings.
    pub(super) fn settings_secrets(&self) -> Vec<&'static str> {
        match self {
            Self::Lark(_) => vec![
                lark::APP_SECRET,
                lark::ENCRYPT_KEY,
                lark::VERIFICATION_TOKEN,
            ],
            Self::DingTalk(_) => vec![dingtalk_source::APP_SECRET, EVENT_TOKEN, EVENT_AES_KEY],
            Self::Yunzhijia(_) => vec![yunzhijia_source::APP_SECRET],
            Self::Custom(_) => vec![SECRET],
        }
    }

    /// The parameter with the code in a callback URL.
    pub(super) fn code_parameter(&self) -> &'static str {
        match self {
            Self::Lark(_) | Self::Custom(_) => "code",
            Self::DingTalk(_) => "authCode",
            Self::Yunzhijia(_) => "ticket",
        }
    }
}

/// Whether the browser is signed in.
pub(super) fn has_session(browser: &Browser) -> bool {
    browser.cookie("menshen").is_some()
}
