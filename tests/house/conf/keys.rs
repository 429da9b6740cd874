//! The keys in the order of full.toml, each with its default or an example.

/// How full.toml shows a key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// With an example: the key is required.
    Required,
    /// With its default.
    Default,
    /// With an example: the key is optional and has no default.
    Example,
    /// The same, commented out.
    Optional,
    /// The same, and the key excludes one that is shown before it.
    Alternative,
}

use Shown::{Alternative, Default, Example, Optional, Required};

/// The path of each key, how it is shown, and its value as TOML; for a table with free names, its lines.
pub(super) const KEYS: &[(&str, Shown, &str)] = &[
    ("server.listen", Default, r#"["127.0.0.1:8080"]"#),
    (
        "server.external_url",
        Required,
        r#""https://sso.corp.example""#,
    ),
    ("server.prefix", Default, r#""/.menshen""#),
    (
        "server.trusted_proxies",
        Optional,
        r#"["10.0.0.0/8", "unix"]"#,
    ),
    (
        "server.files",
        Optional,
        r#"{ "/WW_verify_abcdefghijklmnop.txt" = "abcdefghijklmnop" }"#,
    ),
    (
        "server.tls.certificate",
        Optional,
        r#""/etc/menshen/tls.pem""#,
    ),
    ("server.tls.key", Optional, r#""/etc/menshen/tls.key""#),
    (
        "server.tls.more.certificate",
        Optional,
        r#""/etc/menshen/oa.pem""#,
    ),
    ("server.tls.more.key", Optional, r#""/etc/menshen/oa.key""#),
    ("server.limits.connections_max", Default, "20000"),
    ("server.limits.connections_per_client_max", Default, "10000"),
    (
        "server.limits.count_by_address",
        Optional,
        r#"["fd00::/8"]"#,
    ),
    ("server.limits.requests_per_client_max", Default, "10000"),
    ("server.limits.streams_max", Default, "128"),
    ("server.limits.upstream_share", Default, "75"),
    ("server.limits.upstream_share_anonymous", Default, "75"),
    ("server.limits.header_read", Default, r#""30s""#),
    ("server.limits.keep_alive", Default, r#""75s""#),
    ("server.limits.progress_interval", Default, r#""60s""#),
    ("server.limits.upload_bytes_min", Default, "16384"),
    ("server.limits.download_bytes_min", Default, "16384"),
    ("server.limits.judged_again_after", Default, r#""10s""#),
    ("server.limits.drain", Default, r#""30s""#),
    ("server.limits.header_bytes_max", Default, "65536"),
    ("check.original", Default, r#""x-forwarded-uri""#),
    ("admin.listen", Optional, r#""127.0.0.1:9180""#),
    (
        "admin.token",
        Optional,
        r#"{ file = "/etc/menshen/admin.token" }"#,
    ),
    ("admin.hosts", Optional, r#"["menshen.monitoring.svc"]"#),
    ("ext_authz.grpc_listen", Optional, r#""127.0.0.1:9181""#),
    ("ext_authz.on_main", Optional, "false"),
    (
        "session.keys",
        Optional,
        r#"[{ file = "/etc/menshen/session.key" }]"#,
    ),
    ("session.lifetime", Default, r#""12h""#),
    ("session.idle_timeout", Default, r#""2h""#),
    ("session.cached_sessions_max", Default, "1000000"),
    ("session.cookie_name", Default, r#""menshen""#),
    ("session.cookie_domain", Optional, r#""corp.example""#),
    ("session.cookie_same_site", Default, r#""lax""#),
    (
        "session.frame_ancestors",
        Optional,
        r#"["https://portal.example"]"#,
    ),
    ("session.store_outage_grace", Default, r#""5m""#),
    (
        "store.url",
        Default,
        r#""sqlite:///var/lib/menshen/menshen.db""#,
    ),
    ("log.level", Default, r#""info""#),
    ("log.access", Default, "true"),
    ("login.begins_per_client_per_minute", Default, "60"),
    ("login.begins_per_minute", Default, "6000"),
    ("login.finishes_per_client_per_minute", Default, "60"),
    ("login.finishes_per_minute", Default, "6000"),
    ("login.bad_codes_max", Default, "20"),
    ("login.bad_codes_pause", Default, r#""10s""#),
    ("login.origins", Optional, r#"["https://app.corp.example"]"#),
    ("connector.*.display_name", Example, r#""企业微信""#),
    ("connector.*.auto_login", Default, r#""in-app""#),
    ("connector.*.admission", Default, r#""create""#),
    ("connector.*.link_by", Optional, r#"["mobile", "email"]"#),
    ("connector.*.sync", Default, "true"),
    ("connector.*.login_prefix", Optional, r#""corp-""#),
    (
        "connector.*.callback_base",
        Optional,
        r#""https://login.corp.example""#,
    ),
    (
        "connector.*.callback",
        Alternative,
        r#""https://sso.corp.example/.menshen/callback""#,
    ),
    (
        "connector.*.proxy",
        Optional,
        r#""http://proxy.corp.example:3128""#,
    ),
    ("connector.*.ca", Optional, r#""/etc/menshen/proxy-ca.pem""#),
    ("connector.*.home.desktop", Default, r#""/""#),
    ("connector.*.home.mobile", Default, r#""/""#),
    (
        "connector.*.mapping",
        Optional,
        "login = \"profile.userid\"\nemail = \"profile.biz_mail\"\n\
         badge = \"profile.extattr.attrs[2].value\"",
    ),
    (
        "connector.*.wecom.corp_id",
        Required,
        r#""ww0123456789abcdef""#,
    ),
    ("connector.*.wecom.agent_id", Required, "1000002"),
    (
        "connector.*.wecom.secret",
        Required,
        r#"{ file = "/etc/menshen/wecom.secret" }"#,
    ),
    ("connector.*.wecom.scope", Default, r#""snsapi_base""#),
    ("connector.*.wecom.mode", Default, r#""auto""#),
    (
        "connector.*.wecom.schema",
        Optional,
        r#""wwauth0123456789abcdef000002""#,
    ),
    (
        "connector.*.wecom.api_base",
        Default,
        r#""https://qyapi.weixin.qq.com""#,
    ),
    (
        "connector.*.wecom.authorize_url",
        Default,
        r#""https://open.weixin.qq.com/connect/oauth2/authorize""#,
    ),
    (
        "connector.*.wecom.login_url",
        Default,
        r#""https://login.work.weixin.qq.com/wwlogin/sso/login""#,
    ),
    (
        "issuer.*.url",
        Optional,
        r#""https://id.corp.example/realms/corp""#,
    ),
    (
        "issuer.*.tenants",
        Alternative,
        r#"["72f988bf-86f1-41af-91ab-2d7cd011db47"]"#,
    ),
    ("issuer.*.people", Alternative, r#""keycloak""#),
    ("issuer.*.audiences", Optional, r#"["menshen"]"#),
    ("issuer.*.scopes", Optional, r#"["deploy"]"#),
    ("issuer.*.algorithms", Optional, r#"["RS256", "ES256"]"#),
    (
        "issuer.*.metadata_url",
        Optional,
        r#""https://id.corp.example/.well-known/oauth-authorization-server/realms/corp""#,
    ),
    (
        "issuer.*.jwks_url",
        Optional,
        r#""https://id.corp.example/realms/corp/keys""#,
    ),
    (
        "issuer.*.proxy",
        Optional,
        r#""http://proxy.corp.example:3128""#,
    ),
    ("issuer.*.ca", Optional, r#""/etc/menshen/proxy-ca.pem""#),
    ("issuer.*.cache", Optional, r#""60s""#),
    ("issuer.*.cached_max", Optional, "10000"),
    ("issuer.*.token_life_max", Optional, r#""24h""#),
    ("issuer.*.new_tokens_per_client_per_minute", Optional, "600"),
    ("issuer.*.new_tokens_per_client_at_once", Optional, "100"),
    (
        "issuer.*.introspection.url",
        Optional,
        r#""https://id.corp.example/realms/corp/introspect""#,
    ),
    ("issuer.*.introspection.client_id", Optional, r#""menshen""#),
    (
        "issuer.*.introspection.client_secret",
        Optional,
        r#"{ file = "/etc/menshen/introspection.secret" }"#,
    ),
    ("issuer.*.introspection.client_auth", Optional, r#""basic""#),
    (
        "issuer.*.introspection.audience_optional",
        Optional,
        "false",
    ),
    (
        "connector.*.oidc.issuer",
        Required,
        r#""https://id.corp.example/realms/corp""#,
    ),
    (
        "connector.*.oidc.tenants",
        Alternative,
        r#"["72f988bf-86f1-41af-91ab-2d7cd011db47"]"#,
    ),
    ("connector.*.oidc.client_id", Required, r#""menshen""#),
    (
        "connector.*.oidc.client_secret",
        Example,
        r#"{ file = "/etc/menshen/keycloak.secret" }"#,
    ),
    (
        "connector.*.oidc.private_key",
        Alternative,
        r#"{ file = "/etc/menshen/keycloak.key" }"#,
    ),
    (
        "connector.*.oidc.private_key_id",
        Alternative,
        r#""menshen-2026""#,
    ),
    ("connector.*.oidc.client_auth", Optional, r#""basic""#),
    (
        "connector.*.oidc.scopes",
        Default,
        r#"["openid", "profile", "email"]"#,
    ),
    (
        "connector.*.oidc.metadata_url",
        Optional,
        r#""https://id.corp.example/realms/corp/.well-known/openid-configuration""#,
    ),
    (
        "connector.*.oidc.jwks_url",
        Optional,
        r#""https://id.corp.example/realms/corp/protocol/openid-connect/certs""#,
    ),
    (
        "connector.*.oidc.algorithms",
        Optional,
        r#"["RS256", "ES256"]"#,
    ),
    ("connector.*.oidc.response_mode", Default, r#""query""#),
    ("connector.*.oidc.userinfo", Default, "true"),
    (
        "connector.*.oidc.authorize_params",
        Optional,
        "kc_idp_hint = \"staff\"",
    ),
    ("connector.*.oauth2.preset", Example, r#""github""#),
    (
        "connector.*.oauth2.base_url",
        Optional,
        r#""https://github.corp.example""#,
    ),
    (
        "connector.*.oauth2.client_id",
        Required,
        r#""Iv1.0123456789abcdef""#,
    ),
    (
        "connector.*.oauth2.client_secret",
        Example,
        r#"{ env = "GITHUB_SECRET" }"#,
    ),
    (
        "connector.*.oauth2.private_key",
        Alternative,
        r#"{ file = "/etc/menshen/github.pem" }"#,
    ),
    (
        "connector.*.oauth2.private_key_id",
        Alternative,
        r#""2026-01""#,
    ),
    ("connector.*.oauth2.client_auth", Optional, r#""post""#),
    (
        "connector.*.oauth2.authorize_url",
        Optional,
        r#""https://github.com/login/oauth/authorize""#,
    ),
    (
        "connector.*.oauth2.token_url",
        Optional,
        r#""https://github.com/login/oauth/access_token""#,
    ),
    ("connector.*.oauth2.token_at", Optional, r#""/data""#),
    (
        "connector.*.oauth2.profile_url",
        Optional,
        r#""https://api.github.com/user""#,
    ),
    ("connector.*.oauth2.profile_at", Optional, r#""/data""#),
    ("connector.*.oauth2.profile_auth", Optional, r#""bearer""#),
    (
        "connector.*.oauth2.scopes",
        Optional,
        r#"["read:user", "user:email", "read:org"]"#,
    ),
    ("connector.*.oauth2.scope_separator", Optional, r#"" ""#),
    ("connector.*.oauth2.pkce", Optional, r#"true"#),
    (
        "connector.*.oauth2.subject",
        Optional,
        r#""string(profile.id)""#,
    ),
    (
        "connector.*.oauth2.vouched_email",
        Optional,
        r#""profile.email_verified ? profile.email : null""#,
    ),
    (
        "connector.*.oauth2.return_param",
        Optional,
        r#""returnUrl""#,
    ),
    (
        "connector.*.oauth2.logout_url",
        Optional,
        r#""https://id.corp.example/logout""#,
    ),
    (
        "connector.*.oauth2.logout_return_param",
        Optional,
        r#""service""#,
    ),
    (
        "connector.*.oauth2.profiles",
        Optional,
        "teams = \"https://api.github.com/user/teams?per_page=100\"",
    ),
    (
        "connector.*.oauth2.authorize_params",
        Optional,
        "allow_signup = \"false\"",
    ),
    ("route.name", Required, r#""oa""#),
    ("route.host", Example, r#""oa.corp.example""#),
    ("route.path", Default, r#""/""#),
    (
        "route.upstream",
        Example,
        r#"["http://10.0.0.5:8080", "https://10.0.0.6"]"#,
    ),
    ("route.access", Default, r#""signed-in""#),
    (
        "route.allow",
        Optional,
        r#""'财务部' in user.departments || user.login == 'boss'""#,
    ),
    (
        "route.public_paths",
        Optional,
        r#"["/manifest.webmanifest", "/favicon.ico"]"#,
    ),
    ("route.connectors", Optional, r#"["corp"]"#),
    ("route.issuers", Optional, r#"["corp"]"#),
    ("route.scopes", Optional, r#"["deploy"]"#),
    (
        "route.acr_values",
        Optional,
        r#"["urn:corp:two-factor", "urn:corp:card"]"#,
    ),
    ("route.max_age", Optional, r#""10m""#),
    ("route.prompt", Optional, r#""login""#),
    ("route.reload_user", Default, r#""never""#),
    ("route.reload_after", Default, r#""30s""#),
    ("route.upstream_connections", Default, r#""shared""#),
    ("route.strip_path", Default, "false"),
    ("route.host_header", Default, r#""client""#),
    ("route.preflight", Default, r#""deny""#),
    ("route.case_insensitive", Optional, "false"),
    ("route.keep_fragment", Default, "false"),
    ("route.keep_header_case", Default, "false"),
    ("route.header_encoding", Default, r#""percent""#),
    (
        "route.pass_headers",
        Optional,
        r#"["X-HTTP-Method-Override"]"#,
    ),
    ("route.check_headers", Default, r#""identity""#),
    ("route.pass_access_token", Default, "false"),
    ("route.pass_id_token", Default, "false"),
    ("route.assertion", Optional, "true"),
    ("route.audience", Optional, r#""oa""#),
    ("route.headers", Example, "X-Remote-User = \"user.login\""),
    ("route.basic_auth.user", Optional, r#""user.login""#),
    (
        "route.basic_auth.password",
        Optional,
        r#"{ file = "/etc/menshen/oa.password" }"#,
    ),
    ("route.limits.connect", Default, r#""5s""#),
    ("route.limits.response", Default, r#""60s""#),
    ("route.limits.idle", Default, r#""60s""#),
    ("route.limits.keep_alive", Default, r#""30s""#),
    ("route.limits.abandoned", Default, r#""10s""#),
    ("route.limits.body_bytes_max", Default, "1073741824"),
    (
        "route.upstream_tls.ca",
        Optional,
        r#""/etc/menshen/oa.pem""#,
    ),
    (
        "route.upstream_tls.server_name",
        Optional,
        r#""oa.internal""#,
    ),
    (
        "route.upstream_tls.certificate",
        Optional,
        r#""/etc/menshen/client.pem""#,
    ),
    (
        "route.upstream_tls.key",
        Optional,
        r#"{ file = "/etc/menshen/client.key" }"#,
    ),
    ("route.upstream_tls.verify", Optional, "true"),
];

/// Keys whose value is a table with names that the administrator chooses.
pub(super) const FREE_TABLES: [&str; 5] = [
    "connector.*.mapping",
    "connector.*.oauth2.profiles",
    "connector.*.oauth2.authorize_params",
    "connector.*.oidc.authorize_params",
    "route.headers",
];

/// Kinds that are shown in a connector of their own, with the id of that connector.
pub(super) const EXTRA_CONNECTORS: [(&str, &str); 2] = [
    ("connector.*.oauth2", "github"),
    ("connector.*.oidc", "keycloak"),
];

/// Arrays of tables.
pub(super) const ARRAYS_OF_TABLES: [&str; 2] = ["route", "server.tls.more"];
