//! `menshen people`: lists, shows, closes, reopens and imports people through the admin API, adds and changes
//! those whose passwords the store keeps, and lists and ends access tokens.

use std::path::PathBuf;

use menshen::config::Config;
use menshen::text;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::admin_client::{AdminClient, TokenChoice};
use super::answer_text::{operator_text, print_answer};
use super::{Failure, print};

#[path = "people/import.rs"]
mod import;
#[path = "people/local.rs"]
mod local;
#[path = "people/person_text.rs"]
mod person_text;
#[path = "people/sync.rs"]
mod sync;
#[path = "people/tokens.rs"]
mod tokens;

use person_text::{access_text, person_line, reopened_text, show_text};

/// The people of one page.
const PAGE: u32 = 1_000;

/// The commands about people.
#[derive(Debug, clap::Subcommand)]
pub(super) enum PeopleCommand {
    /// List people, in the order of their logins. All conditions must hold.
    List {
        #[command(flatten)]
        filter: Filter,
        /// List the people whose passwords the store keeps, also those who never signed in. Only
        /// --connector and --max apply.
        #[arg(long)]
        local: bool,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Show a person with identities, departments and history.
    Show {
        login: String,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Close a person's account: ends all sessions, and no login succeeds until it is reopened.
    Close {
        login: String,
        /// Why; kept in the history and in the audit trail.
        #[arg(long, default_value = "")]
        reason: String,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Reopen a closed account.
    Reopen {
        login: String,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Take an identity off a person's account: its sessions and access tokens end. `show` lists them.
    RemoveIdentity {
        login: String,
        /// The ID of the connector.
        connector: String,
        /// The identifier of the person at the source.
        subject: String,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Add a person to a connector of the kind `local` that keeps its people in the store. The password is
    /// asked for twice on a terminal, and read once from a pipe.
    Add(local::AddArguments),
    /// Change the fields of such a person, or disable or enable them.
    Change(local::ChangeArguments),
    /// Give such a person another password: ends the sessions and access tokens.
    Password(local::PasswordArguments),
    /// Remove such a person: ends the sessions and access tokens. The account stays.
    Remove(local::RemoveArguments),
    /// Import people from a CSV file with a header, or from a JSON array of objects. The columns are
    /// login, name, email, mobile, connector and subject. If a line is bad, nothing is imported.
    ///
    /// A file with a column or key `password` (hashes of argon2id or bcrypt), or one of htpasswd (bcrypt),
    /// is imported into a connector of the kind `local` that keeps its people in the store; the further
    /// columns are disabled, must_change, groups, roles, departments, orgs, tags and others.
    Import {
        file: PathBuf,
        /// The connector into which people with passwords are imported.
        #[command(flatten)]
        connector: local::ConnectorChoice,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Read the departments and people of a connector into the directory, and close who left. Exit code 4: more
    /// people would be closed than sync_brake allows, or the source or the server does not answer.
    Sync(sync::SyncArguments),
    /// Show which routes a person may use.
    Access {
        login: String,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// List the access tokens of a person, the newest first, or end one. A value is never shown.
    Tokens(tokens::TokensArguments),
}

/// Which people are listed.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// A part of login, name, e-mail address or mobile number.
    text: Option<String>,
    /// How the login begins.
    #[arg(long)]
    login: Option<String>,
    /// How the name begins.
    #[arg(long)]
    name: Option<String>,
    /// How the e-mail address begins.
    #[arg(long)]
    email: Option<String>,
    /// How the mobile number begins.
    #[arg(long)]
    mobile: Option<String>,
    /// The ID or name of a department; includes those below it.
    #[arg(long)]
    department: Option<String>,
    /// Only people of this connector.
    #[arg(long)]
    connector: Option<String>,
    /// Only closed accounts, or with `false` only open ones.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    closed: Option<bool>,
    /// The most people that are listed.
    #[arg(long, default_value_t = 10_000)]
    max: usize,
}

pub(super) async fn run(
    config: &Config,
    choice: TokenChoice,
    command: PeopleCommand,
) -> Result<(), Failure> {
    let client = AdminClient::new(config, choice, command.changes_something())?;
    match command {
        PeopleCommand::List {
            filter,
            local: true,
            json,
        } => {
            let connector = local::ConnectorChoice {
                connector: filter.connector.clone(),
            };
            let id = connector.id(&client, config).await?;
            local::list(&client, &id, filter.max, json).await
        }
        PeopleCommand::List { filter, json, .. } => list(&client, &filter, json).await,
        PeopleCommand::Add(arguments) => local::add(&client, config, &arguments).await,
        PeopleCommand::Change(arguments) => local::change(&client, config, &arguments).await,
        PeopleCommand::Password(arguments) => local::password(&client, config, &arguments).await,
        PeopleCommand::Remove(arguments) => local::remove(&client, config, &arguments).await,
        PeopleCommand::Show { login, json } => {
            let person = client.get(&person_path(&login, "")).await?.success()?;
            print_answer(&person, json, show_text)
        }
        PeopleCommand::Close {
            login,
            reason,
            json,
        } => {
            let body = json!({ "reason": reason });
            let answer = client.post(&person_path(&login, "/close"), &body).await?;
            let text = |_: &Value| operator_text(&text!("{login}: closed", "{login}：已关闭"));
            print_answer(&answer.success()?, json, text)
        }
        PeopleCommand::Reopen { login, json } => {
            let answer = client
                .post(&person_path(&login, "/open"), &json!({}))
                .await?;
            print_answer(&answer.success()?, json, |answer| {
                reopened_text(&login, answer)
            })
        }
        PeopleCommand::RemoveIdentity {
            login,
            connector,
            subject,
            json,
        } => remove_identity(&client, &login, (&connector, &subject), json).await,
        PeopleCommand::Import {
            file,
            connector,
            json,
        } => import::run(&client, config, (&file, &connector), json).await,
        PeopleCommand::Sync(arguments) => sync::run(&client, &arguments).await,
        PeopleCommand::Access { login, json } => {
            let answer = client.get(&person_path(&login, "/access")).await?;
            print_answer(&answer.success()?, json, access_text)
        }
        PeopleCommand::Tokens(arguments) => tokens::run(&client, &arguments).await,
    }
}

async fn remove_identity(
    client: &AdminClient,
    login: &str,
    (connector, subject): (&str, &str),
    json: bool,
) -> Result<(), Failure> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let rest = format!("/identities/{}/{}", encoded(connector), encoded(subject));
    let answer = client.delete(&person_path(login, &rest)).await?;
    let text = |_: &Value| {
        operator_text(&text!(
            "{login}: {connector} {subject} removed",
            "{login}：已移除身份 {connector} {subject}"
        ))
    };
    print_answer(&answer.success()?, json, text)
}

impl PeopleCommand {
    fn changes_something(&self) -> bool {
        match self {
            Self::Close { .. }
            | Self::Reopen { .. }
            | Self::RemoveIdentity { .. }
            | Self::Add(_)
            | Self::Change(_)
            | Self::Password(_)
            | Self::Remove(_)
            | Self::Import { .. }
            | Self::Sync(_) => true,
            Self::List { .. } | Self::Show { .. } | Self::Access { .. } => false,
            Self::Tokens(arguments) => arguments.changes_something(),
        }
    }
}

async fn list(client: &AdminClient, filter: &Filter, json: bool) -> Result<(), Failure> {
    let mut people: Vec<Value> = Vec::new();
    let mut after = None;
    while people.len() < filter.max {
        let query = filter.query(after.as_deref());
        let mut page = client
            .get(&format!("/api/people?{query}"))
            .await?
            .success()?;
        if let Some(found) = page["people"].as_array_mut() {
            people.append(found);
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    people.truncate(filter.max);
    if json {
        return print_answer(&json!({ "people": people }), true, |_| String::new());
    }
    for person in &people {
        print(person_line(person))?;
    }
    Ok(())
}

impl Filter {
    fn query(&self, after: Option<&str>) -> String {
        let closed = self.closed.map(|closed| closed.to_string());
        let page = self.max.min(PAGE as usize).to_string();
        let fields = [
            ("text", self.text.as_deref()),
            ("login", self.login.as_deref()),
            ("name", self.name.as_deref()),
            ("email", self.email.as_deref()),
            ("mobile", self.mobile.as_deref()),
            ("department", self.department.as_deref()),
            ("connector", self.connector.as_deref()),
            ("closed", closed.as_deref()),
            ("after", after),
            ("max", Some(&page)),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

fn person_path(login: &str, rest: &str) -> String {
    let login = utf8_percent_encode(login, NON_ALPHANUMERIC);
    format!("/api/people/{login}{rest}")
}
