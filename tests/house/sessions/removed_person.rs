//! The access tokens of a person whom the source no longer lets in: they end with the sessions, and none is
//! made in between.

use std::sync::Arc;
use std::time::Duration;

use menshen::keys;
use menshen::people::AdmissionPolicy;
use menshen::people::access_tokens::{AccessToken, TOKEN_PREFIX};
use menshen::people::confirm::StatusReport;
use menshen::people::person_lookup::PersonStatus;
use menshen::people::profile::{Mapping, MappingConfig};
use menshen::store::{AccessTokenOutcome, NewAccessToken, SessionId, SessionRecord, Store};

use super::watched::{Fault, WatchedMenshen, When};
use super::{account_and_sessions, eventually};
use crate::setup::Setup;
use crate::test_request::TestRequest;

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
access_tokens = true
"#;

/// The only session of a person who signs in.
async fn sign_in(menshen: &WatchedMenshen, login: &str) -> SessionRecord {
    menshen.session_cookie_of(login).await;
    let store = menshen.store.unwatched();
    let (_, mut sessions) = account_and_sessions(&**store, login).await;
    sessions.remove(0)
}

/// Makes a token in a session, as another node does.
async fn make(store: &Arc<dyn Store>, session: &SessionRecord, letter: &str) -> AccessToken {
    let token = AccessToken::parse(&format!("{TOKEN_PREFIX}{}", letter.repeat(43))).unwrap();
    let new = NewAccessToken {
        key: token.key(),
        public_id: SessionId::new(keys::random()),
        session: session.key,
        name: letter.to_owned(),
        routes: None,
        created_at: session.minted_at,
        expires_at: session.minted_at.plus(Duration::from_secs(86_400)),
    };
    let outcome = store.create_access_token(&new, 50).await.unwrap();
    assert_eq!(outcome, AccessTokenOutcome::Created);
    token
}

/// Tells menshen that the source does not let the person of a session in; whether that was stored.
async fn report_inactive(menshen: &WatchedMenshen, session: &SessionRecord) -> bool {
    let policy = AdmissionPolicy {
        connector: session.connector.clone(),
        mapping: Mapping::build(&[], &MappingConfig::default(), "").unwrap(),
        create: false,
        link_by: Vec::new(),
        sync: true,
        join: None,
    };
    let report = StatusReport {
        subject: &session.subject,
        status: PersonStatus::Inactive("disabled".to_owned()),
        is_deletion_reported: false,
        refuse_logins_for: Duration::from_secs(600),
    };
    menshen.people.apply_status(&policy, report).await.is_ok()
}

async fn status(menshen: &WatchedMenshen, token: &AccessToken) -> u16 {
    let bearer = format!("Bearer {}", token.expose());
    let request = TestRequest::get("/echo").header("Authorization", &bearer);
    request.send_to(menshen.address).await.status
}

#[tokio::test]
async fn a_session_makes_no_token_while_its_person_is_signed_out() {
    let menshen = WatchedMenshen::start(Setup::default().routes(ROUTES)).await;
    let session = sign_in(&menshen, "zhangsan").await;
    let of_other = sign_in(&menshen, "lisi").await;
    let store = menshen.store.unwatched();
    let other = make(store, &of_other, "o").await;
    menshen.store.block("apply_provider_logout", When::Before);
    let reported = report_inactive(&menshen, &session);
    // The sessions still stand: another node makes a token.
    let in_between = async {
        menshen.store.wait_until_blocked(1).await;
        let token = make(store, &session, "b").await;
        menshen.store.release();
        token
    };
    let (is_stored, token) = tokio::join!(reported, in_between);
    assert!(is_stored);
    assert!(store.access_token(&token.key()).await.unwrap().is_none());
    assert_eq!(status(&menshen, &token).await, 401);
    assert_eq!(status(&menshen, &other).await, 200);
}

#[tokio::test]
async fn tokens_end_at_once_and_for_good_while_the_store_fails() {
    for failing in ["apply_provider_logout", "end_access_tokens"] {
        let menshen = WatchedMenshen::start(Setup::default().routes(ROUTES)).await;
        let session = sign_in(&menshen, "zhangsan").await;
        let of_other = sign_in(&menshen, "lisi").await;
        let store = menshen.store.unwatched();
        let (cached, unused) = (
            make(store, &session, "c").await,
            make(store, &session, "u").await,
        );
        let other = make(store, &of_other, "o").await;
        assert_eq!(status(&menshen, &cached).await, 200);
        menshen.store.fail_at(failing, Some(Fault::Failed));
        assert!(!report_inactive(&menshen, &session).await, "{failing}");
        for token in [&cached, &unused] {
            assert_eq!(status(&menshen, token).await, 401, "{failing}");
        }
        menshen.store.fail_at(failing, None);
        eventually("the tokens have ended in the store", async || {
            let ended = async |token: &AccessToken| {
                let found = store.access_token(&token.key()).await.unwrap();
                found.is_none()
            };
            ended(&cached).await && ended(&unused).await
        })
        .await;
        eventually("nothing is pending", async || {
            menshen.sessions.retry_pending(0).await == 0
        })
        .await;
        for token in [&cached, &unused] {
            assert_eq!(status(&menshen, token).await, 401, "{failing}");
        }
        assert_eq!(status(&menshen, &other).await, 200, "{failing}");
    }
}
