//! One site with a connector of each kind that has people of its own, and a person `zhangsan` at each source.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::browser::{Browser, Page};
use crate::cas::server::CasServer;
use crate::connector_features::flow_id_in;
use crate::custom::portal::Portal as CustomPortal;
use crate::dingtalk_source::DingTalk;
use crate::jwt::portal::Portal as JwtPortal;
use crate::lark::Lark;
use crate::ldap_directory::{LdapServer, Person as LdapPerson, SERVICE_DN, SERVICE_PASSWORD};
use crate::saml::idp::Idp;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::upstream::TempFolder;
use crate::wecom::WeCom;
use crate::yunzhijia_source::Yunzhijia;

/// SAML needs https.
pub(super) const HTTPS: &str = "https://sso.test";
/// The login name of the person at every source.
pub(super) const LOGIN: &str = "zhangsan";
const PASSWORD: &str = "correct horse 密码";
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHRzYWx0MDAwMQ$SIvjSCzzIqRmWInu9Drbbw";
/// The person at Yunzhijia, whose number is [`LOGIN`].
const OPENID: &str = "5de50017e4b0";

/// How people sign in with a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    WeCom,
    Lark,
    DingTalk,
    Yunzhijia,
    /// The source knows who is signed in there and asks nothing.
    AtOnce,
    Saml,
    Password,
    Token,
}

/// The ID of each connector, and how people sign in with it.
const CONNECTORS: [(&str, Way); 10] = [
    ("corp", Way::WeCom),
    ("fs", Way::Lark),
    ("ding", Way::DingTalk),
    ("yzj", Way::Yunzhijia),
    ("ctr", Way::AtOnce),
    ("portal", Way::AtOnce),
    ("idp", Way::Saml),
    ("staff", Way::Password),
    ("house", Way::Password),
    ("token", Way::Token),
];

/// The IDs of all connectors; the first one is of the simulated WeCom.
pub(super) fn connectors() -> impl Iterator<Item = &'static str> {
    CONNECTORS.iter().map(|(id, _)| *id)
}

/// The sources, and menshen in front of them.
pub(super) struct Site {
    pub(super) menshen: Menshen,
    token_portal: JwtPortal,
    _lark: Lark,
    _dingtalk: DingTalk,
    _yunzhijia: Yunzhijia,
    _custom: CustomPortal,
    _cas: CasServer,
    _idp: Idp,
    _ldap: LdapServer,
    _people: TempFolder,
}

impl Site {
    /// Starts everything; `lines` makes the lines of `[connector.ID]` from the ID.
    pub(super) async fn start(lines: impl Fn(&str) -> String) -> Self {
        let callback = |id: &str| format!("{HTTPS}/.menshen/callback/{id}");
        let lark = lark(&callback("fs")).await;
        let dingtalk = dingtalk(&callback("ding")).await;
        let yunzhijia = yunzhijia().await;
        let custom = CustomPortal::start().await;
        custom.state().person = json!({ "id": LOGIN, "account": LOGIN, "name": "张三" });
        let cas = CasServer::start().await;
        let idp = Idp::start().await;
        let ldap = LdapServer::start().await.unwrap();
        ldap.add(LdapPerson::new(LOGIN, PASSWORD).with("mail", &[]));
        let people = TempFolder::new();
        people.write(
            "people.toml",
            &format!("[{LOGIN}]\npassword = \"{PASSWORD_HASH}\"\n"),
        );
        let token_portal = JwtPortal::with_algorithm(Algorithm::HS256);
        let tables = [
            ("fs", lark.connector_toml("fs", "contacts = true")),
            (
                "ding",
                format!("[connector.ding.dingtalk]\n{}\n", dingtalk.settings()),
            ),
            ("yzj", yunzhijia.connector_toml("yzj", "")),
            ("ctr", custom.code_toml("")),
            ("portal", cas.connector_toml("")),
            ("idp", idp.connector_toml("")),
            ("staff", ldap_toml(&ldap)),
            (
                "house",
                format!(
                    "[connector.house.local]\npeople = '{}'\n",
                    people.path("people.toml").display()
                ),
            ),
            ("token", token_portal.connector_toml("token", "")),
        ];
        let tables = tables.map(|(id, toml)| with_lines(id, &toml, &lines(id)));
        let setup = Setup::default()
            .external_url(HTTPS)
            .server("trusted_proxies = ['127.0.0.1']")
            .connector(&lines("corp"))
            .tables(&format!("{}{NO_LOGIN_LIMITS}", tables.concat()))
            .clock(&idp.clock);
        Self {
            menshen: setup.start().await,
            token_portal,
            _lark: lark,
            _dingtalk: dingtalk,
            _yunzhijia: yunzhijia,
            _custom: custom,
            _cas: cas,
            _idp: idp,
            _ldap: ldap,
            _people: people,
        }
    }

    /// Signs the person in with a connector in a new browser; the page at the end.
    pub(super) async fn sign_in(&self, id: &str) -> (Browser, Page) {
        let (_, way) = CONNECTORS.iter().find(|(known, _)| *known == id).unwrap();
        let mut browser = Browser::new(&self.menshen).over_https();
        let start = format!("{HTTPS}/.menshen/start?connector={id}&rd=/echo");
        let choose: fn(&str, &str) -> String = match way {
            Way::WeCom => WeCom::choose,
            Way::Lark => Lark::choose,
            Way::DingTalk => DingTalk::choose,
            Way::Yunzhijia => |page, _| Yunzhijia::choose(page, OPENID),
            Way::AtOnce => |page, _| page.to_owned(),
            Way::Saml => {
                let page = browser.follow(&start).await;
                let page = browser.submit(&page).await;
                return (browser, page);
            }
            Way::Password => {
                let page = enter_password(&mut browser, id, &start).await;
                return (browser, page);
            }
            Way::Token => {
                let page = self.arrive(&mut browser, id).await;
                return (browser, page);
            }
        };
        let is_elsewhere = |url: &str| !url.starts_with(HTTPS);
        let page = browser.follow_until(&start, is_elsewhere).await;
        assert!(is_elsewhere(&page.url), "{id}: {}", page.answer.text());
        let page = browser.follow(&choose(&page.url, LOGIN)).await;
        (browser, page)
    }

    /// Follows a link of the portal with a token.
    async fn arrive(&self, browser: &mut Browser, id: &str) -> Page {
        let mut claims = self.token_portal.claims();
        claims["sub"] = json!(LOGIN);
        claims["preferred_username"] = json!(LOGIN);
        let token = self.token_portal.sign(&claims);
        let url = format!("{HTTPS}/.menshen/enter/{id}?token={token}&rd=/echo");
        let headers = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Referer", "https://portal.test/home"),
        ];
        let answer = browser.send("GET", &url, &headers, b"").await;
        follow_answer(browser, url, answer).await
    }
}

async fn enter_password(browser: &mut Browser, id: &str, start: &str) -> Page {
    let page = browser.follow(start).await;
    let flow = flow_id_in(&page.answer.text());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", flow.as_str()),
        ("rd", "/echo"),
        ("login", LOGIN),
        ("password", PASSWORD),
    ]);
    let headers = [
        ("Accept", "text/html"),
        ("Origin", HTTPS),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let url = format!("{HTTPS}/.menshen/password/{id}");
    let form = form.finish();
    let answer = browser.send("POST", &url, &headers, form.as_bytes()).await;
    follow_answer(browser, url, answer).await
}

/// The page to which an answer redirects, or the answer.
async fn follow_answer(browser: &mut Browser, url: String, answer: crate::wire::Answer) -> Page {
    match answer.header("location") {
        Some(to) => browser.follow(&format!("{HTTPS}{to}")).await,
        None => Page { url, answer },
    }
}

/// Adds lines to `[connector.ID]`.
fn with_lines(id: &str, toml: &str, lines: &str) -> String {
    let header = format!("[connector.{id}]\n");
    match toml.contains(&header) {
        true => toml.replacen(&header, &format!("{header}{lines}\n"), 1),
        false => format!("{header}{lines}\n{toml}"),
    }
}

async fn lark(callback: &str) -> Lark {
    let lark = Lark::start().await.unwrap();
    lark.register_redirect(callback);
    lark.person(LOGIN, |one| {
        one.email = String::new();
        one.enterprise_email = String::new();
        one.mobile = String::new();
    });
    lark
}

async fn dingtalk(callback: &str) -> DingTalk {
    let dingtalk = DingTalk::start().await.unwrap();
    dingtalk.set_redirect_urls(&[callback]);
    dingtalk.member(LOGIN, |one| {
        one.email = String::new();
        one.org_email = String::new();
        one.mobile = String::new();
    });
    dingtalk
}

async fn yunzhijia() -> Yunzhijia {
    let clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let yunzhijia = Yunzhijia::start(clock).await.unwrap();
    yunzhijia.person(OPENID, |one| one.mobile = String::new());
    yunzhijia
}

fn ldap_toml(ldap: &LdapServer) -> String {
    format!(
        "[connector.staff.ldap]\nurl = '{}'\nstart_tls = false\nbase = 'ou=people,dc=corp'\n\
         bind_dn = '{SERVICE_DN}'\nbind_password = '{SERVICE_PASSWORD}'\n",
        ldap.url()
    )
}
