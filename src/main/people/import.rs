//! `menshen people import`: imports people into the directory, or with their passwords into a connector.

use std::path::Path;

use menshen::config::Config;
use serde_json::Value;

use super::super::Failure;
use super::super::admin_client::{AdminClient, ApiAnswer};
use super::super::answer_text::{field_text, print_answer};
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
    let unread = |error: std::io::Error| Failure::Refused(format!("read {name}: {error}"));
    let size = tokio::fs::metadata(file).await.map_err(unread)?.len();
    if size > IMPORT_BYTES_MAX {
        let why = format!("{name} is longer than {IMPORT_BYTES_MAX} bytes: split it");
        return Err(Failure::Refused(why));
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
            format!(
                "\n  line {}: {}",
                problem["line"],
                field_text(&problem["why"])
            )
        });
        let lines: String = lines.collect();
        return Err(Failure::Refused(format!(
            "{name}: nothing was imported{lines}"
        )));
    }
    print_answer(&answer.success()?, json, |counts| {
        format!(
            "{} created, {} changed, {} unchanged",
            counts["created"], counts["updated"], counts["unchanged"]
        )
    })
}

impl ApiAnswer {
    /// The lines that could not be imported.
    fn problems(&self) -> Option<&Vec<Value>> {
        (self.status == 400).then(|| self.body["problems"].as_array())?
    }
}
