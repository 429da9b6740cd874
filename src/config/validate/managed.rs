//! Validates `[managed]`.

use super::Problems;
use crate::setting::KeyPath;
use crate::site::settings::VERSIONS_KEPT_MIN;
use crate::text;

pub(super) fn validate(problems: &mut Problems<'_>) {
    if problems.config.managed.versions_kept.get() < VERSIONS_KEPT_MIN {
        let key_path = KeyPath::of(["managed", "versions_kept"]);
        let help = text!("at least {VERSIONS_KEPT_MIN}", "至少 {VERSIONS_KEPT_MIN}");
        problems.add_at_value(
            &key_path,
            text!("too few versions would be kept", "保留的版本太少"),
            help,
        );
    }
}
