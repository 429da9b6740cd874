//! `menshen people sync`: starts a directory sync, shows its progress, and prints its report.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use menshen::text;
use menshen::wording::Text;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::super::Failure;
use super::super::admin_client::AdminClient;
use super::super::answer_text::{field_text, localized_field, print_answer};

/// How often the progress is asked for.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// What is synced, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct SyncArguments {
    /// The ID of the connector.
    connector: String,
    /// Only the department with this ID, and those below it.
    #[arg(long, value_name = "ID", conflicts_with = "person")]
    department: Option<String>,
    /// Only the person with this ID at the source, such as the userid of WeCom.
    #[arg(long, value_name = "ID")]
    person: Option<String>,
    /// Show the differences and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Close people even if there are more than sync_brake allows.
    #[arg(long)]
    force: bool,
    /// Print the report as JSON, for use by programs.
    #[arg(long)]
    json: bool,
}

/// Syncs, and prints the report.
pub(super) async fn run(client: &AdminClient, arguments: &SyncArguments) -> Result<(), Failure> {
    let started = client.post(&arguments.path(), &json!({})).await?;
    let status = started.status;
    let answer = started.success()?;
    let report = match status {
        202 => wait_for_report(client, &arguments.connector, &answer).await?,
        _ => answer,
    };
    print_answer(&report, arguments.json, report_text)?;
    match report["outcome"].as_str() {
        Some("done") => Ok(()),
        Some("not_found") => Err(Failure::Refused(problem_text(&report))),
        Some("refused" | "busy" | "failed") => Err(Failure::Unavailable(problem_text(&report))),
        _ => Err(Failure::Unavailable(text!(
            "the sync ended without a report",
            "同步已结束，但没有报告"
        ))),
    }
}

impl SyncArguments {
    fn path(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let connector = encoded(&self.connector);
        let part = match (&self.department, &self.person) {
            (Some(id), _) => format!("/department/{}", encoded(id)),
            (None, Some(id)) => format!("/person/{}", encoded(id)),
            (None, None) => String::new(),
        };
        let (dry_run, force) = (self.dry_run, self.force);
        format!("/api/sync/{connector}{part}?dry_run={dry_run}&force={force}")
    }
}

/// Waits for the end of the sync that was started. Shows the progress on a terminal.
async fn wait_for_report(
    client: &AdminClient,
    connector: &str,
    started: &Value,
) -> Result<Value, Failure> {
    let run = started["running"]["run"].clone();
    let connector = utf8_percent_encode(connector, NON_ALPHANUMERIC);
    let path = format!("/api/sync/{connector}");
    let mut status = started.clone();
    loop {
        if status["running"]["run"] == run {
            show_progress(Some(&status["running"]["progress"]));
        } else {
            show_progress(None);
            return match status["last"]["run"] == run || run.is_null() {
                true => Ok(status["last"].take()),
                false => Err(Failure::Unavailable(text!(
                    "the sync ended, and the server no longer has its report",
                    "同步已结束，但服务已不再保留它的报告"
                ))),
            };
        }
        tokio::time::sleep(ASK_EVERY).await;
        status = client.get(&path).await?.success()?;
    }
}

/// Replaces the last line of the terminal by the progress, or removes it.
fn show_progress(progress: Option<&Value>) {
    let mut terminal = std::io::stderr();
    if !terminal.is_terminal() {
        return;
    }
    let text = progress.map(|progress| {
        let number = |name: &str| progress[name].as_u64().unwrap_or(0);
        let (read, departments) = (number("departments_read"), number("departments"));
        let (people, changed) = (number("people_read"), number("people_changed"));
        match number("people_to_change") {
            0 => text!(
                "{read} of {departments} departments, {people} people",
                "已读取 {read}/{departments} 个部门，{people} 人"
            ),
            all => text!(
                "{changed} of {all} people changed",
                "已修改 {changed}/{all} 人"
            ),
        }
    });
    let text = text.unwrap_or_default();
    // The report follows in any case.
    let _ = write!(terminal, "\r\x1b[K{}", text.for_operator());
    let _ = terminal.flush();
}

fn report_text(report: &Value) -> String {
    let (people, departments) = (&report["people"], &report["departments"]);
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    for change in report["changes"].as_array().into_iter().flatten() {
        let [what, kind, id, detail] =
            ["change", "kind", "id", "detail"].map(|name| field_text(&change[name]));
        line(format!("{what} {kind} {id} {detail}").trim_end().to_owned());
    }
    let is_applied = report["dry_run"] == false && report["outcome"] != "refused";
    let unapplied = if is_applied {
        Text::default()
    } else {
        text!(" (nothing was changed)", "（没有改变任何内容）")
    };
    let (listed, created, updated) = (&people["listed"], &people["created"], &people["updated"]);
    let (closed, reopened) = (&people["closed"], &people["reopened"]);
    let (ignored, refused) = (&people["ignored"], &people["refused"]);
    let hidden = &people["not_visible"];
    let people = text!(
        "people: {listed} listed, {created} created, {updated} updated, {closed} closed, {reopened} reopened, \
         {ignored} ignored, {refused} refused, {hidden} not visible{unapplied}",
        "人员：读取 {listed}，新建 {created}，更新 {updated}，关闭 {closed}，重新打开 {reopened}，忽略 {ignored}，\
         未能处理 {refused}，不可见 {hidden}{unapplied:#}"
    );
    line(people.for_operator().to_owned());
    let [listed, created, updated, removed] =
        ["listed", "created", "updated", "removed"].map(|name| &departments[name]);
    let departments = text!(
        "departments: {listed} listed, {created} created, {updated} updated, {removed} removed{unapplied}",
        "部门：读取 {listed}，新建 {created}，更新 {updated}，移除 {removed}{unapplied:#}"
    );
    line(departments.for_operator().to_owned());
    for problem in report["problems"].as_array().into_iter().flatten() {
        let problem = problem_line(problem);
        let problem = text!("problem: {problem}", "问题：{problem:#}");
        line(problem.for_operator().to_owned());
    }
    text
}

fn problem_text(report: &Value) -> Text {
    let problems = report["problems"].as_array().into_iter().flatten();
    match problems.last() {
        Some(problem) => problem_line(problem),
        None => text!("the sync failed", "同步失败"),
    }
}

fn problem_line(problem: &Value) -> Text {
    let (what, remedy) = (
        localized_field(problem, "what"),
        localized_field(problem, "remedy"),
    );
    text!("{what}; {remedy}", "{what}；{remedy}")
}
