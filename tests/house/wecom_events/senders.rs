//! Only WeCom can send events: nothing is decrypted before the signature is verified.

use std::time::Duration;

use super::{MEMBER, deliver, event, now, post, setup, setup_with};
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;
use crate::wecom::{ContactChange, EVENT_AES_KEY, EVENT_TOKEN, EventSealer, SealedEvent};
use crate::wire::Answer;

const DELETED: ContactChange<'static> = ContactChange::UserDeleted("zhangsan");

/// Asks menshen to verify its URL.
async fn verify(menshen: &Menshen, sealed: &SealedEvent) -> Answer {
    let query = sealed.verification_query();
    TestRequest::get(&format!("/.menshen/events/corp?{query}"))
        .send(menshen)
        .await
}

fn another_sealer(change: impl FnOnce(&mut EventSealer)) -> EventSealer {
    let mut sealer = EventSealer::default();
    change(&mut sealer);
    sealer
}

/// Whether an answer has a part of a message.
fn tells(answer: &Answer, part: &str) -> bool {
    answer.text().contains(part)
}

/// Every refusal looks the same, so that nobody learns what was wrong.
fn assert_refused(answer: &Answer, what: &str) {
    let text = answer.text();
    assert_eq!(
        (answer.status, text.as_str()),
        (403, "the request is not valid\n"),
        "{what}"
    );
}

#[tokio::test]
async fn the_url_is_verified_with_the_decrypted_text_alone() {
    let menshen = setup().start().await;
    let sealed = EventSealer::default().seal("1616140317555161061", now(&menshen));
    for host in ["sso.test", "oa.test"] {
        let query = sealed.verification_query();
        let answer = TestRequest::get(&format!("/.menshen/events/corp?{query}"))
            .host(host)
            .send(&menshen)
            .await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "1616140317555161061"),
            "{host}"
        );
    }
    // A plus sign that was not encoded arrives as a space.
    let with_plus = (0..1_000)
        .map(|number| EventSealer::default().seal(&format!("echo-{number}"), now(&menshen)))
        .find(|sealed| sealed.encrypted.contains('+'))
        .expect("most have a plus sign");
    let query = with_plus.verification_query().replace("%2B", "+");
    let answer = TestRequest::get(&format!("/.menshen/events/corp?{query}"))
        .send(&menshen)
        .await;
    assert!(answer.text().starts_with("echo-"), "{}", answer.text());
}

#[tokio::test]
async fn an_event_that_somebody_has_seen_is_never_decrypted_for_them() {
    let menshen = setup().start().await;
    let at = now(&menshen);
    for (text, answered) in [
        (DELETED.message(at).as_str(), false),
        ("<b>", false),
        ("a b", false),
        ("密", false),
        (&"7".repeat(65), false),
        (&"7".repeat(64), true),
        ("Echo_1-2", true),
    ] {
        let answer = verify(&menshen, &EventSealer::default().seal(text, at)).await;
        assert_eq!(answer.status, if answered { 200 } else { 400 }, "{text}");
        assert_eq!(tells(&answer, text), answered, "{text}");
    }
    // One that is delivered to menshen, too.
    let event = event(&menshen, DELETED);
    assert!(!tells(&verify(&menshen, &event).await, "zhangsan"));
    assert_eq!(deliver(&menshen, &event).await.status, 200);
    // What the source lets menshen repeat is void after five minutes.
    let echo = EventSealer::default().seal("1616140317555161061", at);
    menshen.advance(Duration::from_secs(299));
    assert_eq!(verify(&menshen, &echo).await.text(), "1616140317555161061");
    menshen.advance(Duration::from_secs(2));
    assert_refused(&verify(&menshen, &echo).await, "an old echo");
}

#[tokio::test]
async fn requests_of_strangers_leave_room_for_the_source() {
    let setup = Setup::default()
        .server("trusted_proxies = ['127.0.0.1']")
        .tables(&format!(
            "[connector.corp.wecom.events]\ntoken = \"{EVENT_TOKEN}\"\n\
             encoding_aes_key = \"{EVENT_AES_KEY}\"\n\
             [login]\nevents_per_client_per_minute = 3\n"
        ));
    let menshen = setup.start().await;
    let sealed = event(&menshen, DELETED);
    let from = |client: String, query: &str| {
        let request = post(query, &sealed.body);
        request.header("X-Forwarded-For", &client)
    };
    let forged = sealed.query.replace("msg_signature=", "msg_signature=0");
    for number in 0..60 {
        let stranger = from(format!("198.51.100.{number}"), &forged);
        assert_eq!(stranger.send(&menshen).await.status, 403, "{number}");
    }
    let answer = from("203.0.113.1".to_owned(), &sealed.query);
    assert_eq!(answer.send(&menshen).await.status, 200);
    // One client still has its limit, and the source has one for all its addresses.
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let stranger = from("198.51.100.0".to_owned(), &forged);
        statuses.push(stranger.send(&menshen).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let mut statuses = Vec::new();
    for number in 0..40 {
        let answer = from(format!("203.0.113.{number}"), &sealed.query);
        statuses.push(answer.send(&menshen).await.status);
    }
    assert_eq!(statuses[0], 200);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn messages_with_a_wrong_signature_key_or_receiver_are_refused() {
    let menshen = setup().start().await;
    let at = now(&menshen);
    let message = DELETED.message(at);
    let sealers = [
        (
            "token",
            another_sealer(|it| it.token = "another".to_owned()),
        ),
        (
            "key",
            another_sealer(|it| {
                it.aes_key = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR".to_owned();
            }),
        ),
        (
            "receiver",
            another_sealer(|it| it.receive_id = "ww_other_corp_0001".to_owned()),
        ),
        (
            "no receiver",
            another_sealer(|it| it.receive_id = String::new()),
        ),
    ];
    for (what, sealer) in sealers {
        let sealed = sealer.seal(&message, at);
        assert_refused(&deliver(&menshen, &sealed).await, what);
        assert_refused(&verify(&menshen, &sealed).await, what);
    }
    let good = event(&menshen, DELETED);
    let other = event(&menshen, ContactChange::UserUpdated("lisi"));
    let signature = &good.query[..good.query.find('&').unwrap()];
    for (what, query, body) in [
        ("another message", &good.query, &other.body),
        ("another query", &other.query, &good.body),
        (
            "another time",
            &good.query.replace("timestamp=1", "timestamp=2"),
            &good.body,
        ),
        (
            "an empty signature",
            &good.query.replace(signature, "msg_signature="),
            &good.body,
        ),
    ] {
        let answer = post(query, body).send(&menshen).await;
        assert_refused(&answer, what);
    }
    assert_eq!(menshen.wecom.calls(MEMBER), 0);
}

#[tokio::test]
async fn messages_with_broken_padding_are_refused_like_a_wrong_signature() {
    let menshen = setup().start().await;
    let at = now(&menshen);
    for last in [0, 33, 64, 255] {
        let mut bytes = vec![1; 64];
        bytes[63] = last;
        let sealed = EventSealer::default().seal_padded(bytes, at);
        assert_refused(
            &deliver(&menshen, &sealed).await,
            &format!("padding {last}"),
        );
    }
    for bytes in [16, 48] {
        let sealed = EventSealer::default().seal_padded(vec![16; bytes], at);
        assert_refused(&deliver(&menshen, &sealed).await, &format!("{bytes} bytes"));
    }
    for encrypted in ["", "no base64!", "QUJD"] {
        let sealed = EventSealer::default().sign(encrypted.to_owned(), at);
        assert_refused(&deliver(&menshen, &sealed).await, encrypted);
    }
}

#[tokio::test]
async fn messages_of_another_time_are_refused() {
    let menshen = setup().start().await;
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let seal = |at| EventSealer::default().seal(&DELETED.message(at), at);
    let at = now(&menshen);
    for (at, accepted) in [
        (at - minutes(4), true),
        (at + minutes(4), true),
        (at - minutes(6), false),
        (at + minutes(6), false),
    ] {
        let answer = deliver(&menshen, &seal(at)).await;
        match accepted {
            true => assert_eq!(answer.status, 200),
            false => assert_refused(&answer, "another time"),
        }
    }
    let patient = setup_with("time_tolerance = \"1h\"").start().await;
    let answer = deliver(&patient, &seal(now(&patient) - minutes(59))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let menshen = setup().start().await;
    let good = event(&menshen, DELETED);
    let huge = format!("<xml><Encrypt>{}</Encrypt></xml>", "A".repeat(70_000));
    let doctype = format!("<!DOCTYPE xml>{}", good.body);
    let twice = good.body.replace("</xml>", "<Encrypt>QUJD</Encrypt></xml>");
    for body in ["", "{}", "<xml></xml>", &huge, &doctype, &twice] {
        let answer = post(&good.query, body).send(&menshen).await;
        assert_eq!(answer.status, 400, "{}", &body[..body.len().min(60)]);
    }
    let repeated = format!("{}&nonce=x", good.query);
    for query in ["", "timestamp=1&nonce=2", &repeated] {
        let answer = post(query, &good.body).send(&menshen).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let answer = post(&good.query, &good.body).method(method);
        assert_eq!(answer.send(&menshen).await.status, 405, "{method}");
    }
    let unreadable = EventSealer::default().seal("<xml><MsgType>", now(&menshen));
    assert_eq!(deliver(&menshen, &unreadable).await.status, 400);
    assert_eq!(menshen.wecom.calls(MEMBER), 0);
}

#[tokio::test]
async fn a_connector_without_events_has_no_such_page() {
    let menshen = Menshen::new().await;
    let sealed = event(&menshen, DELETED);
    assert_eq!(deliver(&menshen, &sealed).await.status, 404);
    assert_eq!(verify(&menshen, &sealed).await.status, 404);
    let menshen = setup().start().await;
    let sealed = event(&menshen, DELETED);
    for target in ["/.menshen/events", "/.menshen/events/other"] {
        let answer = TestRequest::get(&format!("{target}?{}", sealed.query));
        assert_eq!(answer.send(&menshen).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn a_client_that_sends_too_many_requests_is_refused() {
    let limited = "[connector.corp.wecom.events]\ntoken = \"t\"\n\
                   encoding_aes_key = \"kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR\"\n\
                   [login]\nevents_per_client_per_minute = 3\n";
    let menshen = Setup::default().tables(limited).start().await;
    let sealed = event(&menshen, DELETED);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(deliver(&menshen, &sealed).await.status);
    }
    assert_eq!(statuses[..3], [403; 3]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn secrets_of_events_are_in_no_log_and_a_wrong_key_stops_the_start() {
    let menshen = setup().start().await;
    let text = format!("{:?}", menshen.running);
    assert!(!text.contains(crate::wecom::EVENT_TOKEN), "{text}");
    let bad = setup_with("")
        .tables("[connector.corp.wecom.events]\ntoken = \"t\"\nencoding_aes_key = \"too short\"\n");
    let error = menshen.reload(&bad).await.unwrap_err();
    assert!(error.contains("encoding_aes_key"), "{error}");
    assert!(!error.contains("too short"), "{error}");
}
