//! Secrets of every kind of connector are looked for wherever they could be seen: answers, pages, logs at every
//! level, the audit trail, errors, exports, `Debug` and the store.

use std::collections::BTreeSet;

use menshen::login::connector::ConnectorConfig;
use menshen::site::settings::SecretPlaces;
use serde_json::{Value, json};

use super::*;
use crate::provider::Key;
use crate::records::Records;
use crate::saml::keys;
use crate::stores::TempDir;
use crate::wire;

const TOKEN: &str = "correct-horse-battery-staple";

/// What a search finds of every secret that can be chosen freely.
const CORE: &str = "Seeded7";

/// A line of the lowest level, which shows that the log has it.
const EVERY_LEVEL: &str = "the log of the seeded secrets has every level";

/// A key for the events of a source: 43 characters of Base64.
fn aes_key(of: &str) -> String {
    format!("{:A<43}", format!("{CORE}{of}"))
}

/// A secret of at least 32 characters.
fn secret(of: &str) -> String {
    format!("{CORE}-{of}-which-is-long-enough-for-every-kind")
}

/// Connectors of every kind with all their secrets: ID and settings.
fn connectors() -> Vec<(&'static str, Value)> {
    let pem = |algorithm| Key::generate(algorithm).private_pem;
    let ed_dsa = pem(jsonwebtoken::Algorithm::EdDSA);
    let rs256 = pem(jsonwebtoken::Algorithm::RS256);
    let events =
        |of: &str| json!({ "token": format!("{CORE}{of}"), "encoding_aes_key": aes_key(of) });
    let own = keys::own();
    let mut connectors = sources(&events);
    connectors.extend([
        ("oidc", json!({ "oidc": {
            "issuer": "https://id.corp.example", "client_id": "a", "client_secret": secret("oidc"),
        } })),
        ("oidc-key", json!({ "oidc": {
            "issuer": "https://id.corp.example", "client_id": "a", "private_key": ed_dsa,
        } })),
        ("oauth2", json!({ "oauth2": {
            "preset": "github", "client_id": "a", "client_secret": secret("oauth2"),
        } })),
        ("oauth2-key", json!({ "oauth2": {
            "preset": "github", "client_id": "a", "private_key": rs256,
            "client_auth": "private-key-jwt",
        } })),
        ("saml", json!({ "saml": {
            "metadata": "https://idp.corp.example/metadata", "name_id_format": "persistent",
            "private_key": own.private_pem, "certificate_pem": own.certificate_pem,
        } })),
        ("jwt", json!({ "jwt": {
            "algorithm": "HS256", "origins": ["https://portal.corp.example"],
            "key": [secret("jwt-first"), secret("jwt-second")],
            "decrypt": {
                "algorithm": "dir", "method": "A256GCM", "key": format!("{:x<32}", format!("{CORE}-jwe")),
            },
        } })),
        ("custom", json!({ "custom": {
            "entry": "ticket", "origins": ["https://portal.corp.example"],
            "subject": "steps.verify.id", "profile": "steps.verify",
            "secrets": { "key": secret("custom") },
            "step": [{
                "name": "verify", "url": "https://portal.corp.example/verify",
                "query": { "ticket": "code", "key": "secrets.key" },
            }],
        } })),
        ("local", json!({ "local": {} })),
    ]);
    connectors
}

/// Those of applications at a source, of directories and of CAS.
fn sources(events: &dyn Fn(&str) -> Value) -> Vec<(&'static str, Value)> {
    let proxy = format!("http://user:{CORE}-proxy@127.0.0.1:9");
    vec![
        (
            "wecom",
            json!({ "auto_login": "never", "wecom": {
            "corp_id": "ww1", "agent_id": 7, "secret": secret("wecom"),
            "contact_secret": secret("contacts"), "events": events("wecom"),
        } }),
        ),
        (
            "dingtalk",
            json!({ "auto_login": "never", "dingtalk": {
            "app_key": "dingkey1", "corp_id": "dingcorp1", "app_secret": secret("dingtalk"),
            "sso_secret": secret("sso"), "events": events("dingtalk"),
        } }),
        ),
        (
            "lark",
            json!({ "auto_login": "never", "lark": {
            "app_id": "cli_1", "contacts": true, "app_secret": secret("lark"),
            "events": { "verification_token": secret("verification"), "encrypt_key": secret("encrypt") },
        } }),
        ),
        (
            "yunzhijia",
            json!({ "yunzhijia": {
            "app_id": "500000001", "eid": "17951708", "app_secret": secret("yunzhijia"),
        } }),
        ),
        (
            "ldap",
            json!({ "ldap": {
            "url": "ldaps://ldap.corp.example", "base": "dc=corp", "bind_dn": "cn=gate,dc=corp",
            "bind_password": secret("ldap"),
        } }),
        ),
        (
            "cas",
            json!({ "proxy": proxy, "cas": { "url": "https://cas.corp.example/cas" } }),
        ),
    ]
}

/// Whether a text shows a secret: one of [`CORE`], or a line in the middle of a private key.
fn shows_secret<'s>(text: &str, secrets: &'s BTreeSet<String>) -> Option<&'s str> {
    let shown = |secret: &&String| match secret.starts_with("-----BEGIN") {
        true => {
            let lines: Vec<_> = secret
                .lines()
                .filter(|line| !line.starts_with('-'))
                .collect();
            let line = lines[lines.len() / 2];
            text.contains(line)
        }
        false => text.contains(CORE) || text.contains(secret.as_str()),
    };
    secrets.iter().find(shown).map(String::as_str)
}

/// The keys whose values are secrets, from the schema; `*` stands for a name that is chosen.
fn secret_keys() -> BTreeSet<String> {
    let root = schemars::schema_for!(ConnectorConfig).to_value();
    let mut found = BTreeSet::new();
    collect_secret_keys(&root, &root, "", &mut found);
    found
}

fn collect_secret_keys(root: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        if name.ends_with("/Secret") {
            found.insert(path.to_owned());
            return;
        }
        let below = root.pointer(name.trim_start_matches('#')).unwrap();
        return collect_secret_keys(root, below, path, found);
    }
    for choice in ["anyOf", "oneOf"] {
        for one in schema[choice].as_array().into_iter().flatten() {
            collect_secret_keys(root, one, path, found);
        }
    }
    let join = |key: &str| format!("{path}.{key}").trim_start_matches('.').to_owned();
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        collect_secret_keys(root, below, &join(key), found);
    }
    if schema["additionalProperties"].is_object() {
        collect_secret_keys(root, &schema["additionalProperties"], &join("*"), found);
    }
    if schema["items"].is_object() {
        collect_secret_keys(root, &schema["items"], path, found);
    }
}

struct Seeded {
    menshen: Menshen,
    store: TempDir,
    /// All secrets, as an export gives them.
    secrets: BTreeSet<String>,
    shown: Vec<(String, String)>,
}

impl Seeded {
    async fn start() -> Self {
        let store = TempDir::new();
        let setup = with_console("external_url = \"http://console.test\"\n");
        let setup = setup.external_url("https://sso.test").without_connector();
        let menshen = setup.store(&store.url()).access_log().start().await;
        Self {
            menshen,
            store,
            secrets: BTreeSet::new(),
            shown: Vec::new(),
        }
    }

    async fn api(&mut self, method: &str, path: &str, body: &Value) -> u16 {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let address = self.menshen.running.admin_address().unwrap();
        let answer = wire::send(address, request.as_bytes()).await;
        self.keep(&format!("{method} {path}"), &answer);
        answer.status
    }

    fn keep(&mut self, what: &str, answer: &Answer) {
        let text = format!("{}{:?}", answer.text(), answer.headers);
        self.shown.push((what.to_owned(), text));
    }

    /// Makes every connector, and every mistake with it.
    async fn put_all(&mut self) {
        for (id, table) in connectors() {
            let path = format!("/api/connectors/{id}");
            let status = self.api("PUT", &path, &table).await;
            assert_eq!(status, 201, "{id}: {:?}", self.shown.last());
            let kind = table
                .as_object()
                .unwrap()
                .keys()
                .find(|key| key.as_str() != "proxy" && *key != "auto_login");
            let kind = kind.unwrap().clone();
            for (key, value) in [
                ("enabled", json!(secret("wrong"))),
                ("auto_login", json!(secret("wrong"))),
                (kind.as_str(), json!(secret("wrong"))),
                ("no_such_key", json!(secret("wrong"))),
            ] {
                let mut bad = table.clone();
                bad[key] = value;
                let status = self.api("PUT", &path, &bad).await;
                assert_eq!(status, 400, "{id} {key}: {:?}", self.shown.last());
            }
        }
    }

    /// Reads everything that shows settings.
    async fn look_everywhere(&mut self) {
        let versions = self.menshen.running.live().settings().version();
        let ids: Vec<_> = connectors().into_iter().map(|(id, _)| id).collect();
        let mut paths: Vec<_> = [
            "connectors",
            "login",
            "config/versions",
            "config/export",
            "audit",
        ]
        .map(|path| format!("/api/{path}"))
        .to_vec();
        paths.extend(ids.iter().map(|id| format!("/api/connectors/{id}")));
        paths.extend((1..=versions).map(|number| format!("/api/config/versions/{number}")));
        paths.extend(["/metrics", "/readyz", "/openapi.json"].map(str::to_owned));
        for kind in [
            "ldap",
            "cas",
            "saml2",
            "oauth2",
            "dingtalk",
            "wechat-work",
            "ctr",
            "yunzhijia",
            "jwt-param",
            "lark",
            "qince",
        ] {
            paths.push(format!("/api/authentication-configs/{kind}"));
        }
        for path in paths {
            self.api("GET", &path, &Value::Null).await;
        }
        let mut visit = Visit::of_administrator(&self.menshen, "root").await;
        let mut pages: Vec<_> = PAGES.map(str::to_owned).to_vec();
        pages.extend(ids.iter().map(|id| format!("/console/connectors/{id}")));
        pages.extend(
            (1..versions).map(|from| format!("/console/config?from={from}&to={}", from + 1)),
        );
        pages.push("/console/config/download".to_owned());
        for page in pages {
            let answer = visit.get(&page).await;
            self.keep(&page, &answer);
        }
    }
}

/// The secrets that an export writes into files, and their keys.
async fn exported(menshen: &Menshen) -> (BTreeSet<String>, BTreeSet<String>) {
    let config = menshen.setup.config(&menshen.wecom, &menshen.app).unwrap();
    let places = SecretPlaces::Files("/nowhere".to_owned());
    let export = menshen::run::export(&config, None, &places).await.unwrap();
    let secrets = export.secrets.iter();
    let texts = secrets.clone().map(|one| one.secret.expose().clone());
    let keys = secrets.map(|one| {
        let steps = one.field.splitn(3, '.').nth(2).unwrap().split('.');
        let steps = steps.filter(|step| step.parse::<usize>().is_err());
        steps
            .collect::<Vec<_>>()
            .join(".")
            .replace("secrets.key", "secrets.*")
    });
    (texts.collect(), keys.collect())
}

#[tokio::test]
async fn no_secret_of_any_kind_is_shown_anywhere() {
    let log = Records::process_log();
    let begun_at = log.text().len();
    let mut seeded = Seeded::start().await;
    seeded.put_all().await;
    let (secrets, keys) = exported(&seeded.menshen).await;
    let mut expected = secret_keys();
    expected.insert("proxy".to_owned());
    assert_eq!(
        keys, expected,
        "every secret key of every kind has its seed"
    );
    seeded.secrets = secrets;
    seeded.look_everywhere().await;
    seeded
        .api("POST", "/api/config/rollback", &json!({ "version": 3 }))
        .await;
    seeded
        .api("DELETE", "/api/connectors/wecom", &Value::Null)
        .await;

    let live = seeded.menshen.running.live();
    live.services().telemetry.flush();
    let debug = format!(
        "{live:?} {:?} {:?}",
        live.settings(),
        live.settings().config()
    );
    tracing::trace!(target: "menshen::seeded", "{EVERY_LEVEL}");
    let log = log.text().split_off(begun_at);
    assert!(log.contains(EVERY_LEVEL), "the log has every level");
    let stored = String::from_utf8_lossy(&seeded.store.bytes()).into_owned();
    let records = seeded.menshen.records.text();
    assert!(
        records.contains("put connector custom"),
        "the records have the changes"
    );
    let mut places = seeded.shown;
    for (what, text) in [
        ("Debug", debug),
        ("the log", log),
        ("the store", stored),
        ("the records", records),
    ] {
        places.push((what.to_owned(), text));
    }
    for (what, text) in &places {
        let shown = shows_secret(text, &seeded.secrets);
        assert_eq!(shown.map(str::len), None, "{what} shows a secret");
    }
    // The search finds what it looks for.
    for secret in &seeded.secrets {
        let text = format!("before {} after", secret.replace('\n', "\r\n"));
        assert!(shows_secret(&text, &seeded.secrets).is_some());
    }
}
