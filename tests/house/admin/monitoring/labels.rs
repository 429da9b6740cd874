//! What the dashboard and the alert rules do with the metrics: each label exists, each value of a label that they
//! name is shown before anything happened, and each panel has the unit of its query.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{documented_metrics, label_names, queried_metrics, read, send_request, setup};

/// A query, and the names of the labels in the texts beside its result.
struct Query {
    /// The panel or the rule.
    title: String,
    expression: String,
    shown_labels: Vec<String>,
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read("conf/monitoring/grafana.json")).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn dashboard_queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().unwrap() {
            let legend = target["legendFormat"].as_str().unwrap();
            let labels = legend.split("{{").skip(1);
            queries.push(Query {
                title: panel["title"].as_str().unwrap().to_owned(),
                expression: target["expr"].as_str().unwrap().to_owned(),
                shown_labels: labels
                    .map(|rest| rest.split("}}").next().unwrap().trim().to_owned())
                    .collect(),
            });
        }
    }
    queries
}

fn alert_queries() -> Vec<Query> {
    let rules = read("conf/monitoring/alerts.yaml");
    let blocks = rules.split("- alert: ").skip(1);
    blocks
        .map(|block| {
            let (_, expression) = block.split_once("expr:").unwrap();
            let end = ["\n        for:", "\n        labels:"];
            let end = end.iter().filter_map(|key| expression.find(key)).min();
            let expression = &expression[..end.unwrap()];
            let labels = block.split("$labels.").skip(1);
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            Query {
                title: block.lines().next().unwrap().to_owned(),
                expression: expression.trim_start_matches(" >-").trim().to_owned(),
                shown_labels: labels
                    .map(|rest| rest.split(|c| !is_name(c)).next().unwrap().to_owned())
                    .collect(),
            }
        })
        .collect()
}

/// The labels of a metric by its name in a query, as the documentation has them, and those that Prometheus adds.
fn labels_of(name: &str) -> BTreeSet<String> {
    let documented = documented_metrics("docs/monitoring.md");
    let base = ["_bucket", "_count", "_sum"];
    let base = base.iter().find_map(|ending| name.strip_suffix(ending));
    let found = documented.iter().find_map(|metric| {
        let (metric, labels) = metric.split_once('{').unwrap_or((metric, ""));
        (metric == base.unwrap_or(name)).then_some(labels)
    });
    let found = found.unwrap_or_else(|| panic!("there is no metric {name}"));
    let own = found.trim_end_matches('}').split(',').map(str::to_owned);
    let added = ["instance", "job", if base.is_some() { "le" } else { "" }];
    own.chain(added.map(str::to_owned))
        .filter(|label| !label.is_empty())
        .collect()
}

/// The labels by which a query adds up.
fn kept_labels(expression: &str) -> Option<BTreeSet<String>> {
    let parts = expression.split("by (").skip(1);
    let lists: Vec<_> = parts
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .collect();
    if lists.is_empty() {
        return None;
    }
    let labels = lists.iter().flat_map(|list| list.split(','));
    Some(labels.map(|label| label.trim().to_owned()).collect())
}

#[test]
fn queries_add_up_by_labels_that_their_metrics_have_and_show_no_others() {
    let queries: Vec<_> = dashboard_queries()
        .into_iter()
        .chain(alert_queries())
        .collect();
    assert!(queries.len() > 20, "{} queries", queries.len());
    for query in queries {
        let Query {
            title, expression, ..
        } = &query;
        let kept = kept_labels(expression);
        let mut shown: BTreeSet<String> = ["instance", "job"].map(str::to_owned).into();
        for (name, _) in queried_metrics(expression) {
            let labels = labels_of(&name);
            for label in kept.iter().flatten() {
                assert!(labels.contains(label), "{title}: {name} has no {label}");
            }
            shown.extend(labels);
        }
        let shown = match kept {
            Some(kept) => kept,
            None if expression.starts_with("sum(") => BTreeSet::new(),
            None => shown,
        };
        for label in &query.shown_labels {
            assert!(shown.contains(label), "{title} does not have {label}");
        }
    }
}

/// The series of a metric in a query: the name, and the values of its labels as in `a="b"`.
fn named_series(expression: &str) -> Vec<(String, Vec<String>)> {
    let mut series = Vec::new();
    for (start, _) in expression.match_indices("menshen_") {
        let rest = &expression[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels).split(',');
        let exact = labels.map(str::trim).filter(|label| label.contains("=\""));
        series.push((name.to_owned(), exact.map(str::to_owned).collect()));
    }
    series
}

/// Without such a series `increase` does not see the first event.
#[tokio::test]
async fn what_an_alert_or_a_panel_names_is_shown_before_anything_happened() {
    let menshen = setup().start().await;
    let page = send_request(&menshen, "GET", "/metrics", "", "").await;
    let page = page.text();
    let mut count = 0;
    let queries = dashboard_queries().into_iter().chain(alert_queries());
    for Query {
        title, expression, ..
    } in queries
    {
        let counts_each = expression.contains("increase(") && expression.ends_with("> 0");
        for (name, labels) in named_series(&expression) {
            if labels.is_empty() && !counts_each {
                continue;
            }
            count += 1;
            let mut lines = page.lines().filter(|line| line.starts_with(&name));
            let is_shown = lines.any(|line| labels.iter().all(|label| line.contains(label)));
            assert!(is_shown, "{title}: {name} {labels:?} is not in\n{page}");
        }
    }
    assert!(count > 8, "{count} series");
}

/// The unit that Grafana shows for the result of a query.
fn unit(expression: &str) -> &'static str {
    match expression {
        duration if duration.contains("_duration_seconds_bucket") => "s",
        days if days.ends_with("/ 86400") => "d",
        rate if rate.contains("(rate(") => "reqps",
        _ => "short",
    }
}

#[test]
fn every_panel_has_the_unit_of_its_query_and_a_place_of_its_own() {
    let mut places = BTreeSet::new();
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().unwrap() {
            let unit = unit(target["expr"].as_str().unwrap());
            assert_eq!(panel["fieldConfig"]["defaults"]["unit"], unit, "{title}");
        }
        let place = &panel["gridPos"];
        assert!(places.insert((place["x"].as_u64(), place["y"].as_u64())));
    }
}

#[test]
fn every_alert_says_what_happened_and_what_to_do() {
    let rules = read("conf/monitoring/alerts.yaml");
    let mut names = BTreeSet::new();
    for block in rules.split("- alert: ").skip(1) {
        let name = block.lines().next().unwrap();
        assert!(names.insert(name), "{name} is there twice");
        let severity = ["page", "ticket"].map(|severity| format!("{{severity: {severity}}}"));
        assert!(severity.iter().any(|text| block.contains(text)), "{name}");
        for key in ["summary: \"", "action: \""] {
            assert_eq!(block.matches(key).count(), 1, "{name}: {key}");
        }
    }
}

#[test]
fn the_choice_of_nodes_asks_for_a_metric_that_exists() {
    let dashboard: Value = serde_json::from_str(&read("conf/monitoring/grafana.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let queries = variables
        .iter()
        .filter_map(|variable| variable["query"]["query"].as_str());
    let names: Vec<_> = queries.flat_map(queried_metrics).collect();
    assert_eq!(names.len(), 1);
    assert!(labels_of(&names[0].0).contains("instance"));
}

#[test]
fn labels_are_found_in_queries() {
    let query = "sum by (route, le) (rate(menshen_x_bucket{a=\"b\", c=~\"$d\"}[5m])) > 0";
    assert_eq!(
        kept_labels(query),
        Some(["route", "le"].map(str::to_owned).into())
    );
    let exact = vec!["a=\"b\"".to_owned()];
    assert_eq!(
        named_series(query),
        [("menshen_x_bucket".to_owned(), exact)]
    );
    assert_eq!(label_names("a=\"b\", c=~\"$d\"").len(), 2);
}
