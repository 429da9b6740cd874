//! Revocations while the store fails: they take effect in this process at once, and are stored when the
//! store works again.

use menshen::clock::Timestamp;
use menshen::store::{LogoutTarget, RevocationScope, StoreError};

use super::watched::{Fault, WatchedMenshen, When};
use super::{account_and_sessions, eventually};
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::people::closing;
use crate::provider::Provider;
use crate::setup::Setup;
use crate::test_request::TestRequest;

/// The operations that end sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Session,
    Account,
    Connector,
    Everyone,
    Close,
    Person,
}

impl End {
    const ALL: [Self; 6] = [
        Self::Session,
        Self::Account,
        Self::Connector,
        Self::Everyone,
        Self::Close,
        Self::Person,
    ];

    /// The store operation.
    fn operation(self) -> &'static str {
        match self {
            Self::Session | Self::Account | Self::Connector | Self::Everyone => "revoke",
            Self::Close => "close_account",
            Self::Person => "apply_provider_logout",
        }
    }

    /// Whether it ends the session of 李四, too.
    fn ends_others(self) -> bool {
        matches!(self, Self::Connector | Self::Everyone)
    }

    /// Ends the session of 张三, who has one.
    async fn ask(self, menshen: &WatchedMenshen) -> Result<(), StoreError> {
        let store = menshen.store.unwatched();
        let (account, mut stored) = account_and_sessions(&**store, "zhangsan").await;
        let session = stored.remove(0);
        let sessions = &menshen.sessions;
        match self {
            Self::Session => {
                sessions
                    .revoke(&RevocationScope::Session(session.key))
                    .await
            }
            Self::Account => sessions.revoke(&RevocationScope::Account(account)).await,
            Self::Connector => {
                sessions
                    .revoke(&RevocationScope::Connector(session.connector))
                    .await
            }
            Self::Everyone => sessions.revoke(&RevocationScope::Everyone).await,
            Self::Close => {
                let closing = closing("left");
                menshen
                    .people
                    .close_account(&account, &closing)
                    .await
                    .map(drop)
            }
            Self::Person => {
                let mark = LogoutTarget::Subject(session.subject);
                let until = Timestamp::from_unix_s(1_900_000_000);
                let ended = sessions.apply_provider_logout(&session.connector, &mark, None, until);
                ended.await.map(drop)
            }
        }
    }
}

async fn is_a_revocation_stored(menshen: &WatchedMenshen) -> bool {
    let epochs = menshen.store.unwatched().epochs().await;
    epochs.unwrap().log_position.number > 0
}

/// An instance of menshen, and the session cookies of 张三 and 李四.
async fn sign_in_two_people() -> (WatchedMenshen, String, String) {
    let menshen = WatchedMenshen::start(Setup::default().server(TRUST_LOOPBACK)).await;
    let zhang = menshen.session_cookie_of("zhangsan").await;
    let li = menshen.session_cookie_of("lisi").await;
    (menshen, zhang, li)
}

async fn verdicts(menshen: &WatchedMenshen, cookie: &str) -> Vec<Verdict> {
    let cookie = format!("menshen={cookie}");
    let original = OriginalRequest::get("/echo").header("Cookie", &cookie);
    let mut verdicts = Vec::new();
    for face in Face::ALL {
        verdicts.push(original.send_to(face, menshen.address).await.verdict);
    }
    verdicts
}

async fn assert_signed_out(menshen: &WatchedMenshen, cookie: &str, what: &str) {
    // The first refusal removes the session from the cache; later requests read it from the store.
    for again in 0..3 {
        for verdict in verdicts(menshen, cookie).await {
            assert_eq!(verdict, Verdict::Login, "{what}, {again}");
        }
    }
}

async fn assert_signed_in(menshen: &WatchedMenshen, cookie: &str, what: &str) {
    let ask = TestRequest::get("/echo").session(cookie);
    assert_eq!(ask.send_to(menshen.address).await.status, 200, "{what}");
}

#[tokio::test]
async fn a_revocation_during_a_store_failure_takes_effect_at_once_and_lasts() {
    for end in End::ALL {
        let what = format!("{end:?}");
        let (menshen, zhang, li) = sign_in_two_people().await;
        menshen.store.fail_at(end.operation(), Some(Fault::Failed));
        assert!(
            end.ask(&menshen).await.is_err(),
            "{what}: the failure is reported"
        );
        assert_signed_out(&menshen, &zhang, &what).await;
        match end.ends_others() {
            true => assert_signed_out(&menshen, &li, &what).await,
            false => assert_signed_in(&menshen, &li, &what).await,
        }
        // The revocation is not stored yet; it is retried until it is.
        assert!(!is_a_revocation_stored(&menshen).await, "{what}");
        menshen.store.fail_at(end.operation(), None);
        eventually(&what, async || is_a_revocation_stored(&menshen).await).await;
        eventually("nothing is pending", async || {
            menshen.sessions.retry_pending(0).await == 0
        })
        .await;
        assert_signed_out(&menshen, &zhang, &what).await;
        // Other sessions stay, and a new login succeeds unless the account is closed.
        if !end.ends_others() {
            assert_signed_in(&menshen, &li, &what).await;
        }
        if end != End::Close {
            menshen.clock.advance(std::time::Duration::from_secs(1));
            let anew = menshen.session_cookie_of("zhangsan").await;
            assert_signed_in(&menshen, &anew, &what).await;
            assert_signed_out(&menshen, &zhang, &what).await;
        }
    }
}

#[tokio::test]
async fn a_revocation_whose_caller_disconnects_takes_effect() {
    for end in End::ALL {
        let what = format!("{end:?}");
        let (menshen, zhang, _) = sign_in_two_people().await;
        menshen.store.block(end.operation(), When::Before);
        {
            let asked = end.ask(&menshen);
            tokio::pin!(asked);
            tokio::select! {
                _ = &mut asked => panic!("{what}: the operation is blocked"),
                () = menshen.store.wait_until_blocked(1) => {}
            }
        }
        assert_signed_out(&menshen, &zhang, &what).await;
        menshen.store.release();
        eventually(&what, async || is_a_revocation_stored(&menshen).await).await;
        assert_signed_out(&menshen, &zhang, &what).await;
    }
}

#[tokio::test]
async fn an_opened_account_is_not_closed_by_an_earlier_unstored_closing() {
    let (menshen, zhang, _) = sign_in_two_people().await;
    let login = "zhangsan".parse().unwrap();
    let store = menshen.store.unwatched();
    let account = store.account_by_login(&login).await.unwrap().unwrap().id;
    menshen.store.fail_at("close_account", Some(Fault::Failed));
    menshen.store.fail_at("reopen_account", Some(Fault::Failed));
    let people = &menshen.people;
    assert!(
        people
            .close_account(&account, &closing("left"))
            .await
            .is_err()
    );
    // The account cannot be opened either, and stays closed in this process.
    assert!(people.reopen_account(&account, "boss").await.is_err());
    assert_signed_out(&menshen, &zhang, "closed").await;
    menshen.store.fail_at("reopen_account", None);
    assert!(
        people
            .reopen_account(&account, "boss")
            .await
            .unwrap()
            .is_some()
    );
    menshen.store.fail_at("close_account", None);
    eventually("nothing is pending", async || {
        menshen.sessions.retry_pending(0).await == 0
    })
    .await;
    let known = store.account_by_login(&login).await.unwrap().unwrap();
    assert!(!known.closed);
    menshen.clock.advance(std::time::Duration::from_secs(1));
    let anew = menshen.session_cookie_of("zhangsan").await;
    assert_signed_in(&menshen, &anew, "opened").await;
    assert_signed_out(&menshen, &zhang, "the session that was ended").await;
}

#[tokio::test]
async fn a_revocation_that_is_never_stored_does_not_block_others() {
    let (menshen, zhang, li) = sign_in_two_people().await;
    menshen.store.fail(Some(Fault::Failed));
    for end in End::ALL {
        // All operations fail, and one of them keeps failing.
        let asked = end.ask(&menshen).await;
        assert!(asked.is_err(), "{end:?}");
    }
    menshen.store.fail(None);
    menshen.store.fail_at("close_account", Some(Fault::Failed));
    eventually("the others are stored", async || {
        menshen.sessions.retry_pending(0).await == 1
    })
    .await;
    assert_signed_out(&menshen, &zhang, "still closed").await;
    assert_signed_out(&menshen, &li, "everyone").await;
}

#[tokio::test]
async fn logouts_over_the_pending_limit_do_no_harm() {
    let (menshen, zhang, _) = sign_in_two_people().await;
    let connector = "corp".parse().unwrap();
    let until = Timestamp::from_unix_s(1_900_000_000);
    let end = async |number: usize| {
        let mark = LogoutTarget::Session(format!("session-{number}"));
        let ended = menshen
            .sessions
            .apply_provider_logout(&connector, &mark, None, until);
        ended.await
    };
    menshen
        .store
        .fail_at("apply_provider_logout", Some(Fault::Failed));
    // Any browser can request the logout of a session, so the number of pending ones is limited.
    for number in 0..10_001 {
        assert!(end(number).await.is_err());
    }
    // A pending logout and two that were not queued are repeated.
    for number in [0, 10_000, 10_001] {
        assert!(end(number).await.is_err(), "{number}");
    }
    menshen.store.fail_at("apply_provider_logout", None);
    for number in [0, 10_000, 10_001] {
        assert_eq!(end(number).await.unwrap(), Some(0), "{number}");
    }
    assert_signed_in(&menshen, &zhang, "a logout of other sessions").await;
}

#[tokio::test]
async fn a_logout_of_no_session_triggers_no_recheck() {
    let (menshen, zhang, _) = sign_in_two_people().await;
    let via = "corp".parse().unwrap();
    let until = Timestamp::from_unix_s(1_900_000_000);
    let changes = menshen.sessions.changes();
    let mut nobody = (0..).map(|number| LogoutTarget::Session(format!("nobody {number}")));
    let mut name = || nobody.next().unwrap();
    let end = async |mark: LogoutTarget| {
        let ended = menshen
            .sessions
            .apply_provider_logout(&via, &mark, None, until);
        ended.await
    };
    assert_eq!(end(name()).await.unwrap(), Some(0));
    assert!(
        !changes.has_changed().unwrap(),
        "the logout ended no session"
    );
    menshen
        .store
        .fail_at("apply_provider_logout", Some(Fault::TimedOut));
    assert!(end(name()).await.is_err());
    assert!(!changes.has_changed().unwrap(), "the store is unavailable");
    menshen.store.fail_at("apply_provider_logout", None);
    menshen.store.block("apply_provider_logout", When::Before);
    {
        let ended = end(name());
        tokio::pin!(ended);
        tokio::select! {
            _ = &mut ended => panic!("the operation is blocked"),
            () = menshen.store.wait_until_blocked(1) => {}
        }
    }
    assert!(!changes.has_changed().unwrap(), "the client disconnected");
    menshen.store.release();
    eventually("nothing is pending", async || {
        menshen.sessions.retry_pending(0).await == 0
    })
    .await;
    assert!(!changes.has_changed().unwrap(), "all is stored");
    assert_signed_in(&menshen, &zhang, "the session was not ended").await;
    // The end of a session triggers a recheck at once.
    assert!(End::Session.ask(&menshen).await.is_ok());
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_front_channel_logout_over_the_rate_limit_is_not_queued_in_an_outage() {
    let provider = Provider::new().await;
    let connector = provider.toml("busy");
    let limits = "[login]\nfinishes_per_minute = 5\nfinishes_per_client_per_minute = 1000\n";
    let setup = Setup::default().tables(&format!("{connector}{limits}"));
    let menshen = WatchedMenshen::start(setup).await;
    let issuer: String =
        url::form_urlencoded::byte_serialize(provider.issuer().as_bytes()).collect();
    let mut sids = 0..;
    let mut logout = async || {
        let sid = sids.next().unwrap();
        let path = format!("/.menshen/frontchannel-logout/busy?iss={issuer}&sid=made-up-{sid}");
        TestRequest::get(&path)
            .send_to(menshen.address)
            .await
            .status
    };
    // The limit takes time from the process clock, so one more may pass now and then.
    eventually("the limit refuses", async || {
        let before = menshen.store.calls("apply_provider_logout");
        assert_eq!(logout().await, 200);
        menshen.store.calls("apply_provider_logout") == before
    })
    .await;
    let passed = menshen.store.calls("apply_provider_logout");
    menshen.store.fail(Some(Fault::Failed));
    for _ in 0..20 {
        assert_eq!(logout().await, 503, "the store does not answer");
    }
    menshen
        .store
        .fail_at("apply_provider_logout", Some(Fault::Failed));
    menshen.store.fail(None);
    let tried = menshen.store.calls("apply_provider_logout") - passed;
    let waiting = menshen.sessions.retry_pending(0).await;
    assert!(waiting <= tried && tried < 20, "{waiting} of {tried} wait");
}
