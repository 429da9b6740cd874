//! `menshen config`: versions of the managed settings through the admin API; and the TOML files of connectors.

use std::collections::BTreeSet;
use std::path::Path;

use menshen::config::Config;
use menshen::site::settings::ConnectorTable;
use menshen::text;
use menshen::wording::Text;
use serde_json::{Map, Value, json};

use super::admin_client::{AdminClient, TokenChoice};
use super::answer_text::{field_text, print_answer, time_text};
use super::failure::{Failure, chain};
use super::{connector, print};

/// The commands about versions.
#[derive(Debug, clap::Subcommand)]
pub(super) enum VersionsCommand {
    /// List the versions, the newest first.
    Versions {
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Print a version as JSON, without its secrets.
    Show { version: u64 },
    /// Print the settings that differ between two versions.
    Diff { from: u64, to: u64 },
    /// Make a new version with the settings of an older one.
    Rollback { version: u64 },
}

pub(super) async fn run(
    config: &Config,
    choice: TokenChoice,
    command: VersionsCommand,
) -> Result<(), Failure> {
    let to_change = matches!(command, VersionsCommand::Rollback { .. });
    let client = AdminClient::new(config, choice, to_change)?;
    let version_of = async |number: u64| -> Result<Value, Failure> {
        let path = format!("/api/config/versions/{number}");
        client.get(&path).await?.success()
    };
    match command {
        VersionsCommand::Versions { json } => {
            let answer = client
                .get("/api/config/versions?max=200")
                .await?
                .success()?;
            print_answer(&answer, json, list_text)
        }
        VersionsCommand::Show { version } => {
            print_answer(&version_of(version).await?, true, |_| String::new())
        }
        VersionsCommand::Diff { from, to } => {
            let (from, to) = (version_of(from).await?, version_of(to).await?);
            let mut lines = String::new();
            for key in ["connectors", "enabled", "default", "order"] {
                differences(key, &from[key], &to[key], &mut lines);
            }
            print(lines.trim_end())
        }
        VersionsCommand::Rollback { version } => {
            let body = json!({ "version": version });
            let answer = client.post("/api/config/rollback", &body).await?;
            print_answer(&answer.success()?, false, |answer| {
                let version = field_text(&answer["version"]);
                let done = text!("version {version} is in force", "版本 {version} 已生效");
                done.for_operator().to_owned()
            })
        }
    }
}

/// A line for each version: number, time, by what, by whom, and the changed fields.
fn list_text(answer: &Value) -> String {
    let versions = answer["versions"].as_array().into_iter().flatten();
    let lines = versions.map(|version| {
        let fields = version["fields"].as_array().into_iter().flatten();
        let fields: Vec<_> = fields.map(field_text).collect();
        format!(
            "{}\t{}\t{}\t{}\t{}\n",
            field_text(&version["version"]),
            time_text(&version["made_at"]),
            field_text(&version["means"]),
            field_text(&version["by"]),
            fields.join(" ")
        )
    });
    lines.collect()
}

/// A line for each value that differs: `-` before the old one, `+` before the new one.
fn differences(path: &str, from: &Value, to: &Value, lines: &mut String) {
    if let (Value::Object(from), Value::Object(to)) = (from, to) {
        let keys: BTreeSet<_> = from.keys().chain(to.keys()).collect();
        let absent = Value::Null;
        for key in keys {
            let value = |table: &'_ Map<String, Value>| table.get(key).cloned();
            let (from, to) = (value(from), value(to));
            let (from, to) = (
                from.as_ref().unwrap_or(&absent),
                to.as_ref().unwrap_or(&absent),
            );
            differences(&format!("{path}.{key}"), from, to, lines);
        }
    } else if from != to {
        for (mark, value) in [("-", from), ("+", to)] {
            if !value.is_null() {
                let value = field_text(&Value::String(value.to_string()));
                lines.push_str(&format!("{mark} {path} = {value}\n"));
            }
        }
    }
}

/// The content of a TOML file as JSON.
pub(super) async fn read_toml(file: &Path) -> Result<Value, Failure> {
    let text = connector::read(file).await?;
    let table: Map<String, Value> = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        // The whole error shows the line, which may have a secret.
        let (file, message) = (file.display(), error.message());
        Failure::Refused(text!(
            "{file}:{line}: {message}",
            "{file}:{line}：不是有效的 TOML：`{message}`"
        ))
    })?;
    Ok(Value::Object(table))
}

/// The table of a connector with the secrets that it names in files and in the environment of this command. Nothing
/// else is read there: whoever wrote the table need not be allowed to see it.
pub(super) fn with_read_secrets(id: &str, table: Value) -> Result<Value, Failure> {
    let Value::Object(members) = table else {
        return Err(Failure::Refused(text!(
            "[connector.{id}]: it must be a table",
            "[connector.{id}]：它必须是一张表"
        )));
    };
    let mut table = ConnectorTable::from(members);
    let external_secrets = table.external_secrets().map_err(|problems| {
        let lines = problems.iter().map(|problem| {
            text!(
                "\n  [connector.{id}] {problem}",
                "\n  [connector.{id}] {problem:#}"
            )
        });
        let lines: Vec<_> = lines.collect();
        let lines = Text::join(&lines, &Text::default());
        Failure::Refused(text!(
            "some settings are wrong:{lines}",
            "有的设置不正确：{lines:#}"
        ))
    })?;
    for external in external_secrets {
        let secret = external.source.read().map_err(|error| {
            let (field, why) = (&external.field, chain(&error));
            Failure::Refused(text!(
                "[connector.{id}] {field}: {why}",
                "[connector.{id}] {field}：{why:#}"
            ))
        })?;
        table.put_secret(&external, &secret);
    }
    Ok(Value::Object(table.expose().clone()))
}
