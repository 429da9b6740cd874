//! `/console/sync`: the directories with their last and next syncs.

use super::*;
use crate::sessions::eventually;

const PATH: &str = "/console/sync";

#[tokio::test]
async fn a_directory_shows_its_last_sync_and_when_the_next_one_is_due() {
    let scheduled = setup().wecom("sync_every = \"1h\"\nsync_brake = 100");
    let menshen = scheduled.start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    eventually("the first sync", async || {
        let login = menshen.running.live().site().login.clone();
        let corp = "corp".parse().unwrap();
        let entry = login.entry(&corp).unwrap();
        login.next_sync(entry).await.unwrap().is_some()
    })
    .await;
    let html = visit.get(&format!("{PATH}?lang=en")).await.text();
    assert!(html.contains("every 60 min"), "{html}");
    let (_, next) = html.split_once("Next run</dt>").unwrap();
    let next = next.split("</dd>").next().unwrap();
    assert!(
        next.contains(">in 1 h<") || next.contains(">in 60 min<"),
        "{next}"
    );
    assert!(html.contains("badge good\">Done"), "{html}");
}

#[tokio::test]
async fn a_directory_without_a_schedule_has_no_next_sync() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit.get(&format!("{PATH}?lang=en")).await.text();
    assert!(!html.contains("Next run"), "{html}");
    for (fields, words) in [
        ([("action", "x"), ("connector", "corp")], "no such action"),
        (
            [("action", "sync"), ("connector", "nobody")],
            "no such connector",
        ),
    ] {
        let answer = visit.post(PATH, &fields).await;
        assert_eq!(answer.status, 409);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    let fields = [("action", "sync"), ("connector", "corp")];
    assert_eq!(visit.post(PATH, &fields).await.status, 303);
}
