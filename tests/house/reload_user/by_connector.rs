//! `reload_user` of a connector holds for its people, on routes that say nothing about it.

use std::time::Duration;

use super::{authorize_visits, session_cookie, signed_in_on_phone};
use crate::browser::Browser;
use crate::conf::parse;
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
path = "/portal"
strip_path = true
upstream = ["{app}"]

[[route]]
name = "slow"
host = "sso.test"
path = "/slow"
strip_path = true
upstream = ["{app}"]
reload_after = "5m"

[[route]]
name = "never"
host = "sso.test"
path = "/never"
strip_path = true
upstream = ["{app}"]
reload_user = "never"

[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{app}"]
"#;

async fn start_menshen(lines: &str) -> Menshen {
    let setup = Setup::default()
        .routes(ROUTES)
        .tables(&format!("{NO_LOGIN_LIMITS}{SECOND_CONNECTOR}"))
        .connector(&format!("auto_login = 'never'\n{lines}"));
    let menshen = setup.start().await;
    menshen.wecom.set_phone_owner("zhangsan");
    menshen
}

/// How many pages of these paths cost a visit to WeCom, one after the other.
async fn visits(phone: &mut Browser, paths: &[&str]) -> Vec<usize> {
    let mut visits = Vec::new();
    for path in paths {
        let before = authorize_visits(phone);
        let page = phone.follow(&format!("{SSO_URL}{path}/echo")).await;
        assert_eq!(page.answer.status, 200, "{}", page.url);
        visits.push(authorize_visits(phone) - before);
    }
    visits
}

#[tokio::test]
async fn the_people_of_the_connector_are_confirmed_unless_the_route_says_otherwise() {
    let menshen = start_menshen("reload_user = true").await;
    let mut phone = signed_in_on_phone(&menshen).await;
    let old = session_cookie(&phone);
    menshen.advance(Duration::from_secs(30));
    assert_eq!(
        visits(&mut phone, &["/never", "/public", "/slow", "/portal"]).await,
        [0, 0, 0, 1]
    );
    assert_ne!(session_cookie(&phone), old);
    menshen.advance(Duration::from_secs(300));
    assert_eq!(visits(&mut phone, &["/slow", "/portal"]).await, [1, 0]);
    menshen.wecom.set_phone_owner("lisi");
    menshen.advance(Duration::from_secs(30));
    let page = phone.follow(&format!("{SSO_URL}/portal/echo")).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn without_it_and_for_people_of_another_connector_nobody_is_asked() {
    let menshen = start_menshen("").await;
    let mut phone = signed_in_on_phone(&menshen).await;
    menshen.advance(Duration::from_secs(3600));
    assert_eq!(visits(&mut phone, &["/portal", "/slow"]).await, [0, 0]);
    let menshen = start_menshen("reload_user = true").await;
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let start = format!("{OWN_PAGES}/start?connector=other&rd=/portal/echo");
    assert_eq!(phone.follow(&start).await.answer.status, 200);
    menshen.advance(Duration::from_secs(3600));
    assert_eq!(visits(&mut phone, &["/portal", "/slow"]).await, [0, 0]);
}

#[test]
fn a_source_that_confirms_nobody_is_warned_of() {
    let text = |kind: &str| {
        format!(
            "[server]\nexternal_url = 'https://sso.corp.example'\n[[route]]\nname = 'a'\n\
             upstream = ['http://[::1]']\n[connector.c]\nreload_user = true\n[connector.c.{kind}\n"
        )
    };
    let warned = |kind: &str| {
        let warnings = parse(&text(kind)).warnings().into_iter();
        let found = warnings.filter(|warning| warning.key == "connector.c.reload_user");
        found.map(|warning| warning.line).collect::<Vec<_>>()
    };
    let wecom = "wecom]\ncorp_id = 'ww1'\nagent_id = 7\nsecret = { env = 'S' }";
    assert_eq!(warned(wecom), [0; 0]);
    assert_eq!(warned("cas]\nurl = 'https://cas.corp.example/cas'"), [0; 0]);
    assert_eq!(warned(&format!("{wecom}\nmode = 'web'")), [7]);
    let ldap = "ldap]\nurl = 'ldaps://ldap.corp.example'\nbase = 'ou=people,dc=corp'";
    assert_eq!(warned(ldap), [7]);
    let saml = "saml]\nmetadata = 'https://idp.corp.example/metadata'";
    assert_eq!(warned(saml), [7], "its responses are posted");
}
