//! The page about single-page applications describes the 401 that scripts really get.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::conf::project_file;
use crate::setup::Menshen;
use crate::test_request::{TestRequest, session_cookie_of};

/// What the table after the example has, of which the example lacks the last two.
const ONLY_FOR_STEP_UP: [&str; 2] = ["acr_values", "max_age"];

fn members(problem: &Value) -> BTreeSet<String> {
    problem.as_object().unwrap().keys().cloned().collect()
}

/// The names in the first cells of the table.
fn rows(table: &str) -> BTreeSet<String> {
    let lines = table.lines().map(str::trim);
    let rows = lines.skip_while(|line| line.is_empty());
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_documented_problem_has_the_members_of_the_real_one() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let nobody = TestRequest::get("/echo").send(&menshen).await.json();
    assert_eq!(nobody["detail"], "nobody");
    menshen.advance(std::time::Duration::from_secs(24 * 60 * 60));
    let get = TestRequest::get("/echo").session(&cookie);
    let expired = get.send(&menshen).await.json();
    for page in [
        "docs/single-page-applications.md",
        "docs/zh/single-page-applications.md",
    ] {
        let text = std::fs::read_to_string(project_file(page)).unwrap();
        let (_, rest) = text.split_once("```json\n").unwrap();
        let (example, rest) = rest.split_once("```\n").unwrap();
        let example: Value = serde_json::from_str(example).unwrap();
        assert_eq!(members(&example), members(&expired), "{page}");
        for name in ["type", "title", "status", "detail"] {
            assert_eq!(example[name], expired[name], "{page}");
        }
        let mut documented = members(&expired);
        documented.extend(ONLY_FOR_STEP_UP.map(str::to_owned));
        assert_eq!(rows(rest), documented, "{page}");
        for reason in ["nobody", "expired", "other connector", "step up"] {
            assert!(rest.contains(&format!("`{reason}`")), "{page}: {reason}");
        }
    }
}
