//! Limits that are written so wide that they limit nothing, or do not fit into those of the system.

use super::List;
use crate::config::place::Place;
use crate::open_files::OpenFiles;
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

/// The default is lowered to what fits without a word.
pub(super) fn open_files(list: &mut List<'_>, files: OpenFiles) {
    let wanted = list.config.server.limits.connections_max;
    let place = Place::of(["server", "limits"]).key("connections_max");
    if wanted > files.clients && list.config.source.has(&place) {
        let text = format!(
            "only {} fit: this process may open {} files; raise its hard limit, which is \
             LimitNOFILE= of a systemd unit",
            files.clients, files.limit
        );
        list.add(&place, text);
    }
}
