//! Token refresh from the outside: configuration text, a provider that rotates refresh tokens, a browser and
//! requests.

use serde_json::Value;

use super::*;
use crate::browser::Browser;
use crate::provider::{CLIENT_ID, CLIENT_SECRET, Provider as Idp};
use crate::sessions::{status, stored_sessions};
use crate::setup::Menshen;

/// A provider whose tokens live for an hour.
async fn idp() -> Idp {
    let idp = Idp::new().await;
    idp.set(|settings| {
        (
            settings.access_token_lifetime_s,
            settings.id_token_lifetime_s,
        ) = (3600, 3600)
    });
    idp
}

fn setup(idp: &Idp) -> Setup {
    let (url, secret) = (idp.issuer(), Value::from(CLIENT_SECRET));
    let more = format!(
        "[connector.idp]\nauto_login = 'never'\n[connector.idp.mapping]\n\
         login = 'profile.preferred_username'\ngroups = 'profile.groups'\n\
         [connector.idp.oauth2]\nclient_id = '{CLIENT_ID}'\nclient_secret = {secret}\n\
         authorize_url = '{url}/authorize'\ntoken_url = '{url}/token'\n\
         profile_url = '{url}/userinfo'\nscopes = ['openid']\nsubject = 'profile.sub'\n"
    );
    Setup::default()
        .clock(idp.clock())
        .tables(&more)
        .routes(ROUTES)
}

/// The session cookie of 张三, who signs in through the provider.
async fn signed_in(menshen: &Menshen, idp: &Idp) -> String {
    let mut browser = Browser::new(menshen);
    let page = idp.sign_in(&mut browser, "idp", "zhangsan").await;
    let cookie = browser.cookie("menshen");
    let cookie = cookie.unwrap_or_else(|| panic!("{}: {}", page.url, page.answer.text()));
    cookie.value.clone()
}

async fn ask(menshen: &Menshen, path: &str, cookie: &str) -> Answer {
    TestRequest::get(path).session(cookie).send(menshen).await
}

async fn concurrent_requests(menshen: &Menshen, path: &str, cookie: &str) -> Vec<Answer> {
    let (ask, address) = (TestRequest::get(path).session(cookie), menshen.address());
    let one = |_| {
        let ask = ask.clone();
        tokio::spawn(async move { ask.send_to(address).await })
    };
    let asked: Vec<_> = (0..100).map(one).collect();
    let mut answers = Vec::new();
    for one in asked {
        answers.push(one.await.unwrap());
    }
    answers
}

/// The access token and the ID token that the application received.
fn tokens(answer: &Answer) -> (Option<String>, Option<String>) {
    (
        access_token_in(answer),
        answer.echoed("authorization").pop(),
    )
}

/// The number of refreshes, and of reused refresh tokens.
fn refresh_grants(idp: &Idp) -> (usize, usize) {
    (idp.refresh_grants(), idp.reused_refresh_tokens())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_requests_at_refresh_time_use_one_refresh_token() {
    let idp = idp().await;
    let menshen = setup(&idp).start().await;
    let cookie = signed_in(&menshen, &idp).await;
    for (round, pass) in [REFRESH_DUE_AFTER, LIFETIME].into_iter().enumerate() {
        let old = tokens(&ask(&menshen, "/echo", &cookie).await);
        assert!(old.0.is_some() && old.1.is_some());
        menshen.advance(pass);
        let answers = concurrent_requests(&menshen, "/echo", &cookie).await;
        let renewed = async || tokens(&ask(&menshen, "/echo", &cookie).await) != old;
        eventually("renewed", renewed).await;
        let new = tokens(&ask(&menshen, "/echo", &cookie).await);
        assert!(new.0.is_some() && new.1.is_some());
        for answer in answers {
            assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"]);
            // After expiry every request gets the new token; before, the old one is allowed, too.
            let got = tokens(&answer);
            assert!(
                got == new || (pass == REFRESH_DUE_AFTER && got == old),
                "{}",
                answer.text()
            );
        }
        for answer in concurrent_requests(&menshen, "/echo", &cookie).await {
            assert_eq!(tokens(&answer), new);
        }
        assert_eq!(refresh_grants(&idp), (round + 1, 0));
    }
}

#[tokio::test]
async fn a_group_removed_at_the_provider_is_gone_on_the_next_request() {
    let idp = idp().await;
    let menshen = setup(&idp).start().await;
    let cookie = signed_in(&menshen, &idp).await;
    assert_eq!(ask(&menshen, "/finance/echo", &cookie).await.status, 200);
    idp.person("zhangsan").groups(&["平台部"]);
    menshen.advance(LIFETIME);
    for answer in concurrent_requests(&menshen, "/finance/echo", &cookie).await {
        assert_eq!(answer.status, 403);
    }
    assert_eq!(status(&menshen, &cookie).await, 200);
    assert_eq!(refresh_grants(&idp), (1, 0));
}

#[tokio::test]
async fn an_unavailable_provider_keeps_the_session_and_a_refusal_ends_it() {
    let idp = idp().await;
    let menshen = setup(&idp).start().await;
    let cookie = signed_in(&menshen, &idp).await;
    idp.start_outage();
    menshen.advance(LIFETIME);
    assert_eq!(tokens(&ask(&menshen, "/echo", &cookie).await), (None, None));
    idp.end_outage();
    idp.person("zhangsan").disabled(true);
    menshen.advance(5 * SECOND);
    assert_eq!(status(&menshen, &cookie).await, 401);
    let store = &menshen.running.live().services().store;
    assert_eq!(stored_sessions(&**store).await.len(), 0);
    let audit = menshen.audit();
    let gone = audit.iter().filter(|line| line["event"] == "refresh-gone");
    assert_eq!(gone.count(), 1);
    let text = menshen.records.text();
    assert!(idp.secrets().iter().all(|secret| !text.contains(secret)));
}
