use super::schedule::PAUSE_MIN;
use super::*;

fn connector() -> ConnectorId {
    "corp".parse().unwrap()
}

fn event(number: u8, change: DirectoryChange) -> DirectoryEvent {
    DirectoryEvent {
        id: [number; 32],
        change: Some(change),
    }
}

fn updated(number: u8) -> DirectoryEvent {
    let subject = format!("ww1:{number}").parse().unwrap();
    event(number, DirectoryChange::PersonUpdated(subject))
}

fn deleted(number: u8) -> DirectoryEvent {
    let subject = format!("ww1:{number}").parse().unwrap();
    event(number, DirectoryChange::PersonDeleted(subject))
}

#[tokio::test(start_paused = true)]
async fn deletions_are_handled_first_and_each_event_once() {
    let queue = EventQueue::default();
    for event in [updated(1), updated(2), deleted(3), deleted(4), updated(1)] {
        queue.accept(&connector(), event, 4).unwrap();
    }
    let without_change = DirectoryEvent {
        id: [9; 32],
        change: None,
    };
    let accepted = queue.accept(&connector(), without_change, 4);
    assert_eq!(accepted, Ok(Accepted::Ignored));
    for expected in [deleted(3), deleted(4), updated(1), updated(2)] {
        let running = queue.next().await;
        assert_eq!(Some(running.change()), expected.change.as_ref());
        running.finish();
    }
    let accepted = queue.accept(&connector(), deleted(3), 4);
    assert_eq!(accepted, Ok(Accepted::Ignored));
    // Each connector has its own events, even with the same ID.
    let other_connector = "other".parse().unwrap();
    let accepted = queue.accept(&other_connector, deleted(3), 4);
    assert_eq!(accepted, Ok(Accepted::Queued));
    queue.next().await.finish();
    assert_eq!(queue.drain(Duration::ZERO).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_an_earlier_rename_of_the_same_person() {
    let queue = EventQueue::default();
    let renamed = |number: u8, to: u8| {
        let subject = |number| format!("ww1:{number}").parse().unwrap();
        let (from, to) = (subject(number), subject(to));
        event(100 + number, DirectoryChange::PersonRenamed { from, to })
    };
    // The rename of 7 comes after the deletion of 7: that is another person's.
    for event in [
        renamed(1, 2),
        deleted(2),
        deleted(3),
        deleted(7),
        renamed(7, 8),
    ] {
        queue.accept(&connector(), event, 9).unwrap();
    }
    for expected in [deleted(3), deleted(7)] {
        let running = queue.next().await;
        assert_eq!(Some(running.change()), expected.change.as_ref());
        running.finish();
    }
    // The deletion also waits while the rename runs, and when it is repeated.
    let rename = queue.next().await;
    assert_eq!(Some(rename.change()), renamed(1, 2).change.as_ref());
    let other = queue.next().await;
    assert_eq!(Some(other.change()), renamed(7, 8).change.as_ref());
    other.finish();
    rename.retry();
    let rename = queue.next().await;
    assert_eq!(Some(rename.change()), renamed(1, 2).change.as_ref());
    rename.finish();
    let running = queue.next().await;
    assert_eq!(Some(running.change()), deleted(2).change.as_ref());
    running.finish();
}

#[tokio::test(start_paused = true)]
async fn an_event_that_does_not_fit_may_be_delivered_again() {
    let queue = EventQueue::default();
    queue.accept(&connector(), updated(1), 1).unwrap();
    assert_eq!(queue.accept(&connector(), updated(2), 1), Err(QueueFull));
    queue.next().await.finish();
    let accepted = queue.accept(&connector(), updated(2), 1);
    assert_eq!(accepted, Ok(Accepted::Queued));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_paused_twice_as_long_each_time() {
    let queue = EventQueue::default();
    queue.accept(&connector(), updated(1), 9).unwrap();
    queue.next().await.retry();
    let mut failed_at = Instant::now();
    for pause_s in [1, 2, 4, 8, 16, 32, 60, 60] {
        let running = queue.next().await;
        assert_eq!(failed_at.elapsed().as_secs(), pause_s);
        assert!(!running.is_first_attempt());
        failed_at = Instant::now();
        running.retry();
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_store_refuses_is_given_up_and_delays_no_other() {
    let queue = EventQueue::default();
    queue.accept(&connector(), deleted(1), 9).unwrap();
    let mut attempts = 1;
    loop {
        let running = queue.next().await;
        if running.is_refused_for_good() {
            running.finish();
            break;
        }
        running.retry_alone();
        attempts += 1;
        let begun = Instant::now();
        queue.accept(&connector(), updated(attempts), 9).unwrap();
        let other = queue.next().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        other.finish();
    }
    assert_eq!(u32::from(attempts), REFUSALS_MAX);
    assert_eq!(queue.drain(Duration::ZERO).await, 0);
    let accepted = queue.accept(&connector(), deleted(1), 9);
    assert_eq!(accepted, Ok(Accepted::Ignored));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_does_not_delay_another() {
    let queue = EventQueue::default();
    let other_connector: ConnectorId = "other".parse().unwrap();
    queue.accept(&connector(), deleted(1), 9).unwrap();
    queue.next().await.retry();
    queue.accept(&connector(), deleted(2), 9).unwrap();
    queue.accept(&other_connector, updated(3), 9).unwrap();
    let begun = Instant::now();
    let running = queue.next().await;
    assert_eq!(
        (running.connector(), begun.elapsed()),
        (&other_connector, Duration::ZERO)
    );
    running.finish();
    // The source of the other two events is paused, and one success ends the pause.
    let running = queue.next().await;
    assert!(begun.elapsed() >= PAUSE_MIN);
    running.finish();
    queue.next().await.finish();
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_running_events_and_counts_those_left() {
    let queue = EventQueue::default();
    queue.accept(&connector(), updated(1), 9).unwrap();
    let running = queue.next().await;
    let drains = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.drain(Duration::from_secs(60)).await })
    };
    tokio::task::yield_now().await;
    running.finish();
    assert_eq!(drains.await.unwrap(), 0);
    queue.accept(&connector(), updated(2), 9).unwrap();
    assert_eq!(queue.drain(Duration::from_secs(5)).await, 1);
}
