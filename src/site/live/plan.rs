//! `LiveSite::plan`: what a change of the managed settings would do.

use super::LiveSite;
use crate::site::settings::{
    Change, ChangeError, Edited, Planned, Precondition, Settings, Strictness,
};

impl LiveSite {
    /// What a change would do. It is checked and built as [`Self::change`] does it, and then dropped.
    ///
    /// # Errors
    /// Those of [`Self::change`].
    pub async fn plan(
        &self,
        change: &Change,
        precondition: Precondition,
    ) -> Result<Planned, ChangeError> {
        let (site, base) = (self.site(), self.newest_settings().await?);
        let older = match change {
            Change::Rollback { version } => Some(self.older_document(*version).await?),
            _ => None,
        };
        let edited = base.edit(change, precondition, older, &site.ring)?;
        let Some(Edited {
            document,
            fields,
            touched,
        }) = edited
        else {
            return Ok(Planned {
                version: base.version(),
                fields: Vec::new(),
            });
        };
        let strictness = Strictness::strict_but_for(&base, &touched);
        let (file, version) = (base.file().clone(), base.version() + 1);
        let settings = Settings::put_together(file, version, document, &site.ring, &strictness)?;
        self.build(settings, &site.ring, &site, &touched).await?;
        Ok(Planned { version, fields })
    }
}
