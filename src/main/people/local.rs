//! `menshen people add`, `change`, `password`, `remove`: the people of a connector whose passwords the store
//! keeps.

use menshen::config::Config;
use menshen::text;
use menshen::wording::Text;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::super::admin_client::AdminClient;
use super::super::answer_text::{field_text, operator_text, print_answer};
use super::super::{Failure, passwd, print};

/// The people of one page.
const PAGE: usize = 1_000;

/// The connector of a person.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectorChoice {
    /// The ID of the connector. Absent: the only one of the kind `local` without a file of people, in the
    /// configuration or managed.
    #[arg(long, value_name = "ID")]
    pub(super) connector: Option<String>,
}

/// The fields of a person.
#[derive(Debug, clap::Args)]
pub(crate) struct PersonFields {
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    email: Option<String>,
    #[arg(long)]
    mobile: Option<String>,
    /// A group; may be given more than once. All groups together replace the former ones.
    #[arg(long)]
    group: Vec<String>,
    /// A role; may be given more than once. All roles together replace the former ones.
    #[arg(long)]
    role: Vec<String>,
    /// A department; may be given more than once. All departments together replace the former ones.
    #[arg(long)]
    department: Vec<String>,
}

/// A person to add.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArguments {
    login: String,
    #[command(flatten)]
    connector: ConnectorChoice,
    #[command(flatten)]
    fields: PersonFields,
    /// Read the password from standard input, once, even from a terminal.
    #[arg(long)]
    password_stdin: bool,
    /// The person must choose another password at the first login.
    #[arg(long)]
    must_change: bool,
    /// Print JSON, for use by programs.
    #[arg(long)]
    json: bool,
}

/// A person to change.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArguments {
    login: String,
    #[command(flatten)]
    connector: ConnectorChoice,
    #[command(flatten)]
    fields: PersonFields,
    /// With `true` the person cannot sign in, and is signed out.
    #[arg(long)]
    disabled: Option<bool>,
    /// Whether the person must choose another password at the next login.
    #[arg(long)]
    must_change: Option<bool>,
    /// Print JSON, for use by programs.
    #[arg(long)]
    json: bool,
}

/// A person who gets another password.
#[derive(Debug, clap::Args)]
pub(crate) struct PasswordArguments {
    login: String,
    #[command(flatten)]
    connector: ConnectorChoice,
    /// Read the password from standard input, once, even from a terminal.
    #[arg(long)]
    password_stdin: bool,
    /// The person must choose another password at the next login.
    #[arg(long)]
    must_change: bool,
    /// Print JSON, for use by programs.
    #[arg(long)]
    json: bool,
}

/// A person to remove.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArguments {
    login: String,
    #[command(flatten)]
    connector: ConnectorChoice,
    /// Print JSON, for use by programs.
    #[arg(long)]
    json: bool,
}

impl ConnectorChoice {
    /// The ID of the connector. Without `--connector` the server is asked for its managed ones.
    pub(super) async fn id(
        &self,
        client: &AdminClient,
        config: &Config,
    ) -> Result<String, Failure> {
        if let Some(id) = &self.connector {
            return Ok(id.clone());
        }
        let keeps_people = config.connector.iter().filter(|(_, connector)| {
            let kind = connector.kind();
            kind.is_ok_and(|kind| kind.features().keeps_people)
        });
        let mut ids: Vec<_> = keeps_people.map(|(id, _)| id.to_string()).collect();
        let answer = client.get("/api/connectors").await?.success()?;
        let listed = answer["connectors"].as_array().into_iter().flatten();
        // A managed one has no file of people.
        let managed = listed.filter(|connector| {
            let is = |field: &str, value: &str| connector[field] == value;
            is("kind", "local") && is("origin", "managed") && connector["shadowed"] == false
        });
        ids.extend(managed.map(|connector| field_text(&connector["id"])));
        match ids.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Failure::Refused(text!(
                "no connector keeps its people in the store: add [connector.ID.local] without `people`, or \
                 make one in the console",
                "没有把人员保存在数据库里的认证源：请添加不带 `people` 的 [connector.ID.local]，或在控制台建立一个"
            ))),
            several => {
                let several = several.join(", ");
                Err(Failure::Usage(text!(
                    "name the connector with --connector: {several}",
                    "请用 --connector 指定认证源：{several}"
                )))
            }
        }
    }
}

impl PersonFields {
    /// The fields that are given, as members of a request.
    fn members(&self) -> Map<String, Value> {
        let texts = [
            ("name", &self.name),
            ("email", &self.email),
            ("mobile", &self.mobile),
        ];
        let lists = [
            ("groups", &self.group),
            ("roles", &self.role),
            ("departments", &self.department),
        ];
        let mut members = Map::new();
        for (name, text) in texts {
            members.extend(text.as_ref().map(|text| (name.to_owned(), json!(text))));
        }
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            members.insert(name.to_owned(), json!(list));
        }
        members
    }
}

/// The path of all people of a connector.
pub(super) fn people_path(connector: &str) -> String {
    let connector = utf8_percent_encode(connector, NON_ALPHANUMERIC);
    format!("/api/connectors/{connector}/people")
}

fn person_path(connector: &str, login: &str) -> String {
    let login = utf8_percent_encode(login, NON_ALPHANUMERIC);
    format!("{}/{login}", people_path(connector))
}

pub(super) async fn add(
    client: &AdminClient,
    config: &Config,
    arguments: &AddArguments,
) -> Result<(), Failure> {
    let connector = arguments.connector.id(client, config).await?;
    let mut body = arguments.fields.members();
    let hash = passwd::hash_of_new_password(arguments.password_stdin)?;
    body.insert("password_hash".to_owned(), json!(*hash));
    body.insert("must_change".to_owned(), json!(arguments.must_change));
    let path = person_path(&connector, &arguments.login);
    let answer = client.post(&path, &Value::Object(body)).await?.success()?;
    print_answer(&answer, arguments.json, |answer| {
        let taken = match answer["login_taken"] == true {
            true => text!(
                "\nanother account has this login: the person cannot sign in until one of them is \
                 renamed, or they are linked",
                "\n已有别的账号使用这个登录名：在其中一个改名或两者关联之前，此人不能登录"
            ),
            false => Text::default(),
        };
        let login = &arguments.login;
        operator_text(&text!(
            "{login}: added to {connector}{taken}",
            "{login}：已添加到 {connector}{taken:#}"
        ))
    })
}

pub(super) async fn change(
    client: &AdminClient,
    config: &Config,
    arguments: &ChangeArguments,
) -> Result<(), Failure> {
    let connector = arguments.connector.id(client, config).await?;
    let mut body = arguments.fields.members();
    let flags = [
        ("disabled", arguments.disabled),
        ("must_change", arguments.must_change),
    ];
    for (name, flag) in flags {
        body.extend(flag.map(|flag| (name.to_owned(), json!(flag))));
    }
    let path = person_path(&connector, &arguments.login);
    let answer = client.patch(&path, &Value::Object(body)).await?.success()?;
    let login = &arguments.login;
    let text = |answer: &Value| {
        let ended = ended_text(answer);
        operator_text(&text!(
            "{login}: changed{ended}",
            "{login}：已修改{ended:#}"
        ))
    };
    print_answer(&answer, arguments.json, text)
}

pub(super) async fn password(
    client: &AdminClient,
    config: &Config,
    arguments: &PasswordArguments,
) -> Result<(), Failure> {
    let connector = arguments.connector.id(client, config).await?;
    let hash = passwd::hash_of_new_password(arguments.password_stdin)?;
    let body = json!({ "password_hash": *hash, "must_change": arguments.must_change });
    let path = format!("{}/password", person_path(&connector, &arguments.login));
    let answer = client.post(&path, &body).await?.success()?;
    let login = &arguments.login;
    let text = |answer: &Value| {
        let ended = ended_text(answer);
        operator_text(&text!(
            "{login}: has another password{ended}",
            "{login}：密码已更换{ended:#}"
        ))
    };
    print_answer(&answer, arguments.json, text)
}

pub(super) async fn remove(
    client: &AdminClient,
    config: &Config,
    arguments: &RemoveArguments,
) -> Result<(), Failure> {
    let connector = arguments.connector.id(client, config).await?;
    let path = person_path(&connector, &arguments.login);
    let answer = client.delete(&path).await?.success()?;
    let login = &arguments.login;
    let text = |answer: &Value| {
        let ended = ended_text(answer);
        operator_text(&text!(
            "{login}: removed{ended}",
            "{login}：已移除{ended:#}"
        ))
    };
    print_answer(&answer, arguments.json, text)
}

fn ended_text(answer: &Value) -> Text {
    let ended = &answer["ended"];
    let (sessions, tokens) = (&ended["sessions"], &ended["access_tokens"]);
    text!(
        "; {sessions} sessions and {tokens} access tokens ended",
        "；结束了 {sessions} 个会话，停用了 {tokens} 个访问令牌"
    )
}

/// Prints the people of a connector, whether or not they ever signed in.
pub(super) async fn list(
    client: &AdminClient,
    connector: &str,
    max: usize,
    json: bool,
) -> Result<(), Failure> {
    let path = people_path(connector);
    let (mut people, mut after): (Vec<Value>, Option<String>) = (Vec::new(), None);
    while people.len() < max {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("max", &max.min(PAGE).to_string());
        if let Some(after) = &after {
            query.append_pair("after", after);
        }
        let page = client.get(&format!("{path}?{}", query.finish())).await?;
        let mut page = page.success()?;
        if let Some(found) = page["people"].as_array_mut() {
            people.append(found);
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    people.truncate(max);
    if json {
        return print_answer(&json!({ "people": people }), true, |_| String::new());
    }
    for person in &people {
        let [login, name, email, mobile] =
            ["login", "name", "email", "mobile"].map(|field| field_text(&person[field]));
        let state = match (&person["disabled"], &person["must_change"]) {
            (Value::Bool(true), _) => text!("disabled", "已停用"),
            (_, Value::Bool(true)) => text!("must-change", "须改密码"),
            _ => text!("open", "正常"),
        };
        let state = state.for_operator();
        print(format!("{login}\t{state}\t{name}\t{email}\t{mobile}"))?;
    }
    Ok(())
}

/// Whether a file to import has passwords: a file of `htpasswd`, or one with a key or column `password`.
pub(super) fn has_passwords(file: &[u8]) -> bool {
    let text = String::from_utf8_lossy(file);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with('[') {
        let people: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        return people.iter().any(|person| !person["password"].is_null());
    }
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| {
        let is_password = |column: &str| column.trim().eq_ignore_ascii_case("password");
        line.contains(":$") || line.split(',').any(is_password)
    })
}
