//! `menshen connector`: connectors through the admin API; and what `menshen check` says of managed ones.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use menshen::config::Config;
use menshen::text;
use menshen::wording::Text;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Failure;
use super::admin_client::{AdminClient, TokenChoice};
use super::answer_text::{field_text, localized_field, operator_text, print_answer};
use super::managed_config;

/// The argument of `connector default` that removes the default.
const NOBODY: &str = "none";

/// The longest file of settings, in bytes. All managed settings of a store have no more.
const SETTINGS_BYTES_MAX: u64 = 8 << 20;

/// The commands about connectors.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ConnectorCommand {
    /// List the connectors in the order of the sign-in page.
    List {
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Print the settings of a connector as JSON, without its secrets.
    Show { id: String },
    /// Ask the source of a connector what it says to its settings.
    Test {
        id: String,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Let people sign in with a connector.
    Enable { id: String },
    /// Let nobody sign in with a connector, and end its sessions. Settings and accounts stay.
    Disable { id: String },
    /// Remove a managed connector and end its sessions. Accounts stay.
    Remove { id: String },
    /// Make a managed connector, or replace its settings.
    Set {
        id: String,
        /// The content of the table `[connector.ID]` as TOML; `-` is standard input. Secrets that are absent
        /// stay as they are.
        file: PathBuf,
    },
    /// Send everybody who must sign in straight to a connector.
    Default {
        /// The ID of a connector; `none`, unless a connector has this ID: they see the sign-in page.
        id: String,
    },
    /// Show connectors first on the sign-in page.
    Order {
        /// Their IDs in this order.
        ids: Vec<String>,
    },
}

pub(super) async fn run(
    config: &Config,
    choice: TokenChoice,
    command: ConnectorCommand,
) -> Result<(), Failure> {
    let to_change = !matches!(
        command,
        ConnectorCommand::List { .. } | ConnectorCommand::Show { .. }
    );
    let client = AdminClient::new(config, choice, to_change)?;
    match command {
        ConnectorCommand::List { json } => {
            let answer = client.get("/api/connectors").await?.success()?;
            print_answer(&answer, json, list_text)
        }
        ConnectorCommand::Show { id } => {
            let answer = client.get(&path_of(&id)).await?.success()?;
            print_answer(&answer, true, |_| String::new())
        }
        ConnectorCommand::Test { id, json } => test(&client, &id, json).await,
        ConnectorCommand::Enable { id } => {
            let done = text!("{id} is enabled", "{id} 已启用");
            switch(&client, &id, "enable", &done).await
        }
        ConnectorCommand::Disable { id } => {
            let done = text!("{id} is disabled", "{id} 已停用");
            switch(&client, &id, "disable", &done).await
        }
        ConnectorCommand::Remove { id } => {
            let answer = client.delete(&path_of(&id)).await?.success()?;
            print_answer(&answer, false, |_| {
                operator_text(&text!("removed", "已移除"))
            })
        }
        ConnectorCommand::Set { id, file } => {
            let table = managed_config::read_toml(&file).await?;
            let table = managed_config::with_read_secrets(&id, table)?;
            let answer = client.put(&path_of(&id), &table).await?.success()?;
            let done = text!("{id} is in force", "{id} 已生效");
            print_answer(&answer, false, |_| operator_text(&done))
        }
        ConnectorCommand::Default { id } => {
            let default = match id == NOBODY && !exists(&client, &id).await? {
                true => None,
                false => Some(id),
            };
            choose(&client, &json!({ "default": default })).await
        }
        ConnectorCommand::Order { ids } => choose(&client, &json!({ "order": ids })).await,
    }
}

async fn exists(client: &AdminClient, id: &str) -> Result<bool, Failure> {
    let answer = client.get("/api/connectors").await?.success()?;
    let mut connectors = answer["connectors"].as_array().into_iter().flatten();
    Ok(connectors.any(|connector| connector["id"] == id))
}

fn path_of(id: &str) -> String {
    let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
    format!("/api/connectors/{id}")
}

async fn test(client: &AdminClient, id: &str, json: bool) -> Result<(), Failure> {
    let path = format!("{}/test", path_of(id));
    // Without a body the saved settings are tested.
    let answer = client.send_file(&path, Vec::new()).await?.success()?;
    let results = || answer.as_array().into_iter().flatten();
    print_answer(&answer, json, |_| {
        let lines = results().map(|result| {
            let mark = if result["good"] == true { "ok" } else { "!!" };
            format!("{mark} {}\n", localized_field(result, "text"))
        });
        lines.collect()
    })?;
    match results().all(|result| result["good"] == true) {
        true => Ok(()),
        false => Err(Failure::Refused(text!(
            "the source does not agree with the settings: see !! above",
            "认证源与设置不一致：见上面的 !!"
        ))),
    }
}

async fn switch(client: &AdminClient, id: &str, how: &str, done: &Text) -> Result<(), Failure> {
    let path = format!("{}/{how}", path_of(id));
    let answer = client.send_file(&path, Vec::new()).await?.success()?;
    print_answer(&answer, false, |_| operator_text(done))
}

async fn choose(client: &AdminClient, choices: &Value) -> Result<(), Failure> {
    let answer = client.put("/api/login", choices).await?.success()?;
    print_answer(&answer, false, |answer| {
        let order = answer["order"].as_array().into_iter().flatten();
        let order: Vec<_> = order.map(field_text).collect();
        let default = field_text(&answer["default"]);
        format!("default: {default}\norder: {}", order.join(" "))
    })
}

/// A line for each connector: ID, kind, where it is set, its state and its name.
fn list_text(answer: &Value) -> String {
    let connectors = answer["connectors"].as_array().into_iter().flatten();
    let lines = connectors.map(|connector| {
        let is = |name: &str| connector[name] == true;
        let mut state = match (is("shadowed"), connector["broken"].is_null(), is("enabled")) {
            (true, ..) => text!("shadowed by the file", "被配置文件覆盖"),
            (_, false, _) => {
                let reason = localized_field(connector, "broken");
                text!("out of force: {reason}", "无法使用：{reason}")
            }
            (_, _, true) => text!("enabled", "已启用"),
            (_, _, false) => text!("disabled", "已停用"),
        };
        if is("default") {
            state = text!("{state}, default", "{state:#}，默认");
        }
        let state = state.for_operator();
        let fields = ["id", "kind", "origin"].map(|field| field_text(&connector[field]));
        let name = name_text(&connector["display_name"]);
        format!("{}\t{state}\t{name}\n", fields.join("\t"))
    });
    lines.collect()
}

/// A name: a text, or one in each language.
fn name_text(name: &Value) -> String {
    match name {
        Value::Object(each) => {
            let texts =
                ["zh", "en"].map(|lang| each.get(lang).map_or_else(String::new, field_text));
            texts.join(" / ")
        }
        same => field_text(same),
    }
}

/// The text of a file, or of standard input for `-`; at most [`SETTINGS_BYTES_MAX`].
pub(super) async fn read(path: &Path) -> Result<String, Failure> {
    let name = path.display().to_string();
    let failed = |why: &std::io::Error| {
        Failure::Usage(text!("read {name}: {why}", "无法读取 {name}：{why}"))
    };
    let of_file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || match of_file == Path::new("-") {
        true => read_bounded(std::io::stdin()),
        false => read_bounded(std::fs::File::open(of_file)?),
    });
    let read = read
        .await
        .map_err(|error| failed(&std::io::Error::other(error)))?;
    let bytes = read.map_err(|error| failed(&error))?;
    let Some(bytes) = bytes else {
        return Err(Failure::Usage(text!(
            "{name} is longer than {SETTINGS_BYTES_MAX} bytes",
            "{name} 超过 {SETTINGS_BYTES_MAX} 字节"
        )));
    };
    String::from_utf8(bytes).map_err(|_| {
        Failure::Usage(text!(
            "{name} is not UTF-8: save the file as UTF-8",
            "{name} 不是 UTF-8：请把文件保存为 UTF-8"
        ))
    })
}

/// At most [`SETTINGS_BYTES_MAX`] bytes; `None` if there are more.
fn read_bounded(from: impl std::io::Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut from = from.take(SETTINGS_BYTES_MAX + 1);
    let length = from.read_to_end(&mut bytes)? as u64;
    Ok((length <= SETTINGS_BYTES_MAX).then_some(bytes))
}
