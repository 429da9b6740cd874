//! A process that is killed while it syncs.

use std::process::{Command, Stdio};
use std::time::Duration;

use menshen::clock::Clock;
use menshen::store::{self, Store, StoreOptions};

use super::*;
use crate::sessions::eventually;
use crate::stores::TempDir;

const PEOPLE: u32 = 2_000;
const DEPARTMENTS: u32 = 40;

/// How many people of the connector are in the store.
async fn people_count(store: &dyn Store) -> usize {
    let connector = corp();
    let mut count = 0;
    let mut after = None;
    loop {
        let page = store.source_identities(&connector, after.as_ref(), 1_000);
        let page = page.await.unwrap();
        count += page.len();
        match page.last() {
            Some(last) => after = Some(last.subject.clone()),
            None => return count,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_was_killed_is_completed_by_the_next_one() {
    let dir = TempDir::new();
    // A lease of the killed process ends after a minute: this clock is ahead by more.
    let now = Clock::system().now();
    let clock = Clock::manual(now.plus(Duration::from_secs(600)));
    let setup = setup().store(&dir.url()).clock(&clock);
    let menshen = setup.start().await;
    menshen.wecom.generate_company(PEOPLE, DEPARTMENTS);
    // The other process has the same configuration and a schedule, and begins at once.
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let text = text.replace("sync_brake = 100", "sync_brake = 100\nsync_every = \"1h\"");
    let config = dir.file().with_file_name("killed.toml");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
    command.args(["run", "-c"]).arg(&config);
    let mut killed = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (url, options) = (dir.store_url(), StoreOptions::default());
    let reader = store::open_read_only(&url, &options).await.unwrap();
    eventually("in the middle", async || people_count(&*reader).await > 0).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let half = people_count(&*reader).await;
    assert!(half < PEOPLE as usize, "the sync was over: {half}");
    // It wrote whole transactions, and nobody was closed.
    assert_eq!(half % 100, 0);
    let report = sync(&menshen).await;
    let created = usize::try_from(report.people.created).unwrap();
    assert_eq!(half + created, PEOPLE as usize, "{report:?}");
    assert_eq!(report.people.closed, 0, "{report:?}");
    let report = sync(&menshen).await;
    let people = report.people;
    assert_eq!(
        (people.created, people.updated, people.closed),
        (0, 0, 0),
        "{report:?}"
    );
}
