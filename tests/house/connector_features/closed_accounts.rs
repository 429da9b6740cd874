//! A closed account: no way to sign in leads into it, whatever the source says.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::enter::{OWN_FORM, follow_portal_link};
use super::test_source::{PASSWORD, TestSource};
use super::{ID, flow_id_in};
use crate::browser::Browser;
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::oauth2;
use crate::people::closing;
use crate::provider::Provider;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};

/// The ways to sign in, each with the login of its person.
const WAYS: [(Way, &str); 7] = [
    (Way::WeComWeb, "zhangsan"),
    (Way::WeComApp, "zhangsan"),
    (Way::OwnFrontEnd, "zhangsan"),
    (Way::Oidc, "oidc-lisi"),
    (Way::OAuth2, "gh-zhangsan"),
    (Way::PasswordForm, "form-lisi"),
    (Way::Unsolicited, "lisi"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The QR code page of WeCom.
    WeComWeb,
    /// Inside the WeCom app.
    WeComApp,
    /// The login page of an own front end, with a code of WeCom.
    OwnFrontEnd,
    Oidc,
    OAuth2,
    PasswordForm,
    /// A ticket of a portal that menshen did not ask for.
    Unsolicited,
}

/// A site with a source for every way.
struct Site {
    menshen: Menshen,
    oidc: Provider,
    _oauth2: oauth2::provider::Provider,
    tickets: std::cell::Cell<u32>,
}

impl Site {
    async fn start() -> Self {
        let oidc = Provider::new().await;
        let oauth2 = oauth2::provider::Provider::start().await;
        let with_prefix = |table: String, id: &str, prefix: &str| {
            let head = format!("[connector.{id}]\n");
            table.replace(&head, &format!("{head}login_prefix = '{prefix}'\n"))
        };
        let tables = format!(
            "{}{}{NO_LOGIN_LIMITS}",
            with_prefix(oidc.toml("keycloak"), "keycloak", "oidc-"),
            oauth2.connector_toml("gh", "login_prefix = 'gh-'", "")
        );
        let setup = Setup::default().clock(oidc.clock()).tables(&tables);
        let forms = TestSource::with_passwords();
        let setup = setup.connector_of_kind("forms", "login_prefix = 'form-'", forms.kind());
        let portal = TestSource::with_tickets(&[]);
        Self {
            menshen: setup.connector_of_kind(ID, "", portal.kind()).start().await,
            oidc,
            _oauth2: oauth2,
            tickets: std::cell::Cell::new(0),
        }
    }

    /// Tries to sign in: the browser, the status, and whether the answer says that the account is closed.
    async fn try_sign_in(&self, way: Way) -> (Browser, u16, bool) {
        let mut browser = Browser::new(&self.menshen);
        if way == Way::WeComApp {
            browser = browser.with_user_agent(WECOM_PHONE_APP);
        }
        let start = |id: &str| format!("{OWN_PAGES}/start?connector={id}&rd=/echo");
        let page = match way {
            Way::WeComWeb => browser.sign_in(&start("corp"), "zhangsan").await,
            Way::WeComApp => {
                self.menshen.wecom.set_phone_owner("zhangsan");
                browser.follow(&start("corp")).await
            }
            Way::OAuth2 => browser.follow(&start("gh")).await,
            Way::Oidc => self.oidc.sign_in(&mut browser, "keycloak", "lisi").await,
            Way::OwnFrontEnd | Way::PasswordForm | Way::Unsolicited => {
                let answer = match way {
                    Way::OwnFrontEnd => self.front_end_login(&mut browser).await,
                    Way::PasswordForm => submit_password(&mut browser, &start("forms")).await,
                    _ => {
                        let number = self.tickets.replace(self.tickets.get() + 1);
                        let query = format!("ticket=lisi.{number}&rd=%2Fecho");
                        follow_portal_link(&mut browser, &query).await
                    }
                };
                let is_closed = answer.cause() == Some(Cause::AccountClosed)
                    || answer.text().contains(Cause::AccountClosed.slug());
                return (browser, answer.status, is_closed);
            }
        };
        let is_closed = page.cause() == Some(Cause::AccountClosed);
        (browser, page.answer.status, is_closed)
    }

    async fn front_end_login(&self, browser: &mut Browser) -> crate::wire::Answer {
        let same_origin = [
            ("Origin", SSO_URL),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "cors"),
            ("Content-Type", "application/json"),
        ];
        let url = format!("{OWN_PAGES}/login-config/corp?rd=/echo");
        let config: Value = browser.send("GET", &url, &same_origin, b"").await.json();
        let code = self.menshen.wecom.issue_code("zhangsan", "sso.test");
        let body = json!({ "code": code, "state": config["state"] }).to_string();
        let url = format!("{OWN_PAGES}/login/corp");
        browser
            .send("POST", &url, &same_origin, body.as_bytes())
            .await
    }

    async fn set_closed(&self, login: &str, closed: bool) {
        let people = &self.menshen.running.live().services().people;
        let login = login.parse().unwrap();
        let account = people.directory().account_by_login(&login).await.unwrap();
        let account = account.expect("the person signed in").id;
        if closed {
            let closed = people.close_account(&account, &closing("left")).await;
            assert!(closed.unwrap());
        } else {
            let open = people.reopen_account(&account, "boss").await.unwrap();
            assert!(open.is_some());
        }
    }
}

async fn submit_password(browser: &mut Browser, start: &str) -> crate::wire::Answer {
    let page = browser.follow(start).await;
    let flow = flow_id_in(&page.answer.text());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", &*flow),
        ("rd", "/echo"),
        ("login", "lisi"),
        ("password", PASSWORD),
    ]);
    let url = format!("{OWN_PAGES}/password/forms");
    let form = form.finish();
    browser.send("POST", &url, &OWN_FORM, form.as_bytes()).await
}

/// Whether the browser has a session that an application accepts.
async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/echo")).await.status == 200
}

#[tokio::test]
async fn a_closed_account_is_refused_whichever_way_its_person_signs_in() {
    let site = Site::start().await;
    for (way, login) in WAYS {
        let (mut before, status, _) = site.try_sign_in(way).await;
        assert!(status < 400, "{way:?}: {status}");
        assert!(is_signed_in(&mut before).await, "{way:?}");
        site.set_closed(login, true).await;
        assert!(!is_signed_in(&mut before).await, "{way:?}");
        let (mut refused, status, is_closed) = site.try_sign_in(way).await;
        assert_eq!((status, is_closed), (403, true), "{way:?}");
        assert!(refused.cookie("menshen").is_none(), "{way:?}");
        assert!(!is_signed_in(&mut refused).await, "{way:?}");
        let record = site.menshen.audit().pop().unwrap();
        assert_eq!(record["event"], "refused", "{way:?}: {record}");
        let error = record["error"].as_str().unwrap();
        assert!(error.contains("is closed"), "{way:?}: {error}");
        // Neither the old session nor the refused login is worth anything after the account is reopened.
        site.set_closed(login, false).await;
        assert!(!is_signed_in(&mut before).await, "{way:?}");
        assert!(!is_signed_in(&mut refused).await, "{way:?}");
        // The clock stands still, and no session begins in the moment of the closing.
        site.menshen.advance(Duration::from_secs(1));
        let (mut after, status, _) = site.try_sign_in(way).await;
        assert!(is_signed_in(&mut after).await, "{way:?}: {status}");
    }
}
