//! The list of pages that these tests look at has every page in every state.

use std::collections::HashSet;

use super::*;

#[test]
fn every_template_is_in_the_list_of_pages() {
    let names: Vec<_> = pages(&PLAIN).into_iter().map(|(name, _)| name).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut templates = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "html") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.starts_with("{% extends \"base.html\" %}") {
            continue;
        }
        templates += 1;
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let begin = format!("{}-", stem.replace('_', "-"));
        let is_listed = names.iter().any(|name| name.starts_with(&begin));
        assert!(is_listed, "no page of {} is in the list", path.display());
    }
    assert!(templates >= 16, "only {templates} templates were found");
}

/// A page whose state is not in the list has a text that none of the pages has.
#[test]
fn every_text_is_on_a_page_of_the_list() {
    for lang in LANGS {
        let all = [PLAIN, company::inputs()];
        let all = all.iter().flat_map(pages);
        let html: String = all
            .filter(|(_, page)| page.lang == lang)
            .map(|(_, page)| as_text(&page.html))
            .collect();
        let texts = quoted(&format!("{:?}", texts::of(lang)));
        assert!(texts.len() > 250, "{} texts", texts.len());
        for text in texts {
            assert!(html.contains(&text), "no page says {text:?}");
        }
    }
}

#[test]
fn no_two_pages_of_the_list_are_named_alike() {
    let names: Vec<_> = pages(&PLAIN).into_iter().map(|(name, _)| name).collect();
    let distinct: HashSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
}

/// The characters for which Askama writes references.
fn as_text(html: &str) -> String {
    typography::joined(html)
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&#38;", "&")
}

/// The texts between quotation marks of a `Debug` output.
fn quoted(debug: &str) -> Vec<String> {
    let parts: Vec<_> = debug.split('"').collect();
    assert!(
        !debug.contains('\\'),
        "a text has a character that Debug writes in another way"
    );
    let texts = parts.iter().skip(1).step_by(2);
    texts.map(|text| (*text).to_owned()).collect()
}
