//! `Notice`: what was done, after the redirect that follows a change.

use super::request::ConsoleRequest;
use super::texts::Texts;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Ended,
    EndedAll,
    Closed,
    Opened,
    SyncStarted,
    Saved,
    RolledBack,
    SignedOut,
}

const ALL: [Notice; 8] = [
    Notice::Ended,
    Notice::EndedAll,
    Notice::Closed,
    Notice::Opened,
    Notice::SyncStarted,
    Notice::Saved,
    Notice::RolledBack,
    Notice::SignedOut,
];

impl Notice {
    /// The value of the parameter `done`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::EndedAll => "ended-all",
            Self::Closed => "closed",
            Self::Opened => "opened",
            Self::SyncStarted => "sync",
            Self::Saved => "saved",
            Self::RolledBack => "rolled-back",
            Self::SignedOut => "signed-out",
        }
    }

    pub(super) fn of(request: &ConsoleRequest<'_>) -> Option<Self> {
        let name = request.parameter("done")?;
        ALL.into_iter().find(|notice| notice.name() == name)
    }

    pub(super) fn text(self, texts: &'static Texts) -> &'static str {
        match self {
            Self::Ended => texts.done_ended,
            Self::EndedAll => texts.done_ended_all,
            Self::Closed => texts.done_closed,
            Self::Opened => texts.done_opened,
            Self::SyncStarted => texts.done_sync,
            Self::Saved => texts.done_saved,
            Self::RolledBack => texts.done_rolled_back,
            Self::SignedOut => texts.done_signed_out,
        }
    }
}
