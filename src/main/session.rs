//! `menshen session`: lists and ends sessions through the admin API.

use menshen::config::Config;
use menshen::text;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Failure;
use super::admin_client::{AdminClient, TokenChoice};
use super::answer_text::{field_text, operator_text, print_answer, time_text};

/// The commands about sessions.
#[derive(Debug, clap::Subcommand)]
pub(super) enum SessionCommand {
    /// List sessions, the newest first.
    List {
        /// Only those of the person with this login.
        #[arg(long)]
        login: Option<String>,
        /// Only those that began with this connector.
        #[arg(long)]
        connector: Option<String>,
        /// The most sessions that are listed.
        #[arg(long, default_value_t = 100)]
        max: u32,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// End a session, or all sessions of a person, of a connector or of everyone.
    Revoke {
        #[command(flatten)]
        target: RevokeTarget,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
}

/// Whose sessions end.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct RevokeTarget {
    /// The ID of a session, as `session list` and the logs show it. It may begin with a hyphen.
    #[arg(allow_hyphen_values = true)]
    id: Option<String>,
    /// All sessions of the person with this login.
    #[arg(long)]
    login: Option<String>,
    /// All sessions of people who signed in with this connector.
    #[arg(long)]
    connector: Option<String>,
    /// All sessions.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(
    config: &Config,
    choice: TokenChoice,
    command: SessionCommand,
) -> Result<(), Failure> {
    let to_change = matches!(command, SessionCommand::Revoke { .. });
    let client = AdminClient::new(config, choice, to_change)?;
    match command {
        SessionCommand::List {
            login,
            connector,
            max,
            json,
        } => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("max", &max.to_string());
            for (name, value) in [("login", &login), ("connector", &connector)] {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
            let path = format!("/api/sessions?{}", query.finish());
            print_answer(&client.get(&path).await?.success()?, json, list_text)
        }
        SessionCommand::Revoke { target, json } => {
            let answer = match target.body() {
                Some(body) => client.post("/api/revoke", &body).await?,
                None => {
                    let id = target.id.unwrap_or_default();
                    let id = utf8_percent_encode(&id, NON_ALPHANUMERIC);
                    client.delete(&format!("/api/sessions/{id}")).await?
                }
            };
            print_answer(&answer.success()?, json, |_| {
                operator_text(&text!("ended", "已结束"))
            })
        }
    }
}

impl RevokeTarget {
    /// The body of the request; absent if one session ends, which the path names.
    fn body(&self) -> Option<Value> {
        match self {
            Self {
                login: Some(login), ..
            } => Some(json!({ "login": login })),
            Self {
                connector: Some(connector),
                ..
            } => Some(json!({ "connector": connector })),
            Self { all: true, .. } => Some(json!({ "everyone": true })),
            Self { .. } => None,
        }
    }
}

/// A line for each session: ID, login, name, connector, address, device, beginning and last use.
fn list_text(answer: &Value) -> String {
    let sessions = answer["sessions"].as_array().into_iter().flatten();
    let lines = sessions.map(|session| {
        let fields = ["id", "login", "name", "connector", "address", "device"];
        let fields = fields.map(|field| field_text(&session[field])).join("\t");
        let (began, used) = (
            time_text(&session["minted_at"]),
            time_text(&session["used_at"]),
        );
        format!("{fields}\t{began}\t{used}\n")
    });
    lines.collect()
}
