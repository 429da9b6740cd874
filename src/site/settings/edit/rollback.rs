//! Returns to an older version.

use super::Edit;
use crate::site::settings::{ManagedConnector, ManagedDocument};

impl Edit<'_> {
    /// Takes over the content of an older version. What has changed since gets another etag.
    pub(super) fn roll_back(&mut self, older: ManagedDocument) {
        let before = &self.settings.document;
        let mut document = older;
        for (id, managed) in &mut document.connectors {
            let now = before.connectors.get(id);
            let is_same =
                |now: &ManagedConnector| managed.settings.equals(&now.settings, self.ring, id);
            if !now.is_some_and(is_same) {
                managed.etag = self.number;
                self.edited.fields.push(format!("connector.{id}"));
                self.edited.touched.push(id.clone());
            } else if let Some(now) = now {
                managed.etag = now.etag;
            }
        }
        for id in before.connectors.keys() {
            if !document.connectors.contains_key(id) {
                self.edited.fields.push(format!("connector.{id}"));
                self.edited.touched.push(id.clone());
            }
        }
        let (login, was) = (&mut document.login, &before.login);
        if (&login.default, &login.order) != (&was.default, &was.order) {
            login.etag = self.number;
            self.edited.fields.push("login".to_owned());
        } else {
            login.etag = was.etag;
        }
        if document.enabled != before.enabled {
            self.edited.fields.push("enabled".to_owned());
        }
        for (id, kind) in &before.kinds {
            document.kinds.insert(id.clone(), kind.clone());
        }
        self.edited.document = document;
    }
}
