//! Exports managed connectors as TOML that the configuration file takes.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::document::ManagedDocument;
use super::error::SettingsError;
use super::seal;
use crate::keys::{self, KeyRing};
use crate::secret::Secret;
use crate::store::ConnectorId;

/// Where an export says that secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlaces {
    /// In environment variables: `{ env = "MENSHEN_<ID>_<KEY>" }`.
    Environment,
    /// In files below this folder: `{ file = "<DIR>/<ID>.<KEY>" }`.
    Files(String),
}

impl SecretPlaces {
    /// What stands in the TOML for a secret.
    fn of(&self, id: &ConnectorId, path: &[String]) -> Value {
        let key = exported_key(id, path);
        match self {
            Self::Environment => {
                let name = format!("MENSHEN_{id}_{key}").to_uppercase();
                let is_word = |c: char| c.is_ascii_alphanumeric();
                let name = name.replace(|c| !is_word(c), "_");
                serde_json::json!({ "env": name })
            }
            Self::Files(folder) => serde_json::json!({ "file": format!("{folder}/{id}.{key}") }),
        }
    }
}

/// The key of a secret in the name of its place. No other secret has the same place, and none changes it: where
/// another one could have the same name but for capital letters, `-` and `_`, a hash of connector and path
/// follows.
fn exported_key(id: &ConnectorId, path: &[String]) -> String {
    let key = path.join("_");
    let is_plain = |step: &String| {
        let is_word = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_');
        !step.is_empty() && step.chars().all(is_word)
    };
    // The secret `b_c` of the connector `a`, and `c` of the connector `a-custom-secrets-b`. No other keys have
    // names that administrators choose.
    let is_ambiguous = id.as_str().contains("-custom-secrets");
    if path.iter().all(is_plain) && !is_ambiguous {
        return key;
    }
    let mut parts = vec![id.as_str().as_bytes()];
    parts.extend(path.iter().map(|step| step.as_bytes()));
    let hash = keys::fingerprint(&parts);
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{key}_{hash}")
}

/// A secret of an export, and where the TOML says that it is.
#[derive(Debug)]
pub struct StoredSecret {
    /// The key, such as `connector.corp.wecom.secret`.
    pub field: String,
    /// The path of the file, or the name of the environment variable.
    pub place: String,
    pub secret: Secret<String>,
}

impl ManagedDocument {
    /// The secrets that [`Self::to_toml`] leaves out.
    ///
    /// # Errors
    /// No key of the ring opens one of them.
    pub fn stored_secrets(
        &self,
        places: &SecretPlaces,
        ring: &KeyRing,
    ) -> Result<Vec<StoredSecret>, SettingsError> {
        let mut secrets = Vec::new();
        for (id, managed) in &self.connectors {
            let mut unopened = None;
            managed.settings.each_sealed(|path, sealed| {
                let place = places.of(id, path);
                let place = place.as_object().and_then(|place| place.values().next());
                let place = place.and_then(Value::as_str).unwrap_or_default();
                match seal::open(ring, id, path, sealed) {
                    Some(secret) => secrets.push(StoredSecret {
                        field: format!("connector.{id}.{}", path.join(".")),
                        place: place.to_owned(),
                        secret,
                    }),
                    None => unopened = unopened.take().or_else(|| Some(path.join("."))),
                }
            });
            if let Some(field) = unopened {
                let id = id.clone();
                return Err(SettingsError::Sealed { id, field });
            }
        }
        Ok(secrets)
    }

    /// The managed settings as TOML; secrets are read from `places`, which comments list.
    pub fn to_toml(&self, places: &SecretPlaces) -> String {
        let mut names = Vec::new();
        let mut connectors = Map::new();
        for (id, managed) in &self.connectors {
            let mut table = managed.settings.masked();
            let mut paths = Vec::new();
            managed
                .settings
                .each_sealed(|path, _| paths.push(path.to_vec()));
            for path in paths {
                let place = places.of(id, &path);
                names.extend(place.as_object().into_iter().flatten().map(|(_, name)| {
                    let field = format!("connector.{id}.{}", path.join("."));
                    (name.as_str().unwrap_or_default().to_owned(), field)
                }));
                // The URL of a proxy is a text and has no place for its password.
                if path.iter().map(String::as_str).eq(["proxy"]) {
                    table.members_mut().remove("proxy");
                } else {
                    table.set_at(&path, place);
                }
            }
            connectors.insert(id.to_string(), Value::Object(table.expose().clone()));
        }
        let mut toml = comments(&names);
        let mut document = Map::new();
        let login = login_table(self);
        if !login.is_empty() {
            document.insert("login".to_owned(), Value::Object(login));
        }
        if !connectors.is_empty() {
            document.insert("connector".to_owned(), Value::Object(connectors));
        }
        // A JSON document without null is a TOML document.
        toml.push_str(&toml::to_string_pretty(&document).unwrap_or_default());
        toml
    }
}

/// The list of secrets, which must be provided.
fn comments(names: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, field) in names {
        // Writing to a text does not fail.
        let _ = writeln!(text, "# {name}: {field}");
    }
    if !text.is_empty() {
        text.insert_str(0, "# The secrets, which are not part of this file:\n");
        text.push('\n');
    }
    text
}

fn login_table(document: &ManagedDocument) -> Map<String, Value> {
    let mut login = Map::new();
    if let Some(default) = &document.login.default {
        login.insert("default".to_owned(), default.as_str().into());
    }
    if !document.login.order.is_empty() {
        let order = document.login.order.iter();
        let order: Vec<_> = order.map(ConnectorId::as_str).collect();
        login.insert("order".to_owned(), order.into());
    }
    login
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn place(places: &SecretPlaces, id: &str, path: &[&str]) -> String {
        let path: Vec<_> = path.iter().map(|step| (*step).to_owned()).collect();
        let place = places.of(&id.parse().unwrap(), &path);
        let (_, place) = place.as_object().unwrap().iter().next().unwrap();
        place.as_str().unwrap().to_lowercase()
    }

    #[test]
    fn no_two_secrets_have_one_place() {
        let secrets = [
            ("corp", &["custom", "secrets", "key"][..]),
            ("corp", &["custom", "secrets", "Key"]),
            ("corp", &["custom", "secrets", "KEY"]),
            ("corp", &["custom", "secrets", "wecom_secret"]),
            ("corp-custom-secrets", &["wecom", "secret"]),
            ("corp", &["custom", "secrets", "a_custom_secrets_b"]),
            ("corp-custom-secrets-a", &["custom", "secrets", "b"]),
            ("corp", &["jwt", "key", "0"]),
            ("corp", &["jwt", "key", "1"]),
        ];
        for places in [
            SecretPlaces::Environment,
            SecretPlaces::Files("/s".to_owned()),
        ] {
            let found = secrets.map(|(id, path)| place(&places, id, path));
            let different: BTreeSet<_> = found.iter().collect();
            assert_eq!(different.len(), secrets.len(), "{found:?}");
        }
    }

    #[test]
    fn usual_names_have_no_hash() {
        let env = |id, path| place(&SecretPlaces::Environment, id, path);
        assert_eq!(
            env("wechat-work", &["wecom", "secret"]),
            "menshen_wechat_work_wecom_secret"
        );
        assert_eq!(
            env("hq-ldap", &["ldap", "bind_password"]),
            "menshen_hq_ldap_ldap_bind_password"
        );
        assert_eq!(
            env("p", &["custom", "secrets", "app_key"]),
            "menshen_p_custom_secrets_app_key"
        );
    }
}
