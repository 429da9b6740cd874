//! Limits that are written so wide that they limit nothing.

use super::List;
use crate::config::place::Place;
use crate::setting::Period;

/// An answer may outlive its session for no longer than this without a warning.
const JUDGED_AGAIN_MAX: Period = Period::s(300);

pub(super) fn look(list: &mut List<'_>) {
    let limits = &list.config.server.limits;
    let table = Place::of(["server", "limits"]);
    if limits.upstream_share == 100 {
        let text = "one client can keep everybody else from an application: leave some of it";
        list.add(&table.clone().key("upstream_share"), text);
    }
    if limits.upstream_share_anonymous == 100 {
        let text = "strangers on public routes can keep everybody who is signed in from an \
                    application: leave some of it";
        list.add(&table.clone().key("upstream_share_anonymous"), text);
    }
    if limits.connections_per_client_max >= limits.connections_max {
        let text = "one client can keep everybody else from connecting: leave some of \
                    connections_max";
        list.add(&table.clone().key("connections_per_client_max"), text);
    }
    if limits.judged_again_after > JUDGED_AGAIN_MAX {
        let text = "what an application streams outlives its session by so much: the default is \
                    10s";
        list.add(&table.key("judged_again_after"), text);
    }
}
