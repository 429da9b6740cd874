//! How the texts of the pages are set: spaces and parentheses in Chinese, hyphens in English.

use super::*;

#[test]
fn no_space_stands_between_chinese_texts() {
    for (name, text) in texts_in(Lang::Zh) {
        for line in text.lines() {
            let chars: Vec<_> = line.chars().collect();
            let gap = chars
                .windows(3)
                .find(|three| is_chinese(three[0]) && three[1] == ' ' && is_chinese(three[2]));
            assert_eq!(gap, None, "{name}: {line}");
        }
    }
}

#[test]
fn a_latin_name_in_a_chinese_text_has_a_space_at_each_side() {
    let inputs = Inputs {
        connector_name: "Keycloak",
        ..PLAIN
    };
    for (template, expected) in [
        ("sign-in-one", "使用 Keycloak 登录"),
        ("password-None", "使用 Keycloak 登录"),
        ("link", "要绑定 Keycloak 账号吗？"),
        ("signed-out-at-provider", "Keycloak 仍处于登录状态"),
        ("forbidden", "您没有权限访问 oa\n"),
        ("sign-in-one", "登录后即可访问 oa.corp.example。"),
        ("switch", "您当前登录的账号是张三（zhangsan）。"),
        ("switch", "您打开的链接将让您以 zhangsan 的身份登录。"),
        (
            "tokens-made",
            "用户名填 zhangsan（或 __token__），密码填令牌。",
        ),
    ] {
        let name = format!("{template}-{}", Lang::Zh.tag());
        let (_, page) = pages(&inputs)
            .into_iter()
            .find(|(it, _)| *it == name)
            .unwrap();
        let text = text(&page.html);
        assert!(text.contains(expected), "{name}: {text}");
    }
}

#[test]
fn the_parentheses_of_chinese_pages_are_chinese() {
    for (name, text) in texts_in(Lang::Zh) {
        assert!(!text.contains(['(', ')']), "{name}: {text}");
    }
    let english = texts_in(Lang::En);
    assert!(english.iter().any(|(_, text)| text.contains('(')));
}

#[test]
fn an_english_page_breaks_no_word_at_its_hyphen() {
    let mut count = 0;
    for (name, page) in pages(&PLAIN) {
        let body = body(&page.html);
        count += body.matches("ign-in").count();
        let left: String = without_unbroken(body);
        assert!(
            page.lang == Lang::Zh || !text(&left).contains("ign-in"),
            "{name}: {left}"
        );
    }
    assert!(count > 30, "{count}");
}

/// What the pages of one language say, with the names of their templates.
fn texts_in(lang: Lang) -> Vec<(String, String)> {
    let all = [PLAIN, company::inputs()];
    let all = all.iter().flat_map(pages);
    all.filter(|(_, page)| page.lang == lang)
        .map(|(name, page)| (name, text(&page.html)))
        .collect()
}

fn is_chinese(character: char) -> bool {
    character >= '\u{2e80}'
}

/// HTML in which the words that stay on one line have no element of their own.
pub(super) fn joined(html: &str) -> String {
    let mut parts = html.split(UNBROKEN);
    let mut joined = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        joined.push_str(&part.replacen("</span>", "", 1));
    }
    joined
}

const UNBROKEN: &str = "<span class=\"nowrap\">";

/// HTML without the words that stay on one line.
fn without_unbroken(html: &str) -> String {
    let mut parts = html.split(UNBROKEN);
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once("</span>").unwrap().1);
    std::iter::once(first).chain(rest).collect()
}

/// The HTML below `<body>`.
fn body(html: &str) -> &str {
    html.split_once("<body").unwrap().1
}

/// The text below `<body>`, with a line break at the tags that are not of a word or a name.
pub(super) fn text(html: &str) -> String {
    let body = html.split_once("<body").map_or(html, |(_, body)| body);
    let mut text = String::new();
    for part in body.split('<').skip(1) {
        let (tag, shown) = part.split_once('>').unwrap();
        let tag = tag.trim_start_matches('/').split(' ').next();
        if !matches!(tag, Some("bdi" | "strong" | "span" | "code")) {
            text.push('\n');
        }
        text.push_str(shown.trim_matches('\n'));
    }
    text
}
