//! Wrong admin tokens: they leave audit records, few of them are looked at, and neither grows without bound.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::*;

fn setup_with_limit(per_minute: u32) -> Setup {
    Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         wrong_tokens_per_client_per_minute = {per_minute}\n"
    ))
}

async fn list_with(menshen: &Menshen, token: &str) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\nUser-Agent: guesser\r\n");
    send_request(menshen, "GET", "/api/sessions", &headers, "").await
}

/// The status of a request from another address of this machine.
async fn status_from_127_0_0_2(menshen: &Menshen, token: &str) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let mut stream = socket.connect(admin_address(menshen)).await.unwrap();
    let request = format!(
        "GET /api/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_wrong_or_missing_token_leaves_an_audit_record_without_the_token() {
    let menshen = setup_with_limit(1_000_000).start().await;
    for (headers, reason) in [
        (
            "Authorization: Bearer guessed-token\r\n",
            "the admin API: the token is wrong",
        ),
        (
            "Authorization: Basic guessed-token\r\n",
            "the admin API: the token is wrong",
        ),
        ("", "the admin API: the request has no token"),
    ] {
        let before = menshen.audit().len();
        let headers = format!("User-Agent: guesser\r\n{headers}");
        let answer = send_request(&menshen, "GET", "/api/people", &headers, "").await;
        assert_eq!(answer.status, 401, "{headers}");
        let audit = menshen.audit();
        assert_eq!(audit.len(), before + 1, "{headers}");
        let record = audit.last().unwrap();
        assert_eq!(record["event"], "refused", "{record}");
        assert_eq!(record["reason"], reason, "{record}");
        assert_eq!(record["client"], "127.0.0.1", "{record}");
        assert_eq!(record["user_agent"], "guesser", "{record}");
        assert!(!record.to_string().contains("guessed-token"), "{record}");
    }
    // A right token leaves none, and neither do metrics and health.
    let before = menshen.audit().len();
    assert_eq!(list_with(&menshen, TOKEN).await.status, 200);
    for path in ["/metrics", "/healthz", "/openapi.json"] {
        let answer = send_request(&menshen, "GET", path, "", "").await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(menshen.audit().len(), before);
}

#[tokio::test]
async fn a_flood_of_wrong_tokens_leaves_few_records_and_their_number() {
    let menshen = setup_with_limit(1_000_000).start().await;
    for number in 0..400 {
        let answer = list_with(&menshen, &format!("guess-{number}")).await;
        assert_eq!(answer.status, 401);
    }
    let audit = menshen.audit();
    // A hundred at once, and two in each second of the test.
    assert!((100..400).contains(&audit.len()), "{}", audit.len());
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    assert!(is_signed_in(&mut browser).await);
    let audit = menshen.audit();
    let left_out: u64 = audit
        .iter()
        .filter_map(|record| record["left_out"].as_u64())
        .sum();
    let refused = audit.iter().filter(|record| record["event"] == "refused");
    assert_eq!(u64::try_from(refused.count()).unwrap() + left_out, 400);
}

#[tokio::test]
async fn who_sends_many_wrong_tokens_is_refused_with_the_right_one_too_and_nobody_else_is() {
    let menshen = setup_with_limit(5).start().await;
    let mut statuses = Vec::new();
    for number in 0..20 {
        let answer = list_with(&menshen, &format!("guess-{number}")).await;
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after"), Some("60"));
        }
        statuses.push(answer.status);
    }
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    // The limit recovers while the test runs.
    assert!((5..=10).contains(&looked_at), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)));
    // Only what was looked at is in the audit log.
    assert_eq!(menshen.audit().len(), looked_at);
    let mut last = list_with(&menshen, TOKEN).await;
    for number in 20..30 {
        if last.status == 429 {
            break;
        }
        list_with(&menshen, &format!("guess-{number}")).await;
        last = list_with(&menshen, TOKEN).await;
    }
    assert_eq!(last.status, 429);
    assert!(!last.text().contains("zhangsan"), "{}", last.text());
    assert_eq!(status_from_127_0_0_2(&menshen, TOKEN).await, 200);
    assert_eq!(status_from_127_0_0_2(&menshen, "guess").await, 401);
    // Health and metrics go on.
    let health = send_request(&menshen, "GET", "/healthz", "", "").await;
    assert_eq!(health.status, 200);
}

#[tokio::test]
async fn right_tokens_do_not_count() {
    let menshen = setup_with_limit(2).start().await;
    for _ in 0..30 {
        assert_eq!(list_with(&menshen, TOKEN).await.status, 200);
    }
    assert_eq!(list_with(&menshen, "guess").await.status, 401);
    assert_eq!(list_with(&menshen, TOKEN).await.status, 200);
}
