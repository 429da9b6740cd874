//! `impl Kind` for `[connector.ID.custom]`: expressions, warnings and features of the settings.

use std::borrow::Cow;
use std::sync::Arc;

use url::Url;

use super::super::entry_settings::ANY_ORIGIN;
use super::super::{
    Callback, Connector, ConnectorBuildError, ConnectorConfig, ConnectorDeps, EntryPlace,
    EntryPoint, Features, Kind, LoginMethod, SettingProblem,
};
use super::config::{Config, NAME, OWN_STATE_PARAMETER, key_path};
use super::{Custom, plan, problems};
use crate::expression::{Expression, Scope};
use crate::secret::SecretSource;
use crate::setting::{KeyPath, Step};
use crate::text;
use crate::wording::Text;

const MAPPING: &[(&str, &str)] = &[
    (
        "login",
        "has(profile.login) ? profile.login : has(profile.username) ? profile.username : \
         has(profile.account) ? profile.account : profile.id",
    ),
    ("name", "profile.name"),
    ("email", "profile.email"),
    ("mobile", "profile.mobile"),
];

/// The hash functions that are broken.
const BROKEN_HASHES: [&str; 2] = ["md5", "sha1"];

/// The functions that hide the secrets in their arguments.
const HASHES: [&str; 4] = ["md5", "sha1", "sha256", "hmac_sha256"];

impl Kind for Config {
    fn name(&self) -> &'static str {
        NAME
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let secrets = self.secrets.iter();
        secrets
            .map(|(name, source)| (key_path(["secrets", name]), source))
            .collect()
    }

    fn expressions(&self) -> Vec<(KeyPath<'_>, &str, Scope)> {
        let placed = plan::expressions(self).into_iter();
        placed
            .map(|placed| (placed.key_path, placed.source, placed.scope))
            .collect()
    }

    /// Every expression may place a secret, also in an address that the browser sees or in the profile.
    fn secret_destinations(&self, _secret: &[Step<'_>]) -> Vec<String> {
        let pages = self.authorize_url.iter();
        let steps = self.step.iter().map(|step| &step.url);
        let addresses = pages.chain(steps).map(Url::to_string);
        let expressions = self.expressions().into_iter();
        let expressions = expressions.map(|(key_path, source, _)| format!("{key_path} = {source}"));
        addresses.chain(expressions).collect()
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        problems::of(self)
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        let mut warnings = Vec::new();
        if self.entry.is_some() && self.origins.is_empty() {
            warnings.push((KeyPath::of([NAME]), ANY_ORIGIN));
        }
        for (key_path, source, scope) in self.expressions() {
            let Ok(expression) = Expression::compile(source, scope) else {
                continue;
            };
            for name in BROKEN_HASHES {
                if expression.calls(name) {
                    let text = text!(
                        "{name} is broken: ask whether the portal accepts hmac_sha256 instead",
                        "{name} 已被攻破：请确认门户能否改用 hmac_sha256"
                    );
                    warnings.push((key_path.clone(), text));
                }
            }
            let is_hashed = HASHES.iter().any(|name| expression.calls(name));
            if scope == Scope::LoginPage && expression.reads("secrets") && !is_hashed {
                let text = text!(
                    "the browser sees this secret in the address of the login page",
                    "浏览器会在登录页的地址中看到这个密钥"
                );
                warnings.push((key_path.clone(), text));
            }
        }
        for (key, source) in [("subject", &self.subject), ("profile", &self.profile)] {
            let read = Expression::compile(source, Scope::SourceCall);
            let is_unverified = |it: &Expression| it.reads("code") || it.reads("params");
            if read.is_ok_and(|expression| is_unverified(&expression)) {
                let text = text!(
                    "the browser can change `code` and `params`: read the person from the answer \
                            of a step",
                    "浏览器可以改 `code` 和 `params`：请从某一步的响应中读取人员"
                );
                warnings.push((key_path([key]), text));
            }
        }
        warnings
    }

    fn features(&self) -> Features {
        let flow_parameter = match self.state.as_str() {
            "" => Cow::Borrowed(OWN_STATE_PARAMETER),
            name => Cow::Owned(name.to_owned()),
        };
        let entry_point = self.entry.as_ref().map(|parameter| EntryPoint {
            parameter: Cow::Owned(parameter.clone()),
            origins: self.origins.clone(),
            place: EntryPlace::Enter,
            on_routes: false,
        });
        Features {
            mapping: MAPPING,
            sample_profile: include_str!("sample.json"),
            login_method: match self.authorize_url {
                None => LoginMethod::EntryOnly,
                Some(_) => LoginMethod::Callback(Callback {
                    flow_parameter,
                    ..Callback::default()
                }),
            },
            entry_point,
            ..Features::default()
        }
    }

    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(Custom::build(self, deps)?))
    }
}
