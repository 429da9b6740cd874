//! What strangers say through the front channel of one connector costs nobody else's logout.

use crate::records::Records;
use crate::sessions::eventually;
use crate::stores::{Meddler, TempDir};

use super::logged_out::{an_hour_later, front_channel, front_channel_of, living};
use super::*;

/// How many such logouts are noted for each connector.
const NOTED_MAX: usize = 50_000;

/// An instance of menshen with two connectors to one provider: `keycloak`, whose people bring tokens, and `busy`.
async fn two(provider: &Provider, dir: &TempDir, login: &str) -> Menshen {
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

/// As if so many logouts of one connector had been noted, for ever.
async fn fill(dir: &TempDir, connector: &str, marks: usize) {
    let mut meddler = Meddler::at(&dir.url()).await;
    meddler
        .run(&format!(
            "INSERT INTO front_channel_mark (connector, sid, at, until) \
             WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {marks}) \
             SELECT '{connector}', 'made up ' || n, 1, 9223372036854775807 FROM many"
        ))
        .await;
}

/// How many logouts of a connector are noted.
async fn noted(dir: &TempDir, connector: &str) -> usize {
    let content = Meddler::at(&dir.url()).await.content().await;
    let named = format!("'{connector}'");
    let marks = content
        .iter()
        .filter(|row| row.starts_with("front_channel_mark") && row.contains(&named));
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
async fn a_logout_through_one_connector_is_kept_whatever_comes_through_another() {
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let menshen = two(&provider, &dir, "").await;
    let token = living(&provider, "zhangsan", 3600, &json!({ "sid": "one" }));
    let said = front_channel(&provider, &menshen, "one", "192.0.2.1").await;
    assert_eq!(said, 200);
    // And a login that is under way, through the connector whose people bring no tokens.
    let mut browser = Browser::new(&menshen);
    let back = provider.callback_url(&mut browser, "busy", "lisi").await;
    let sid = provider.sids("lisi")[0].clone();
    let said = front_channel_of("busy", &provider, &menshen, (&sid, "192.0.2.1")).await;
    assert_eq!(said, 200);

    fill(&dir, "corp", NOTED_MAX).await;
    fill(&dir, "another", NOTED_MAX).await;
    for connector in ["keycloak", "busy"] {
        let client = (format!("made-up-at-{connector}"), "192.0.2.2");
        let said = front_channel_of(connector, &provider, &menshen, (&client.0, client.1)).await;
        assert_eq!(said, 200, "{connector}");
    }
    let page = browser.follow(&back).await;
    assert_ne!(page.answer.status, 200, "the login outlives its logout");
    assert_eq!(status(&menshen, "/echo", &token).await, 401);
    assert_eq!(noted(&dir, "corp").await, NOTED_MAX);
}

#[tokio::test]
async fn a_login_under_way_never_outlives_its_logout() {
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let menshen = two(&provider, &dir, "").await;
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
        assert!(noted(&dir, by).await > 0, "{by} after {waits_s} s");
    }
    // Where only logins need it, it is gone after them.
    menshen.advance(Duration::from_secs(700));
    let sessions = &menshen.running.live().services().sessions;
    sessions.delete_expired().await.unwrap();
    assert_eq!(noted(&dir, "busy").await, 0);
    assert_eq!(noted(&dir, "keycloak").await, 1);
}

#[tokio::test]
async fn a_connector_notes_so_many_logouts_a_minute_and_another_still_notes_its_own() {
    Records::process_log();
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let login = "finishes_per_client_per_minute = 1000\nfinishes_per_minute = 5";
    let menshen = two(&provider, &dir, login).await;
    for at in 0..40 {
        let (sid, client) = (format!("made-up-{at}"), format!("203.0.113.{at}"));
        let said = front_channel_of("busy", &provider, &menshen, (&sid, &client)).await;
        assert_eq!(said, 200, "{at}");
    }
    // Five at once, and one in twelve seconds.
    let busy = noted(&dir, "busy").await;
    assert!((5..40).contains(&busy), "{busy}");
    let token = living(&provider, "zhangsan", 3600, &json!({ "sid": "one" }));
    let said = front_channel(&provider, &menshen, "one", "192.0.2.1").await;
    assert_eq!((said, noted(&dir, "keycloak").await), (200, 1));
    assert_eq!(status(&menshen, "/echo", &token).await, 401);
    // One line a second at most, of whatever connector.
    eventually("the log names the connector", async || {
        front_channel_of("busy", &provider, &menshen, ("again", "203.0.113.1")).await;
        warnings("busy", "is not remembered") > 0
    })
    .await;
}

#[tokio::test]
async fn a_logout_that_ends_a_session_is_remembered_whatever_strangers_say() {
    let (provider, dir) = (Provider::new().await, TempDir::new());
    let login = "finishes_per_client_per_minute = 1";
    let menshen = two(&provider, &dir, login).await;
    let day = 24 * 3600;
    let [shown, later] = ["shown", "later"].map(|jti| {
        living(
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
        an_hour_later(&menshen).await;
    }
    for token in [&shown, &later] {
        assert_eq!(status(&menshen, "/echo", token).await, 401);
    }
}

#[tokio::test]
async fn a_logout_that_is_forgotten_before_its_time_is_warned_of() {
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
    fill(&dir, "flooded", NOTED_MAX - 1).await;
    assert_eq!(warnings("flooded", words), 0);
    let mut names = 0..;
    eventually("the log names the connector", async || {
        say(&format!("further-{}", names.next().unwrap())).await;
        warnings("flooded", words) > 0
    })
    .await;
    assert_eq!(noted(&dir, "flooded").await, NOTED_MAX);
    // What is over makes room without a word.
    let mut meddler = Meddler::at(&dir.url()).await;
    let over = "UPDATE front_channel_mark SET until = 1 WHERE sid LIKE 'made up%'";
    meddler.run(over).await;
    let before = warnings("flooded", words);
    for at in 0..5 {
        say(&format!("later-{at}")).await;
    }
    assert_eq!(warnings("flooded", words), before);
}
