//! `menshen connector`: connectors through the admin API; and what `menshen check` says of managed ones.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use menshen::config::Config;
use menshen::site::settings::{Origin, Settings};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Failure;
use super::admin_client::{AdminClient, TokenChoice};
use super::answer_text::{field_text, print_answer};
use super::managed_config;

/// What stands for no default.
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
    /// Lead strangers to a connector.
    Default {
        /// The ID of a connector; `none`, unless a connector has this ID: strangers see the sign-in page.
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
        ConnectorCommand::Enable { id } => switch(&client, &id, "enable", "enabled").await,
        ConnectorCommand::Disable { id } => switch(&client, &id, "disable", "disabled").await,
        ConnectorCommand::Remove { id } => {
            let answer = client.delete(&path_of(&id)).await?.success()?;
            print_answer(&answer, false, |_| "removed".to_owned())
        }
        ConnectorCommand::Set { id, file } => {
            let table = managed_config::read_toml(&file).await?;
            let table = managed_config::with_read_secrets(&id, table)?;
            let answer = client.put(&path_of(&id), &table).await?.success()?;
            print_answer(&answer, false, |_| format!("{id} is in force"))
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
            format!("{mark} {}\n", field_text(&result["text"]))
        });
        lines.collect()
    })?;
    match results().all(|result| result["good"] == true) {
        true => Ok(()),
        false => {
            let why = "the source does not agree with the settings: see !! above";
            Err(Failure::Refused(why.to_owned()))
        }
    }
}

async fn switch(client: &AdminClient, id: &str, how: &str, done: &str) -> Result<(), Failure> {
    let path = format!("{}/{how}", path_of(id));
    let answer = client.send_file(&path, Vec::new()).await?.success()?;
    print_answer(&answer, false, |_| format!("{id} is {done}"))
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

/// A line for each connector: id, kind, where it is set, its state and its name.
fn list_text(answer: &Value) -> String {
    let connectors = answer["connectors"].as_array().into_iter().flatten();
    let lines = connectors.map(|connector| {
        let is = |name: &str| connector[name] == true;
        let mut state = match (is("shadowed"), connector["broken"].is_null(), is("enabled")) {
            (true, ..) => "shadowed by the file".to_owned(),
            (_, false, _) => format!("out of force: {}", field_text(&connector["broken"])),
            (_, _, true) => "enabled".to_owned(),
            (_, _, false) => "disabled".to_owned(),
        };
        if is("default") {
            state.push_str(", default");
        }
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

/// What `menshen check` says of connectors that are not in force.
pub(super) fn state_lines(settings: &Settings) -> Vec<String> {
    let infos = settings.connectors().into_iter();
    let lines = infos.filter_map(|info| {
        let id = &info.id;
        let from = match &info.origin {
            Origin::File(at) => format!("{at}: connector {id}"),
            Origin::Managed => format!("managed connector {id}"),
        };
        match (info.shadowed, info.broken, info.enabled) {
            (true, ..) => Some(format!(
                "{from} is shadowed by the one of the file: delete it, or rename that of the file"
            )),
            (_, Some(reason), _) => Some(format!("{from} is out of force: {reason}")),
            (_, None, false) => Some(format!("{from} is disabled: nobody signs in with it")),
            (_, None, true) => None,
        }
    });
    lines.collect()
}

/// The text of a file, or of standard input for `-`; at most [`SETTINGS_BYTES_MAX`].
pub(super) async fn read(path: &Path) -> Result<String, Failure> {
    let failed =
        |error: std::io::Error| Failure::Usage(format!("read {}: {error}", path.display()));
    let of_file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || match of_file == Path::new("-") {
        true => read_bounded(std::io::stdin()),
        false => read_bounded(std::fs::File::open(of_file)?),
    });
    let text = read.await.map_err(std::io::Error::other).map_err(failed)?;
    text.map_err(failed)
}

fn read_bounded(from: impl std::io::Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut from = from.take(SETTINGS_BYTES_MAX + 1);
    if from.read_to_end(&mut bytes)? as u64 > SETTINGS_BYTES_MAX {
        let why = format!("it is longer than {SETTINGS_BYTES_MAX} bytes");
        return Err(std::io::Error::other(why));
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
}
