//! Front-channel logouts of unknown sessions do not displace other logouts.

use crate::records::Records;
use crate::sessions::eventually;
use crate::stores::{Meddler, TempDir};

use super::logged_out::{
    advance_an_hour_and_delete_expired, front_channel, front_channel_of, token_valid_for,
};
use super::*;

/// The number of front-channel logouts that are recorded for each connector.
const LOGOUT_RECORDS_MAX: usize = 50_000;

/// An instance of menshen with two connectors to one provider: `keycloak`, whose people bring tokens, and `busy`.
async fn start_with_two_connectors(provider: &Provider, dir: &TempDir, login: &str) -> Menshen {
    let more = format!(
        "{}{}[login]\n{login}\n[issuer.apps]\nurl = \"{}\"\naudiences = [\"{APPS}\"]\n\
         people = \"keycloak\"\n",
        provider.toml("keycloak"),
        provider.toml("busy"),
        provider.issuer()
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .server(TRUST_LOOPBACK);
    let setup = setup.tables(&more).routes(ROUTES).store(&dir.url());
    setup.start().await
}

/// Inserts logout records of a connector that never expire.
async fn insert_logout_records(dir: &TempDir, connector: &str, marks: usize) {
    let mut meddler = Meddler::at(&dir.url()).await;
    meddler
        .run(&format!(
            "INSERT INTO menshen_front_channel_mark (connector, sid, at, until) \
             WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {marks}) \
             SELECT '{connector}', 'made up ' || n, 1, 9223372036854775807 FROM many"
        ))
        .await;
}

/// The number of recorded logouts of a connector.
async fn logout_records(dir: &TempDir, connector: &str) -> usize {
    let content = Meddler::at(&dir.url()).await.content().await;
    let named = format!("'{connector}'");
    let marks = content
        .iter()
        .filter(|row| row.starts_with("menshen_front_channel_mark") && row.contains(&named));
    marks.count()
}

/// The warnings of the log that name this connector and hold these words.
fn warnings(connector: &str, words: &str) -> usize {
    let named = format!("\"connector\":\"{connector}\"");
    let text = Records::process_log().text();
    let lines = text.lines().filter(|line| line.contains("\"WARN\""));
    lines
        .filter(|line| line.contains(&named) && line.contains(words))
        .count()
}

#[tokio::test]
async fn logouts_of_other_connectors_do_not_evict_a_logout() {
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let menshen = start_with_two_connectors(&provider, &dir, "").await;
    let token = token_valid_for(&provider, "zhangsan", 3600, &json!({ "sid": "one" }));
    let said = front_channel(&provider, &menshen, "one", "192.0.2.1").await;
    assert_eq!(said, 200);
    // A login is in progress, through the connector without bearer tokens.
    let mut browser = Browser::new(&menshen);
    let back = provider.callback_url(&mut browser, "busy", "lisi").await;
    let sid = provider.sids("lisi")[0].clone();
    let said = front_channel_of("busy", &provider, &menshen, (&sid, "192.0.2.1")).await;
    assert_eq!(said, 200);

    insert_logout_records(&dir, "corp", LOGOUT_RECORDS_MAX).await;
    insert_logout_records(&dir, "another", LOGOUT_RECORDS_MAX).await;
    for connector in ["keycloak", "busy"] {
        let client = (format!("made-up-at-{connector}"), "192.0.2.2");
        let said = front_channel_of(connector, &provider, &menshen, (&client.0, client.1)).await;
        assert_eq!(said, 200, "{connector}");
    }
    let page = browser.follow(&back).await;
    assert_ne!(page.answer.status, 200, "the login outlives its logout");
    assert_eq!(status(&menshen, "/echo", &token).await, 401);
    assert_eq!(logout_records(&dir, "corp").await, LOGOUT_RECORDS_MAX);
}

#[tokio::test]
async fn a_login_in_progress_creates_no_session_after_its_logout() {
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let menshen = start_with_two_connectors(&provider, &dir, "").await;
    provider.set(|settings| settings.code_lifetime_s = 3600);
    for (waits_s, by, login) in [
        (0, "busy", "lisi"),
        (590, "busy", "zhangsan"),
        (590, "keycloak", "boss"),
    ] {
        provider.person(login);
        let mut browser = Browser::new(&menshen);
        let back = provider.callback_url(&mut browser, by, login).await;
        let sid = provider.sids(login)[0].clone();
        let said = front_channel_of(by, &provider, &menshen, (&sid, "192.0.2.1")).await;
        assert_eq!(said, 200);
        menshen.advance(Duration::from_secs(waits_s));
        let sessions = &menshen.running.live().services().sessions;
        sessions.delete_expired().await.unwrap();
        let page = browser.follow(&back).await;
        assert_ne!(page.answer.status, 200, "{by} after {waits_s} s");
        assert!(logout_records(&dir, by).await > 0, "{by} after {waits_s} s");
    }
    // For a connector without bearer tokens the record is deleted after the login time limit.
    menshen.advance(Duration::from_secs(700));
    let sessions = &menshen.running.live().services().sessions;
    sessions.delete_expired().await.unwrap();
    assert_eq!(logout_records(&dir, "busy").await, 0);
    assert_eq!(logout_records(&dir, "keycloak").await, 1);
}

#[tokio::test]
async fn logouts_of_unknown_sessions_are_limited_per_connector() {
    Records::process_log();
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let login = "finishes_per_client_per_minute = 1000\nfinishes_per_minute = 5";
    let menshen = start_with_two_connectors(&provider, &dir, login).await;
    for at in 0..40 {
        let (sid, client) = (format!("made-up-{at}"), format!("203.0.113.{at}"));
        let said = front_channel_of("busy", &provider, &menshen, (&sid, &client)).await;
        assert_eq!(said, 200, "{at}");
    }
    // The limit allows five at once and one more every twelve seconds.
    let busy = logout_records(&dir, "busy").await;
    assert!((5..40).contains(&busy), "{busy}");
    let token = token_valid_for(&provider, "zhangsan", 3600, &json!({ "sid": "one" }));
    let said = front_channel(&provider, &menshen, "one", "192.0.2.1").await;
    assert_eq!((said, logout_records(&dir, "keycloak").await), (200, 1));
    assert_eq!(status(&menshen, "/echo", &token).await, 401);
    // All connectors together write at most one warning per second.
    eventually("the log names the connector", async || {
        front_channel_of("busy", &provider, &menshen, ("again", "203.0.113.1")).await;
        warnings("busy", "is not remembered") > 0
    })
    .await;
}

#[tokio::test]
async fn a_logout_that_ends_a_session_is_recorded_beyond_the_limit() {
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let login = "finishes_per_client_per_minute = 1";
    let menshen = start_with_two_connectors(&provider, &dir, login).await;
    let day = 24 * 3600;
    let [shown, later] = ["shown", "later"].map(|jti| {
        token_valid_for(
            &provider,
            "zhangsan",
            day,
            &json!({ "sid": "one", "jti": jti }),
        )
    });
    assert_eq!(status(&menshen, "/echo", &shown).await, 200);
    let client = "203.0.113.9";
    for sid in ["made-up-1", "made-up-2", "one"] {
        assert_eq!(front_channel(&provider, &menshen, sid, client).await, 200);
    }
    for _ in 0..3 {
        advance_an_hour_and_delete_expired(&menshen).await;
    }
    for token in [&shown, &later] {
        assert_eq!(status(&menshen, "/echo", token).await, 401);
    }
}

#[tokio::test]
async fn dropping_a_logout_record_early_is_logged_as_a_warning() {
    Records::process_log();
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let more = format!(
        "{}[issuer.apps]\nurl = \"{}\"\naudiences = [\"{APPS}\"]\npeople = \"flooded\"\n",
        provider.toml("flooded"),
        provider.issuer()
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .server(TRUST_LOOPBACK);
    let setup = setup.tables(&more).routes(ROUTES);
    let menshen = setup.store(&dir.url()).start().await;
    let say = async |sid: &str| {
        let said = front_channel_of("flooded", &provider, &menshen, (sid, "192.0.2.1"));
        assert_eq!(said.await, 200);
        let sessions = &menshen.running.live().services().sessions;
        sessions.delete_expired().await.unwrap();
    };
    let words = "dropped before";
    say("first").await;
    insert_logout_records(&dir, "flooded", LOGOUT_RECORDS_MAX - 1).await;
    assert_eq!(warnings("flooded", words), 0);
    let mut names = 0..;
    eventually("the log names the connector", async || {
        say(&format!("further-{}", names.next().unwrap())).await;
        warnings("flooded", words) > 0
    })
    .await;
    assert_eq!(logout_records(&dir, "flooded").await, LOGOUT_RECORDS_MAX);
    // Expired records are replaced without a warning.
    let mut meddler = Meddler::at(&dir.url()).await;
    let over = "UPDATE menshen_front_channel_mark SET until = 1 WHERE sid LIKE 'made up%'";
    meddler.run(over).await;
    let before = warnings("flooded", words);
    for at in 0..5 {
        say(&format!("later-{at}")).await;
    }
    assert_eq!(warnings("flooded", words), before);
}
