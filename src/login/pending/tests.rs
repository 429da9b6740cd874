use std::time::Duration;

use super::*;

/// Accepts every host.
struct AnyHost;

impl return_to::Destinations for AnyHost {
    fn serves(&self, _: &url::Url, _: &str) -> bool {
        true
    }

    fn login_url(&self) -> &url::Url {
        static LOGIN_URL: std::sync::LazyLock<url::Url> =
            std::sync::LazyLock::new(|| url::Url::parse("https://sso.corp.example").unwrap());
        &LOGIN_URL
    }

    fn may_be_own_path(&self, path: &str) -> bool {
        path.starts_with("/.menshen/")
    }
}

fn ring() -> KeyRing {
    KeyRing::new(&[keys::generate()], None).unwrap()
}

fn pending(return_to: &str) -> Pending {
    Pending::new(
        "corp".parse().unwrap(),
        Mode::Web,
        ReturnTo::on_login_host(return_to).unwrap(),
        Timestamp::from_unix_s(1_000),
    )
}

#[test]
fn a_sealed_login_opens_until_it_expires() {
    let (ring, mut begun) = (ring(), pending("/a?b=c"));
    let sealed = begun.seal(&ring).unwrap();
    let now = begun.begun_at.plus(Duration::from_secs(PENDING_AGE_MAX_S));
    let opened = Pending::open(&ring, &begun.flow, &begun.connector, &sealed, now).unwrap();
    assert_eq!(opened.return_to, begun.return_to);
    assert_eq!(opened.verifier, begun.verifier);
}

#[test]
fn a_login_of_another_flow_or_connector_or_an_expired_one_is_refused() {
    let (ring, mut begun) = (ring(), pending("/"));
    let (sealed, now) = (begun.seal(&ring).unwrap(), begun.begun_at);
    let open = |flow: &FlowId, connector: &str, now| {
        Pending::open(&ring, flow, &connector.parse().unwrap(), &sealed, now).map(drop)
    };
    assert_eq!(open(&begun.flow, "corp", now), Ok(()));
    assert_eq!(
        open(&FlowId::random(), "corp", now),
        Err(PendingError::Forged)
    );
    assert_eq!(open(&begun.flow, "other", now), Err(PendingError::Forged));
    let late = now.plus(Duration::from_secs(PENDING_AGE_MAX_S + 1));
    assert_eq!(open(&begun.flow, "corp", late), Err(PendingError::Expired));
}

#[test]
fn a_long_return_address_is_shortened_so_that_the_cookie_stays_small() {
    let ring = ring();
    // A return address of almost 4,000 bytes fits, even with every optional value.
    let path = format!("/report?{}", "x".repeat(3992));
    let mut begun = pending(&path);
    let host = "https://a-host-with-a-long-name.oa.corp.example";
    begun.return_to =
        ReturnTo::parse(&format!("{host}{}", &path[..3990 - host.len()]), &AnyHost).unwrap();
    begun.ticket_for = Some(crate::login::ticket::Nonce::random().hash());
    begun.replaces = Some(SessionKey::new([7; 32]));
    begun.max_age = Some(u32::MAX);
    (begun.retries, begun.automatic, begun.silent) = (1, true, true);
    let before = begun.return_to.clone();
    assert!(begun.seal(&ring).unwrap().len() <= PENDING_BYTES_MAX);
    assert_eq!(begun.return_to, before);
    // JSON escapes double the length of this query.
    let long = format!("/report?{}", "\"".repeat(4000));
    let mut begun = pending(&long);
    assert!(begun.seal(&ring).unwrap().len() <= PENDING_BYTES_MAX);
    assert_eq!(begun.return_to, ReturnTo::on_login_host("/report").unwrap());
    let mut begun = pending(&format!("/{}", "y".repeat(5000)));
    assert!(begun.seal(&ring).unwrap().len() <= PENDING_BYTES_MAX);
    assert_eq!(begun.return_to, ReturnTo::on_login_host("/").unwrap());
}

#[test]
fn a_flow_id_is_random_and_alphanumeric() {
    let (one, two) = (FlowId::random(), FlowId::random());
    assert_ne!(one, two);
    assert!(FlowId::try_from(one.to_string()).is_ok());
    for bad in [
        "",
        "short",
        &"A".repeat(32),
        &"a".repeat(33),
        &"-".repeat(32),
    ] {
        assert!(FlowId::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}
