//! A logout at the provider applies to tokens that are used for the first time after it.

use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::stores::{Meddler, TempDir};

use super::*;

/// A token that is issued now and expires after `life_s` seconds.
pub(super) fn token_valid_for(
    provider: &Provider,
    login: &str,
    life_s: i64,
    more: &Value,
) -> String {
    let now = provider.clock().now().unix_s();
    let mut all = json!({ "iat": now, "exp": now + life_s });
    let object = all.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    with(provider, login, &all)
}

/// Advances the clock by an hour, and deletes expired records.
pub(super) async fn advance_an_hour_and_delete_expired(menshen: &Menshen) {
    menshen.advance(Duration::from_secs(3600));
    let sessions = &menshen.running.live().services().sessions;
    sessions.delete_expired().await.unwrap();
}

pub(super) async fn front_channel(
    provider: &Provider,
    menshen: &Menshen,
    sid: &str,
    client: &str,
) -> u16 {
    front_channel_of("keycloak", provider, menshen, (sid, client)).await
}

pub(super) async fn front_channel_of(
    connector: &str,
    provider: &Provider,
    menshen: &Menshen,
    (sid, client): (&str, &str),
) -> u16 {
    let issuer: String =
        url::form_urlencoded::byte_serialize(provider.issuer().as_bytes()).collect();
    let path = format!("/.menshen/frontchannel-logout/{connector}?iss={issuer}&sid={sid}");
    let ask = TestRequest::get(&path).header("X-Forwarded-For", client);
    ask.send(menshen).await.status
}

#[tokio::test]
async fn a_token_that_is_first_used_long_after_a_logout_is_refused() {
    let provider = Provider::new().await;
    let sub = provider.sub("zhangsan");
    for (marked, sid) in [
        (Some(json!({ "sub": sub })), json!({})),
        (Some(json!({ "sub": sub })), json!({ "sid": "s1" })),
        (Some(json!({ "sid": "s1" })), json!({ "sid": "s1" })),
        (
            Some(json!({ "sid": "s1", "sub": sub })),
            json!({ "sid": "s1" }),
        ),
        (Some(json!({ "sid": "s1", "sub": sub })), json!({})),
        // A front-channel logout.
        (None, json!({ "sid": "s1" })),
    ] {
        let what = format!("{marked:?} {sid}");
        let issuer = format!("people = \"keycloak\"\n{GRPC_ON_MAIN}");
        let menshen = setup(&provider, "", &issuer).start().await;
        let day = 24 * 3600;
        let before = Face::ALL.map(|face| {
            let mut more = json!({ "jti": format!("{face:?}") });
            let object = more.as_object_mut().unwrap();
            object.extend(sid.as_object().unwrap().clone());
            (face, token_valid_for(&provider, "zhangsan", day, &more))
        });
        let others = token_valid_for(&provider, "lisi", day, &json!({ "sid": "s2" }));
        match &marked {
            Some(marked) => {
                let notice = provider.logout_token(marked);
                let pushed = provider.post_logout_token(menshen.address(), "keycloak", &notice);
                assert_eq!(pushed.await.status, 200, "{what}");
            }
            None => {
                let said = front_channel(&provider, &menshen, "s1", "192.0.2.1").await;
                assert_eq!(said, 200, "{what}");
            }
        }
        for _ in 0..3 {
            advance_an_hour_and_delete_expired(&menshen).await;
        }
        for (face, token) in &before {
            let bearer = format!("Bearer {token}");
            let original = OriginalRequest::get("/echo").header("Authorization", &bearer);
            let heard = original.send_to(*face, menshen.address()).await;
            assert_eq!(heard.verdict, Verdict::Unauthorized, "{what} {face:?}");
        }
        assert_eq!(status(&menshen, "/echo", &others).await, 200, "{what}");
        let after = token_valid_for(&provider, "zhangsan", day, &json!({ "sid": "s3" }));
        assert_eq!(status(&menshen, "/echo", &after).await, 200, "{what}");
    }
}

#[tokio::test]
async fn a_token_over_token_life_max_identifies_no_person() {
    let provider = Provider::new().await;
    let day = 24 * 3600;
    let people = "people = \"keycloak\"";
    let longer = format!("{people}\ntoken_life_max = \"48h\"");
    for (issuer, life_s, good) in [
        (people, day, true),
        (people, day + 1, false),
        (longer.as_str(), 2 * day, true),
        (longer.as_str(), 2 * day + 1, false),
        // The limit does not apply to tokens of programs.
        ("", 400 * day, true),
    ] {
        let menshen = setup(&provider, "", issuer).start().await;
        let token = token_valid_for(&provider, "zhangsan", life_s, &json!({}));
        let answer = bearer("/echo", &token).send(&menshen).await;
        if good {
            assert_eq!(answer.status, 200, "{issuer} {life_s}");
            continue;
        }
        refused(&answer, &format!("{issuer} {life_s}"));
        let reason = last_reason(&menshen);
        assert!(reason.contains("token_life_max"), "{reason}");
    }
}

#[tokio::test]
async fn front_channel_logouts_of_unknown_sessions_are_limited_per_client() {
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let more = format!(
        "{}[issuer.apps]\nurl = \"{}\"\naudiences = [\"{APPS}\"]\npeople = \"keycloak\"\n",
        provider.toml("keycloak"),
        provider.issuer()
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .server(TRUST_LOOPBACK);
    let menshen = setup
        .tables(&more)
        .routes(ROUTES)
        .store(&dir.url())
        .start()
        .await;
    let token = token_valid_for(&provider, "zhangsan", 3600, &json!({ "sid": "known" }));
    assert_eq!(status(&menshen, "/echo", &token).await, 200);
    for at in 0..UNKNOWN {
        let sid = format!("made-up-{at}");
        let said = front_channel(&provider, &menshen, &sid, "203.0.113.9").await;
        assert_eq!(said, 200);
    }
    let marks = async || {
        let content = Meddler::at(&dir.url()).await.content().await;
        let marks = content
            .iter()
            .filter(|row| row.starts_with("menshen_front_channel_mark"));
        marks.count()
    };
    // The limit allows sixty at once and one more per second.
    let noted = marks().await;
    assert!((60..UNKNOWN).contains(&noted), "{noted}");
    assert_eq!(
        front_channel(&provider, &menshen, "another", "192.0.2.7").await,
        200
    );
    assert_eq!(marks().await, noted + 1);
    // A repeated logout adds no record.
    assert_eq!(
        front_channel(&provider, &menshen, "another", "192.0.2.8").await,
        200
    );
    assert_eq!(marks().await, noted + 1);
    let said = front_channel(&provider, &menshen, "known", "203.0.113.9").await;
    assert_eq!((said, status(&menshen, "/echo", &token).await), (200, 401));
}

/// More logouts than the limit allows while the test runs.
const UNKNOWN: usize = 300;
