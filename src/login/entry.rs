//! `ConnectorEntry`: one configured connector, and how logins begin with it.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::connector::{AutoLogin, Connector, ConnectorConfig, Features, LoginMethod};
use super::health::ConnectorHealth;
use super::pending::Mode;
use crate::clock::Timestamp;
use crate::outbound::Reach;
use crate::people::AdmissionPolicy;
use crate::people::profile::ProfileMappingError;
use crate::people::session::{Person, SessionTimeouts};
use crate::setting::Label;
use crate::store::ConnectorId;

/// One configured connector.
#[derive(Debug)]
pub struct ConnectorEntry {
    pub id: ConnectorId,
    /// The name on the sign-in page.
    pub display_name: Label,
    pub callback: Url,
    pub config: ConnectorConfig,
    /// The addresses that it contacts.
    pub(super) reach: Reach,
    /// The name of its kind: `wecom`.
    pub kind: &'static str,
    pub features: Features,
    pub connector: Arc<dyn Connector>,
    /// What this process has seen of the source.
    pub health: ConnectorHealth,
    pub(super) admission: AdmissionPolicy,
}

impl ConnectorEntry {
    /// What the mapping makes of a raw profile: each field with its value, which is null if the profile has
    /// none, or with the error of its expression.
    pub fn preview_mapping(&self, raw: &Value) -> Vec<(String, Result<Value, String>)> {
        self.admission.mapping.preview(raw)
    }

    /// The person right after a first login with a raw profile; nobody signs in.
    ///
    /// # Errors
    /// A login with this profile would fail.
    pub fn preview_person(
        &self,
        raw: &Value,
        timeouts: &SessionTimeouts,
        now: Timestamp,
    ) -> Result<Person, ProfileMappingError> {
        self.admission.preview(raw, timeouts, now)
    }

    /// The mode of a login: the forced one, the requested one, or the one for the User-Agent.
    pub(super) fn mode(&self, requested: Option<Mode>, user_agent: &str) -> Mode {
        self.features.forced_mode.or(requested).unwrap_or_else(|| {
            if self.features.is_app_of_source(user_agent) {
                Mode::InApp
            } else {
                Mode::Web
            }
        })
    }

    /// Whether a login can run without any page of the source in this browser.
    pub fn can_log_in_silently(&self, user_agent: &str) -> bool {
        let mode = self.mode(None, user_agent);
        // The in-app mode is silent only inside the source's own app.
        let is_usable = mode == Mode::Web || self.features.is_app_of_source(user_agent);
        is_usable && self.features.silent_in.contains(&mode)
    }

    /// Whether people can begin a login here; otherwise only the source starts logins.
    pub fn can_begin_login(&self) -> bool {
        self.features.login_method != LoginMethod::EntryOnly
    }

    /// Whether people enter a user name and a password in menshen's own form.
    pub fn uses_password_form(&self) -> bool {
        self.features.login_method == LoginMethod::PasswordForm
    }

    /// Whether a login begins without a click in this browser.
    pub fn auto_starts_for(&self, user_agent: &str) -> bool {
        match self.config.auto_login {
            _ if !self.can_begin_login() => false,
            AutoLogin::Never => false,
            AutoLogin::InApp => self.features.is_app_of_source(user_agent),
            AutoLogin::Always => true,
        }
    }

    /// Whether this User-Agent is that of the source's own app.
    pub fn is_app_of_source(&self, user_agent: &str) -> bool {
        self.features.is_app_of_source(user_agent)
    }

    /// Where a login without a return address ends: a path or a URL of this site.
    pub fn default_return_to(&self, user_agent: &str) -> &str {
        let is_mobile = ["Mobi", "Android", "iPhone", "iPad"]
            .iter()
            .any(|part| user_agent.contains(part));
        if is_mobile {
            &self.config.home.mobile
        } else {
            &self.config.home.desktop
        }
    }
}
