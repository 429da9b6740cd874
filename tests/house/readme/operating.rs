//! What the pages say about running menshen: the C library it needs, one way to change session keys, and the limits
//! of an office behind one address.

use super::pages::{self, Page};
use crate::conf::project_file;

/// The glibc of Debian 12, on which the tests run, as 2.X. Symbols of a later one are those of a newer machine.
const DEBIAN_12: u32 = 36;

/// The X of each `GLIBC_2.X` that the binary needs.
fn needed_glibc() -> Vec<u32> {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_menshen")).unwrap();
    let names = binary.split(|byte| *byte == 0);
    let names = names.filter_map(|name| std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_2."));
    names
        .filter_map(|number| number.split('.').next()?.parse().ok())
        .collect()
}

#[test]
fn the_binary_needs_the_c_library_that_the_pages_name() {
    let needed = needed_glibc().into_iter();
    let newest = needed.filter(|number| *number <= DEBIAN_12).max().unwrap();
    let names = [
        "README.md",
        "README.zh-CN.md",
        "docs/install.md",
        "docs/zh/install.md",
    ];
    for name in names {
        let page = Page::read(name);
        let (_, about) = page.text().split_once("glibc").unwrap();
        let (_, documented) = about.split_once(" 2.").unwrap();
        let digits = documented.split(|c: char| !c.is_ascii_digit()).next();
        assert_eq!(digits.unwrap().parse(), Ok(newest), "{name}");
    }
}

/// Where the steps of a change of session keys are, how a page speaks of session keys, and words of a change.
const KEY_PAGES: [(&str, &str, &[&str]); 2] = [
    (
        "docs/operations.md#session-keys",
        "session key",
        &["leak", "old key", "chang", "replaced", "new key"],
    ),
    (
        "docs/zh/operations.md#会话密钥",
        "会话密钥",
        &["泄露", "旧密钥", "更换", "换了", "新密钥"],
    ),
];

fn is_chinese(page: &Page) -> bool {
    page.name.contains("zh")
}

#[test]
fn pages_that_speak_of_changing_session_keys_link_the_one_that_has_the_steps() {
    for (number, (steps, keys, changes)) in KEY_PAGES.into_iter().enumerate() {
        let (page_of_steps, anchor) = steps.split_once('#').unwrap();
        let mut count = 0;
        for page in pages::all() {
            if is_chinese(&page) != (number == 1) || page.name == page_of_steps {
                continue;
            }
            let text = page.text().replace("- ", "\n\n- ").replace("\n|", "\n\n|");
            let mut parts = text.split("\n\n").map(|part| part.replace('\n', " "));
            let speaks =
                |part: String| part.contains(keys) && changes.iter().any(|it| part.contains(it));
            if parts.any(speaks) {
                let link = format!("operations.md#{anchor}");
                assert!(page.text().contains(&link), "{} has no {link}", page.name);
                count += 1;
            }
        }
        assert!(count >= 3, "{steps}: {count} pages");
    }
}

#[test]
fn the_steps_of_changing_session_keys_stand_on_one_page() {
    for (steps, ..) in KEY_PAGES {
        let (page_of_steps, _) = steps.split_once('#').unwrap();
        let page = Page::read(page_of_steps);
        let lists = page.inline_code().into_iter();
        assert_eq!(lists.filter(|code| code.starts_with("keys = [")).count(), 2);
    }
    let with_steps = KEY_PAGES.map(|(steps, ..)| steps.split('#').next().unwrap());
    for page in pages::all() {
        let lists = page.text().split("keys = [").skip(1);
        let mut lists = lists.map(|list| list.split(']').next().unwrap());
        let has_two = lists.any(|list| list.contains(','));
        assert_eq!(has_two, with_steps.contains(&&*page.name), "{}", page.name);
    }
}

#[test]
fn the_limits_of_an_office_behind_one_address_are_the_defaults() {
    let defaults = std::fs::read_to_string(project_file("conf/full.toml")).unwrap();
    let default = |key: &str| {
        let line = defaults
            .lines()
            .map(|line| line.trim_start_matches('#'))
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.unwrap_or_else(|| panic!("there is no key {key}"))
            .to_owned()
    };
    for name in ["docs/troubleshooting.md", "docs/zh/troubleshooting.md"] {
        let page = Page::read(name);
        let (_, section) = page.text().rsplit_once("\n## ").unwrap();
        for words in [
            "Internet Explorer",
            "`text/html`",
            "401",
            "NAT",
            "`trusted_proxies`",
        ] {
            assert!(section.contains(words), "{words} in {name}");
        }
        let mut count = 0;
        for row in section
            .lines()
            .filter(|line| line.starts_with("| "))
            .skip(1)
        {
            let (what, keys) = row.split_once(" | ").unwrap();
            let what = what.replace(',', "");
            let numbers: Vec<_> = what.split(|c: char| !c.is_ascii_digit()).collect();
            for code in keys.split('`').skip(1).step_by(2) {
                let key = code.rsplit(' ').next().unwrap();
                let default = default(key);
                // Half of all connections has no number.
                let is_half = key == "connections_per_client_max";
                assert!(
                    is_half || numbers.contains(&&*default),
                    "{name}: {key} is {default}"
                );
                count += 1;
            }
        }
        assert_eq!(count, 7, "{name}");
    }
    let [all, client] = ["connections_max", "connections_per_client_max"].map(default);
    let half = all.parse::<u32>().unwrap() / 2;
    assert_eq!(client.parse(), Ok(half));
}
