//! A file of `menshen export` as a part of the configuration, for `menshen check`.

use std::path::Path;

use menshen::config::Config;
use menshen::text;
use menshen::wording::Text;
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
        return Err(Failure::Refused(text!(
            "it is not a TOML document",
            "不是 TOML 文档"
        )));
    };
    let is_other = |key: &&String| !matches!(key.as_str(), "connector" | "login");
    if let Some(key) = document.keys().find(is_other) {
        let export = export.display();
        return Err(Failure::Usage(text!(
            "{export} has [{key}], and an export has [connector.ID] and [login] only: name a whole \
             configuration with --config",
            "{export} 里有 [{key}]，而导出的文件只有 [connector.ID] 和 [login]：完整的配置请用 --config 指定"
        )));
    }
    let Ok(file) = Config::parse_bytes(&content, &name) else {
        return Ok((content, name));
    };
    let text = String::from_utf8_lossy(&content);
    let text = text.trim_start_matches('\u{feff}');
    leave_out_known(&mut document, &file, text)?;
    let more = toml::to_string_pretty(&document);
    let more = more.map_err(|error| Failure::Refused(Text::of(&error)))?;
    let export = export.display();
    let name = text!("{name} with {export}", "{name} 和 {export}");
    let content = format!("{text}\n{more}").into_bytes();
    Ok((content, name.for_operator().to_owned()))
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
                let note = text!(
                    "note: connector {id} is in the file already, and that one counts",
                    "注意：配置文件里已有认证源 {id}，以配置文件为准"
                );
                print(note.for_operator())?;
            }
        }
    }
    let table: Map<String, Value> = toml::from_str(text).unwrap_or_default();
    if table.contains_key("login") && document.remove("login").is_some() {
        let note = text!(
            "note: [login] is in the file already: enter `default` and `order` there",
            "注意：配置文件里已有 [login]：请把 `default` 和 `order` 写在那里"
        );
        print(note.for_operator())?;
    }
    Ok(())
}
