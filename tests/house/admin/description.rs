//! The OpenAPI description of the admin API: it names every path that is served, and it is well formed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{API_REQUESTS, TOKEN, send_request, setup};
use crate::setup::{Menshen, Setup};

async fn description(menshen: &Menshen) -> Value {
    let answer = send_request(menshen, "GET", "/openapi.json", "", "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Every method, path and operation of a description.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

/// Whether a path of a request matches a path of the description, such as `/api/people/{login}`.
fn matches(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(expected, sent)| expected.starts_with('{') || expected == sent)
}

#[tokio::test]
async fn the_description_names_every_path_that_is_served_and_no_other() {
    let menshen = setup().start().await;
    let description = description(&menshen).await;
    let mut described = operations(&description);
    // `hengshi::manual` asks for these.
    described.retain(|(_, path, _)| !path.starts_with("/api/authentication-configs/"));
    let mut tested = BTreeSet::from(["GET /api/explain".to_owned()]);
    for (method, path, _) in API_REQUESTS {
        if path == "/api/no-such-thing" {
            continue;
        }
        // A literal path, such as /api/people/ID/access, before one with parameters.
        let found = described
            .iter()
            .find(|(known, template, _)| known == method && matches(template, path));
        let (_, template, _) = found.unwrap_or_else(|| panic!("{method} {path} is not described"));
        tested.insert(format!("{method} {template}"));
    }
    let all: BTreeSet<_> = described
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    assert_eq!(tested, all);
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    for (method, template, _) in &described {
        let path = template.replace("{id}", "AAAAAAAAAAAAAAAAAAAAAA");
        let path = path.replace("{login}", "nobody").replace("{name}", "none");
        let path = path
            .replace("{connector}", "corp")
            .replace("{subject}", "x")
            .replace("{version}", "1");
        let answer = send_request(&menshen, method, &path, &headers, "").await;
        assert!(
            !answer.text().contains("has no path"),
            "{method} {path} is described but not served"
        );
        let answer = send_request(&menshen, "TRACE", &path, &headers, "").await;
        assert_eq!(answer.status, 405, "{path}");
        let allow = answer.header("allow").unwrap();
        assert!(allow.contains(method), "{path}: {allow}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            error.contains(&path) && error.contains("TRACE") && error.contains(method),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_description_is_well_formed() {
    let menshen = setup().start().await;
    let description = description(&menshen).await;
    assert_eq!(description["openapi"], "3.1.0");
    assert!(description["info"]["title"].is_string());
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    let scheme = &description["components"]["securitySchemes"]["token"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"]),
        (&"http".into(), &"bearer".into())
    );
    assert!(description["security"][0]["token"].is_array());
    let tags: BTreeSet<_> = description["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&description) {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id.clone()), "two operations are named {id}");
        assert!(operation["summary"].is_string(), "{id} has no summary");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(tags.contains(tag), "{id}: {tag}");
        let responses = operation["responses"].as_object().unwrap();
        for status in ["200", "401", "403", "405", "503"] {
            assert!(responses.contains_key(status), "{id}: {status}");
        }
        for (status, response) in responses {
            assert!(response["description"].is_string(), "{id}: {status}");
        }
        let in_path = path.split('/').filter(|part| part.starts_with('{'));
        let in_path: BTreeSet<_> = in_path.map(|part| part.trim_matches(['{', '}'])).collect();
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let declared: BTreeSet<_> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(declared, in_path, "{method} {path}");
        for parameter in &parameters {
            assert!(parameter["description"].is_string(), "{id}: {parameter}");
        }
    }
    assert_references_exist(&description, &description);
}

/// Fails if a `$ref` leads nowhere.
fn assert_references_exist(part: &Value, whole: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(
                    whole.pointer(pointer).is_some(),
                    "{reference} leads nowhere"
                );
            }
            for member in members.values() {
                assert_references_exist(member, whole);
            }
        }
        Value::Array(items) => {
            for item in items {
                assert_references_exist(item, whole);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_description_is_read_only_and_there_is_none_without_a_token() {
    let menshen = setup().start().await;
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = send_request(&menshen, "POST", "/openapi.json", &headers, "{}").await;
    assert_eq!(answer.status, 405);
    let menshen = Setup::default()
        .tables("[admin]\nlisten = \"127.0.0.1:0\"\n")
        .start()
        .await;
    let answer = send_request(&menshen, "GET", "/openapi.json", "", "").await;
    assert_eq!(answer.status, 404);
}
