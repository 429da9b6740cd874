//! `impl Kind` for `[connector.ID.jwt]`: problems, warnings and features of the settings.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::super::entry_settings::{ANY_ORIGIN, entry_parameter_problem, origin_problems};
use super::super::kit::jose_keys::KeyEncoding;
use super::super::{
    Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, EntryPlace, EntryPoint,
    Features, Kind, LoginMethod, SettingProblem,
};
use super::{Config, Jwt};
use crate::expression::Scope;
use crate::secret::SecretSource;
use crate::setting::{KeyPath, sends_in_clear_text};
use crate::text;
use crate::wording::Text;

pub(in crate::login::connector) const NAME: &str = "jwt";

/// Above these values `check` warns.
const USUAL_LIFETIME_MAX: Duration = Duration::from_secs(3_600);
const USUAL_SKEW_MAX: Duration = Duration::from_secs(300);

const MAPPING: &[(&str, &str)] = &[
    (
        "login",
        "has(profile.preferred_username) && profile.preferred_username != '' ? \
         profile.preferred_username : profile.sub",
    ),
    ("name", "profile.name"),
    ("email", "profile.email"),
    ("mobile", "profile.phone_number"),
    ("groups", "profile.groups"),
    ("roles", "profile.roles"),
];

/// A key of the table, or of a table in it.
fn key_path<'a, const N: usize>(keys: [&'a str; N]) -> KeyPath<'a> {
    KeyPath::of([NAME]).join(KeyPath::of(keys))
}

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let shared = self.key.iter().filter(|_| self.algorithm.is_hmac());
        let shared = shared.flat_map(|list| list.with_paths(key_path(["key"])));
        let decrypt = self.decrypt.iter();
        let decrypt = decrypt.map(|decrypt| (key_path(["decrypt", "key"]), &decrypt.key));
        shared.chain(decrypt).collect()
    }

    fn files(&self) -> Vec<(KeyPath<'_>, &Path)> {
        let public = self.key.iter().filter(|_| !self.algorithm.is_hmac());
        let public = public.flat_map(|list| list.with_paths(key_path(["key"])));
        public
            .filter_map(|(key_path, source)| Some((key_path, source.file()?)))
            .collect()
    }

    fn expressions(&self) -> Vec<(KeyPath<'_>, &str, Scope)> {
        vec![(key_path(["subject"]), &self.subject, Scope::Mapping)]
    }

    fn public_keys(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let public = self.key.iter().filter(|_| !self.algorithm.is_hmac());
        public
            .flat_map(|list| list.with_paths(key_path(["key"])))
            .collect()
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        let mut problems = self.key_problems();
        problems.extend(entry_parameter_problem(
            key_path(["parameter"]),
            &self.parameter,
        ));
        problems.extend(origin_problems(&key_path(["origins"]), &self.origins));
        if self.lifetime_max.duration().is_zero() {
            let message = text!("lifetime_max must not be 0", "lifetime_max 不能为 0");
            let key_path = key_path(["lifetime_max"]);
            problems.push(SettingProblem::value(
                key_path,
                message,
                text!("such as \"5m\"", "例如 \"5m\""),
            ));
        }
        problems
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        let mut warn = |key_path, text: Text| warnings.push((key_path, text));
        if self.origins.is_empty() {
            warn(KeyPath::of([NAME]), ANY_ORIGIN);
        }
        if self.jwks_url.as_ref().is_some_and(sends_in_clear_text) {
            let text = text!(
                "plain http: an attacker in the network can forge any identity; use https",
                "明文 http：网络中的攻击者可以伪造任何身份；请用 https"
            );
            warn(key_path(["jwks_url"]), text);
        }
        if self.lifetime_max.duration() > USUAL_LIFETIME_MAX {
            let text = text!(
                "a token that leaks stays valid this long unless it was used: the portal needs \
                        minutes",
                "泄露而未用过的令牌在这么长的时间里都有效：门户只需要几分钟"
            );
            warn(key_path(["lifetime_max"]), text);
        }
        if self.clock_skew.duration() > USUAL_SKEW_MAX {
            let text = text!(
                "expired tokens are accepted this long: correct the clocks instead",
                "过期的令牌还会被接受这么久：请改为校准时钟"
            );
            warn(key_path(["clock_skew"]), text);
        }
        warnings
    }

    fn features(&self) -> Features {
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            login_method: LoginMethod::EntryOnly,
            entry_point: Some(EntryPoint {
                parameter: Cow::Owned(self.parameter.clone()),
                origins: self.origins.clone(),
                on_routes: self.on_routes,
                place: EntryPlace::Enter,
            }),
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Jwt::build(self, deps)?))
    }
}

impl Config {
    /// Keys that are missing, too many, or do not fit the algorithms.
    fn key_problems(&self) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        match (&self.key, &self.jwks_url) {
            (Some(_), Some(_)) => {
                let message = text!(
                    "`key` and `jwks_url` exclude each other",
                    "`key` 和 `jwks_url` 只能写一个"
                );
                let help = text!("keep one of them", "请保留其中一个");
                problems.push(SettingProblem::key(key_path(["jwks_url"]), message, help));
            }
            (None, None) => {
                let message = text!(
                    "nothing verifies the signature of tokens",
                    "没有什么用来验证令牌的签名"
                );
                let help = text!(
                    "add `key`, or `jwks_url` if the portal publishes its keys",
                    "请加上 `key`；门户公开其公钥时，写 `jwks_url`"
                );
                problems.push(SettingProblem::key(KeyPath::of([NAME]), message, help));
            }
            (Some(keys), None) if keys.sources().is_empty() => {
                let message = text!(
                    "an empty list accepts no token",
                    "列表是空的，任何令牌都不接受"
                );
                problems.push(SettingProblem::value(
                    key_path(["key"]),
                    message,
                    text!("add a key", "请加上一个密钥"),
                ));
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        if let Some(url) = &self.jwks_url {
            let is_http = matches!(url.scheme(), "http" | "https") && url.username().is_empty();
            if self.algorithm.is_hmac() {
                let message = text!(
                    "everybody could sign with a secret that is published",
                    "公开的密钥谁都能拿来签名"
                );
                let help = text!(
                    "use `key` for an algorithm with a shared secret",
                    "使用共享密钥的算法，请用 `key`"
                );
                problems.push(SettingProblem::key(key_path(["jwks_url"]), message, help));
            } else if !is_http {
                let message = text!("this cannot be the URL of keys", "这不能用作公钥的 URL");
                let help = text!("https://, a host and a path", "应为 https://、主机和路径");
                problems.push(SettingProblem::value(key_path(["jwks_url"]), message, help));
            }
        }
        problems.extend(self.encoding_problems());
        problems
    }

    /// Only a shared secret can be written in Base64.
    fn encoding_problems(&self) -> Vec<SettingProblem<'_>> {
        let mut problems = Vec::new();
        let base64_without_secret = text!(
            "only a shared secret can be written in Base64",
            "只有共享密钥才能写成 Base64"
        );
        let help = text!(
            "remove key_encoding: the key is in PEM",
            "请删除 key_encoding：密钥是 PEM 格式"
        );
        if self.key_encoding == KeyEncoding::Base64 && !self.algorithm.is_hmac() {
            let key_path = key_path(["key_encoding"]);
            problems.push(SettingProblem::value(
                key_path,
                base64_without_secret.clone(),
                help.clone(),
            ));
        }
        let decrypt = self.decrypt.as_ref().filter(|decrypt| {
            decrypt.key_encoding == KeyEncoding::Base64 && !decrypt.algorithm.is_symmetric()
        });
        if decrypt.is_some() {
            let key_path = key_path(["decrypt", "key_encoding"]);
            problems.push(SettingProblem::value(key_path, base64_without_secret, help));
        }
        problems
    }
}
