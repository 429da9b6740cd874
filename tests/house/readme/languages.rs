//! Every page exists in English and in Chinese, with the same headings and the same code.

use super::configurations::table;
use super::pages::{self, Block, Page};

/// A program of more lines may be on the English page alone.
const PROGRAM_LINES: usize = 60;

#[test]
fn every_page_exists_in_both_languages() {
    assert_eq!(pages::below("docs"), pages::below("docs/zh"));
}

#[test]
fn both_languages_have_the_same_headings() {
    for [english, chinese] in pages::in_both_languages() {
        let levels = [&english, &chinese].map(|page| {
            let headings = page.headings().into_iter();
            headings.map(|(level, _)| level).collect::<Vec<_>>()
        });
        let headings = [&english, &chinese].map(Page::headings);
        assert_eq!(
            levels[0], levels[1],
            "{} and {} have other headings: {headings:#?}",
            english.name, chinese.name
        );
    }
}

#[test]
fn both_languages_have_the_same_paragraphs_items_and_rows() {
    let others = ["CONTRIBUTING", "SECURITY"].map(|name| {
        let names = [format!("{name}.md"), format!("{name}.zh-CN.md")];
        names.map(|name| Page::read(&name))
    });
    let mut differences = Vec::new();
    for [english, chinese] in pages::in_both_languages().into_iter().chain(others) {
        let (sections, others) = (english.sections(), chinese.sections());
        assert_eq!(sections.len(), others.len(), "{}", english.name);
        let pairs = sections.iter().zip(&others);
        let different = pairs.filter(|((_, counts), (_, translated))| counts != translated);
        differences.extend(different.map(|pair| format!("{}: {pair:?}", english.name)));
    }
    assert_eq!(differences, Vec::<String>::new());
}

/// Only the title of the README introduces the Chinese name.
#[test]
fn chinese_pages_call_the_program_by_its_command() {
    for [_, chinese] in pages::in_both_languages() {
        let title_lines = usize::from(chinese.name == "README.zh-CN.md");
        let mut lines = chinese.text().lines().skip(title_lines);
        let named = lines.find(|line| line.contains("门神"));
        assert_eq!(named, None, "{}", chinese.name);
    }
}

#[test]
fn both_languages_show_the_same_code() {
    for [english, chinese] in pages::in_both_languages() {
        let blocks = [&english, &chinese].map(|page| {
            let blocks = page.blocks().into_iter();
            let short = blocks.filter(|block| block.text.lines().count() <= PROGRAM_LINES);
            short.collect::<Vec<_>>()
        });
        let languages = blocks.each_ref().map(|blocks| {
            let languages = blocks.iter().map(|block| block.language.as_str());
            languages.collect::<Vec<_>>()
        });
        assert_eq!(
            languages[0], languages[1],
            "the blocks of {} and {}",
            english.name, chinese.name
        );
        for (block, translated) in blocks[0].iter().zip(&blocks[1]) {
            assert_same(&english, block, &chinese, translated);
        }
    }
}

/// Comments and Chinese texts may differ.
fn assert_same(english: &Page, block: &Block, chinese: &Page, translated: &Block) {
    if block.language == "toml" {
        let tables = [
            table(english, &block.text),
            table(chinese, &translated.text),
        ];
        assert_eq!(tables[0], tables[1], "{}", chinese.name);
        return;
    }
    let (lines, others) = (code_lines(block), code_lines(translated));
    let same = lines.len() == others.len()
        && lines
            .iter()
            .zip(&others)
            .all(|(line, other)| line == other || has_chinese(other));
    assert!(
        same,
        "{} shows other code than {}:\n{}\n---\n{}",
        chinese.name, english.name, translated.text, block.text
    );
}

/// The lines without comments.
fn code_lines(block: &Block) -> Vec<String> {
    let marks = comment_marks(&block.language);
    let lines = block.text.lines().map(|line| {
        let line = format!(" {line}");
        let cut = marks.iter().filter_map(|mark| line.find(mark)).min();
        let code = cut.map_or(&line[..], |at| &line[..at]);
        code.trim().to_owned()
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// How comments begin, after a blank.
fn comment_marks(language: &str) -> &'static [&'static str] {
    match language {
        "text" | "json" | "" => &[],
        "html" | "xml" => &[" <!--"],
        "sql" | "lua" => &[" --"],
        "php" => &[" #", " //", " /*", " *"],
        "c" | "csharp" | "css" | "go" | "java" | "javascript" | "js" | "kotlin" | "rust"
        | "swift" | "ts" | "typescript" => &[" //", " /*", " *"],
        _ => &[" #"],
    }
}

fn has_chinese(line: &str) -> bool {
    line.chars()
        .any(|char| ('\u{3000}'..'\u{a000}').contains(&char))
}

#[test]
fn comments_are_no_code() {
    let language = "sh".to_owned();
    let text = "a  # one\n\n# two\nb --all\n".to_owned();
    assert_eq!(code_lines(&Block { language, text }), ["a", "b --all"]);
}
