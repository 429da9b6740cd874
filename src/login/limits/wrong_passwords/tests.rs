use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Waker};

use super::*;
use crate::setting::Period;

struct Counted {
    counts: Arc<WrongPasswords>,
    clock: Clock,
}

impl Counted {
    /// Two wrong passwords for each user name and three for each client, within a minute.
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_s(0));
        let config = LoginConfig {
            wrong_passwords_per_login: 2,
            wrong_passwords_per_client: 3,
            wrong_passwords_pause: Period::s(60),
            ..LoginConfig::default()
        };
        let counts = WrongPasswords::new(&config, clock.clone());
        Self { counts, clock }
    }

    async fn begin(&self, login: &str, client: &str) -> Result<PasswordAttempt, Limited> {
        let client = client.parse::<IpAddr>().ok().map(Client::from);
        self.counts.begin("staff", login, client).await
    }

    /// Enters a wrong password; true if it was verified.
    async fn enter_wrong(&self, login: &str, client: &str) -> bool {
        let begun = self.begin(login, client).await;
        begun.map(PasswordAttempt::record_wrong).is_ok()
    }
}

fn refusal(counted_for: CountedFor, retry_after_s: u32) -> Option<Limited> {
    Some(Limited::WrongPasswords {
        counted_for,
        retry_after_s,
    })
}

#[tokio::test]
async fn a_user_name_has_one_count_whatever_its_case_and_the_address() {
    let test = Counted::new();
    assert!(test.enter_wrong("lisi", "192.0.2.1").await);
    test.clock.advance(Duration::from_secs(20));
    // A right password ends no count.
    drop(test.begin("lisi", "192.0.2.1").await.unwrap());
    assert!(test.enter_wrong(" LiSi ", "192.0.2.2").await);
    test.clock.advance(Duration::from_millis(10_500));
    for login in ["lisi", "LISI", " lisi"] {
        let refused = test.begin(login, "192.0.2.3").await.err();
        assert_eq!(refused, refusal(CountedFor::Login, 30), "{login}");
    }
    assert!(test.begin("lisi2", "192.0.2.3").await.is_ok());
    assert!(test.counts.begin("other", "lisi", None).await.is_ok());
    // The pause begins with the first wrong password.
    test.clock.advance(Duration::from_millis(29_499));
    assert!(test.begin("lisi", "192.0.2.3").await.is_err());
    test.clock.advance(Duration::from_millis(1));
    assert!(test.enter_wrong("lisi", "192.0.2.3").await);
    assert!(test.enter_wrong("lisi", "192.0.2.3").await);
    assert!(!test.enter_wrong("lisi", "192.0.2.3").await);
}

#[tokio::test]
async fn a_person_has_one_count_whatever_the_user_name() {
    let test = Counted::new();
    let begin = async |login: &str, person: &str| {
        let mut attempt = test.begin(login, "").await.unwrap();
        let counted = attempt.count_for(person).await;
        counted.map(|()| attempt)
    };
    for login in ["lisi", "li.si@corp.example"] {
        let attempt = begin(login, "uid=lisi,dc=corp").await.unwrap();
        attempt.record_wrong();
    }
    for person in ["uid=lisi,dc=corp", "UID=Lisi,dc=corp"] {
        let refused = begin("li si", person).await.err();
        assert_eq!(refused, Some(PersonPaused), "{person}");
    }
    // What was entered is no name of the source, and another person has another count.
    assert!(
        begin("uid=lisi,dc=corp", "uid=wangwu,dc=corp")
            .await
            .is_ok()
    );
    test.clock.advance(Duration::from_secs(60));
    // One that is being verified counts as wrong until it is known.
    let first = begin("lisi", "uid=lisi,dc=corp").await.unwrap();
    let second = begin("lisi2", "uid=lisi,dc=corp").await.unwrap();
    let mut third = std::pin::pin!(begin("lisi3", "uid=lisi,dc=corp"));
    assert!(!is_settled(third.as_mut()));
    first.record_wrong();
    assert!(!is_settled(third.as_mut()));
    drop(second);
    assert!(third.await.is_ok());
}

#[tokio::test]
async fn a_client_has_one_count_for_all_user_names() {
    let test = Counted::new();
    for login in ["a", "b", "c"] {
        assert!(test.enter_wrong(login, "192.0.2.1").await, "{login}");
    }
    let refused = test.begin("d", "::ffff:192.0.2.1").await.err();
    assert_eq!(refused, refusal(CountedFor::Client, 60));
    assert!(test.begin("d", "192.0.2.2").await.is_ok());
    // A trusted proxy did not name the client.
    for login in 0..20 {
        assert!(test.enter_wrong(&format!("x{login}"), "").await);
    }
    // A /64 is one client, and a /48 has the limit of three.
    let mut verified = 0;
    for subnet in 0..20 {
        let client = format!("2001:db8:1:{}::{subnet:x}", subnet % 10);
        let login = format!("y{subnet}");
        verified += u32::from(test.enter_wrong(&login, &client).await);
    }
    assert_eq!(verified, 9);
}

/// Whether a password is refused or permitted without a wait.
fn is_settled(begun: Pin<&mut impl Future>) -> bool {
    begun
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[tokio::test]
async fn a_password_that_is_being_verified_counts_until_it_is_known_to_be_right() {
    let test = Counted::new();
    let first = test.begin("lisi", "192.0.2.1").await.unwrap();
    let second = test.begin("lisi", "192.0.2.2").await.unwrap();
    let mut third = std::pin::pin!(test.begin("lisi", "192.0.2.3"));
    assert!(!is_settled(third.as_mut()));
    first.record_wrong();
    assert!(!is_settled(third.as_mut()));
    drop(second);
    third.await.unwrap().record_wrong();
    assert!(!test.enter_wrong("lisi", "192.0.2.4").await);
    // Those that wait are refused once the limit is reached.
    let first = test.begin("wangwu", "192.0.2.1").await.unwrap();
    let second = test.begin("wangwu", "192.0.2.2").await.unwrap();
    let mut third = std::pin::pin!(test.begin("wangwu", "192.0.2.3"));
    assert!(!is_settled(third.as_mut()));
    first.record_wrong();
    second.record_wrong();
    assert_eq!(third.await.err(), refusal(CountedFor::Login, 60));
}

#[tokio::test]
async fn the_counts_do_not_grow_without_limit() {
    let mut test = Counted::new();
    Arc::get_mut(&mut test.counts).unwrap().counts_max = 100;
    for login in 0..1_000 {
        assert!(test.enter_wrong(&login.to_string(), "").await);
        test.clock.advance(Duration::from_millis(1));
        assert!(test.counts.lock().len() <= 100, "{login}");
    }
    // The newest are kept.
    assert!(test.enter_wrong("999", "").await);
    assert!(!test.enter_wrong("999", "").await);
    // Of many that began in the same millisecond none is kept.
    for login in 0..1_000 {
        assert!(test.enter_wrong(&format!("same{login}"), "").await);
        assert!(test.counts.lock().len() <= 100, "{login}");
    }
    // A right password leaves no count.
    let before = test.counts.lock().len();
    drop(test.begin("right", "192.0.2.1").await.unwrap());
    assert!(test.counts.lock().len() <= before);
    // Counts that have ended make room.
    test.clock.advance(Duration::from_secs(61));
    for login in 0..100 {
        assert!(test.enter_wrong(&format!("later{login}"), "").await);
    }
    assert_eq!(test.counts.lock().len(), 100);
}
