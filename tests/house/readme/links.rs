//! Links, anchors and names of files on the pages, and the index.

use std::path::{Component, PathBuf};

use super::pages::{self, Page};
use crate::conf::project_file;

/// Pages beside those of `docs/` whose links count, too.
const OTHERS: [&str; 6] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CONTRIBUTING.zh-CN.md",
    "SECURITY.md",
    "SECURITY.zh-CN.md",
    "benches/README.md",
];

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    let mut count = 0;
    let others = OTHERS.map(Page::read);
    for page in pages::all().into_iter().chain(others) {
        for link in page.links() {
            if !link.contains(':') {
                count += 1;
                problems.extend(problem(&page, &link));
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    assert!(count > 300, "{count} links");
}

/// Why a relative link leads nowhere.
fn problem(page: &Page, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        page.name.clone()
    } else {
        resolve(&page.name, path)
    };
    if !project_file(&target).exists() {
        return Some(format!("{}: {link} does not exist", page.name));
    }
    if anchor.is_empty() {
        return None;
    }
    let anchors = Page::read(&target).anchors();
    let found = anchors.iter().any(|other| other == anchor);
    (!found).then(|| format!("{}: {link} is none of {anchors:?}", page.name))
}

/// The path from the root of the project that a page's relative link means.
fn resolve(page: &str, link: &str) -> String {
    let mut path = PathBuf::from(page);
    path.pop();
    for component in PathBuf::from(link).components() {
        match component {
            Component::ParentDir => assert!(path.pop(), "{page}: {link} leaves the project"),
            other => path.push(other),
        }
    }
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_file_of_the_project_that_a_page_names_exists() {
    let folders = [
        "benches/",
        "conf/",
        "docs/",
        "examples/",
        "src/",
        "templates/",
        "tests/",
    ];
    let mut count = 0;
    for page in pages::all() {
        for code in page.inline_code() {
            let path = code.split(' ').next().unwrap();
            if folders.iter().any(|folder| path.starts_with(folder)) {
                count += 1;
                assert!(project_file(path).exists(), "{path} in {}", page.name);
            }
        }
    }
    assert!(count > 80, "{count} names of files");
}

#[test]
fn the_index_lists_every_page() {
    let mut missing = Vec::new();
    for folder in ["docs", "docs/zh"] {
        let index = Page::read(&format!("{folder}/README.md"));
        let links = index.links();
        for name in pages::below(folder) {
            if name != "README.md" && !links.contains(&name) {
                let page = Page::read(&format!("{folder}/{name}"));
                let (_, title) = page.headings().remove(0);
                missing.push(format!("{}: - [{title}]({name})", index.name));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "these lines are missing:\n{}",
        missing.join("\n")
    );
}

#[test]
fn each_page_links_the_same_page_in_the_other_language() {
    for [english, chinese] in pages::in_both_languages() {
        for (page, other) in [(&english, &chinese), (&chinese, &english)] {
            let links = page.links().into_iter();
            let mut relative = links.filter(|link| !link.contains(':') && !link.starts_with('#'));
            assert!(
                relative.any(|link| resolve(&page.name, &link) == other.name),
                "{} does not link {}",
                page.name,
                other.name
            );
        }
    }
}

#[test]
fn the_readmes_lead_to_the_index_and_the_examples() {
    let names = [
        [
            "README.md",
            "docs/README.md",
            "docs/limits.md",
            "docs/comparison.md",
        ],
        [
            "README.zh-CN.md",
            "docs/zh/README.md",
            "docs/zh/limits.md",
            "docs/zh/comparison.md",
        ],
    ];
    for [readme, links @ ..] in names {
        let page = Page::read(readme);
        for link in links {
            assert!(page.links().iter().any(|other| other == link), "{link}");
        }
        for file in ["conf/full.toml", "conf/menshen.service"] {
            assert!(page.text().contains(file), "{file} in {readme}");
        }
    }
}
