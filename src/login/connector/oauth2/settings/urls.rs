//! The URLs of a provider: those of its preset, and the configured ones.

use url::{Url, form_urlencoded};

use super::super::config::Config;
use super::super::presets::{Endpoints, ProviderDefaults};
use super::error::{SettingError, setting_error};
use crate::text;
use crate::wording::Text;

/// The most further requests of a login (`profiles`).
const PROFILES_MAX: usize = 8;

/// The endpoints of the preset, and the value of `{base}` in them.
pub(super) fn preset_endpoints<'a>(
    config: &'a Config,
    defaults: &'static ProviderDefaults,
) -> Result<Option<(&'static Endpoints, &'a str)>, SettingError> {
    let has_every_url = config.authorize_url.is_some()
        && config.token_url.is_some()
        && config.profile_url.is_some();
    let name = config.preset.map_or("", |preset| preset.as_str());
    match (&config.base_url, &defaults.self_hosted, &defaults.cloud) {
        (Some(_), None, _) if config.preset.is_none() => {
            let help = text!("remove it, or name a preset", "请删除它，或写 preset");
            Err(setting_error(
                "base_url",
                text!(
                    "it has no effect without a preset",
                    "没有 preset，它不起作用"
                ),
                help,
            ))
        }
        (Some(_), None, _) => Err(setting_error(
            "base_url",
            text!(
                "the preset {name} has one address only",
                "preset {name} 只有一个地址"
            ),
            text!("remove it", "请删除它"),
        )),
        (Some(base), Some(self_hosted), _) => {
            checked_url("base_url", base.clone())?;
            if base.query().is_some() || base.fragment().is_some() {
                let help = text!("paths are added to it", "后面要接路径");
                return Err(setting_error(
                    "base_url",
                    text!("it has a query or a fragment", "带有查询参数或片段"),
                    help,
                ));
            }
            Ok(Some((self_hosted, base.as_str().trim_end_matches('/'))))
        }
        (None, _, Some(cloud)) => Ok(Some((cloud, ""))),
        (None, Some(_), None) if !has_every_url => Err(setting_error(
            "base_url",
            text!("the preset {name} needs it", "preset {name} 需要它"),
            text!(
                "such as https://id.corp.example/realms/corp for Keycloak, or \
                 https://login.microsoftonline.com/TENANT for Microsoft",
                "例如 Keycloak 的 https://id.corp.example/realms/corp，或微软的 \
                 https://login.microsoftonline.com/租户"
            ),
        )),
        (None, _, None) => Ok(None),
    }
}

/// A URL of a preset; `None` if `base_url` makes it invalid.
pub(super) fn expand(template: &str, base: &str, client_id: &str) -> Option<Url> {
    let client_id: String = form_urlencoded::byte_serialize(client_id.as_bytes()).collect();
    let text = template.replace("{base}", base);
    Url::parse(&text.replace("{client_id}", &client_id)).ok()
}

/// Requires an http(s) URL with a host and without credentials.
pub(super) fn checked_url(key: &'static str, url: Url) -> Result<Url, SettingError> {
    let has_no_credentials = url.username().is_empty() && url.password().is_none();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && has_no_credentials {
        return Ok(url);
    }
    let help = text!(
        "a URL with https:// and a host, without user and password",
        "应为带 https:// 和主机的 URL，不带用户名和密码"
    );
    Err(setting_error(
        key,
        text!("this URL cannot be used", "这个 URL 无法使用"),
        help,
    ))
}

pub(super) fn profiles(
    config: &Config,
    endpoints: Option<(&'static Endpoints, &str)>,
) -> Result<Vec<(String, Url)>, SettingError> {
    let mut profiles = Vec::new();
    if let Some((preset, base)) = endpoints {
        let of_preset = preset.profiles.iter();
        profiles.extend(
            of_preset
                .filter(|(name, _)| !config.profiles.contains_key(*name))
                .filter_map(|(name, template)| {
                    Some((
                        (*name).to_owned(),
                        expand(template, base, &config.client_id)?,
                    ))
                }),
        );
    }
    for (name, url) in &config.profiles {
        let error = |message: Text, help| SettingError::Key {
            key: "profiles",
            name: Some(name.clone()),
            message,
            help,
        };
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_allowed) {
            let help = text!(
                "letters, digits and _, at most 64: the mapping reads it as profile.NAME",
                "应为字母、数字和 _，最多 64 个：映射中写作 profile.名字"
            );
            return Err(error(
                text!("this name cannot be used", "这个名字无法使用"),
                help,
            ));
        }
        let url = checked_url("profiles", url.clone()).map_err(|_| {
            error(
                text!("this URL cannot be used", "这个 URL 无法使用"),
                text!("it begins with https://", "应以 https:// 开头"),
            )
        })?;
        profiles.push((name.clone(), url));
    }
    if profiles.len() > PROFILES_MAX {
        let message = text!(
            "a login makes at most {PROFILES_MAX} further requests",
            "一次登录最多再发 {PROFILES_MAX} 个请求"
        );
        return Err(setting_error(
            "profiles",
            message,
            text!("remove some", "请删除一些"),
        ));
    }
    Ok(profiles)
}

pub(super) fn logout(
    config: &Config,
    endpoints: Option<(&'static Endpoints, &str)>,
) -> Result<Option<(Url, Option<String>)>, SettingError> {
    let default = endpoints.and_then(|(urls, base)| {
        let (template, parameter) = urls.logout?;
        Some((expand(template, base, &config.client_id)?, parameter))
    });
    let parameter = config.logout_return_param.clone().or_else(|| {
        default
            .as_ref()
            .map(|(_, parameter)| (*parameter).to_owned())
    });
    let url = config
        .logout_url
        .clone()
        .or_else(|| default.map(|(url, _)| url));
    match url {
        Some(url) => Ok(Some((checked_url("logout_url", url)?, parameter))),
        None if config.logout_return_param.is_some() => {
            let help = text!("add `logout_url`", "请加上 `logout_url`");
            Err(setting_error(
                "logout_return_param",
                text!(
                    "it has no effect without `logout_url`",
                    "没有 `logout_url`，它不起作用"
                ),
                help,
            ))
        }
        None => Ok(None),
    }
}
