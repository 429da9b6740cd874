//! `menshen import`: makes or replaces managed connectors, through the admin API of the running server, or
//! straight in the store if there is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use menshen::config::Config;
use menshen::run;
use menshen::site::live::LiveSite;
use menshen::site::settings::{
    Author, Change, ChangeError, ConnectorTable, LoginChange, Means, Precondition,
};
use menshen::store::ConnectorId;
use menshen::text;
use menshen::wording::Text;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::admin_client::{AdminClient, ClientError, TokenChoice, wrong_settings};
use super::answer_text::field_text;
use super::failure::{Failure, chain};
use super::managed_config::{read_toml, with_read_secrets};
use super::{command_audit, print};

/// How long lines of the audit trail may take.
const AUDIT_DRAIN: Duration = Duration::from_secs(5);

/// What is imported.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    #[command(flatten)]
    choice: TokenChoice,
    /// The file with tables `[connector.ID]`; `-` is standard input.
    file: PathBuf,
    /// Only check and build everything, and print what would change.
    #[arg(long)]
    dry_run: bool,
}

/// The connectors and choices of a file.
struct Imported {
    connectors: Map<String, Value>,
    default: Value,
    order: Value,
}

/// What an import has changed, or would change.
struct Outcome {
    version: u64,
    fields: Vec<String>,
}

pub(super) async fn run(config: &Config, arguments: ImportArguments) -> Result<(), Failure> {
    let imported = Imported::read(&arguments.file).await?;
    let dry_run = arguments.dry_run;
    let by_api = match AdminClient::new(config, arguments.choice, true) {
        Ok(client) => by_api(&client, &imported, dry_run).await,
        Err(error) => Err(error.into()),
    };
    let outcome = match by_api {
        Ok(outcome) => outcome,
        Err(ByApiError::NoServer) => in_store(config, &imported, dry_run).await?,
        Err(ByApiError::Failed(failure)) => return Err(failure),
    };
    let Outcome { version, fields } = outcome;
    match (dry_run, fields.is_empty()) {
        (false, _) => {
            let done = text!("version {version} is in force", "版本 {version} 已生效");
            print(done.for_operator())
        }
        (true, true) => print(text!("no setting would change", "不会改变任何设置").for_operator()),
        (true, false) => {
            let head = text!("these settings would change:", "这些设置会改变：");
            print(head.for_operator())?;
            fields
                .iter()
                .try_for_each(|field| print(format_args!("  {field}")))
        }
    }
}

/// Why the admin API did not import.
enum ByApiError {
    /// There is none, or nobody listens there.
    NoServer,
    Failed(Failure),
}

impl From<ClientError> for ByApiError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NoAdmin | ClientError::Connect { .. } => Self::NoServer,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for ByApiError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn by_api(
    client: &AdminClient,
    imported: &Imported,
    dry_run: bool,
) -> Result<Outcome, ByApiError> {
    let path = format!("/api/config/import?dry_run={dry_run}");
    let answer = client.post(&path, &imported.body()).await?.success()?;
    let fields = answer["fields"].as_array().into_iter().flatten();
    Ok(Outcome {
        version: answer["version"].as_u64().unwrap_or_default(),
        fields: fields.map(field_text).collect(),
    })
}

/// Imports as the admin API does, with the store of the configuration.
async fn in_store(config: &Config, imported: &Imported, dry_run: bool) -> Result<Outcome, Failure> {
    let change = imported.change()?;
    if dry_run {
        let built = run::dry_run(config).await?;
        if let Some(error) = &built.unread_store {
            return Err(Failure::unavailable(error));
        }
        // The store is a copy in memory.
        let live = LiveSite::new(built.site, built.services, CancellationToken::new());
        let planned = live.plan(&change, Precondition::None).await?;
        return Ok(Outcome {
            version: planned.version,
            fields: planned.fields,
        });
    }
    let live = run::open_site(config).await?;
    let author = Author {
        name: "menshen import".to_owned(),
        means: Means::Command,
        client: None,
    };
    let changed = live.change(change, Precondition::None, &author).await;
    if live.services().audit.drain(AUDIT_DRAIN).await > 0 {
        print(command_audit::not_stored().for_operator())?;
    }
    let changed = changed?;
    Ok(Outcome {
        version: changed.version,
        fields: changed.fields,
    })
}

impl Imported {
    /// Reads a file with the secrets that it names.
    async fn read(file: &Path) -> Result<Self, Failure> {
        let mut document = read_toml(file).await?;
        let tables = document.get_mut("connector").map(Value::take);
        let connectors = match tables.unwrap_or_default() {
            Value::Object(tables) => {
                let read = tables.into_iter().map(|(id, table)| {
                    let table = with_read_secrets(&id, table)?;
                    Ok((id, table))
                });
                read.collect::<Result<_, Failure>>()?
            }
            Value::Null => Map::new(),
            _ => {
                return Err(Failure::Refused(text!(
                    "`connector` must be tables [connector.ID]",
                    "`connector` 应为表 [connector.ID]"
                )));
            }
        };
        Ok(Self {
            connectors,
            default: document["login"]["default"].clone(),
            order: document["login"]["order"].clone(),
        })
    }

    /// The body of the request to the admin API.
    fn body(&self) -> Value {
        let login = json!({ "default": self.default, "order": self.order });
        json!({ "connector": self.connectors, "login": login })
    }

    fn change(&self) -> Result<Change, Failure> {
        let mut connectors = BTreeMap::new();
        for (id, table) in &self.connectors {
            let what = format!("[connector.{id}]");
            let id: ConnectorId = id
                .parse()
                .map_err(|error: menshen::store::IdError| refuse(&what, &Text::of(&error)))?;
            let Value::Object(table) = table else {
                return Err(refuse(&what, &text!("it must be a table", "应为表")));
            };
            connectors.insert(id, ConnectorTable::from(table.clone()));
        }
        let not_ids = |what| {
            let why = text!("it must name connectors by their IDs", "应写认证源的 ID");
            move |_| refuse(what, &why)
        };
        let default: Option<ConnectorId> =
            serde_json::from_value(self.default.clone()).map_err(not_ids("[login] default"))?;
        let order = serde_json::from_value(self.order.clone()).map_err(not_ids("[login] order"))?;
        Ok(Change::Import {
            connectors,
            login: LoginChange {
                default: default.map(Some),
                order,
            },
        })
    }
}

fn refuse(what: &str, why: &Text) -> Failure {
    Failure::Refused(text!("{what}: {why}", "{what}：{why:#}"))
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        match &error {
            ChangeError::Problems(problems) | ChangeError::CannotBuild(problems) => {
                let lines = problems.iter().map(|problem| {
                    let problem = Text::of(problem);
                    format!("\n  {}", problem.for_operator())
                });
                let lines: String = lines.collect();
                Self::Refused(wrong_settings(&lines))
            }
            ChangeError::Store(_) | ChangeError::Contended => Self::Unavailable(chain(&error)),
            _ => Self::Refused(chain(&error)),
        }
    }
}
