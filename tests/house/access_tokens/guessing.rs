//! Guessing is slow: a client may send few unknown tokens, and the store is not asked about more.

use super::*;

fn guess(number: u32) -> String {
    format!("mst_{number:0>43}")
}

/// A request of a client behind the trusted proxy.
async fn send_from(menshen: &Menshen, client: &str, token: &str) -> Answer {
    let request = program("/git/x", &basic("", token)).header("X-Forwarded-For", client);
    request.send(menshen).await
}

#[tokio::test]
async fn a_client_may_send_few_unknown_tokens_and_any_number_of_valid_ones() {
    let limit = "unknown_access_tokens_per_client_per_minute = 5";
    let (menshen, _mirror) = start_with(Setup::default().session(limit)).await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let [cached, unused, other] = [
        make_token(&mut browser, "cached", &[]).await,
        make_token(&mut browser, "unused", &[]).await,
        make_token(&mut browser, "other", &[]).await,
    ];
    assert_eq!(send_from(&menshen, "192.0.2.1", &cached).await.status, 200);
    let mut statuses = Vec::new();
    for number in 0..30 {
        let answer = send_from(&menshen, "192.0.2.1", &guess(number)).await;
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
        }
        statuses.push(answer.status);
    }
    let looked_up = statuses.iter().filter(|status| **status == 401).count();
    // The limit recovers while the test runs.
    assert!((5..=10).contains(&looked_up), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 503].contains(status)));
    // A token that is known here still passes; one that must be looked up waits.
    assert_eq!(send_from(&menshen, "192.0.2.1", &cached).await.status, 200);
    // An unknown token that was answered before is answered again without a look into the store.
    assert_eq!(
        send_from(&menshen, "192.0.2.1", &guess(0)).await.status,
        401
    );
    // Other clients are not concerned.
    assert_eq!(send_from(&menshen, "192.0.2.2", &unused).await.status, 200);
    assert_eq!(
        send_from(&menshen, "192.0.2.2", &guess(0)).await.status,
        401
    );
    assert_eq!(
        send_from(&menshen, "198.51.100.1", &other).await.status,
        200
    );
}

#[tokio::test]
async fn valid_tokens_do_not_count_as_guesses() {
    let limit = "unknown_access_tokens_per_client_per_minute = 2";
    let (menshen, _mirror) = start_with(Setup::default().session(limit)).await;
    let mut browser = signed_in(&menshen, "lisi").await;
    for number in 0..8 {
        let token = make_token(&mut browser, &format!("token {number}"), &[]).await;
        assert_eq!(send_from(&menshen, "192.0.2.1", &token).await.status, 200);
    }
}

#[tokio::test]
async fn the_addresses_of_one_ipv6_network_are_one_client() {
    let limit = "unknown_access_tokens_per_client_per_minute = 5";
    let (menshen, _mirror) = start_with(Setup::default().session(limit)).await;
    let mut statuses = Vec::new();
    for number in 0..30 {
        let client = format!("2001:db8:1:1:{number:x}::1");
        statuses.push(send_from(&menshen, &client, &guess(number)).await.status);
    }
    let looked_up = statuses.iter().filter(|status| **status == 401).count();
    // The limit recovers while the test runs.
    assert!((5..=10).contains(&looked_up), "{statuses:?}");
    let other = send_from(&menshen, "2001:db8:2:1::1", &guess(100)).await;
    assert_eq!(other.status, 401);
}
