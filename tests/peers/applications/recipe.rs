//! `Recipe`: a section of a page with recipes.

use std::path::PathBuf;

const FRAMEWORKS: &str = "applications/frameworks.md";
const PRODUCTS: &str = "applications/products.md";
const SINGLE_PAGE: &str = "single-page-applications.md";
const APPLICATIONS: &str = "applications.md";

/// The section of one framework, product or subject.
pub(super) struct Recipe {
    heading: String,
    section: String,
}

impl Recipe {
    pub(super) fn of_framework(heading: &str) -> Self {
        Self::of(FRAMEWORKS, heading)
    }

    pub(super) fn of_product(heading: &str) -> Self {
        Self::of(PRODUCTS, heading)
    }

    pub(super) fn of_single_page(heading: &str) -> Self {
        Self::of(SINGLE_PAGE, heading)
    }

    pub(super) fn of_applications(heading: &str) -> Self {
        Self::of(APPLICATIONS, heading)
    }

    fn of(page: &str, heading: &str) -> Self {
        let text = read(page);
        let begin = format!("\n## {heading}\n");
        let (_, section) = text
            .split_once(&begin)
            .unwrap_or_else(|| panic!("{page} has no section {heading}"));
        let section = section.split("\n## ").next().unwrap_or_default();
        Self {
            heading: heading.to_owned(),
            section: section.to_owned(),
        }
    }

    /// The blocks of code in a language.
    pub(super) fn blocks(&self, language: &str) -> Vec<String> {
        let all = blocks(&self.section).into_iter();
        let mine = all.filter(|(name, _)| name == language);
        mine.map(|(_, block)| block).collect()
    }

    /// The only block of code in a language.
    pub(super) fn block(&self, language: &str) -> String {
        let mut blocks = self.blocks(language);
        assert_eq!(blocks.len(), 1, "{language} of {}", self.heading);
        blocks.remove(0)
    }

    /// The host and the upstream of the first route.
    pub(super) fn route(&self) -> (String, String) {
        let table: toml::Table = self.blocks("toml")[0].parse().unwrap();
        let route = &table["route"][0];
        let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
        (text(&route["host"]), text(&route["upstream"][0]))
    }
}

/// The page in English.
fn read(page: &str) -> String {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs");
    std::fs::read_to_string(docs.join(page)).unwrap()
}

/// The blocks of code with their languages.
fn blocks(text: &str) -> Vec<(String, String)> {
    let fences: Vec<_> = format!("\n{text}\n")
        .split("\n```")
        .map(str::to_owned)
        .collect();
    let inside = fences.iter().skip(1).step_by(2);
    let split = inside.map(|fenced| {
        let (language, block) = fenced.split_once('\n').unwrap();
        (language.to_owned(), block.to_owned())
    });
    split.collect()
}

#[test]
fn both_languages_have_the_same_code_and_the_same_headings() {
    for page in [FRAMEWORKS, PRODUCTS, SINGLE_PAGE, APPLICATIONS] {
        let (english, chinese) = (read(page), read(&format!("zh/{page}")));
        let [own, other] = [&english, &chinese].map(|text| blocks(text));
        assert!(own == other, "{page}: the blocks of code differ");
        let headings = |text: &str| {
            let prose: String = text.split("\n```").step_by(2).collect();
            let lines = prose.lines().filter(|line| line.starts_with('#'));
            lines
                .map(|line| line.find(' ').unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(headings(&english), headings(&chinese), "{page}");
    }
}
