//! `ProviderSettings`: the configuration merged with its preset and validated.

use url::{Url, form_urlencoded};

use super::super::grant;
use super::config::{Config, ProfileAuth};
use super::presets::{self, Endpoints, ProviderDefaults};
use crate::expression::{CompileError, Expression, Scope};
use crate::text;
use crate::wording::{Text, error_of_text};

/// The most further requests of a login (`profiles`).
const PROFILES_MAX: usize = 8;

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

/// An invalid setting.
#[derive(Debug)]
pub(super) enum SettingError {
    Key {
        key: &'static str,
        /// The name of the entry, if the key is a table.
        name: Option<String>,
        message: Text,
        help: Text,
    },
    Expression {
        key: &'static str,
        source: CompileError,
    },
}

impl SettingError {
    fn text(&self) -> Text {
        match self {
            Self::Key {
                key, message, help, ..
            } => text!("{key}: {message}: {help}", "{key}：{message:#}：{help:#}"),
            Self::Expression { key, .. } => text!(
                "the expression `{key}` does not compile",
                "表达式 `{key}` 无法编译"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Expression { source, .. } => Some(source),
            Self::Key { .. } => None,
        }
    }
}

error_of_text!(SettingError, caused);

fn setting_error(key: &'static str, message: Text, help: Text) -> SettingError {
    SettingError::Key {
        key,
        name: None,
        message,
        help,
    }
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
                    "enter the client id of the provider",
                    "请填认证源处登记的客户端编号"
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

/// The endpoints of the preset, and the value of `{base}` in them.
fn preset_endpoints<'a>(
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
fn expand(template: &str, base: &str, client_id: &str) -> Option<Url> {
    let client_id: String = form_urlencoded::byte_serialize(client_id.as_bytes()).collect();
    let text = template.replace("{base}", base);
    Url::parse(&text.replace("{client_id}", &client_id)).ok()
}

/// Requires an http(s) URL with a host and without credentials.
fn checked_url(key: &'static str, url: Url) -> Result<Url, SettingError> {
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

fn profiles(
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
            "CEL over profile: an id that never changes and is never reused, such as \
             string(profile.id); not an e-mail address or a name",
            "用 CEL 从 profile 取：不会变、也不会重复使用的编号，例如 \
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

fn logout(
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
