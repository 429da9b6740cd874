//! The table of metrics, the dashboard and the alert rules name metrics that exist.

mod labels;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::exposure::metric;
use super::{send_request, setup, sign_in_as};
use crate::conf::project_file;
use crate::setup::Menshen;

fn read(file: &str) -> String {
    std::fs::read_to_string(project_file(file)).unwrap()
}

/// The metrics that a server shows: the name in a query and its labels. A metric without a value has
/// unknown labels.
async fn shown_metrics(menshen: &Menshen) -> BTreeMap<String, Option<BTreeSet<String>>> {
    let page = send_request(menshen, "GET", "/metrics", "", "").await;
    let text = page.text();
    let mut shown = BTreeMap::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            let endings: &[&str] = match kind {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_count", "_sum"],
                _ => &[""],
            };
            for ending in endings {
                shown.insert(format!("{name}{ending}"), None);
            }
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = label_names(labels);
            shown.insert(name.to_owned(), Some(labels));
        }
    }
    shown
}

/// The names before `=` in `a="b",c=~"d"}`.
fn label_names(labels: &str) -> BTreeSet<String> {
    let named = labels.split('"').step_by(2);
    named
        .map(|part| part.trim_matches([',', ' ', '}', '=', '~', '!']))
        .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

/// The metrics in a query with the labels in their braces.
fn queried_metrics(query: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut queried = Vec::new();
    for (start, _) in query.match_indices("menshen_") {
        let rest = &query[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        queried.push((
            name.to_owned(),
            label_names(labels.map_or("", |(labels, _)| labels)),
        ));
    }
    queried
}

/// A server after a login and a request that was forwarded, so that more metrics have a value.
async fn used_server() -> Menshen {
    let menshen = setup().start().await;
    sign_in_as(&menshen, "zhangsan").await;
    menshen
}

/// Asserts that each metric in the queries is documented, and has the labels of the query if it is shown.
async fn assert_queries_are_answered(file: &str, queries: &[String]) {
    let shown = shown_metrics(&used_server().await).await;
    let documented = documented_metrics("docs/monitoring.md");
    let base = |name: &str| {
        let endings = ["_bucket", "_count", "_sum"];
        let ending = endings.iter().find_map(|ending| name.strip_suffix(ending));
        ending.unwrap_or(name).to_owned()
    };
    let queried: Vec<_> = queries
        .iter()
        .flat_map(|query| queried_metrics(query))
        .collect();
    assert!(
        queried.len() >= 10,
        "{file} has only {} metrics",
        queried.len()
    );
    for (name, labels) in queried {
        let is_documented = documented
            .iter()
            .any(|metric| metric.split('{').next() == Some(base(&name).as_str()));
        assert!(is_documented, "{file}: there is no metric {name}");
        // A metric without a value is not shown.
        let Some(Some(known)) = shown.get(&name) else {
            continue;
        };
        // Prometheus adds it.
        let mut labels = labels.iter().filter(|label| *label != "instance");
        assert!(
            labels.all(|label| known.contains(label)),
            "{file}: {name} has the labels {known:?}"
        );
    }
}

#[tokio::test]
async fn the_dashboard_queries_metrics_that_exist() {
    let file = "conf/monitoring/grafana.json";
    let dashboard: Value = serde_json::from_str(&read(file)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<_> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert_queries_are_answered(file, &queries).await;
}

#[tokio::test]
async fn the_alert_rules_query_metrics_that_exist() {
    let file = "conf/monitoring/alerts.yaml";
    let rules = read(file);
    let queries: Vec<_> = rules.lines().map(str::to_owned).collect();
    assert_queries_are_answered(file, &queries).await;
}

/// Whether the source registers a metric, which is not shown before it has a value.
fn is_registered(name: &str) -> bool {
    let name = name.strip_prefix("menshen_").unwrap();
    let name = name.strip_suffix("_total").unwrap_or(name);
    let name = name.strip_suffix("_seconds").unwrap_or(name);
    let sources = ["metrics", "route_metrics", "loss_metrics"];
    let mut sources = sources
        .map(|file| read(&format!("src/telemetry/{file}.rs")))
        .into_iter();
    sources.any(|source| source.contains(&format!("\"{name}\"")))
}

/// The first cells of the table of metrics: the names, and the labels in braces.
fn documented_metrics(page: &str) -> BTreeSet<String> {
    let text = read(page);
    let cells = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `menshen_"));
    cells
        .map(|rest| format!("menshen_{}", rest.split('`').next().unwrap()))
        .collect()
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_metric_exists() {
    let shown = shown_metrics(&used_server().await).await;
    for page in ["docs/monitoring.md", "docs/zh/monitoring.md"] {
        let documented = documented_metrics(page);
        let mut undocumented: BTreeSet<_> = shown.keys().map(String::as_str).collect();
        for metric in &documented {
            let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
            let labels: BTreeSet<_> = labels
                .trim_end_matches('}')
                .split(',')
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect();
            let known = shown
                .get(name)
                .or_else(|| shown.get(&format!("{name}_count")));
            match known {
                Some(Some(known)) => assert_eq!(*known, labels, "{page}: {metric}"),
                _ => assert!(is_registered(name), "{page}: there is no metric {name}"),
            }
            undocumented.retain(|shown| {
                !["", "_bucket", "_count", "_sum"]
                    .iter()
                    .any(|ending| *shown == format!("{name}{ending}"))
            });
        }
        assert_eq!(undocumented, BTreeSet::new(), "{page} lacks metrics");
    }
}

#[tokio::test]
async fn a_failed_login_is_not_recorded_as_allowed() {
    let menshen = setup().access_log().start().await;
    let denied = "menshen_requests_total{face=\"own\",verdict=\"deny\",status=\"4xx\"}";
    let allowed = "menshen_requests_total{face=\"own\",verdict=\"allow\",status=\"4xx\"}";
    assert_eq!(metric(&menshen, denied).await, 0.0);
    let callback = "GET /.menshen/callback/corp?code=x&state=y HTTP/1.1\r\nHost: sso.test\r\n\r\n";
    let answer = crate::wire::send(menshen.address(), callback.as_bytes()).await;
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert_eq!(metric(&menshen, denied).await, 1.0);
    assert_eq!(metric(&menshen, allowed).await, 0.0);
    menshen.running.live().services().telemetry.flush();
    let log = menshen.records.text();
    let lines = log
        .lines()
        .filter(|line| line.contains("\"path\":\"/.menshen/callback/corp\""));
    let verdicts: Vec<_> = lines
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["deny"], "{log}");
}

#[tokio::test]
async fn what_alerts_count_is_shown_before_the_first_time() {
    let menshen = setup().start().await;
    let page = send_request(&menshen, "GET", "/metrics", "", "")
        .await
        .text();
    for series in [
        "reloads_total{outcome=\"refused\"}",
        "logins_total{connector=\"corp\",outcome=\"failed\"}",
        "audit_lines_unstored_total{reason=\"refused\"}",
    ] {
        let line = format!("menshen_{series} 0\n");
        assert!(page.contains(&line), "{line}: {page}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_failures_by_upstream() {
    let refusing = crate::upstream::refusing_socket();
    let closed = refusing.local_addr().unwrap();
    let routes = format!(
        "[[route]]\nname = 'app'\nupstream = ['{{app}}']\n\
         [[route]]\nname = 'gone'\npath = '/gone'\naccess = 'public'\nupstream = ['http://{closed}']\n"
    );
    let menshen = setup().routes(&routes).start().await;
    let gone = "GET /gone/x HTTP/1.1\r\nHost: sso.test\r\n\r\n";
    let answer = crate::wire::send(menshen.address(), gone.as_bytes()).await;
    assert_eq!(answer.status, 502);
    let stranger = "GET / HTTP/1.1\r\nHost: sso.test\r\n\r\n";
    assert_eq!(
        crate::wire::send(menshen.address(), stranger.as_bytes())
            .await
            .status,
        401
    );
    for (series, value) in [
        (
            "menshen_route_requests_total{route=\"gone\",status=\"5xx\"}".to_owned(),
            1.0,
        ),
        (
            "menshen_route_requests_total{route=\"app\",status=\"4xx\"}".to_owned(),
            1.0,
        ),
        (
            "menshen_route_requests_total{route=\"app\",status=\"2xx\"}".to_owned(),
            0.0,
        ),
        (
            format!(
                "menshen_upstream_failures_total{{upstream=\"{closed}\",reason=\"unreachable\"}}"
            ),
            1.0,
        ),
    ] {
        assert_eq!(metric(&menshen, &series).await, value, "{series}");
    }
}
