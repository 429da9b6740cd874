//! What an administrator does in the console: dismisses members.

use super::events::{self, DirectoryEvent};
use super::server::Simulation;

/// Removes a member and sends the event.
pub(super) fn dismiss(simulation: &Simulation, userid: &str) {
    let now = simulation.now();
    let mut state = simulation.state();
    state.members.retain(|member| member.userid != userid);
    if let Some(url) = state.event_url.clone() {
        let message = DirectoryEvent::Left(&[userid]).message(now);
        let event = events::seal(&events::sealer(), &message, now);
        tokio::spawn(events::deliver(url, event));
    }
}
