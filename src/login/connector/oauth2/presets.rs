//! Presets: the endpoints, scopes and mapping of well-known providers.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::SourceApp;
use super::super::grant::ClientAuth;
use super::config::ProfileAuth;

/// A provider with built-in settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// GitHub, in the cloud or self-hosted.
    Github,
    /// GitLab, in the cloud or self-hosted.
    Gitlab,
    Google,
    /// Microsoft Entra ID; `base_url` names the tenant.
    Microsoft,
    /// Keycloak; `base_url` is the realm.
    Keycloak,
    /// Gitee 码云.
    Gitee,
    /// 飞书, or Lark with `base_url`.
    Feishu,
}

/// The settings of a provider that the configuration does not override.
#[derive(Debug)]
pub(super) struct ProviderDefaults {
    /// The endpoints without `base_url`.
    pub(super) cloud: Option<Endpoints>,
    /// The endpoints with `base_url`.
    pub(super) self_hosted: Option<Endpoints>,
    pub(super) scopes: &'static [&'static str],
    pub(super) client_auth: ClientAuth,
    pub(super) pkce: bool,
    pub(super) profile_auth: ProfileAuth,
    /// The JSON pointer to the profile in the responses of the profile endpoint.
    pub(super) profile_at: Option<&'static str>,
    /// CEL: the ID that never changes.
    pub(super) subject: &'static str,
    /// CEL: the e-mail address that the provider has verified.
    pub(super) vouched_email: Option<&'static str>,
    /// Names of fields, and their CEL expressions.
    pub(super) mapping: &'static [(&'static str, &'static str)],
    /// An answer of the profile endpoint, as [`Features::sample_profile`] describes it.
    ///
    /// [`Features::sample_profile`]: super::super::Features::sample_profile
    pub(super) sample_profile: &'static str,
    /// Further parameters of the authorization request.
    pub(super) params: &'static [(&'static str, &'static str)],
    /// The provider's parameter for a login hint, if it has one.
    pub(super) login_hint: Option<&'static str>,
    /// The provider's parameter for the domain of the organisation, if it has one.
    pub(super) domain_hint: Option<&'static str>,
    /// Whether the provider supports `prompt` as OpenID Connect defines it.
    pub(super) supports_prompt: bool,
    /// Whether the provider supports `prompt=none`.
    pub(super) supports_prompt_none: bool,
    /// Substrings of the User-Agent of the provider's own mobile app, in lower case.
    pub(super) app_user_agents: &'static [&'static str],
}

/// URL templates. `{base}` is `base_url`, `{client_id}` is `client_id`.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) authorize: &'static str,
    pub(super) token: &'static str,
    pub(super) profile: &'static str,
    /// Further requests: the name below `profile`, and the URL.
    pub(super) profiles: &'static [(&'static str, &'static str)],
    /// The logout page, and its parameter for the URL to return to.
    pub(super) logout: Option<(&'static str, &'static str)>,
}

/// The common values of most presets.
const COMMON: ProviderDefaults = ProviderDefaults {
    cloud: None,
    self_hosted: None,
    scopes: &["openid", "profile", "email"],
    client_auth: ClientAuth::Post,
    pkce: true,
    profile_auth: ProfileAuth::Bearer,
    profile_at: None,
    subject: "profile.sub",
    vouched_email: None,
    mapping: &[],
    sample_profile: include_str!("samples/userinfo.json"),
    params: &[],
    login_hint: None,
    domain_hint: None,
    supports_prompt: false,
    supports_prompt_none: false,
    app_user_agents: &[],
};

const GITHUB: ProviderDefaults = ProviderDefaults {
    cloud: Some(Endpoints {
        authorize: "https://github.com/login/oauth/authorize",
        token: "https://github.com/login/oauth/access_token",
        profile: "https://api.github.com/user",
        profiles: &[("emails", "https://api.github.com/user/emails?per_page=100")],
        logout: None,
    }),
    self_hosted: Some(Endpoints {
        authorize: "{base}/login/oauth/authorize",
        token: "{base}/login/oauth/access_token",
        profile: "{base}/api/v3/user",
        profiles: &[("emails", "{base}/api/v3/user/emails?per_page=100")],
        logout: None,
    }),
    scopes: &["read:user", "user:email"],
    subject: "string(profile.id)",
    vouched_email: Some("profile.emails.filter(e, e.primary && e.verified)[0].email"),
    mapping: &[
        ("login", "profile.login"),
        ("name", "profile.name"),
        (
            "email",
            "profile.emails.filter(e, e.primary && e.verified)[0].email",
        ),
        // Needs `profiles = { teams = ".../user/teams?per_page=100" }` and the scope read:org.
        (
            "groups",
            "profile.teams.map(t, t.organization.login + '/' + t.slug)",
        ),
        ("orgs", "profile.orgs.map(o, o.login)"),
        ("avatar", "profile.avatar_url"),
    ],
    login_hint: Some("login"),
    supports_prompt: true,
    sample_profile: include_str!("samples/github.json"),
    ..COMMON
};

const GITLAB: ProviderDefaults = ProviderDefaults {
    cloud: Some(Endpoints {
        authorize: "https://gitlab.com/oauth/authorize",
        token: "https://gitlab.com/oauth/token",
        profile: "https://gitlab.com/oauth/userinfo",
        profiles: &[],
        logout: None,
    }),
    self_hosted: Some(Endpoints {
        authorize: "{base}/oauth/authorize",
        token: "{base}/oauth/token",
        profile: "{base}/oauth/userinfo",
        profiles: &[],
        logout: None,
    }),
    mapping: &[
        ("login", "profile.preferred_username"),
        ("name", "profile.name"),
        ("email", "profile.email"),
        ("groups", "profile.groups"),
        ("avatar", "profile.picture"),
    ],
    ..COMMON
};

const GOOGLE: ProviderDefaults = ProviderDefaults {
    cloud: Some(Endpoints {
        authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        token: "https://oauth2.googleapis.com/token",
        profile: "https://openidconnect.googleapis.com/v1/userinfo",
        profiles: &[],
        logout: None,
    }),
    vouched_email: Some("profile.email_verified == true ? profile.email : null"),
    mapping: &[
        ("login", "profile.email"),
        ("name", "profile.name"),
        ("email", "profile.email"),
        ("tenant_code", "profile.hd"),
        ("avatar", "profile.picture"),
    ],
    params: &[("access_type", "offline")],
    login_hint: Some("login_hint"),
    domain_hint: Some("hd"),
    supports_prompt: true,
    supports_prompt_none: true,
    sample_profile: include_str!("samples/google.json"),
    ..COMMON
};

const MICROSOFT: ProviderDefaults = ProviderDefaults {
    self_hosted: Some(Endpoints {
        authorize: "{base}/oauth2/v2.0/authorize",
        token: "{base}/oauth2/v2.0/token",
        profile: "https://graph.microsoft.com/v1.0/me",
        profiles: &[],
        logout: Some(("{base}/oauth2/v2.0/logout", "post_logout_redirect_uri")),
    }),
    scopes: &["User.Read", "offline_access"],
    subject: "profile.id",
    mapping: &[
        ("login", "profile.userPrincipalName"),
        ("name", "profile.displayName"),
        ("email", "profile.mail"),
        ("mobile", "profile.mobilePhone"),
        // Needs `profiles = { groups = "https://graph.microsoft.com/v1.0/me/memberOf" }`.
        ("groups", "profile.groups.value.map(g, g.displayName)"),
    ],
    login_hint: Some("login_hint"),
    domain_hint: Some("domain_hint"),
    supports_prompt: true,
    supports_prompt_none: true,
    sample_profile: include_str!("samples/microsoft.json"),
    ..COMMON
};

const KEYCLOAK: ProviderDefaults = ProviderDefaults {
    self_hosted: Some(Endpoints {
        authorize: "{base}/protocol/openid-connect/auth",
        token: "{base}/protocol/openid-connect/token",
        profile: "{base}/protocol/openid-connect/userinfo",
        profiles: &[],
        logout: Some((
            "{base}/protocol/openid-connect/logout?client_id={client_id}",
            "post_logout_redirect_uri",
        )),
    }),
    client_auth: ClientAuth::Basic,
    mapping: &[
        ("login", "profile.preferred_username"),
        ("name", "profile.name"),
        ("email", "profile.email"),
        ("mobile", "profile.phone_number"),
        ("groups", "profile.groups"),
        ("roles", "profile.realm_access.roles"),
    ],
    login_hint: Some("login_hint"),
    supports_prompt: true,
    supports_prompt_none: true,
    ..COMMON
};

const GITEE: ProviderDefaults = ProviderDefaults {
    cloud: Some(Endpoints {
        authorize: "https://gitee.com/oauth/authorize",
        token: "https://gitee.com/oauth/token",
        profile: "https://gitee.com/api/v5/user",
        profiles: &[],
        logout: None,
    }),
    self_hosted: Some(Endpoints {
        authorize: "{base}/oauth/authorize",
        token: "{base}/oauth/token",
        profile: "{base}/api/v5/user",
        profiles: &[],
        logout: None,
    }),
    scopes: &["user_info"],
    pkce: false,
    profile_auth: ProfileAuth::Query,
    subject: "string(profile.id)",
    mapping: &[
        ("login", "profile.login"),
        ("name", "profile.name"),
        ("email", "profile.email"),
        ("avatar", "profile.avatar_url"),
    ],
    sample_profile: include_str!("samples/gitee.json"),
    ..COMMON
};

const FEISHU: ProviderDefaults = ProviderDefaults {
    cloud: Some(Endpoints {
        authorize: "https://accounts.feishu.cn/open-apis/authen/v1/authorize",
        token: "https://open.feishu.cn/open-apis/authen/v2/oauth/token",
        profile: "https://open.feishu.cn/open-apis/authen/v1/user_info",
        profiles: &[],
        logout: None,
    }),
    self_hosted: Some(Endpoints {
        authorize: "{base}/open-apis/authen/v1/authorize",
        token: "{base}/open-apis/authen/v2/oauth/token",
        profile: "{base}/open-apis/authen/v1/user_info",
        profiles: &[],
        logout: None,
    }),
    scopes: &[],
    profile_at: Some("/data"),
    // The same for all applications of a developer, while open_id differs between applications.
    subject: "profile.union_id",
    mapping: &[
        (
            "login",
            "has(profile.user_id) && profile.user_id != '' ? profile.user_id : profile.union_id",
        ),
        ("name", "profile.name"),
        (
            "email",
            "has(profile.enterprise_email) && profile.enterprise_email != '' ? \
             profile.enterprise_email : profile.email",
        ),
        ("mobile", "profile.mobile"),
        ("tenant_code", "profile.tenant_key"),
        ("avatar", "profile.avatar_url"),
    ],
    app_user_agents: &["lark/", "feishu/"],
    sample_profile: include_str!("samples/feishu.json"),
    ..COMMON
};

impl Preset {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Google => "google",
            Self::Microsoft => "microsoft",
            Self::Keycloak => "keycloak",
            Self::Gitee => "gitee",
            Self::Feishu => "feishu",
        }
    }

    /// The provider's own mobile app, in which people are signed in already.
    pub(super) fn source_app(self) -> Option<SourceApp> {
        let app = SourceApp {
            name: self.as_str(),
            user_agents: self.defaults().app_user_agents,
        };
        (!app.user_agents.is_empty()).then_some(app)
    }

    pub(super) fn defaults(self) -> &'static ProviderDefaults {
        match self {
            Self::Github => &GITHUB,
            Self::Gitlab => &GITLAB,
            Self::Google => &GOOGLE,
            Self::Microsoft => &MICROSOFT,
            Self::Keycloak => &KEYCLOAK,
            Self::Gitee => &GITEE,
            Self::Feishu => &FEISHU,
        }
    }
}

/// The defaults of a provider without a preset.
pub(super) fn no_preset() -> &'static ProviderDefaults {
    &NO_PRESET
}

const NO_PRESET: ProviderDefaults = ProviderDefaults {
    scopes: &[],
    client_auth: ClientAuth::Basic,
    mapping: &[("name", "profile.name"), ("email", "profile.email")],
    subject: "",
    ..COMMON
};
