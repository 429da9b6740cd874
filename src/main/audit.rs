//! `menshen audit`: searches the audit trail through the admin API.

use std::path::Path;

use menshen::clock::Clock;
use menshen::setting::{InvalidPeriod, Period};
use menshen::telemetry::escape;
use menshen::text;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::admin_client::{AdminClient, TokenChoice};
use super::answer_text::{field_text, localized_field};
use super::{Failure, load, print};

/// The most lines that the API lists at once.
const PAGE_MAX: u32 = 1_000;

/// Which lines are listed.
#[derive(Debug, clap::Args)]
pub(super) struct AuditArguments {
    #[command(flatten)]
    choice: TokenChoice,
    /// Only lines of this event, such as login or refused.
    #[arg(long)]
    event: Option<String>,
    /// Only lines about the person with this login.
    #[arg(long)]
    login: Option<String>,
    /// Only lines about this connector.
    #[arg(long)]
    connector: Option<String>,
    /// Only lines of the last minutes, hours or days, such as 30m, 12h or 7d.
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    since: Option<Period>,
    /// The most lines that are listed.
    #[arg(long, default_value_t = 100)]
    max: u32,
    /// Print a JSON object on a line for each, for use by programs.
    #[arg(long)]
    json: bool,
}

fn period(text: &str) -> Result<Period, InvalidPeriod> {
    Period::try_from(text.to_owned())
}

pub(super) async fn run(path: &Path, arguments: AuditArguments) -> Result<(), Failure> {
    let query = arguments.query();
    let client = AdminClient::new(&load(path).await?, arguments.choice, false)?;
    let (mut left, mut after) = (arguments.max, None::<String>);
    while left > 0 {
        let mut query = query.clone();
        query.push(("max", left.min(PAGE_MAX).to_string()));
        query.extend(after.map(|after| ("after", after)));
        let query = Serializer::new(String::new()).extend_pairs(query).finish();
        let page = client.get(&format!("/api/audit?{query}")).await?;
        let page = page.success()?;
        for line in page["lines"].as_array().into_iter().flatten() {
            match arguments.json {
                true => print(escape::json_for_terminal(&line.to_string()))?,
                false => print(line_text(line))?,
            }
            left = left.saturating_sub(1);
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

impl AuditArguments {
    fn query(&self) -> Vec<(&'static str, String)> {
        let since = self.since.map(|period| {
            let seconds = i64::try_from(period.duration().as_secs()).unwrap_or(i64::MAX);
            let since = Clock::system().now().unix_s().saturating_sub(seconds);
            since.to_string()
        });
        let conditions = [
            ("event", self.event.clone()),
            ("login", self.login.clone()),
            ("connector", self.connector.clone()),
            ("since", since),
        ];
        let given = conditions.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// The columns of a line: time, event, login, connector, address, administrator, and the reason or the error.
fn line_text(line: &Value) -> String {
    let fields = ["timestamp", "event", "login", "connector", "client", "by"];
    let fields = fields.map(|field| field_text(&line[field])).join("\t");
    let why = ["reason", "error"].into_iter();
    let why = why.filter(|field| !line[field].is_null());
    let why: Vec<_> = why.map(|field| localized_field(line, field)).collect();
    let separator = text!("; ", "；");
    match why.is_empty() {
        true => format!("{fields}\t-"),
        false => format!("{fields}\t{}", why.join(separator.for_operator())),
    }
}
