//! docs/comparison.md is honest: it names each peer with its edition, and what the peer has and menshen lacks.

use super::pages::Page;
use crate::conf::project_file;

const PEERS: [&str; 3] = ["oauth2-proxy", "Authelia", "Pomerium"];

/// The page of one language, and how a cell says that somebody lacks something.
const PAGES: [(&str, [&str; 3]); 2] = [
    ("docs/comparison.md", ["no", "not closed", "\u{2013}"]),
    ("docs/zh/comparison.md", ["无", "不断开", "\u{2013}"]),
];

/// Names of other programs that the page has in backquotes.
const OF_OTHERS: [&str; 2] = ["auth_request", "--cookie-refresh"];

/// The cells of each row of the tables, without the heads of the tables.
fn rows(page: &Page) -> Vec<Vec<String>> {
    let lines = page.text().lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| {
        let cells = line.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    rows.filter(|row: &Vec<String>| row[1] != "menshen")
        .collect()
}

fn lacks(cell: &str, words: &[&str; 3]) -> bool {
    let first = cell.split([',', '，']).next().unwrap_or(cell);
    words.contains(&first)
}

#[test]
fn the_comparison_has_the_three_peers_with_their_editions_in_every_table() {
    for page in PAGES.map(|(name, _)| Page::read(name)) {
        let heads = page.text().lines().filter(|line| line.starts_with("| | "));
        for head in heads.clone() {
            assert_eq!(head, "| | menshen | oauth2-proxy | Authelia | Pomerium |");
        }
        assert!(heads.count() >= 4, "{}", page.name);
        let introduction = page.text().split("\n## ").next().unwrap();
        for peer in PEERS {
            let (_, edition) = introduction.split_once(peer).unwrap();
            let has_number = edition
                .trim_start()
                .starts_with(|c: char| c.is_ascii_digit());
            assert!(has_number, "{peer} without its edition in {}", page.name);
            let bold = format!("\n- **{peer}** ");
            assert!(page.text().contains(&bold), "{peer} in {}", page.name);
        }
        assert!(
            rows(&page).iter().all(|row| row.len() == 5),
            "{}",
            page.name
        );
    }
}

#[test]
fn the_comparison_says_in_both_languages_what_menshen_lacks_and_a_peer_has() {
    let lacking = PAGES.map(|(name, words)| {
        let page = Page::read(name);
        let mut lacking = vec![Vec::new(); PEERS.len()];
        for (number, row) in rows(&page).iter().enumerate() {
            for (peer, cell) in row[2..].iter().enumerate() {
                if lacks(&row[1], &words) && !lacks(cell, &words) {
                    lacking[peer].push(number);
                }
            }
        }
        assert!(page.links().contains(&"limits.md".to_owned()), "{name}");
        lacking
    });
    assert_eq!(lacking[0], lacking[1]);
    for (peer, rows) in PEERS.iter().zip(&lacking[0]) {
        assert!(!rows.is_empty(), "menshen has all that {peer} has");
    }
    let all: usize = lacking[0].iter().map(Vec::len).sum();
    assert!(all >= 10, "{lacking:?}");
}

#[test]
fn the_comparison_names_only_keys_that_menshen_has() {
    let keys = std::fs::read_to_string(project_file("conf/full.toml")).unwrap();
    let is_key = |name: &str| {
        let mut lines = keys.lines().map(|line| line.trim_start_matches(['#', ' ']));
        lines.any(|line| {
            line.split(" = ").next() == Some(name) || line.contains(&format!("[{name}]"))
        })
    };
    assert!(is_key("external_url") && is_key("route") && !is_key("cookie-refresh"));
    for page in PAGES.map(|(name, _)| Page::read(name)) {
        for code in page.inline_code() {
            let is_known = OF_OTHERS.contains(&&*code) || is_key(&code);
            assert!(is_known, "`{code}` in {}", page.name);
        }
    }
}
