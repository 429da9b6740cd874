//! `ProviderSettings`: the configuration merged with its preset and validated.

use url::Url;

use super::super::grant;
use super::config::{Config, ProfileAuth};
use super::presets::{self, Endpoints, ProviderDefaults};
use crate::expression::{Expression, Scope};
use crate::text;

mod error;
mod urls;

pub(super) use error::SettingError;
use error::setting_error;
use urls::{checked_url, expand, logout, preset_endpoints, profiles};

/// The longest JSON pointer, in bytes.
const POINTER_BYTES_MAX: usize = 200;

/// All settings that a login needs. The fields have the names of their keys, except those with a comment.
#[derive(Debug)]
pub(super) struct ProviderSettings {
    /// The settings of the preset.
    pub(super) defaults: &'static ProviderDefaults,
    pub(super) authorize_url: Url,
    pub(super) token_url: Url,
    pub(super) token_at: Option<String>,
    pub(super) profile_url: Url,
    pub(super) profiles: Vec<(String, Url)>,
    pub(super) profile_at: Option<String>,
    pub(super) profile_auth: ProfileAuth,
    /// The `scope` parameter: all scopes with their separator.
    pub(super) scope: Option<String>,
    pub(super) pkce: bool,
    pub(super) subject: Expression,
    pub(super) vouched_email: Option<Expression>,
    /// Further parameters of the authorization request: those of the preset and the configured ones.
    pub(super) params: Vec<(String, String)>,
    pub(super) send_redirect_uri: bool,
    pub(super) return_param: Option<String>,
    /// The logout page, and its parameter for the URL to return to.
    pub(super) logout: Option<(Url, Option<String>)>,
}

impl ProviderSettings {
    /// Merges the configuration with the defaults of its preset. Reads no secret and sends no request.
    pub(super) fn of(config: &Config) -> Result<Self, SettingError> {
        if let Some(why) = grant::settings_conflict(config.client()) {
            let help = text!(
                "a client has a secret, or a key, or neither",
                "客户端可以有密钥或私钥，不能两者都有"
            );
            let both = config.client_secret.is_some() && config.private_key.is_some();
            let key = if both { "private_key" } else { "client_auth" };
            return Err(setting_error(key, why, help));
        }
        if config.client_id.is_empty() {
            return Err(setting_error(
                "client_id",
                text!("it is empty", "是空的"),
                text!(
                    "enter the client ID of the provider",
                    "请填认证源处登记的客户端 ID"
                ),
            ));
        }
        let defaults = config
            .preset
            .map_or_else(presets::no_preset, |preset| preset.defaults());
        let endpoints = preset_endpoints(config, defaults)?;
        let endpoint = |key, configured: &Option<Url>, template: fn(&Endpoints) -> &'static str| {
            let help = text!(
                "without a preset every endpoint is required",
                "没有 preset 时，每个端点都要写"
            );
            let default =
                endpoints.map(|(urls, base)| expand(template(urls), base, &config.client_id));
            configured
                .clone()
                .or_else(|| default.flatten())
                .ok_or_else(|| setting_error(key, text!("it is missing", "缺少这一项"), help))
                .and_then(|url| checked_url(key, url))
        };
        let text = |configured: &Option<String>, default: Option<&str>| {
            configured.clone().or_else(|| default.map(str::to_owned))
        };
        let separator = config.scope_separator.as_deref().unwrap_or(" ");
        Ok(Self {
            defaults,
            authorize_url: endpoint("authorize_url", &config.authorize_url, |urls| {
                urls.authorize
            })?,
            token_url: endpoint("token_url", &config.token_url, |urls| urls.token)?,
            token_at: pointer("token_at", text(&config.token_at, None))?,
            profile_url: endpoint("profile_url", &config.profile_url, |urls| urls.profile)?,
            profiles: profiles(config, endpoints)?,
            profile_at: pointer("profile_at", text(&config.profile_at, defaults.profile_at))?,
            profile_auth: config.profile_auth.unwrap_or(defaults.profile_auth),
            scope: scope(config, defaults, separator)?,
            pkce: config.pkce.unwrap_or(defaults.pkce),
            subject: subject(config, defaults)?,
            vouched_email: text(&config.vouched_email, defaults.vouched_email)
                .map(|source| compile("vouched_email", &source))
                .transpose()?,
            params: params(config, defaults)?,
            send_redirect_uri: config.send_redirect_uri,
            return_param: return_param(config)?,
            logout: logout(config, endpoints)?,
        })
    }
}

fn pointer(key: &'static str, text: Option<String>) -> Result<Option<String>, SettingError> {
    match text {
        Some(text) if !text.starts_with('/') || text.len() > POINTER_BYTES_MAX => {
            let help = text!("it begins with /, such as /data", "应以 / 开头，例如 /data");
            Err(setting_error(
                key,
                text!(
                    "this is not a JSON pointer (RFC 6901)",
                    "这不是 JSON 指针（RFC 6901）"
                ),
                help,
            ))
        }
        text => Ok(text),
    }
}

fn scope(
    config: &Config,
    defaults: &ProviderDefaults,
    separator: &str,
) -> Result<Option<String>, SettingError> {
    if !matches!(separator, " " | "," | ";" | "+" | "|") {
        let help = text!(
            "a space, or what the provider requires, most often a comma",
            "应为空格，或认证源要求的分隔符，多为逗号"
        );
        return Err(setting_error(
            "scope_separator",
            text!("this cannot stand between scopes", "它不能放在 scope 之间"),
            help,
        ));
    }
    let scopes: Vec<&str> = match &config.scopes {
        Some(scopes) => scopes.iter().map(String::as_str).collect(),
        None => defaults.scopes.to_vec(),
    };
    // RFC 6749 §3.3.
    let is_valid = |scope: &&str| {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        !scope.is_empty() && scope.bytes().all(is_allowed)
    };
    if !scopes.iter().all(is_valid) {
        let help = text!(
            "each scope is a string of its own, without spaces",
            "每个 scope 各写一个字符串，不含空格"
        );
        return Err(setting_error(
            "scopes",
            text!("a scope is not valid", "有一个 scope 无效"),
            help,
        ));
    }
    Ok(Some(scopes.join(separator)).filter(|all| !all.is_empty()))
}

fn subject(config: &Config, defaults: &ProviderDefaults) -> Result<Expression, SettingError> {
    let source = config.subject.as_deref().unwrap_or(defaults.subject);
    if source.is_empty() {
        let help = text!(
            "CEL over profile: an ID that never changes and is never reused, such as \
             string(profile.id); not an e-mail address or a name",
            "用 CEL 从 profile 取：不会变、也不会重复使用的 ID，例如 \
             string(profile.id)；不要用邮箱或名字"
        );
        return Err(setting_error(
            "subject",
            text!("it is missing", "缺少这一项"),
            help,
        ));
    }
    compile("subject", source)
}

fn compile(key: &'static str, source: &str) -> Result<Expression, SettingError> {
    Expression::compile(source, Scope::Mapping)
        .map_err(|source| SettingError::Expression { key, source })
}

fn params(
    config: &Config,
    defaults: &ProviderDefaults,
) -> Result<Vec<(String, String)>, SettingError> {
    if let Some(name) = config
        .authorize_params
        .keys()
        .find(|name| is_set_by_menshen(name))
    {
        return Err(SettingError::Key {
            key: "authorize_params",
            name: Some(name.clone()),
            message: text!(
                "`{name}` is set by menshen itself",
                "`{name}` 由 menshen 自己设置"
            ),
            help: text!(
                "remove it; scopes belong in `scopes`",
                "请删除它；scope 写在 `scopes` 里"
            ),
        });
    }
    let of_preset = defaults.params.iter();
    let configured = config.authorize_params.iter();
    Ok(of_preset
        .filter(|(name, _)| !config.authorize_params.contains_key(*name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain(configured.map(|(name, value)| (name.clone(), value.clone())))
        .collect())
}

fn is_set_by_menshen(name: &str) -> bool {
    grant::is_reserved(name) || name == "scope"
}

fn return_param(config: &Config) -> Result<Option<String>, SettingError> {
    match &config.return_param {
        Some(name) if name.is_empty() || is_set_by_menshen(name) => {
            let help = text!(
                "the name of a parameter that the provider reads, such as returnUrl",
                "应为认证源能读的参数名，例如 returnUrl"
            );
            Err(setting_error(
                "return_param",
                text!("this name is empty or taken", "这个名字是空的或已被占用"),
                help,
            ))
        }
        name => Ok(name.clone()),
    }
}
