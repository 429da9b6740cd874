//! `menshen people import`: imports people into the directory, or with their passwords into a connector.

use std::path::Path;

use menshen::config::Config;
use menshen::text;
use serde_json::Value;

use super::super::Failure;
use super::super::admin_client::{AdminClient, ApiAnswer};
use super::super::answer_text::{localized_field, print_answer};
use super::local;

/// The longest import file, in bytes; the admin API accepts no longer one.
const IMPORT_BYTES_MAX: u64 = 8 << 20;

pub(super) async fn run(
    client: &AdminClient,
    config: &Config,
    (file, connector): (&Path, &local::ConnectorChoice),
    json: bool,
) -> Result<(), Failure> {
    let name = file.display();
    let unread = |error: std::io::Error| {
        Failure::Refused(text!("read {name}: {error}", "无法读取 {name}：{error}"))
    };
    let size = tokio::fs::metadata(file).await.map_err(unread)?.len();
    if size > IMPORT_BYTES_MAX {
        return Err(Failure::Refused(text!(
            "{name} is longer than {IMPORT_BYTES_MAX} bytes: split it",
            "{name} 超过 {IMPORT_BYTES_MAX} 字节：请分成几个文件"
        )));
    }
    let bytes = tokio::fs::read(file).await.map_err(unread)?;
    let path = match connector.connector.is_some() || local::has_passwords(&bytes) {
        true => local::people_path(&connector.id(client, config).await?),
        false => "/api/people".to_owned(),
    };
    let answer = client.send_file(&path, bytes).await?;
    if let Some(problems) = answer.problems() {
        if json {
            print_answer(&answer.body, true, |_| String::new())?;
        }
        let lines = problems.iter().map(|problem| {
            let (line, why) = (&problem["line"], localized_field(problem, "why"));
            let line = text!("\n  line {line}: {why}", "\n  第 {line} 行：{why}");
            line.for_operator().to_owned()
        });
        let lines: String = lines.collect();
        return Err(Failure::Refused(text!(
            "{name}: nothing was imported{lines}",
            "{name}：没有导入任何人{lines}"
        )));
    }
    print_answer(&answer.success()?, json, |counts| {
        let count = |name: &str| &counts[name];
        let (created, updated, unchanged) =
            (count("created"), count("updated"), count("unchanged"));
        let text = text!(
            "{created} created, {updated} changed, {unchanged} unchanged",
            "新建 {created} 人，修改 {updated} 人，未变 {unchanged} 人"
        );
        text.for_operator().to_owned()
    })
}

impl ApiAnswer {
    /// The lines that could not be imported.
    fn problems(&self) -> Option<&Vec<Value>> {
        (self.status == 400).then(|| self.body["problems"].as_array())?
    }
}
