//! `menshen people tokens`: lists the access tokens of a person, and ends one.

use menshen::text;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::super::Failure;
use super::super::admin_client::AdminClient;
use super::super::answer_text::{field_text, operator_text, print_answer, time_text};
use super::person_path;

/// Whose tokens are listed, and which one ends.
#[derive(Debug, clap::Args)]
pub(crate) struct TokensArguments {
    login: String,
    /// End the token with this ID, as the list and the logs show it.
    #[arg(long, value_name = "ID")]
    revoke: Option<String>,
    /// Print JSON, for use by programs.
    #[arg(long)]
    json: bool,
}

impl TokensArguments {
    pub(super) fn changes_something(&self) -> bool {
        self.revoke.is_some()
    }
}

pub(super) async fn run(client: &AdminClient, arguments: &TokensArguments) -> Result<(), Failure> {
    let path = person_path(&arguments.login, "/tokens");
    let Some(id) = &arguments.revoke else {
        let answer = client.get(&path).await?.success()?;
        return print_answer(&answer, arguments.json, list_text);
    };
    let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
    let answer = client.delete(&format!("{path}/{id}")).await?.success()?;
    print_answer(&answer, arguments.json, |_| {
        operator_text(&text!("ended", "已停用"))
    })
}

/// A line for each token: ID, name, routes, beginning, end and last use.
fn list_text(answer: &Value) -> String {
    let tokens = answer["tokens"].as_array().into_iter().flatten();
    let lines = tokens.map(|token| {
        let [id, name] = ["id", "name"].map(|field| field_text(&token[field]));
        let routes = match token["routes"].as_array() {
            Some(routes) => routes.iter().map(field_text).collect::<Vec<_>>().join(","),
            None => text!("all", "全部").for_operator().to_owned(),
        };
        let times = ["created_at", "expires_at", "used_at"];
        let [created, expires, used] = times.map(|time| time_text(&token[time]));
        format!("{id}\t{name}\t{routes}\t{created}\t{expires}\t{used}\n")
    });
    lines.collect()
}
