//! Whoever is ended while the store takes nothing is out all the same, at once and for good: here
//! first, and in the store as soon as it takes it.

use menshen::clock::Timestamp;
use menshen::store::{LogoutTarget, RevocationScope, StoreError};

use super::eventually;
use super::watched::{Fault, WatchedHouse, When};
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::people::closing;
use crate::provider::Provider;
use crate::setup::Setup;
use crate::test_request::TestRequest;

/// Everything that ends sessions.
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

    /// The question the store is asked.
    fn question(self) -> &'static str {
        match self {
            Self::Session | Self::Account | Self::Connector | Self::Everyone => "revoke",
            Self::Close => "close_account",
            Self::Person => "apply_provider_logout",
        }
    }

    /// Whether it ends 李四, too.
    fn ends_others(self) -> bool {
        matches!(self, Self::Connector | Self::Everyone)
    }

    /// Ends 张三, who has one session.
    async fn ask(self, menshen: &WatchedHouse) -> Result<(), StoreError> {
        let store = menshen.store.behind();
        let login = "zhangsan".parse().unwrap();
        let account = store.account_by_login(&login).await.unwrap().unwrap().id;
        let session = store.sessions(Some(&account), 1).await.unwrap().remove(0);
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

/// 张三, 李四, and an instance of menshen that knows both.
async fn two() -> (WatchedHouse, String, String) {
    let menshen = WatchedHouse::start(Setup::default().server(TRUST_LOOPBACK)).await;
    let zhang = menshen.signed_in("zhangsan").await;
    let li = menshen.signed_in("lisi").await;
    (menshen, zhang, li)
}

async fn verdicts(menshen: &WatchedHouse, cookie: &str) -> Vec<Verdict> {
    let cookie = format!("menshen={cookie}");
    let original = OriginalRequest::get("/echo").header("Cookie", &cookie);
    let mut verdicts = Vec::new();
    for face in Face::ALL {
        verdicts.push(original.send_to(face, menshen.address).await.verdict);
    }
    verdicts
}

async fn is_out(menshen: &WatchedHouse, cookie: &str, what: &str) {
    // More than once: what was in memory is, after it was refused, looked for in the store.
    for again in 0..3 {
        for verdict in verdicts(menshen, cookie).await {
            assert_eq!(verdict, Verdict::Login, "{what}, {again}");
        }
    }
}

async fn is_in(menshen: &WatchedHouse, cookie: &str, what: &str) {
    let ask = TestRequest::get("/echo").session(cookie);
    assert_eq!(ask.send_to(menshen.address).await.status, 200, "{what}");
}

#[tokio::test]
async fn who_is_ended_while_the_store_fails_is_out_at_once_and_stays_out() {
    for end in End::ALL {
        let what = format!("{end:?}");
        let (menshen, zhang, li) = two().await;
        menshen.store.fail_at(end.question(), Some(Fault::Failed));
        assert!(end.ask(&menshen).await.is_err(), "{what}: it is said aloud");
        is_out(&menshen, &zhang, &what).await;
        match end.ends_others() {
            true => is_out(&menshen, &li, &what).await,
            false => is_in(&menshen, &li, &what).await,
        }
        // The store knows nothing of it yet, and is asked until it does.
        let epochs = menshen.store.behind().epochs().await.unwrap();
        assert_eq!(epochs.log_number, 0, "{what}");
        menshen.store.fail_at(end.question(), None);
        eventually(&what, async || {
            menshen.store.behind().epochs().await.unwrap().log_number > 0
        })
        .await;
        eventually("nothing waits any more", async || {
            menshen.sessions.retry_pending(0).await == 0
        })
        .await;
        is_out(&menshen, &zhang, &what).await;
        // Whoever was not meant goes on; whoever was comes in again, unless they were shut out.
        if !end.ends_others() {
            is_in(&menshen, &li, &what).await;
        }
        if end != End::Close {
            menshen.clock.advance(std::time::Duration::from_secs(1));
            let anew = menshen.signed_in("zhangsan").await;
            is_in(&menshen, &anew, &what).await;
            is_out(&menshen, &zhang, &what).await;
        }
    }
}

#[tokio::test]
async fn who_is_ended_by_somebody_who_goes_away_is_out_all_the_same() {
    for end in End::ALL {
        let what = format!("{end:?}");
        let (menshen, zhang, _) = two().await;
        menshen.store.hold(end.question(), When::Before);
        {
            let asked = end.ask(&menshen);
            tokio::pin!(asked);
            tokio::select! {
                _ = &mut asked => panic!("{what}: it is held back"),
                () = menshen.store.holds(1) => {}
            }
        }
        is_out(&menshen, &zhang, &what).await;
        menshen.store.release();
        eventually(&what, async || {
            menshen.store.behind().epochs().await.unwrap().log_number > 0
        })
        .await;
        is_out(&menshen, &zhang, &what).await;
    }
}

#[tokio::test]
async fn an_account_that_is_opened_is_not_closed_again_by_what_was_not_stored() {
    let (menshen, zhang, _) = two().await;
    let login = "zhangsan".parse().unwrap();
    let store = menshen.store.behind();
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
    // It cannot be opened either, and stays closed here.
    assert!(people.reopen_account(&account, "boss").await.is_err());
    is_out(&menshen, &zhang, "closed").await;
    menshen.store.fail_at("reopen_account", None);
    assert!(
        people
            .reopen_account(&account, "boss")
            .await
            .unwrap()
            .is_some()
    );
    menshen.store.fail_at("close_account", None);
    eventually("nothing waits any more", async || {
        menshen.sessions.retry_pending(0).await == 0
    })
    .await;
    let known = store.account_by_login(&login).await.unwrap().unwrap();
    assert!(!known.closed);
    menshen.clock.advance(std::time::Duration::from_secs(1));
    let anew = menshen.signed_in("zhangsan").await;
    is_in(&menshen, &anew, "opened").await;
    is_out(&menshen, &zhang, "the session that was ended").await;
}

#[tokio::test]
async fn one_ending_that_is_never_stored_does_not_keep_the_others_from_it() {
    let (menshen, zhang, li) = two().await;
    menshen.store.fail(Some(Fault::Failed));
    for end in End::ALL {
        // All fail, and one of them goes on failing.
        let asked = end.ask(&menshen).await;
        assert!(asked.is_err(), "{end:?}");
    }
    menshen.store.fail(None);
    menshen.store.fail_at("close_account", Some(Fault::Failed));
    eventually("the others are stored", async || {
        menshen.sessions.retry_pending(0).await == 1
    })
    .await;
    is_out(&menshen, &zhang, "still closed").await;
    is_out(&menshen, &li, "everyone").await;
}

#[tokio::test]
async fn a_logout_that_finds_no_place_to_wait_in_breaks_nothing() {
    let (menshen, zhang, _) = two().await;
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
    // Anybody may say that a session ended, so only so many of these wait for the store.
    for number in 0..10_001 {
        assert!(end(number).await.is_err());
    }
    // One that waits and one that does not come again.
    for number in [0, 10_000, 10_001] {
        assert!(end(number).await.is_err(), "{number}");
    }
    menshen.store.fail_at("apply_provider_logout", None);
    for number in [0, 10_000, 10_001] {
        assert_eq!(end(number).await.unwrap(), Some(0), "{number}");
    }
    is_in(&menshen, &zhang, "a logout of other sessions").await;
}

#[tokio::test]
async fn a_stranger_who_ends_nothing_wakes_nobody() {
    let (menshen, zhang, _) = two().await;
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
    assert!(!changes.has_changed().unwrap(), "it ended nothing");
    menshen
        .store
        .fail_at("apply_provider_logout", Some(Fault::TimedOut));
    assert!(end(name()).await.is_err());
    assert!(!changes.has_changed().unwrap(), "the store is away");
    menshen.store.fail_at("apply_provider_logout", None);
    menshen.store.hold("apply_provider_logout", When::Before);
    {
        let ended = end(name());
        tokio::pin!(ended);
        tokio::select! {
            _ = &mut ended => panic!("it is held back"),
            () = menshen.store.holds(1) => {}
        }
    }
    assert!(!changes.has_changed().unwrap(), "the stranger went away");
    menshen.store.release();
    eventually("nothing waits any more", async || {
        menshen.sessions.retry_pending(0).await == 0
    })
    .await;
    assert!(!changes.has_changed().unwrap(), "all is stored");
    is_in(&menshen, &zhang, "nobody ended them").await;
    // Whoever is ended by the source itself is woken at once.
    assert!(End::Session.ask(&menshen).await.is_ok());
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_front_channel_logout_over_the_rate_limit_takes_no_place_in_an_outage() {
    let provider = Provider::new().await;
    let connector = provider.toml("busy");
    let limits = "[login]\nfinishes_per_minute = 5\nfinishes_per_client_per_minute = 1000\n";
    let setup = Setup::default().tables(&format!("{connector}{limits}"));
    let menshen = WatchedHouse::start(setup).await;
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
        let before = menshen.store.asked("apply_provider_logout");
        assert_eq!(logout().await, 200);
        menshen.store.asked("apply_provider_logout") == before
    })
    .await;
    let passed = menshen.store.asked("apply_provider_logout");
    menshen.store.fail(Some(Fault::Failed));
    for _ in 0..20 {
        assert_eq!(logout().await, 503, "the store does not answer");
    }
    menshen
        .store
        .fail_at("apply_provider_logout", Some(Fault::Failed));
    menshen.store.fail(None);
    let tried = menshen.store.asked("apply_provider_logout") - passed;
    let waiting = menshen.sessions.retry_pending(0).await;
    assert!(waiting <= tried && tried < 20, "{waiting} of {tried} wait");
}
