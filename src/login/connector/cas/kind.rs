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
use crate::text;
use crate::wording::Text;

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
                let message = text!(
                    "this is not the callback URL of a proxy",
                    "这不是代理的回调 URL"
                );
                let help = text!(
                    "write it as the CAS server names it in <cas:proxy>, with https://",
                    "请按 CAS 服务器在 <cas:proxy> 中的写法填写，用 https://"
                );
                problems.push(SettingProblem::value(key_path, message, help));
            }
        }
        if !self.proxies.is_empty() && self.version == Version::V1 {
            let message = text!("version 1.0 has no proxy tickets", "1.0 版没有代理票据");
            let help = text!(
                "remove `proxies`, or write version = \"2.0\" or \"3.0\"",
                "请删除 `proxies`，或写 version = \"2.0\" 或 \"3.0\""
            );
            let key_path = KeyPath::of([NAME, "proxies"]);
            problems.push(SettingProblem::key(key_path, message, help));
        }
        if !self.proxies.is_empty() && self.renew {
            let message = text!(
                "a proxy ticket is never issued for a password that was just entered",
                "刚输入密码的登录不会签发代理票据"
            );
            let help = text!("remove `renew` or `proxies`", "请删除 `renew` 或 `proxies`");
            let key_path = KeyPath::of([NAME, "renew"]);
            problems.push(SettingProblem::key(key_path, message, help));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        if self.allow_http {
            let text = text!(
                "over plain http an attacker in the network can forge any identity: use https://, and \
                        remove this key",
                "明文 http 下，网络中的攻击者可以伪造任何身份：请用 https://，并删除这个键"
            );
            warnings.push((KeyPath::of([NAME, "allow_http"]), text));
        }
        if !self.single_logout {
            let text = text!(
                "a person who signs out at the CAS server stays signed in here until the session \
                        ends: remove this key",
                "在 CAS 服务器退出的人，在这里仍保持登录，直到会话结束：请删除这个键"
            );
            warnings.push((KeyPath::of([NAME, "single_logout"]), text));
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            // `gateway` never shows a page, and `renew` always shows one.
            silent_in: match self.renew {
                true => &[],
                false => &[Mode::Web, Mode::InApp],
            },
            silent_login_help: text!(
                "a cas connector can do so only without `renew`",
                "cas 认证源只有不写 `renew` 时才能做到"
            ),
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
