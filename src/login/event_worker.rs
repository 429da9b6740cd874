//! Handles the events of sources in the background.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::connector::DirectoryChange;
use super::event_queue::{EventQueue, RunningEvent};
use super::person_check::{CheckCause, CheckFailed};
use super::{ConnectorEntry, Login};
use crate::people::directory_sync::SyncScope;
use crate::telemetry::error_chain;

/// The most events that are handled at the same time.
const CONCURRENT_MAX: usize = 8;

/// How long the store recognizes a repeated delivery. Lark repeats for about seven hours, others for minutes.
const RECOGNIZED_FOR: Duration = Duration::from_secs(8 * 3600);

/// Handles events until it is dropped. `current` returns the logins of the active configuration.
pub async fn handle_events(queue: EventQueue, current: impl Fn() -> Login) {
    let slots = Arc::new(Semaphore::new(CONCURRENT_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let event = queue.next().await;
        let login = current();
        tokio::spawn(async move {
            let _slot = slot;
            match login.handle_event(&event).await {
                Ok(()) => event.finish(),
                Err(CheckFailed::Temporary) => event.retry(),
                Err(CheckFailed::Record) if event.is_refused_for_good() => {
                    login.give_up(&event).await;
                    event.finish();
                }
                Err(CheckFailed::Record) => event.retry_alone(),
            }
        });
    }
}

impl Login {
    /// Handles an event, unless a process of this site has handled it. It is recorded as handled at the end:
    /// if this process dies before, a repeated delivery is handled.
    async fn handle_event(&self, event: &RunningEvent) -> Result<(), CheckFailed> {
        let Some(entry) = self.entry(event.connector()) else {
            return Ok(());
        };
        if event.is_first_attempt() && self.is_handled(event).await {
            return Ok(());
        }
        self.confirm_change(entry, event).await?;
        self.record_handled(event).await;
        Ok(())
    }

    /// Records an event as handled that leads to something that the store refuses every time.
    async fn give_up(&self, event: &RunningEvent) {
        tracing::error!(
            connector = %event.connector(),
            change = ?event.change(),
            "an event is given up: the store refuses what it leads to, and the line above says why"
        );
        self.record_handled(event).await;
    }

    /// Asks the source whether the reported change is true, and acts on the answer.
    async fn confirm_change(
        &self,
        entry: &Arc<ConnectorEntry>,
        event: &RunningEvent,
    ) -> Result<(), CheckFailed> {
        match event.change() {
            DirectoryChange::PersonUpdated(subject) => {
                let cause = CheckCause::UpdateEvent;
                self.check_person(entry, subject, cause).await?;
                self.request_sync(entry, SyncScope::Person(subject.clone()));
                Ok(())
            }
            DirectoryChange::PersonAdded(subject) => {
                self.request_sync(entry, SyncScope::Person(subject.clone()));
                Ok(())
            }
            DirectoryChange::PersonDeleted(subject) => {
                let cause = CheckCause::DeletionEvent;
                self.check_person(entry, subject, cause).await
            }
            DirectoryChange::PersonRenamed { from, to } => {
                self.rename_person(entry, from, to).await?;
                let cause = CheckCause::UpdateEvent;
                self.check_person(entry, from, cause).await?;
                self.check_person(entry, to, cause).await?;
                self.request_sync(entry, SyncScope::Person(to.clone()));
                Ok(())
            }
            DirectoryChange::Department(id) => {
                if Arc::clone(&entry.connector).person_lookup().is_some() {
                    self.announce_department_change(entry).await?;
                }
                let part = id.clone().map(SyncScope::Department);
                self.request_sync(entry, part.unwrap_or(SyncScope::Everything));
                Ok(())
            }
        }
    }

    /// Whether a process has handled this event. If the store fails, the event counts as new: to handle it
    /// twice only asks the source twice.
    async fn is_handled(&self, event: &RunningEvent) -> bool {
        let handled = self.people.is_event_handled(event.id()).await;
        handled.unwrap_or_else(|error| {
            tracing::debug!(error = %error_chain(&error), "whether an event was handled is unknown");
            false
        })
    }

    async fn record_handled(&self, event: &RunningEvent) {
        let until = self.clock.now().plus(RECOGNIZED_FOR);
        if let Err(error) = self.people.record_handled_event(event.id(), until).await {
            tracing::debug!(error = %error_chain(&error), "that an event was handled could not be stored");
        }
    }
}
