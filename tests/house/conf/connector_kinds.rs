//! What holds for the settings of every kind of connector. Each kind has a row in a table.

use std::collections::BTreeSet;

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::login::connector::Kind;
use menshen::people::profile::{MappedProfile, Mapping, MappingConfig};

use super::problems::{assert_problem, parse_error};
use super::schema;
use super::warnings::warned_keys;
use super::{connector_deps, parse};

/// The kinds: the name of the table, the required keys, and the keys of the secrets, if it has any.
/// `SECRET` stands for the value of the first secret.
const KINDS: &[(&str, &str, &[&str])] = &[
    (
        "wecom",
        "corp_id = 'ww0123456789abcdef'\nagent_id = 7\nsecret = SECRET\n",
        &["secret"],
    ),
    (
        "oidc",
        "issuer = 'https://id.corp.example'\nclient_id = 'menshen'\nclient_secret = SECRET\n",
        &["client_secret", "private_key"],
    ),
    (
        "oauth2",
        "preset = 'github'\nclient_id = 'menshen'\nclient_secret = SECRET\n",
        &["client_secret", "private_key"],
    ),
    // An empty file of people.
    ("local", "people = '/dev/null'\n", &[]),
    (
        "jwt",
        "algorithm = 'HS256'\norigins = ['https://portal.corp.example']\nkey = SECRET\n",
        &["key"],
    ),
    ("cas", "url = 'https://cas.corp.example/cas'\n", &[]),
    (
        "ldap",
        "url = 'ldaps://ldap.corp.example'\nbase = 'ou=people,dc=corp'\n\
         bind_dn = 'cn=gate,dc=corp'\nbind_password = SECRET\n\
         member_of_base = 'ou=groups,dc=corp'\n",
        &["bind_password"],
    ),
    (
        "saml",
        "metadata = 'https://idp.corp.example/metadata'\nname_id_format = 'persistent'\n",
        &[],
    ),
    (
        "lark",
        "app_id = 'cli_1'\napp_secret = SECRET\ncontacts = true\n",
        &["app_secret"],
    ),
    (
        "dingtalk",
        "app_key = 'dingkey1'\ncorp_id = 'dingcorp1'\napp_secret = SECRET\n",
        &["app_secret"],
    ),
    (
        "custom",
        "entry = 'ticket'\norigins = ['https://portal.corp.example']\nsubject = 'steps.verify.id'\n\
         profile = 'steps.verify'\nsecrets.key = SECRET\n\
         [[connector.corp.custom.step]]\nname = 'verify'\nurl = 'https://portal.corp.example/verify'\n\
         query = { ticket = 'code', key = 'secrets.key' }\n",
        &["secrets.key"],
    ),
    (
        "yunzhijia",
        "app_id = '500000001'\neid = '17951708'\norigins = ['https://www.yunzhijia.com']\n\
         app_secret = SECRET\ncontacts = true\n",
        &["app_secret"],
    ),
];

/// A secret in the configuration that is long enough for every kind.
const SECRET_TEXT: &str = "'hunter2 hunter2 hunter2 hunter2 hunter2'";

const SECRET_FILE: &str = "{ file = '/etc/menshen/source.secret' }";

/// A valid configuration of six lines before the connector.
fn document(connector: &str) -> String {
    format!(
        "[server]\nexternal_url = 'https://sso.corp.example'\ntrusted_proxies = ['10.0.0.1']\n\
         [[route]]\nname = 'a'\nupstream = ['http://127.0.0.1:1']\n{connector}"
    )
}

/// The table of a kind; in [`document`] it begins in line 7.
fn table((name, required_keys, _): &(&str, &str, &[&str]), secret: &str) -> String {
    format!(
        "[connector.corp.{name}]\n{}",
        required_keys.replace("SECRET", secret)
    )
}

fn with_kind<T>(config: &Config, read: impl FnOnce(&dyn Kind) -> T) -> T {
    let connector = config.connector.values().next().unwrap();
    read(connector.kind().unwrap())
}

#[test]
fn every_kind_has_a_row() {
    let schema = schema::read();
    let kinds_in_schema: BTreeSet<_> = schema
        .tables
        .keys()
        .filter_map(|path| path.strip_prefix("connector.*."))
        .filter(|name| !name.contains('.') && !["home", "join"].contains(name))
        .collect();
    let kinds_in_table: BTreeSet<_> = KINDS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(kinds_in_schema, kinds_in_table);
}

#[test]
fn the_error_for_a_connector_without_a_kind_names_every_kind() {
    let error = parse_error(&document("[connector.corp]\nsync = true\n")).to_string();
    for (name, ..) in KINDS {
        let table = format!("[connector.corp.{name}]");
        assert!(error.contains(&table), "{table}: {error}");
    }
}

#[test]
fn the_required_keys_of_a_kind_are_enough() {
    for kind in KINDS {
        let config = parse(&document(&table(kind, SECRET_FILE)));
        assert_eq!(config.warnings(), [], "{kind:?}");
        assert_eq!(with_kind(&config, |kind| kind.name()), kind.0);
    }
}

#[test]
fn a_kind_lists_its_secrets_and_shows_none() {
    for kind in KINDS {
        let (name, _, secrets) = kind;
        let files = parse(&document(&table(kind, SECRET_FILE))).files();
        let file = std::path::PathBuf::from("/etc/menshen/source.secret");
        assert_eq!(
            files.contains(&file),
            !secrets.is_empty(),
            "{name}: {files:?}"
        );
        for secret in *secrets {
            let text = table(kind, SECRET_TEXT).replace(secrets[0], secret);
            let text = document(&text);
            let index = text.lines().position(|line| line.contains("hunter2"));
            let key = format!("connector.corp.{name}.{secret}");
            assert_eq!(warned_keys(&text), [(key, index.unwrap() + 1)], "{text}");
            assert!(!format!("{:?}", parse(&text)).contains("hunter2"), "{name}");
        }
    }
}

#[test]
fn unknown_and_missing_keys_of_a_kind_are_refused_at_its_table() {
    for kind in KINDS {
        let table = table(kind, SECRET_FILE);
        let more = document(&format!("{table}no_such_key = 1\n"));
        let line = more.lines().count();
        assert_problem(&parse_error(&more), line, 1, &["no_such_key"]);
        let (name, ..) = kind;
        let bare = document(&format!("[connector.corp.{name}]\n"));
        match *name {
            // Without a file, the store keeps the people.
            "local" => assert!(with_kind(&parse(&bare), |kind| kind
                .features()
                .keeps_people)),
            _ => assert_problem(&parse_error(&bare), 7, 1, &["is missing"]),
        }
    }
}

#[test]
fn a_connector_with_two_kinds_is_refused() {
    for (index, one) in KINDS.iter().enumerate() {
        for other in &KINDS[index + 1..] {
            let both = format!("{}{}", table(other, SECRET_FILE), table(one, SECRET_FILE));
            let error = parse_error(&document(&both)).to_string();
            let names = format!(
                "keep [connector.corp.{}] or [connector.corp.{}]",
                one.0, other.0
            );
            assert!(
                error.contains("is of two kinds") && error.contains(&names),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_kind_builds_without_sending_a_request() {
    menshen::keys::install_crypto();
    for kind in KINDS {
        let config = parse(&document(&table(kind, SECRET_TEXT)));
        let features = with_kind(&config, |kind| kind.features());
        assert!(
            Mapping::build(features.mapping, &MappingConfig::default(), "").is_ok(),
            "{kind:?}"
        );
        if let Some(icon) = features.icon {
            assert!(icon.starts_with("<svg class=\"icon\""), "{icon}");
            assert!(!icon.contains("script") && !icon.contains("href"), "{icon}");
        }
        let deps = connector_deps("corp", &Clock::system());
        let connector = with_kind(&config, |kind| kind.build(deps)).unwrap();
        assert!(!format!("{connector:?}").contains("hunter2"), "{kind:?}");
    }
}

#[test]
fn an_invalid_url_or_id_is_refused_at_its_value() {
    let table = table(&KINDS[0], SECRET_FILE);
    for (key, value, rule) in [
        ("corp_id", "''", "letters and digits"),
        ("corp_id", "'a:b'", "letters and digits"),
        ("api_base", "'ftp://qyapi.weixin.qq.com'", "https://"),
        ("login_url", "'mailto:a@b'", "https://"),
        ("authorize_url", "'data:x'", "https://"),
    ] {
        let rest = table.replace("corp_id = 'ww0123456789abcdef'\n", "");
        let rest = if key == "corp_id" { &rest } else { &table };
        let text = document(&format!("{rest}{key} = {value}\n"));
        let column = key.len() + 4;
        assert_problem(
            &parse_error(&text),
            text.lines().count(),
            column,
            &[key, rule],
        );
    }
}

/// What the default mapping of a kind makes of its sample.
fn mapped_sample(kind: &dyn Kind) -> MappedProfile {
    let features = kind.features();
    let sample: serde_json::Value = serde_json::from_str(features.sample_profile).unwrap();
    let mut mapping = MappingConfig::default();
    if features.mapping.iter().all(|(field, _)| *field != "login") {
        let login = "profile.preferred_username".to_owned();
        mapping.0.insert("login".to_owned(), login);
    }
    let mapping = Mapping::build(features.mapping, &mapping, "").unwrap();
    let of_missing = mapping.preview(&sample).into_iter();
    for (field, value) in of_missing {
        assert!(value.is_ok(), "{}: {field}: {value:?}", kind.name());
    }
    mapping.map(&sample).unwrap()
}

#[test]
fn every_kind_has_a_sample_of_a_person_for_trying_its_mapping() {
    let mut documents: Vec<_> = KINDS.iter().map(|kind| table(kind, SECRET_FILE)).collect();
    let presets = [
        "gitlab",
        "google",
        "microsoft",
        "keycloak",
        "gitee",
        "feishu",
    ];
    documents.extend(presets.map(|preset| {
        let base_url = match preset {
            "microsoft" | "keycloak" => "base_url = 'https://id.corp.example'\n",
            _ => "",
        };
        format!(
            "[connector.corp.oauth2]\npreset = '{preset}'\nclient_id = 'a'\n\
             client_secret = {SECRET_FILE}\n{base_url}"
        )
    }));
    for connector in documents {
        let config = parse(&document(&connector));
        let mapped = with_kind(&config, mapped_sample);
        assert!(!mapped.login.as_str().is_empty(), "{connector}");
        assert_eq!(mapped.fields.name.as_deref(), Some("张三"), "{connector}");
    }
}
