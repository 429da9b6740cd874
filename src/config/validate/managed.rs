//! Validates `[managed]`.

use super::Problems;
use crate::setting::KeyPath;
use crate::site::settings::VERSIONS_KEPT_MIN;

pub(super) fn validate(problems: &mut Problems<'_>) {
    if problems.config.managed.versions_kept.get() < VERSIONS_KEPT_MIN {
        let key_path = KeyPath::of(["managed", "versions_kept"]);
        let help = format!("at least {VERSIONS_KEPT_MIN}");
        problems.add_at_value(&key_path, "too few versions would be kept", help);
    }
}
