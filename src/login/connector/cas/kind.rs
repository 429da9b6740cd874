//! `impl Kind` for `[connector.ID.cas]`: problems, warnings and features of the settings.

use std::sync::Arc;

use url::Url;

use super::super::{
    Callback, Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, Features, Kind,
    LoginMethod, LogoutMessageForm, SettingProblem,
};
use super::addresses::Addresses;
use super::config::Version;
use super::{Cas, Config, MAPPING, logout, ticket};
use crate::login::pending::Mode;
use crate::secret::SecretSource;
use crate::setting::{KeyPath, sends_in_clear_text};

pub(in crate::login::connector) const NAME: &str = "cas";

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        Vec::new()
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        if let Err(error) = Addresses::of(self) {
            let key_path = KeyPath::of([NAME, error.key]);
            problems.push(SettingProblem::value(key_path, error.message, error.help));
        }
        for (index, proxy) in self.proxies.iter().enumerate() {
            if !is_proxy_url(proxy) {
                let key_path = KeyPath::of([NAME, "proxies"]).item(index);
                let message = "this is not the callback URL of a proxy";
                let help = "write it as the CAS server names it in <cas:proxy>, with https://";
                problems.push(SettingProblem::value(key_path, message, help));
            }
        }
        if !self.proxies.is_empty() && self.version == Version::V1 {
            let message = "version 1.0 has no proxy tickets";
            let help = "remove `proxies`, or write version = \"2.0\" or \"3.0\"";
            let key_path = KeyPath::of([NAME, "proxies"]);
            problems.push(SettingProblem::key(key_path, message, help));
        }
        if !self.proxies.is_empty() && self.renew {
            let message = "a proxy ticket is never issued for a password that was just entered";
            let help = "remove `renew` or `proxies`";
            let key_path = KeyPath::of([NAME, "renew"]);
            problems.push(SettingProblem::key(key_path, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        if self.allow_http {
            let text = "over plain http an attacker in the network can forge any identity: use https://, and \
                        remove this key";
            warnings.push((KeyPath::of([NAME, "allow_http"]), text.to_owned()));
        }
        if !self.single_logout {
            let text = "a person who signs out at the CAS server stays signed in here until the session \
                        ends: remove this key";
            warnings.push((KeyPath::of([NAME, "single_logout"]), text.to_owned()));
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            // `gateway` never shows a page, and `renew` always shows one.
            silent_in: match self.renew {
                true => &[],
                false => &[Mode::Web, Mode::InApp],
            },
            silent_login_help: "a cas connector can do so only without `renew`",
            login_method: LoginMethod::Callback(Callback {
                program_ticket: Some(ticket::PARAMETER),
                logout_message: self.single_logout.then_some(LogoutMessageForm {
                    field: logout::MESSAGE_FIELD,
                    bytes_max: logout::MESSAGE_BYTES_MAX,
                }),
                ..Callback::default()
            }),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Cas::build(self, deps)?))
    }
}

/// A proxy proves who it is by the certificate of its callback URL, so it has https, except on this machine.
fn is_proxy_url(text: &str) -> bool {
    let is_usable = |url: Url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && !sends_in_clear_text(&url)
    };
    text.trim() == text && Url::parse(text).is_ok_and(is_usable)
}
