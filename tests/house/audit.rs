//! The audit trail in the store: what the log says is found there, nobody waits for it, and it is kept for as
//! long as the configuration says.

use menshen::telemetry::{AuditEvent, AuditRecord, Telemetry};
use serde_json::Value;

use crate::admin::{TOKEN, call_api, send_request, setup, sign_in_as};
use crate::sessions::eventually;
use crate::setup::Menshen;

mod download;
mod hostile;
mod keeping;
mod nodes;
mod outages;
mod searching;

/// The lines that the admin API lists for a query.
async fn list(menshen: &Menshen, query: &str) -> Vec<Value> {
    let path = format!("/api/audit?{query}");
    let answer = call_api(menshen, "GET", &path, &Value::Null).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()["lines"].as_array().unwrap().clone()
}

/// The lines that the admin API lists for a query, once there are `count`.
async fn list_once(menshen: &Menshen, query: &str, count: usize) -> Vec<Value> {
    let what = format!("{count} lines for {query}");
    eventually(&what, async || list(menshen, query).await.len() >= count).await;
    let lines = list(menshen, query).await;
    assert_eq!(lines.len(), count, "{query}: {lines:#?}");
    lines
}

fn telemetry(menshen: &Menshen) -> &Telemetry {
    &menshen.running.live().services().telemetry
}

/// Records logins of these people now.
fn record_logins(menshen: &Menshen, logins: &[&str]) {
    for login in logins {
        telemetry(menshen).audit(&AuditRecord {
            login: Some(login),
            connector: Some("corp"),
            ..AuditRecord::new(AuditEvent::Login, menshen.clock.now())
        });
    }
}

/// The values of a field.
fn values<'a>(lines: &'a [Value], field: &str) -> Vec<&'a str> {
    let values = lines.iter().map(|line| line[field].as_str().unwrap_or(""));
    values.collect()
}

/// Removes the Chinese words of a stored line, which the log does not have.
fn remove_chinese(line: &mut Value) {
    let members = line.as_object_mut().unwrap();
    members.retain(|name, _| !name.ends_with("_zh"));
}
