//! `Degradation`: what does not work as it should, although requests are served.

use crate::wording::Text;

/// Something that does not work as it should. Neither text contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degradation {
    /// For probes, which need no token: without names of files and messages of other systems.
    pub short: Text,
    /// For administrators and the log.
    pub whole: Text,
}

impl From<Text> for Degradation {
    /// A text that everybody may see.
    fn from(text: Text) -> Self {
        Self {
            short: text.clone(),
            whole: text,
        }
    }
}
