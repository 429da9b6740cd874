//! Each kind: what is posted in its form is what the admin API shows.

use super::*;
use crate::saml::keys::own;

type Fields = Vec<(&'static str, String)>;

/// A kind, its form, and the settings that it makes. `enabled` and `sync` have their defaults.
type Row = (&'static str, Fields, Value);

fn row(kind: &'static str, fields: &[(&'static str, &str)], settings: Value) -> Row {
    let fields = fields
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    (kind, fields.collect(), settings)
}

/// The kinds with an app of their own.
fn apps() -> Vec<Row> {
    vec![
        row(
            "lark",
            &[
                ("lark.app_id", "cli_1"),
                ("lark.app_secret", "hunter2"),
                ("lark.contacts", "true"),
                ("lark.sync_every", "1h"),
            ],
            json!({ "lark": {
                "app_id": "cli_1", "app_secret": "********", "contacts": true, "sync_every": "1h",
            } }),
        ),
        row(
            "dingtalk",
            &[
                ("dingtalk.app_key", "dingkey1"),
                ("dingtalk.app_secret", "hunter2"),
                ("dingtalk.corp_id", "dingcorp1"),
                ("dingtalk.scope", "openid corpid"),
            ],
            json!({ "dingtalk": {
                "app_key": "dingkey1", "app_secret": "********", "corp_id": "dingcorp1",
                "scope": "openid corpid",
            } }),
        ),
        row(
            "yunzhijia",
            &[
                ("yunzhijia.app_id", "500000001"),
                ("yunzhijia.app_secret", "hunter2"),
                ("yunzhijia.eid", "17951708"),
                ("yunzhijia.contacts", "true"),
            ],
            json!({ "yunzhijia": {
                "app_id": "500000001", "app_secret": "********", "eid": "17951708", "contacts": true,
            } }),
        ),
    ]
}

fn wecom() -> Row {
    row(
        "wecom",
        &[
            ("display_name", "企业微信"),
            ("auto_login", "never"),
            ("admission", "existing"),
            ("link_by", "mobile"),
            ("link_by", "email"),
            ("link_on_request", "true"),
            ("home.mobile", "/m"),
            ("login_prefix", "corp-"),
            ("join.department", "示例公司/外包"),
            ("join.groups", "guests\r\n\r\n staff \r\n"),
            ("proxy", "http://proxy.corp.example:3128"),
            ("mapping.login", "profile.userid"),
            ("mapping", "badge = \"profile.extattr.attrs[2].value\""),
            ("wecom.corp_id", "ww0123456789abcdef"),
            ("wecom.agent_id", "1000002"),
            ("wecom.secret", "hunter2"),
            ("wecom.mode", "web"),
            ("wecom.events", "true"),
            ("wecom.events.token", "hunter3"),
            (
                "wecom.events.encoding_aes_key",
                "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFE",
            ),
            ("wecom.sync_brake", "20"),
        ],
        json!({
            "display_name": "企业微信", "auto_login": "never", "admission": "existing",
            "link_by": ["mobile", "email"], "link_on_request": true, "home": { "mobile": "/m" },
            "login_prefix": "corp-", "proxy": "http://proxy.corp.example:3128",
            "join": { "department": "示例公司/外包", "groups": ["guests", "staff"] },
            "mapping": { "login": "profile.userid", "badge": "profile.extattr.attrs[2].value" },
            "wecom": {
                "corp_id": "ww0123456789abcdef", "agent_id": 1_000_002, "secret": "********",
                "mode": "web", "sync_brake": 20,
                "events": { "token": "********", "encoding_aes_key": "********" },
            },
        }),
    )
}

/// The kinds with a login page.
fn providers() -> Vec<Row> {
    vec![
        row(
            "oidc",
            &[
                ("oidc.issuer", "https://id.corp.example/realms/corp"),
                ("oidc.client_id", "menshen"),
                ("oidc.client_secret", "hunter2"),
                ("oidc.scopes", "openid\r\nemail"),
                ("oidc.userinfo", ""),
                ("oidc.client_auth", "post"),
                ("oidc.authorize_params", "kc_idp_hint = \"staff\""),
            ],
            json!({ "oidc": {
                "issuer": "https://id.corp.example/realms/corp", "client_id": "menshen",
                "client_secret": "********", "scopes": ["openid", "email"], "client_auth": "post",
                "authorize_params": { "kc_idp_hint": "staff" },
            } }),
        ),
        row(
            "oauth2",
            &[
                ("oauth2.preset", "github"),
                ("oauth2.client_id", "Iv1.0123456789abcdef"),
                ("oauth2.client_secret", "hunter2"),
                ("oauth2.pkce", "false"),
                ("oauth2.scope_separator", " "),
                (
                    "oauth2.profiles",
                    "teams = \"https://api.github.com/user/teams\"",
                ),
            ],
            json!({ "oauth2": {
                "preset": "github", "client_id": "Iv1.0123456789abcdef", "client_secret": "********",
                "pkce": false, "scope_separator": " ", "send_redirect_uri": false,
                "profiles": { "teams": "https://api.github.com/user/teams" },
            } }),
        ),
        row(
            "saml",
            &[
                ("saml.metadata", "https://idp.corp.example/metadata"),
                ("saml.name_id_format", "persistent"),
                ("saml.private_key", &own().private_pem),
                ("saml.certificate_pem", &own().certificate_pem),
                ("saml.signed", "both"),
            ],
            json!({ "saml": {
                "metadata": "https://idp.corp.example/metadata", "name_id_format": "persistent",
                "private_key": "********", "certificate_pem": own().certificate_pem.trim(),
                "signed": "both",
            } }),
        ),
        row(
            "cas",
            &[
                ("cas.url", "https://sso.corp.example/cas"),
                ("cas.version", "2.0"),
                ("cas.renew", "true"),
                ("cas.single_logout", "true"),
            ],
            json!({ "cas": { "url": "https://sso.corp.example/cas", "version": "2.0", "renew": true } }),
        ),
    ]
}

/// The others.
fn others() -> Vec<Row> {
    let steps = "[[step]]\nname = \"user\"\nurl = \"https://portal.corp.example/api/user\"\n\
                 query = { ticket = \"code\", key = \"secrets.app\" }\n";
    vec![
        row("local", &[], json!({ "local": {} })),
        row(
            "jwt",
            &[
                ("jwt.algorithm", "HS256"),
                (
                    "jwt.key",
                    "hunter2 hunter2 hunter2 hunter2 hunter2\r\n\r\nhunter3 hunter3 hunter3 hunter3 hunter3",
                ),
                ("jwt.origins", "https://portal.corp.example"),
            ],
            json!({ "jwt": {
                "algorithm": "HS256", "key": ["********", "********"],
                "origins": ["https://portal.corp.example"],
            } }),
        ),
        row(
            "ldap",
            &[
                (
                    "ldap.url",
                    "ldaps://a.corp.example\r\nldaps://b.corp.example",
                ),
                ("ldap.start_tls", "true"),
                ("ldap.base", "ou=people,dc=corp,dc=example"),
                ("ldap.bind_dn", "cn=menshen,dc=corp,dc=example"),
                ("ldap.bind_password", "hunter2"),
                ("ldap.groups", "true"),
                ("ldap.groups.base", "ou=groups,dc=corp,dc=example"),
                ("ldap.groups.nested", "true"),
            ],
            json!({ "ldap": {
                "url": ["ldaps://a.corp.example", "ldaps://b.corp.example"],
                "base": "ou=people,dc=corp,dc=example", "bind_dn": "cn=menshen,dc=corp,dc=example",
                "bind_password": "********",
                "groups": { "base": "ou=groups,dc=corp,dc=example", "nested": true },
            } }),
        ),
        row(
            "custom",
            &[
                ("custom.entry", "ticket"),
                ("custom.origins", "https://portal.corp.example"),
                ("custom.state", ""),
                ("custom.secrets", "app = \"hunter2\""),
                ("custom.step", steps),
                ("custom.subject", "steps.user.id"),
                ("custom.profile", "steps.user"),
            ],
            json!({ "custom": {
                "entry": "ticket", "origins": ["https://portal.corp.example"], "state": "",
                "secrets": { "app": "********" }, "subject": "steps.user.id", "profile": "steps.user",
                "step": [{
                    "name": "user", "url": "https://portal.corp.example/api/user",
                    "query": { "ticket": "code", "key": "secrets.app" },
                }],
            } }),
        ),
    ]
}

#[tokio::test]
async fn a_form_of_every_kind_makes_the_settings_that_the_api_shows() {
    let menshen = empty_setup().external_url("https://sso.test").start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let rows = [vec![wecom()], apps(), providers(), others()].concat();
    for (kind, fields, settings) in rows {
        visit.get(&format!("{LIST}/_new?kind={kind}")).await;
        let fields: Vec<_> = [("kind", kind), ("enabled", "true"), ("sync", "true")]
            .map(|(name, value)| (name, value.to_owned()))
            .into_iter()
            .chain(fields)
            .filter(|(name, value)| !value.is_empty() || *name == "custom.state")
            .collect();
        visit.make(kind, &fields).await;
        let shown = shown_by_api(&menshen, kind).await.unwrap();
        assert_eq!(without_false(shown), without_false(settings), "{kind}");
        // Its page shows all of it and saves the same again.
        let page = format!("{LIST}/{kind}");
        let html = visit.get(&page).await.text();
        for secret in ["hunter2", "hunter3", "PRIVATE KEY"] {
            assert!(!html.contains(secret), "{kind}: {html}");
        }
        let again = typed_of(&html, fields);
        let before = shown_by_api(&menshen, kind).await.unwrap();
        let again = with(
            &again,
            &[("etag", &hidden(&html, "etag")), ("action", "save")],
        );
        let answer = visit.post_form(&page, &again).await;
        assert_eq!(answer.status, 303, "{kind}: {}", answer.text());
        assert_eq!(
            shown_by_api(&menshen, kind).await.unwrap(),
            before,
            "{kind}"
        );
    }
}

/// The settings without what is off: boxes that were not sent.
fn without_false(mut settings: Value) -> Value {
    for table in settings.as_object_mut().unwrap().values_mut() {
        if let Some(table) = table.as_object_mut() {
            table.retain(|_, value| *value != false);
        }
    }
    settings
}

/// The fields as their page shows them: secrets are empty.
fn typed_of(html: &str, fields: Fields) -> Fields {
    let is_shown = |name: &str| {
        let part = control(html, name).unwrap_or_else(|| panic!("{name}: {html}"));
        !part.contains("type=\"password\"") && !part.contains("autocomplete=\"off\"")
    };
    let fields = fields.into_iter();
    fields
        .filter(|(name, _)| *name == "kind" || *name != "custom.secrets" && is_shown(name))
        .collect()
}
