//! The Chinese texts of the program: one way to address people, and none of the phrases that are known to be unclear.

use std::fs;
use std::path::PathBuf;

use crate::conf::project_file;

/// Phrases that are known to be unclear.
const UNCLEAR: [&str; 5] = [
    "应用没有开门",
    "登记登录的地方",
    "看不懂这个请求",
    "暂时认不出是谁",
    "如果这不应该",
];

/// The files below a folder with these endings.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![project_file(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if ending.is_some_and(|ending| endings.contains(&ending)) {
                files.push(path);
            }
        }
    }
    files
}

fn texts() -> Vec<(PathBuf, String)> {
    let folders = ["src", "templates", "examples"];
    let files = folders.map(|folder| files(folder, &["rs", "html", "js"]));
    let texts = files.into_iter().flatten().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    });
    texts.collect()
}

#[test]
fn people_are_addressed_in_one_way() {
    let mut polite = 0;
    for (path, text) in texts() {
        let familiar = text.replace("你好", "").replace("您", "").contains('你');
        assert!(!familiar, "你 in {}", path.display());
        polite += text.matches('您').count();
    }
    assert!(polite > 50, "{polite}");
}

#[test]
fn no_text_has_a_phrase_that_is_known_to_be_unclear() {
    for (path, text) in texts() {
        for phrase in UNCLEAR {
            assert!(!text.contains(phrase), "{phrase} in {}", path.display());
        }
    }
}
