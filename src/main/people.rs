//! `menshen people`: lists, shows, closes, reopens and imports people through the admin API.

use std::path::{Path, PathBuf};

use menshen::config::Config;
use menshen::telemetry::escape;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use self::client::{AdminClient, ApiAnswer, ClientError};
use super::{Failure, print};

#[path = "people/client.rs"]
mod client;

/// The longest import file, in bytes; the admin API accepts no longer one.
const IMPORT_BYTES_MAX: u64 = 8 << 20;
/// The people of one page.
const PAGE: u32 = 1_000;

/// The commands about people.
#[derive(Debug, clap::Subcommand)]
pub(super) enum PeopleCommand {
    /// List people, in the order of their logins. All conditions must hold.
    List {
        #[command(flatten)]
        filter: Filter,
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
        #[command(flatten)]
        actor: Actor,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Reopen a closed account.
    Reopen {
        login: String,
        #[command(flatten)]
        actor: Actor,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Import people from a CSV file with a header, or from a JSON array of objects. The columns are
    /// login, name, email, mobile, connector and subject. If a line is bad, nothing is imported.
    Import {
        file: PathBuf,
        #[command(flatten)]
        actor: Actor,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
    /// Show which routes a person may use.
    Access {
        login: String,
        /// Print JSON, for use by programs.
        #[arg(long)]
        json: bool,
    },
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
    /// The id or name of a department; includes those below it.
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

/// Who makes a change.
#[derive(Debug, clap::Args)]
pub(super) struct Actor {
    /// Who asks for it, for the history and the audit trail. Absent: the user of the system.
    #[arg(long, env = "USER", default_value = "")]
    by: String,
}

/// Runs a command.
pub(super) async fn run(config: &Config, command: PeopleCommand) -> Result<(), Failure> {
    let client = AdminClient::new(config)?;
    match command {
        PeopleCommand::List { filter, json } => list(&client, &filter, json).await,
        PeopleCommand::Show { login, json } => {
            let person = client.get(&person_path(&login, "")).await?.success()?;
            output(&person, json, show_text)
        }
        PeopleCommand::Close {
            login,
            reason,
            actor,
            json,
        } => {
            let body = json!({ "reason": reason, "by": actor.by });
            let answer = client.post(&person_path(&login, "/close"), &body).await?;
            let text = |_: &Value| format!("{login}: closed");
            output(&answer.success()?, json, text)
        }
        PeopleCommand::Reopen { login, actor, json } => {
            let body = json!({ "by": actor.by });
            let answer = client.post(&person_path(&login, "/open"), &body).await?;
            output(&answer.success()?, json, |answer| {
                reopened_text(&login, answer)
            })
        }
        PeopleCommand::Import { file, actor, json } => import(&client, &file, &actor, json).await,
        PeopleCommand::Access { login, json } => {
            let answer = client.get(&person_path(&login, "/access")).await?;
            output(&answer.success()?, json, access_text)
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
        return output(&json!({ "people": people }), true, |_| String::new());
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

async fn import(
    client: &AdminClient,
    file: &Path,
    actor: &Actor,
    json: bool,
) -> Result<(), Failure> {
    let name = file.display();
    let unread = |error: std::io::Error| Failure::Refused(format!("read {name}: {error}"));
    let size = tokio::fs::metadata(file).await.map_err(unread)?.len();
    if size > IMPORT_BYTES_MAX {
        let why = format!("{name} is longer than {IMPORT_BYTES_MAX} bytes: split it");
        return Err(Failure::Refused(why));
    }
    let bytes = tokio::fs::read(file).await.map_err(unread)?;
    let by = utf8_percent_encode(&actor.by, NON_ALPHANUMERIC);
    let answer = client
        .send_file(&format!("/api/people?by={by}"), bytes)
        .await?;
    if let Some(problems) = answer.problems() {
        if json {
            output(&answer.body, true, |_| String::new())?;
        }
        let lines = problems
            .iter()
            .map(|problem| format!("\n  line {}: {}", problem["line"], text_of(&problem["why"])));
        let lines: String = lines.collect();
        return Err(Failure::Refused(format!(
            "{name}: nothing was imported{lines}"
        )));
    }
    output(&answer.success()?, json, |counts| {
        format!(
            "{} created, {} changed, {} unchanged",
            counts["created"], counts["updated"], counts["unchanged"]
        )
    })
}

fn person_path(login: &str, rest: &str) -> String {
    let login = utf8_percent_encode(login, NON_ALPHANUMERIC);
    format!("/api/people/{login}{rest}")
}

/// Prints an answer as JSON or as text.
fn output(answer: &Value, json: bool, text: impl Fn(&Value) -> String) -> Result<(), Failure> {
    match json {
        true => print(escape::json_for_terminal(&format!("{answer:#}"))),
        false => print(text(answer).trim_end()),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // A name with a line end must not look like two lines.
        Value::String(text) => escape::for_terminal_line(text).into_owned(),
        other => other.to_string(),
    }
}

fn person_line(person: &Value) -> String {
    let field = |name: &str| text_of(&person[name]);
    let state = if person["closed"] == true {
        "closed"
    } else {
        "open"
    };
    let (login, name) = (field("login"), field("name"));
    let (email, mobile) = (field("email"), field("mobile"));
    format!("{login}\t{state}\t{name}\t{email}\t{mobile}")
}

fn show_text(person: &Value) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    for name in ["login", "id", "name", "email", "mobile", "closed"] {
        line(format!("{name}: {}", text_of(&person[name])));
    }
    for name in ["created_at", "seen_at", "closed_at"] {
        line(format!("{name}: {}", time(&person[name])));
    }
    for name in ["closed_by", "closed_reason"] {
        line(format!("{name}: {}", text_of(&person[name])));
    }
    for identity in person["identities"].as_array().into_iter().flatten() {
        let (connector, subject) = (&identity["connector"], &identity["subject"]);
        let state = text_of(&identity["state"]);
        line(format!(
            "identity: {} {} ({state})",
            text_of(connector),
            text_of(subject)
        ));
        for department in identity["departments"].as_array().into_iter().flatten() {
            let leads = if department["leads"] == true {
                ", leads it"
            } else {
                ""
            };
            line(format!(
                "  department: {}{leads}",
                text_of(&department["id"])
            ));
        }
    }
    for change in person["history"].as_array().into_iter().flatten() {
        let (at, what) = (time(&change["at"]), text_of(&change["what"]));
        let (by, detail) = (text_of(&change["by"]), text_of(&change["detail"]));
        line(
            format!("{at} {what} by {by} {detail}")
                .trim_end()
                .to_owned(),
        );
    }
    text
}

fn time(seconds: &Value) -> String {
    let at = seconds.as_i64().map(menshen::clock::Timestamp::from_unix_s);
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}

fn reopened_text(login: &str, answer: &Value) -> String {
    let mut text = format!("{login}: open");
    for taken in answer["identities_taken"].as_array().into_iter().flatten() {
        let (connector, subject) = (text_of(&taken["connector"]), text_of(&taken["subject"]));
        text.push_str(&format!(
            "\n{connector} {subject} belongs to another account now"
        ));
    }
    text
}

fn access_text(answer: &Value) -> String {
    let routes = answer["routes"].as_array().into_iter().flatten();
    let lines = routes.map(|route| {
        let verdict = match route["allowed"].as_bool() {
            Some(true) => "allowed",
            Some(false) => "refused",
            None => "unknown",
        };
        let why = route["why"].as_str().filter(|why| !why.is_empty());
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{}: {verdict}{why}\n", text_of(&route["route"]))
    });
    lines.collect()
}

impl ApiAnswer {
    /// The body of a success, or why there is none.
    fn success(self) -> Result<Value, Failure> {
        let error = || text_of(&self.body["error"]);
        match self.status {
            200..=299 => Ok(self.body),
            400..=499 => Err(Failure::Refused(error())),
            _ => Err(Failure::Unavailable(error())),
        }
    }

    /// The lines that could not be imported.
    fn problems(&self) -> Option<&Vec<Value>> {
        (self.status == 400).then(|| self.body["problems"].as_array())?
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let why = menshen::telemetry::error_chain(&error).to_string();
        match error {
            ClientError::NoAdmin | ClientError::NoToken | ClientError::Token(_) => {
                Self::Refused(why)
            }
            ClientError::Address(_)
            | ClientError::Connect { .. }
            | ClientError::Exchange(_)
            | ClientError::Late
            | ClientError::Malformed => Self::Unavailable(why),
        }
    }
}
