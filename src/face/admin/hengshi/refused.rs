//! `Refused`: a refusal, and whether the audit log has it.

use super::refusal::Refusal;

/// Why a request is refused. [`LiveSite::change`] has audited what it refused; the rest is audited here.
///
/// [`LiveSite::change`]: crate::site::live::LiveSite::change
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) is_audited: bool,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            is_audited: false,
        }
    }
}
