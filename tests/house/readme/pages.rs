//! The pages of the documentation, and what they contain.

use std::collections::HashMap;
use std::path::Path;

use crate::conf::project_file;

/// A page in Markdown.
pub(super) struct Page {
    /// Its path from the root of the project.
    pub(super) name: String,
    text: String,
}

/// A fenced block of code.
pub(super) struct Block {
    /// What follows the fence: empty, a language, or a language and a remark.
    pub(super) language: String,
    pub(super) text: String,
}

/// Each page in English and in Chinese: the READMEs first, then those of `docs/`.
pub(super) fn in_both_languages() -> Vec<[Page; 2]> {
    let mut pages = vec![["README.md", "README.zh-CN.md"].map(Page::read)];
    for name in below("docs") {
        pages.push(
            [format!("docs/{name}"), format!("docs/zh/{name}")].map(|name| Page::read(&name)),
        );
    }
    pages
}

/// All pages, in no particular order of languages.
pub(super) fn all() -> Vec<Page> {
    in_both_languages().into_iter().flatten().collect()
}

/// The pages below `docs` or `docs/zh`, by their path from there. Those of `docs/zh` do not count below `docs`.
pub(super) fn below(folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    collect(&project_file(folder), "", &mut names);
    if folder == "docs" {
        names.retain(|name| !name.starts_with("zh/"));
    }
    names.sort();
    assert!(names.len() > 40, "{} pages below {folder}", names.len());
    names
}

fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), names);
        } else if name.ends_with(".md") {
            names.push(format!("{prefix}{name}"));
        }
    }
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(project_file(name));
        let text = text.unwrap_or_else(|error| panic!("read {name}: {error}"));
        let name = name.to_owned();
        Self { name, text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The blocks of code, without the indentation of their fences.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut fence = None;
        for line in self.text.lines() {
            let rest = line.trim_start().strip_prefix("```");
            match (fence, rest) {
                (None, Some(language)) => {
                    fence = Some(line.len() - line.trim_start().len());
                    let language = language.trim().to_owned();
                    let text = String::new();
                    blocks.push(Block { language, text });
                }
                (Some(_), Some(_)) => fence = None,
                (Some(indent), None) => {
                    let block = blocks.last_mut().unwrap();
                    block.text += line.get(indent..).unwrap_or_default();
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert_eq!(fence, None, "{}: a fence is open at the end", self.name);
        blocks
    }

    /// The text of the blocks in this language.
    pub(super) fn code(&self, language: &str) -> Vec<String> {
        let blocks = self.blocks().into_iter();
        blocks
            .filter(|block| block.language == language)
            .map(|block| block.text)
            .collect()
    }

    /// The lines outside of the blocks of code.
    fn prose(&self) -> String {
        let mut in_block = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            in_block ^= is_fence;
            if !in_block && !is_fence {
                prose += line;
            }
            prose.push('\n');
        }
        prose
    }

    /// Level and text of each heading.
    pub(super) fn headings(&self) -> Vec<(usize, String)> {
        let prose = self.prose();
        let headings = prose.lines().filter_map(|line| {
            let text = line.trim_start_matches('#');
            let level = line.len() - text.len();
            let text = text.strip_prefix(' ')?;
            (level > 0).then(|| (level, text.to_owned()))
        });
        headings.collect()
    }

    /// The anchors of the headings, as GitHub makes them.
    pub(super) fn anchors(&self) -> Vec<String> {
        let mut seen = HashMap::new();
        let headings = self.headings().into_iter();
        headings
            .map(|(_, text)| {
                let anchor = anchor(&text);
                let repeated = seen.entry(anchor.clone()).or_insert(0);
                *repeated += 1;
                if *repeated == 1 {
                    anchor
                } else {
                    format!("{anchor}-{}", *repeated - 1)
                }
            })
            .collect()
    }

    /// Each heading, and how many paragraphs, list items and table rows are below it. What is before the first
    /// heading has an empty one.
    pub(super) fn sections(&self) -> Vec<(String, [usize; 3])> {
        let mut sections = vec![(String::new(), [0; 3])];
        let mut may_begin_paragraph = true;
        for line in self.prose().lines() {
            let counts = &mut sections.last_mut().unwrap().1;
            if line.starts_with('#') {
                sections.push((line.to_owned(), [0; 3]));
            } else if line.starts_with('|') {
                counts[2] += 1;
            } else if is_list_item(line) {
                counts[1] += 1;
            } else if may_begin_paragraph && line.starts_with(|first: char| first != ' ') {
                counts[0] += 1;
            }
            may_begin_paragraph = line.is_empty() || line.starts_with(['#', '|']);
        }
        sections
    }

    /// The inline code, each on one line.
    pub(super) fn inline_code(&self) -> Vec<String> {
        self.spans(1)
    }

    /// The targets of the links and images.
    pub(super) fn links(&self) -> Vec<String> {
        let text = self.spans(0).join(" ");
        let links = text.split("](").skip(1).filter_map(|rest| {
            let (target, _) = rest.split_once(')')?;
            Some(target.to_owned())
        });
        links.collect()
    }

    /// What is outside (`first` is 0) or inside (1) of backquotes.
    fn spans(&self, first: usize) -> Vec<String> {
        let prose = self.prose();
        let mut spans = Vec::new();
        for paragraph in prose.split("\n\n") {
            let parts = paragraph.split('`').skip(first).step_by(2);
            spans.extend(parts.map(|span| span.replace('\n', " ")));
        }
        spans
    }
}

fn is_list_item(line: &str) -> bool {
    let text = line.trim_start();
    let after_number = text.trim_start_matches(|char: char| char.is_ascii_digit());
    let is_numbered = after_number != text && after_number.starts_with(". ");
    is_numbered || text.starts_with("- ")
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|char| match char {
        ' ' => Some('-'),
        '-' | '_' => Some(char),
        _ if char.is_alphanumeric() => Some(char),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

#[test]
fn paragraphs_items_and_rows_are_counted_below_their_heading() {
    let text = "One\nstill one\n\n# A\nTwo\n- item\n  of two lines\n10. item\n\n    code\n\n\
                Three\n\n```\n- code\n```\n## B\n| a |\n|---|\nFour";
    let page = Page {
        name: "page.md".to_owned(),
        text: text.to_owned(),
    };
    let sections = [("", [1, 0, 0]), ("# A", [2, 2, 0]), ("## B", [1, 0, 2])];
    let sections = sections.map(|(heading, counts)| (heading.to_owned(), counts));
    assert_eq!(page.sections(), sections);
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("menshen's own groups"), "menshens-own-groups");
    assert_eq!(anchor("8. 放在 nginx 后面"), "8-放在-nginx-后面");
    assert_eq!(anchor("Why `allow`, or not?"), "why-allow-or-not");
}

/// Code that is only indented: no test parses it, and none compares it with that of the other language.
#[test]
fn no_code_stands_outside_of_fences() {
    for page in all() {
        let prose = page.prose();
        let (mut before, mut in_list) = ("", false);
        for line in prose.lines() {
            let is_code = line.starts_with("    ") && before.is_empty() && !in_list;
            assert!(!is_code, "{}: {line}", page.name);
            if !line.is_empty() && !line.starts_with(' ') {
                let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
                in_list = line.starts_with("- ") || number.starts_with(". ");
            }
            before = line;
        }
    }
}
