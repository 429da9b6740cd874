//! A file of `menshen export` as a part of the configuration, for `menshen check`.

use std::path::Path;

use menshen::config::Config;
use serde_json::{Map, Value};

use super::managed_config::read_toml;
use super::{Failure, print};

/// The content of a configuration with the connectors and choices of an export, as if they stood in the file, and
/// its name in errors. What the file has already is left out, and named. A file with problems stays as it is.
pub(super) async fn content_with(
    (content, name): (Vec<u8>, String),
    export: &Path,
) -> Result<(Vec<u8>, String), Failure> {
    let Value::Object(mut document) = read_toml(export).await? else {
        return Err(Failure::Refused("it is not a TOML document".to_owned()));
    };
    let is_other = |key: &&String| !matches!(key.as_str(), "connector" | "login");
    if let Some(key) = document.keys().find(is_other) {
        let export = export.display();
        let why = format!(
            "{export} has [{key}], and an export has [connector.ID] and [login] only: name a whole \
             configuration with --config"
        );
        return Err(Failure::Usage(why));
    }
    let Ok(file) = Config::parse_bytes(&content, &name) else {
        return Ok((content, name));
    };
    let text = String::from_utf8_lossy(&content);
    let text = text.trim_start_matches('\u{feff}');
    leave_out_known(&mut document, &file, text)?;
    let more = toml::to_string_pretty(&document);
    let more = more.map_err(|error| Failure::Refused(error.to_string()))?;
    let name = format!("{name} with {}", export.display());
    Ok((format!("{text}\n{more}").into_bytes(), name))
}

/// Removes what the file has from an export.
fn leave_out_known(
    document: &mut Map<String, Value>,
    file: &Config,
    text: &str,
) -> Result<(), Failure> {
    if let Some(Value::Object(connectors)) = document.get_mut("connector") {
        for id in file.connector.keys() {
            if connectors.remove(id.as_str()).is_some() {
                print(format_args!(
                    "note: connector {id} is in the file already, and that one counts"
                ))?;
            }
        }
    }
    let table: Map<String, Value> = toml::from_str(text).unwrap_or_default();
    if table.contains_key("login") && document.remove("login").is_some() {
        print("note: [login] is in the file already: enter `default` and `order` there")?;
    }
    Ok(())
}
