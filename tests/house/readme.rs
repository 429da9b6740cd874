//! The README and the pages of `docs/`: their configurations, commands and links are valid, and both languages say the
//! same.

mod commands;
mod comparison;
mod configurations;
mod languages;
mod links;
mod messages;
mod operating;
mod pages;
mod troubleshooting;

use menshen::face::page::{Cause, Lang};

use crate::conf::project_file;
use pages::Page;

const READMES: [&str; 2] = ["README.md", "README.zh-CN.md"];

#[test]
fn what_a_visitor_reads_first_is_short() {
    let pages = [
        ("README.md", 900),
        ("README.zh-CN.md", 900),
        ("CONTRIBUTING.md", 800),
        ("SECURITY.md", 800),
    ];
    for (name, words_max) in pages {
        let words = Page::read(name).text().split_whitespace().count();
        assert!(words <= words_max, "{name}: {words} words");
    }
}

#[test]
fn the_first_command_of_the_readme_shows_the_demo_and_the_second_runs_the_tests() {
    for page in READMES.map(Page::read) {
        let shell = page.code("sh");
        let commands: Vec<_> = shell.iter().flat_map(|block| block.lines()).collect();
        assert_eq!(commands[0], "cargo run --release --example demo");
        assert_eq!(commands[1], "tests/run");
    }
}

/// WeCom verifies 可信域名 by asking the server, so it is entered last.
#[test]
fn the_readme_leads_to_a_login_with_wecom_in_sixty_lines() {
    for (page, heading) in READMES
        .map(Page::read)
        .iter()
        .zip(["## Sign in with WeCom\n", "## 用企业微信登录\n"])
    {
        let (_, section) = page.text().split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let lines = section.lines().filter(|line| !line.is_empty()).count();
        assert!(lines <= 60, "{}: {lines} lines", page.name);
        let steps = [
            section.find("创建应用"),
            section.find("corp_id"),
            section.find("systemctl enable"),
            section.rfind("可信域名"),
            section.find("menshen check --online"),
        ];
        let in_order = steps.is_sorted() && steps.iter().all(Option::is_some);
        assert!(in_order, "{}: {steps:?}", page.name);
    }
}

#[test]
fn the_readme_shows_a_small_picture_of_the_pages() {
    for page in READMES.map(Page::read) {
        let links = page.links();
        let pictures = links.iter().filter(|link| link.ends_with(".png"));
        let sizes: Vec<_> = pictures
            .map(|link| std::fs::metadata(project_file(link)).unwrap().len())
            .collect();
        assert!(!sizes.is_empty(), "{} has no picture", page.name);
        let small = sizes.iter().all(|size| *size < 300_000);
        assert!(small, "{}: {sizes:?} bytes", page.name);
    }
}

#[test]
fn every_page_that_the_troubleshooting_names_exists() {
    let [english, chinese] =
        ["docs/troubleshooting.md", "docs/zh/troubleshooting.md"].map(Page::read);
    // A notice on the sign-in page.
    let other_quotes = ["The automatic sign-in did not finish"];
    let mut count = 0;
    for quoted in english.text().split('\u{201c}').skip(1) {
        let (quoted, _) = quoted.split_once('\u{201d}').unwrap();
        let cause = Cause::ALL
            .into_iter()
            .find(|cause| cause.title(Lang::En) == quoted);
        let Some(cause) = cause else {
            assert!(other_quotes.contains(&quoted), "no page says {quoted}");
            continue;
        };
        let title = cause.title(Lang::Zh);
        assert!(
            chinese.text().contains(title),
            "{title} in {}",
            chinese.name
        );
        count += 1;
    }
    assert!(count > 20, "{count} titles");
}
