//! The keys in the order of full.toml, each with its default or an example.

/// How a key stands in full.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It has no default and must be there.
    Needed,
    /// With its default.
    Default,
    /// With an example, so that the file is of use.
    Example,
    /// Commented out, with an example: it has no default and may be absent.
    Absent,
    /// The same, and it does not stand beside what is shown before it.
    Instead,
}

use Shown::{Absent, Default, Example, Instead, Needed};

/// Path, how it is shown, TOML of its value; for a table of free names its lines.
pub(super) const KEYS: &[(&str, Shown, &str)] = &[
    ("server.listen", Default, r#"["127.0.0.1:8080"]"#),
    (
        "server.external_url",
        Needed,
        r#""https://sso.corp.example""#,
    ),
    ("server.prefix", Default, r#""/.menshen""#),
    (
        "server.trusted_proxies",
        Absent,
        r#"["10.0.0.0/8", "unix"]"#,
    ),
    (
        "server.files",
        Absent,
        r#"{ "/WW_verify_abcdefghijklmnop.txt" = "abcdefghijklmnop" }"#,
    ),
    (
        "server.tls.certificate",
        Absent,
        r#""/etc/menshen/tls.pem""#,
    ),
    ("server.tls.key", Absent, r#""/etc/menshen/tls.key""#),
    (
        "server.tls.more.certificate",
        Absent,
        r#""/etc/menshen/oa.pem""#,
    ),
    ("server.tls.more.key", Absent, r#""/etc/menshen/oa.key""#),
    ("server.limits.connections_max", Default, "20000"),
    ("server.limits.connections_per_client_max", Default, "10000"),
    ("server.limits.requests_per_client_max", Default, "10000"),
    ("server.limits.streams_max", Default, "128"),
    ("server.limits.upstream_share", Default, "75"),
    ("server.limits.header_read", Default, r#""30s""#),
    ("server.limits.keep_alive", Default, r#""75s""#),
    ("server.limits.progress_interval", Default, r#""60s""#),
    ("server.limits.upload_bytes_min", Default, "16384"),
    ("server.limits.download_bytes_min", Default, "16384"),
    ("server.limits.judged_again_after", Default, r#""10s""#),
    ("server.limits.drain", Default, r#""30s""#),
    ("server.limits.header_bytes_max", Default, "65536"),
    ("check.original", Default, r#""x-forwarded-uri""#),
    ("admin.listen", Absent, r#""127.0.0.1:9180""#),
    (
        "admin.token",
        Absent,
        r#"{ file = "/etc/menshen/admin.token" }"#,
    ),
    ("admin.hosts", Absent, r#"["menshen.monitoring.svc"]"#),
    ("ext_authz.grpc_listen", Absent, r#""127.0.0.1:9181""#),
    ("ext_authz.on_main", Absent, "false"),
    (
        "session.keys",
        Absent,
        r#"[{ file = "/etc/menshen/session.key" }]"#,
    ),
    ("session.lifetime", Default, r#""12h""#),
    ("session.idle_timeout", Default, r#""2h""#),
    ("session.cached_sessions_max", Default, "1000000"),
    ("session.cookie_name", Default, r#""menshen""#),
    ("session.cookie_domain", Absent, r#""corp.example""#),
    ("session.cookie_same_site", Default, r#""lax""#),
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
    ("login.origins", Absent, r#"["https://app.corp.example"]"#),
    ("connector.*.display_name", Example, r#""企业微信""#),
    ("connector.*.auto_login", Default, r#""in-app""#),
    ("connector.*.admission", Default, r#""create""#),
    ("connector.*.link_by", Absent, r#"["mobile", "email"]"#),
    ("connector.*.sync", Default, "true"),
    ("connector.*.login_prefix", Absent, r#""corp-""#),
    (
        "connector.*.callback_base",
        Absent,
        r#""https://login.corp.example""#,
    ),
    (
        "connector.*.callback",
        Instead,
        r#""https://sso.corp.example/.menshen/callback""#,
    ),
    (
        "connector.*.proxy",
        Absent,
        r#""http://proxy.corp.example:3128""#,
    ),
    ("connector.*.ca", Absent, r#""/etc/menshen/proxy-ca.pem""#),
    ("connector.*.home.desktop", Default, r#""/""#),
    ("connector.*.home.mobile", Default, r#""/""#),
    (
        "connector.*.mapping",
        Absent,
        "login = \"profile.userid\"\nemail = \"profile.biz_mail\"\n\
         badge = \"profile.extattr.attrs[2].value\"",
    ),
    (
        "connector.*.wecom.corp_id",
        Needed,
        r#""ww0123456789abcdef""#,
    ),
    ("connector.*.wecom.agent_id", Needed, "1000002"),
    (
        "connector.*.wecom.secret",
        Needed,
        r#"{ file = "/etc/menshen/wecom.secret" }"#,
    ),
    ("connector.*.wecom.scope", Default, r#""snsapi_base""#),
    ("connector.*.wecom.mode", Default, r#""auto""#),
    (
        "connector.*.wecom.schema",
        Absent,
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
        Absent,
        r#""https://id.corp.example/realms/corp""#,
    ),
    (
        "issuer.*.tenants",
        Instead,
        r#"["72f988bf-86f1-41af-91ab-2d7cd011db47"]"#,
    ),
    ("issuer.*.people", Instead, r#""keycloak""#),
    ("issuer.*.audiences", Absent, r#"["menshen"]"#),
    ("issuer.*.scopes", Absent, r#"["deploy"]"#),
    ("issuer.*.algorithms", Absent, r#"["RS256", "ES256"]"#),
    (
        "issuer.*.metadata_url",
        Absent,
        r#""https://id.corp.example/.well-known/oauth-authorization-server/realms/corp""#,
    ),
    (
        "issuer.*.jwks_url",
        Absent,
        r#""https://id.corp.example/realms/corp/keys""#,
    ),
    (
        "issuer.*.proxy",
        Absent,
        r#""http://proxy.corp.example:3128""#,
    ),
    ("issuer.*.ca", Absent, r#""/etc/menshen/proxy-ca.pem""#),
    ("issuer.*.cache", Absent, r#""60s""#),
    ("issuer.*.cached_max", Absent, "10000"),
    ("issuer.*.new_tokens_per_client_per_minute", Absent, "600"),
    ("issuer.*.new_tokens_per_client_at_once", Absent, "100"),
    (
        "issuer.*.introspection.url",
        Absent,
        r#""https://id.corp.example/realms/corp/introspect""#,
    ),
    ("issuer.*.introspection.client_id", Absent, r#""menshen""#),
    (
        "issuer.*.introspection.client_secret",
        Absent,
        r#"{ file = "/etc/menshen/introspection.secret" }"#,
    ),
    ("issuer.*.introspection.client_auth", Absent, r#""basic""#),
    ("issuer.*.introspection.audience_optional", Absent, "false"),
    (
        "connector.*.oidc.issuer",
        Needed,
        r#""https://id.corp.example/realms/corp""#,
    ),
    (
        "connector.*.oidc.tenants",
        Instead,
        r#"["72f988bf-86f1-41af-91ab-2d7cd011db47"]"#,
    ),
    ("connector.*.oidc.client_id", Needed, r#""menshen""#),
    (
        "connector.*.oidc.client_secret",
        Example,
        r#"{ file = "/etc/menshen/keycloak.secret" }"#,
    ),
    (
        "connector.*.oidc.private_key",
        Instead,
        r#"{ file = "/etc/menshen/keycloak.key" }"#,
    ),
    (
        "connector.*.oidc.private_key_id",
        Instead,
        r#""menshen-2026""#,
    ),
    ("connector.*.oidc.client_auth", Absent, r#""basic""#),
    (
        "connector.*.oidc.scopes",
        Default,
        r#"["openid", "profile", "email"]"#,
    ),
    (
        "connector.*.oidc.metadata_url",
        Absent,
        r#""https://id.corp.example/realms/corp/.well-known/openid-configuration""#,
    ),
    (
        "connector.*.oidc.jwks_url",
        Absent,
        r#""https://id.corp.example/realms/corp/protocol/openid-connect/certs""#,
    ),
    (
        "connector.*.oidc.algorithms",
        Absent,
        r#"["RS256", "ES256"]"#,
    ),
    ("connector.*.oidc.response_mode", Default, r#""query""#),
    ("connector.*.oidc.userinfo", Default, "true"),
    (
        "connector.*.oidc.authorize_params",
        Absent,
        "kc_idp_hint = \"staff\"",
    ),
    ("connector.*.oauth2.preset", Example, r#""github""#),
    (
        "connector.*.oauth2.base_url",
        Absent,
        r#""https://github.corp.example""#,
    ),
    (
        "connector.*.oauth2.client_id",
        Needed,
        r#""Iv1.0123456789abcdef""#,
    ),
    (
        "connector.*.oauth2.client_secret",
        Example,
        r#"{ env = "GITHUB_SECRET" }"#,
    ),
    (
        "connector.*.oauth2.private_key",
        Instead,
        r#"{ file = "/etc/menshen/github.pem" }"#,
    ),
    ("connector.*.oauth2.private_key_id", Instead, r#""2026-01""#),
    ("connector.*.oauth2.client_auth", Absent, r#""post""#),
    (
        "connector.*.oauth2.authorize_url",
        Absent,
        r#""https://github.com/login/oauth/authorize""#,
    ),
    (
        "connector.*.oauth2.token_url",
        Absent,
        r#""https://github.com/login/oauth/access_token""#,
    ),
    ("connector.*.oauth2.token_at", Absent, r#""/data""#),
    (
        "connector.*.oauth2.profile_url",
        Absent,
        r#""https://api.github.com/user""#,
    ),
    ("connector.*.oauth2.profile_at", Absent, r#""/data""#),
    ("connector.*.oauth2.profile_auth", Absent, r#""bearer""#),
    (
        "connector.*.oauth2.scopes",
        Absent,
        r#"["read:user", "user:email", "read:org"]"#,
    ),
    ("connector.*.oauth2.scope_separator", Absent, r#"" ""#),
    ("connector.*.oauth2.pkce", Absent, r#"true"#),
    (
        "connector.*.oauth2.subject",
        Absent,
        r#""string(profile.id)""#,
    ),
    (
        "connector.*.oauth2.vouched_email",
        Absent,
        r#""profile.email_verified ? profile.email : null""#,
    ),
    ("connector.*.oauth2.return_param", Absent, r#""returnUrl""#),
    (
        "connector.*.oauth2.logout_url",
        Absent,
        r#""https://id.corp.example/logout""#,
    ),
    (
        "connector.*.oauth2.logout_return_param",
        Absent,
        r#""service""#,
    ),
    (
        "connector.*.oauth2.profiles",
        Absent,
        "teams = \"https://api.github.com/user/teams?per_page=100\"",
    ),
    (
        "connector.*.oauth2.authorize_params",
        Absent,
        "allow_signup = \"false\"",
    ),
    ("route.name", Needed, r#""oa""#),
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
        Absent,
        r#""'财务部' in user.departments || user.login == 'boss'""#,
    ),
    (
        "route.public_paths",
        Absent,
        r#"["/manifest.webmanifest", "/favicon.ico"]"#,
    ),
    ("route.connectors", Absent, r#"["corp"]"#),
    ("route.issuers", Absent, r#"["corp"]"#),
    ("route.scopes", Absent, r#"["deploy"]"#),
    (
        "route.acr_values",
        Absent,
        r#"["urn:corp:two-factor", "urn:corp:card"]"#,
    ),
    ("route.max_age", Absent, r#""10m""#),
    ("route.prompt", Absent, r#""login""#),
    ("route.reload_user", Default, r#""never""#),
    ("route.reload_after", Default, r#""30s""#),
    ("route.upstream_connections", Default, r#""shared""#),
    ("route.strip_path", Default, "false"),
    ("route.host_header", Default, r#""client""#),
    ("route.preflight", Default, r#""deny""#),
    ("route.case_insensitive", Absent, "false"),
    ("route.keep_fragment", Default, "false"),
    ("route.keep_header_case", Default, "false"),
    ("route.header_encoding", Default, r#""percent""#),
    (
        "route.pass_headers",
        Absent,
        r#"["X-HTTP-Method-Override"]"#,
    ),
    ("route.pass_access_token", Default, "false"),
    ("route.pass_id_token", Default, "false"),
    ("route.assertion", Absent, "true"),
    ("route.audience", Absent, r#""oa""#),
    ("route.headers", Example, "X-Remote-User = \"user.login\""),
    ("route.basic_auth.user", Absent, r#""user.login""#),
    (
        "route.basic_auth.password",
        Absent,
        r#"{ file = "/etc/menshen/oa.password" }"#,
    ),
    ("route.limits.connect", Default, r#""5s""#),
    ("route.limits.response", Default, r#""60s""#),
    ("route.limits.idle", Default, r#""60s""#),
    ("route.limits.keep_alive", Default, r#""30s""#),
    ("route.limits.body_bytes_max", Default, "1073741824"),
    ("route.upstream_tls.ca", Absent, r#""/etc/menshen/oa.pem""#),
    ("route.upstream_tls.server_name", Absent, r#""oa.internal""#),
    (
        "route.upstream_tls.certificate",
        Absent,
        r#""/etc/menshen/client.pem""#,
    ),
    (
        "route.upstream_tls.key",
        Absent,
        r#"{ file = "/etc/menshen/client.key" }"#,
    ),
    ("route.upstream_tls.verify", Absent, "true"),
];

/// Keys whose value is a table of names the administrator chooses, written as a table of its own.
pub(super) const FREE: [&str; 5] = [
    "connector.*.mapping",
    "connector.*.oauth2.profiles",
    "connector.*.oauth2.authorize_params",
    "connector.*.oidc.authorize_params",
    "route.headers",
];

/// Tables of a kind that stands in a connector of its own, and the name of that one.
pub(super) const OTHERS: [(&str, &str); 2] = [
    ("connector.*.oauth2", "github"),
    ("connector.*.oidc", "keycloak"),
];

/// Tables that may stand several times.
pub(super) const SEVERAL: [&str; 2] = ["route", "server.tls.more"];
