//! What ends a token ends it with the very next request, on other nodes within seconds; and a sign-out of
//! its person does not.

use std::time::Duration;

use menshen::store::{AccountId, Closing, PersonEdit, RevocationScope};

use super::*;
use crate::setup::run;
use crate::stores::TempDir;
use crate::test_request::repeat_until;
use crate::wecom::WeCom;

const DAY: Duration = Duration::from_secs(86_400);

async fn account_of(menshen: &Menshen, login: &str) -> AccountId {
    let store = &menshen.running.live().services().store;
    let account = store.account_by_login(&login.parse().unwrap()).await;
    account.unwrap().unwrap().id
}

/// The ID of the first token on the page.
async fn first_id(browser: &mut Browser) -> String {
    let page = browser.visit(&tokens_page()).await.text();
    let rest = page.split("name=\"id\" value=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

async fn status(menshen: &Menshen, token: &str) -> u16 {
    send(menshen, "/git/x", &basic("", token)).await.status
}

#[tokio::test]
async fn every_revocation_ends_the_tokens_of_its_people_and_no_others() {
    for scope in ["account", "connector", "everyone", "closed", "everywhere"] {
        let (menshen, _mirror) = start().await;
        let mut li = signed_in(&menshen, "lisi").await;
        let mut zhang = Browser::new(&menshen);
        let start = format!("{OWN_PAGES}/start?connector=other&rd=/others/x");
        let page = zhang.sign_in(&start, "zhangsan").await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text());
        let li_token = make_token(&mut li, "ci", &[]).await;
        let li_cookie = session_cookie_of_page(&li);
        let zhang_token = make_token(&mut zhang, "ci", &[]).await;
        for token in [&li_token, &zhang_token] {
            assert_eq!(status(&menshen, token).await, 200);
        }
        let account = account_of(&menshen, "lisi").await;
        let services = menshen.running.live().services();
        let revoke = async |scope| services.sessions.revoke(&scope).await.unwrap();
        match scope {
            "account" => revoke(RevocationScope::Account(account)).await,
            "connector" => revoke(RevocationScope::Connector("corp".parse().unwrap())).await,
            "everyone" => revoke(RevocationScope::Everyone).await,
            "closed" => {
                let closing = Closing {
                    by: "boss".to_owned(),
                    reason: "left".to_owned(),
                    gone: None,
                    by_sync_of: None,
                };
                let closed = services.people.close_account(&account, &closing).await;
                assert!(closed.unwrap());
            }
            _ => {
                let url = format!("{OWN_PAGES}/sign_out?everywhere=1");
                assert_eq!(
                    li.send("POST", &url, &form_headers(), b"").await.status,
                    200
                );
            }
        }
        assert_eq!(status(&menshen, &li_token).await, 401, "{scope}");
        let stays = scope != "everyone";
        let expected = if stays { 200 } else { 401 };
        assert_eq!(status(&menshen, &zhang_token).await, expected, "{scope}");
        let by_cookie = TestRequest::get("/git/x").session(&li_cookie);
        assert_eq!(by_cookie.send(&menshen).await.status, 401, "{scope}");
        if scope == "closed" {
            services.people.directory();
            let opened = services.people.reopen_account(&account, "boss").await;
            assert!(opened.unwrap().is_some());
            // A reopened account needs new tokens.
            assert_eq!(status(&menshen, &li_token).await, 401);
        }
    }
}

#[tokio::test]
async fn a_person_ends_one_token_and_the_others_stay() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let first = make_token(&mut browser, "first", &[]).await;
    let first_id = first_id(&mut browser).await;
    menshen.advance(Duration::from_secs(1));
    let second = make_token(&mut browser, "second", &[]).await;
    for token in [&first, &second] {
        assert_eq!(status(&menshen, token).await, 200);
    }
    // Another person cannot end it.
    let mut other = signed_in(&menshen, "zhangsan").await;
    let fields = [("action", "end"), ("id", first_id.as_str())];
    let answer = send_form(&mut other, &fields).await;
    assert_eq!(answer.status, 200);
    assert_eq!(status(&menshen, &first).await, 200);
    let answer = send_form(&mut browser, &fields).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains(&first_id), "{}", answer.text());
    assert_eq!(status(&menshen, &first).await, 401);
    assert_eq!(status(&menshen, &second).await, 200);
    let ended = menshen.audit();
    let ended = ended
        .iter()
        .find(|it| it["event"] == "token-ended")
        .unwrap();
    assert_eq!(ended["access_token"], first_id);
    // Ending it again is harmless.
    assert_eq!(send_form(&mut browser, &fields).await.status, 200);
}

#[tokio::test]
async fn a_token_outlives_the_session_that_made_it_and_ends_on_its_date() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let sign_out = format!("{OWN_PAGES}/sign_out");
    assert_eq!(browser.visit(&sign_out).await.status, 200);
    assert_eq!(status(&menshen, &token).await, 200);
    menshen.advance(30 * DAY - Duration::from_secs(1));
    assert_eq!(status(&menshen, &token).await, 200, "unused for 30 days");
    menshen.advance(Duration::from_secs(1));
    assert_eq!(status(&menshen, &token).await, 401);
    // What has expired is deleted.
    let services = menshen.running.live().services();
    services.sessions.delete_expired().await.unwrap();
    assert_eq!(status(&menshen, &token).await, 401);
}

#[tokio::test]
async fn a_revocation_on_one_node_ends_tokens_on_the_other_within_seconds() {
    let dir = TempDir::new();
    let mirror = Mirror::start().await;
    let setup = setup_with(Setup::default().store(&dir.url()), &mirror);
    let menshen = setup.start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    let there = other.addresses()[0];
    for ends in ["token", "account", "everyone"] {
        menshen.advance(Duration::from_secs(1));
        let mut browser = signed_in(&menshen, "lisi").await;
        let token = make_token(&mut browser, "ci", &[]).await;
        let request = program("/git/x", &basic("lisi", &token));
        // Both nodes cache the token.
        assert_eq!(request.send(&menshen).await.status, 200);
        assert_eq!(request.send_to(there).await.status, 200);
        let account = account_of(&menshen, "lisi").await;
        let services = menshen.running.live().services();
        match ends {
            "token" => {
                let id = first_id(&mut browser).await;
                let fields = [("action", "end"), ("id", id.as_str())];
                assert_eq!(send_form(&mut browser, &fields).await.status, 200);
            }
            "account" => {
                let scope = RevocationScope::Account(account);
                services.sessions.revoke(&scope).await.unwrap();
            }
            _ => {
                let everyone = RevocationScope::Everyone;
                services.sessions.revoke(&everyone).await.unwrap();
            }
        }
        assert_eq!(request.send(&menshen).await.status, 401, "{ends}");
        repeat_until(&request, there, |answer| answer.status == 401).await;
    }
}

#[tokio::test]
async fn a_token_ends_with_its_connector_in_the_configuration() {
    let (menshen, mirror) = start().await;
    let mut browser = Browser::new(&menshen);
    let start = format!("{OWN_PAGES}/start?connector=other&rd=/others/x");
    browser.sign_in(&start, "zhangsan").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    assert_eq!(
        send(&menshen, "/others/x", &basic("", &token)).await.status,
        200
    );
    let without = Setup::default()
        .server(TRUST_LOOPBACK)
        .tables(&format!("{NO_LOGIN_LIMITS}{GRPC_ON_MAIN}"))
        .routes(
            &ROUTES
                .replace("{mirror}", &mirror.base_url())
                .replace("connectors = [\"other\"]", ""),
        );
    menshen.reload(&without).await.unwrap();
    assert_eq!(
        send(&menshen, "/others/x", &basic("", &token)).await.status,
        401
    );
}

#[tokio::test]
async fn a_person_whom_the_source_no_longer_has_loses_their_token_at_a_revalidation() {
    let (menshen, _mirror) = start_with(Setup::default().wecom("revalidate = \"2s\"")).await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    assert_eq!(status(&menshen, &token).await, 200);
    let dismissed: &WeCom = &menshen.wecom;
    dismissed.delete_member("lisi");
    // The person has no session: the token is what is asked about.
    let sign_out = format!("{OWN_PAGES}/sign_out");
    assert_eq!(browser.visit(&sign_out).await.status, 200);
    menshen.advance(Duration::from_secs(600));
    let request = program("/git/x", &basic("", &token));
    repeat_until(&request, menshen.address(), |answer| answer.status == 401).await;
}

#[tokio::test]
async fn a_token_follows_the_login_name_of_its_person() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    assert_eq!(status(&menshen, &token).await, 200);
    let account = account_of(&menshen, "lisi").await;
    let services = menshen.running.live().services();
    let edit = PersonEdit {
        login: Some("li.si".parse().unwrap()),
        ..PersonEdit::default()
    };
    services.people.edit(&account, edit, "boss").await.unwrap();
    // Somebody else may get the former name.
    let former = send(&menshen, "/git/x", &basic("lisi", &token)).await;
    assert_eq!(former.status, 401);
    let answer = send(&menshen, "/git/x", &basic("li.si", &token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(received_values(&answer, "x-forwarded-user"), ["li.si"]);
}

#[tokio::test]
async fn a_token_opens_nothing_on_a_route_that_no_longer_allows_tokens() {
    let (menshen, mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let all = make_token(&mut browser, "all", &[]).await;
    let git = make_token(&mut browser, "git", &["git"]).await;
    for token in [&all, &git] {
        assert_eq!(status(&menshen, token).await, 200);
    }
    let without = setup_with(Setup::default(), &mirror);
    let with_tokens = "access_tokens = true\nassertion = true";
    assert!(ROUTES.contains(with_tokens));
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    let without = without.routes(&routes.replace(with_tokens, ""));
    menshen.reload(&without).await.unwrap();
    for token in [&all, &git] {
        let refused = send(&menshen, "/git/x", &basic("", token)).await;
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").unwrap_or_default();
        assert!(!challenge.starts_with("Basic"), "{challenge}");
    }
    // Other routes are not concerned.
    let other = send(&menshen, "/packages/x", &basic("", &all)).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn whoever_makes_tokens_is_asked_about_all_the_same() {
    let (menshen, _mirror) = start_with(Setup::default().wecom("revalidate = \"2s\"")).await;
    let mut browser = signed_in(&menshen, "lisi").await;
    menshen.wecom.delete_member("lisi");
    menshen.advance(Duration::from_millis(1_500));
    let token = make_token(&mut browser, "ci", &[]).await;
    assert_eq!(status(&menshen, &token).await, 200);
    // More than the interval after the login, and less than it after the token was made.
    menshen.advance(Duration::from_millis(1_000));
    let request = program("/git/x", &basic("", &token));
    repeat_until(&request, menshen.address(), |answer| answer.status == 401).await;
}

#[tokio::test]
async fn rules_see_the_time_of_the_login_and_not_that_of_the_token() {
    let mirror = Mirror::start().await;
    let fresh = "[[route]]\nname = 'fresh'\nhost = 'sso.test'\npath = '/fresh'\n\
                 upstream = ['{mirror}']\naccess_tokens = true\nallow = 'session.age < 3600'\n\
                 [route.headers]\nX-Login-Time = 'string(session.minted_at)'\n";
    let routes = format!("{ROUTES}{fresh}").replace("{mirror}", &mirror.base_url());
    let setup = setup_with(Setup::default(), &mirror).routes(&routes);
    let menshen = setup.start().await;
    let signed_in_at = menshen.clock.now().unix_s().to_string();
    let mut browser = signed_in(&menshen, "lisi").await;
    menshen.advance(Duration::from_secs(3000));
    let token = make_token(&mut browser, "ci", &[]).await;
    let answer = send(&menshen, "/fresh/x", &basic("", &token)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(received_values(&answer, "x-login-time"), [signed_in_at]);
    menshen.advance(Duration::from_secs(599));
    assert_eq!(
        send(&menshen, "/fresh/x", &basic("", &token)).await.status,
        200
    );
    menshen.advance(Duration::from_secs(1));
    assert_eq!(
        send(&menshen, "/fresh/x", &basic("", &token)).await.status,
        403
    );
    assert_eq!(status(&menshen, &token).await, 200);
}
